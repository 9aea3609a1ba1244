"""Of a file of several pictures the first is read, and it is said that there are others; copies of it are none."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from cnn_core.data.frames import KEY, frame_notes, several_frames
from cnn_core.data.images import read_image

FRAMES = [Image.new("RGB", (32, 32), (80 * k, 0, 0)) for k in range(3)]


def encode(kind: str, images: list[Image.Image] = FRAMES, **options) -> bytes:
    stream, images = io.BytesIO(), [image.copy() if image in FRAMES else image for image in images]  # Pillow keeps much
    images[0].save(stream, kind, save_all=True, append_images=images[1:], **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "called"),
    [("GIF", "frames"), ("PNG", "frames"), ("WEBP", "frames"), ("AVIF", "frames"), ("TIFF", "pages")],
)
def test_a_file_of_three_says_so(kind, called):
    assert frame_notes(read_image(encode(kind)))[0].startswith(
        f"the first of 3 {called} alone is read; save the others"
    )
    assert not frame_notes(read_image(encode(kind, FRAMES[:1])))


def test_the_note_stays_with_a_picture_that_is_read_again_converted_and_resized():
    picture = read_image(read_image(encode("TIFF")).convert("L").resize((8, 8)))
    assert "3 pages" in frame_notes(picture)[0]


@pytest.mark.parametrize("mode", ["L", "I;16", "F", "1", "P"])
def test_pages_of_every_mode_are_counted(mode):
    pages = [Image.new(mode, (4, 4), k) for k in range(2)]
    assert "first of 2 pages" in frame_notes(read_image(encode("TIFF", pages)))[0]


def test_icons_and_photos_with_a_preview_are_one_picture():
    assert not frame_notes(read_image(encode("MPO")))
    stream = io.BytesIO()
    FRAMES[0].copy().save(stream, "ICO", sizes=[(16, 16), (32, 32)])
    assert not frame_notes(read_image(stream.getvalue()))


@pytest.mark.parametrize(("kind", "noted"), [(1, 0), (4, 0), (2, 1)])  # a smaller copy, a mask, a page of several
def test_smaller_copies_and_masks_in_a_tiff_are_no_pages(kind, noted):
    second = FRAMES[0].resize((16, 16))
    second.encoderinfo = {"tiffinfo": TiffImagePlugin.ImageFileDirectory_v2()}
    second.encoderinfo["tiffinfo"][254] = kind
    assert len(frame_notes(read_image(encode("TIFF", [FRAMES[0], second])))) == noted


def test_a_stack_that_imagej_writes_as_one_page_is_a_stack():
    data = encode("TIFF", FRAMES[:1], description="ImageJ=1.53t\nimages=40\nslices=40\n")
    assert "first of 40 pages" in frame_notes(read_image(data))[0]


def test_what_is_damaged_behind_the_first_page_does_not_matter():
    data = encode("TIFF")
    with Image.open(io.BytesIO(data)) as tiff:
        tiff.seek(2)
        last = tiff._frame_pos[2]
    picture = read_image(data[:last] + bytes(4))
    assert "first of 2 pages" in frame_notes(picture)[0]
    assert np.asarray(picture).max() == 0


def test_a_text_in_a_png_is_not_taken_for_a_note():
    info = PngImagePlugin.PngInfo()
    info.add_text(KEY, "the first of 9 frames")
    assert not frame_notes(read_image(encode("PNG", FRAMES[:1], pnginfo=info)))


def test_many_are_counted_in_a_sentence():
    assert several_frames(0) == []
    assert several_frames(1)[0].startswith("1 of the pictures is the first")
    assert several_frames(1234)[0].startswith("1,234 of the pictures are the first")
