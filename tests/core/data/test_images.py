"""Whatever a user brings becomes an upright picture or a sentence."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_core.data.images import PIXEL_LIMIT, read_image
from cnn_core.errors import DataError

WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of that size, in a few bytes: the header is all that is true."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.fixture
def halves() -> Image.Image:
    """Left half red, right half white, 40 x 20."""
    image = Image.new("RGB", (40, 20), WHITE)
    image.paste(RED, (0, 0, 20, 20))
    return image


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "DIB"])
def test_lossless_formats_keep_every_pixel(kind, halves):
    image = halves.crop((12, 0, 28, 16))
    assert np.array_equal(np.asarray(read_image(encode(image, kind)).convert("RGB")), np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "JPEG2000", "MPO"])
def test_lossy_formats_are_read(kind, halves):
    pixels = np.asarray(read_image(encode(halves, kind)))
    assert np.abs(pixels[10, 5].astype(int) - RED).max() < 12
    assert np.abs(pixels[10, 35].astype(int) - WHITE).max() < 12


def test_path_bytes_file_image_array_and_tensor_give_the_same_picture(tmp_path, halves):
    data = encode(halves, "PNG")
    path = tmp_path / "halves.png"
    path.write_bytes(data)
    array = np.asarray(halves)
    sources = [
        str(path),
        path,
        data,
        bytearray(data),
        io.BytesIO(data),
        halves,
        array,
        torch.from_numpy(array.copy()).permute(2, 0, 1),
    ]
    for source in sources:
        assert np.array_equal(np.asarray(read_image(source)), array)
    with path.open("rb") as stream:
        assert np.array_equal(np.asarray(read_image(stream)), array)
    path.unlink()  # no handle is kept, so that this works on Windows too


# Where the red left half is after a viewer has obeyed the tag, by the EXIF standard: (row, column) in 0..1.
@pytest.mark.parametrize(
    ("orientation", "red_at", "size"),
    [(1, "left", (40, 20)), (2, "right", (40, 20)), (3, "right", (40, 20)), (4, "left", (40, 20)),
     (5, "top", (20, 40)), (6, "top", (20, 40)), (7, "bottom", (20, 40)), (8, "bottom", (20, 40))],
)  # fmt: skip
def test_exif_orientation_is_applied(halves, orientation, red_at, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(encode(halves, "PNG", exif=exif))
    assert image.size == size
    width, height = size
    at = {
        "left": (0, height // 2),
        "right": (width - 1, height // 2),
        "top": (width // 2, 0),
        "bottom": (width // 2, height - 1),
    }
    assert image.getpixel(at[red_at]) == RED
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[red_at]
    assert image.getpixel(at[opposite]) == WHITE
    again = read_image(image)  # one that is upright already is not turned once more
    assert (again.size, again.tobytes()) == (size, image.tobytes())


def test_broken_exif_leaves_the_picture_as_it_is(halves):
    image = read_image(encode(halves, "JPEG", exif=b"Exif\x00\x00garbage that is no TIFF header", quality=95))
    assert image.size == (40, 20)


def test_cmyk_is_converted_to_rgb():
    pixel = read_image(encode(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF")).getpixel((0, 0))
    assert pixel == RED  # no cyan, full magenta, full yellow


def test_16_bit_is_scaled_by_its_own_range():
    values = np.array([[1000, 2000], [3000, 6000]], dtype=np.uint16)
    image = read_image(encode(Image.fromarray(values), "PNG"))
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 51], [102, 255]]  # (v - 1000) / 5000 * 255


def test_16_bit_within_8_bit_range_is_left_alone():
    values = np.array([[0, 7], [200, 255]], dtype=np.uint16)
    assert np.asarray(read_image(encode(Image.fromarray(values), "PNG"))).tolist() == [[0, 7], [200, 255]]


def test_palette_and_one_bit(halves):
    assert read_image(encode(halves.convert("P"), "PNG")).getpixel((0, 0)) == RED
    image = read_image(encode(Image.new("1", (3, 3), 1), "PNG"))
    assert (image.mode, image.getpixel((1, 1))) == ("L", 255)


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (200, 0, 0, 128))
    pixels = read_image(encode(image, "PNG"))
    assert pixels.getpixel((0, 0)) == WHITE
    assert pixels.getpixel((1, 0)) == (227, 127, 127)  # (200, 0, 0) * 128/255 + 255 * 127/255


def test_white_drawing_on_nothing_is_laid_on_black():
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (2, 2, 4, 6))
    pixels = read_image(encode(image, "PNG"))
    assert (pixels.getpixel((0, 0)), pixels.getpixel((3, 3))) == (BLACK, WHITE)


def test_transparent_palette_and_grey_with_alpha():
    image = Image.new("P", (2, 2), 0)
    image.putpalette([10, 20, 30] + [0, 0, 0] * 255)
    assert read_image(encode(image, "PNG", transparency=0)).getpixel((0, 0)) == WHITE
    assert read_image(encode(Image.new("LA", (2, 2), (80, 255)), "PNG")).getpixel((0, 0)) == (80, 80, 80)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (6, 6), RED), Image.new("RGB", (6, 6), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_image(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert image.convert("RGB").getpixel((3, 3)) == RED


def test_one_pixel():
    assert read_image(encode(Image.new("RGB", (1, 1), RED), "PNG")).getpixel((0, 0)) == RED


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_001, 10_000), (40_000, 40_000)])
def test_decompression_bomb_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    with pytest.raises(DataError, match=r"bomb\.png.*limit is 100 million.*smaller"):
        read_image(path)


def test_largest_allowed_header_is_not_taken_for_a_bomb():
    with pytest.raises(DataError, match="damaged or incomplete"):  # it is refused for its missing pixels instead
        read_image(png_header(100, 100))
    assert PIXEL_LIMIT == 100_000_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "zero bytes"),
        (b"hello, I am a text", "not a picture of a known format"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\xef\xbb\xbf <svg>", "SVG"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture of a known format"),
        (b"\x89PNG\r\n\x1a\n", "not a picture of a known format, or its beginning is damaged"),
    ],
)
def test_what_is_no_picture_is_called_by_name(tmp_path, content, words):
    path = tmp_path / "thing.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_image(path)
    assert "thing.png" in str(caught.value)
    with pytest.raises(DataError, match=words):
        read_image(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_truncated_file_is_refused(kind, part):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    data = encode(noise, kind)
    with pytest.raises(DataError):
        read_image(data[: int(part * len(data))])


def test_missing_file_folder_and_address():
    with pytest.raises(DataError, match="no such file"):
        read_image("nowhere.png")
    with pytest.raises(DataError, match="is a folder"):
        read_image(Path.cwd())
    with pytest.raises(DataError, match="download the picture first"):
        read_image("https://example.org/cat.jpg")
    for wrong in (42, None, {"a": 1}):
        with pytest.raises(DataError, match="expected a path, bytes"):
            read_image(wrong)
    with pytest.raises(DataError, match="cannot be opened"):
        read_image("x" * 5000 + ".png")
    with pytest.raises(DataError, match="no such file"):
        read_image("a\0b.png")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0.0, 0.5], [1.0, 0.2]]), [[0, 128], [255, 51]]),  # 0..1
        (np.array([[0.0, 50.0], [255.0, 20.0]]), [[0, 50], [255, 20]]),  # 0..255
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[-1.0, 0.0, 1.0]]), [[0, 128, 255]]),  # its own range
        (np.array([[0, 30_000, 60_000]], dtype=np.int64), [[0, 128, 255]]),
        (np.array([[[7], [8]]], dtype=np.uint8), [[7, 8]]),
        (torch.tensor([[[0.0, 1.0]]], dtype=torch.bfloat16), [[0, 255]]),
    ],
)
def test_numbers_become_grey_levels(array, expected):
    image = read_image(array)
    assert image.mode == "L"
    assert np.asarray(image).tolist() == expected


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 5)), r"shape .*\[2, 3, 5\]"),
        (np.zeros(4), "shape"),
        (np.zeros((0, 4)), "shape"),
        (torch.zeros(2, 8, 8), "1, 3 or 4"),
        (np.array([[np.nan]]), "NaN"),
        (np.array([["a"]]), "expected numbers"),
        (np.array([[1j]]), "expected numbers"),
    ],
)
def test_arrays_that_are_no_pictures(array, words):
    with pytest.raises(DataError, match=words):
        read_image(array, name="input 3")


def test_jpeg_is_decoded_smaller_but_not_below_what_is_asked():
    data = encode(Image.new("RGB", (1600, 800), RED), "JPEG")
    assert read_image(data).size == (1600, 800)
    assert read_image(data, at_least=100).size == (200, 100)  # an eighth; a sixteenth does not exist
    assert read_image(data, at_least=300).size == (800, 400)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_end_in_a_picture_or_a_sentence(halves):
    random = np.random.default_rng(1)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "PCX", "ICO", "JPEG2000", "AVIF"):
        seed = np.frombuffer(encode(halves, kind), dtype=np.uint8)
        for _ in range(25):
            data = seed.copy()
            data[random.integers(0, len(data), 4)] = random.integers(0, 256, 4)
            try:
                assert read_image(data[: random.integers(1, len(data) + 1)].tobytes()).mode in ("L", "RGB")
            except DataError:
                continue
