"""One object before a plain background, converted to the form of the MNIST family: bright on black, in a box.

Used for what people draw and photograph; a picture that already has this form stays as it is.
"""

import math

import numpy as np
from PIL import Image

from cnn_core.data.fits import Fitted, Placement, resize
from cnn_core.errors import DataError
from image_classification.background import COARSE, NOISE, background_plane, border

OBJECT_DETAIL = 640  # pixels: below this edge no picture of one object is shrunk before the object is looked for


def fit_objects(picture: Image.Image, size: tuple[int, int], *, share: float, centre: str) -> list[Fitted]:
    """Find the object of a grey picture and put it, bright on black, into a frame of `size` (H, W).

    With `centre` "mass" there may be several characters: one entry for each, in reading order.

    As LeCun et al. (1998, section III.A) describe it for MNIST: the object's bounding box is scaled, keeping its aspect
    ratio, to fit a box of `share` of the frame (20 of 28 pixels), then placed with its centre of mass in the middle
    pixel (index 14 of 28, as measured on the set), moved at most by the margin that the box leaves. The brightest pixel
    becomes 255, as in nearly all pictures of the family (Fashion-MNIST: 99 % reach 254).

    Args:
        picture: mode L. One of the right size on a dark background is left as it is; one on a light background is
            always readable, unless it is of one single grey value.
        size: (H, W) in pixels.
        share: of the frame's edge that the object's longer side takes.
        centre: "mass" as above, or "box": the bounding box in the middle.

    Raises:
        DataError: nothing but background.
    """
    height, width = size
    grey = np.asarray(picture)
    right_size = grey.shape == size
    if right_size and not _light_background(grey, strokes=centre == "mass"):
        return [(picture, Placement((0, 0, width, height), (0, 0, width, height)))]
    shrink = max(1, max(grey.shape) // OBJECT_DETAIL)  # a larger photo shows no more of one object
    shown = np.asarray(picture.reduce(shrink))
    if centre == "mass" and not right_size:
        from image_classification.characters import separate  # imports SciPy

        inks = separate(_written(shown))
    else:
        inks = [_bright_on_black(shown, frame_is_background=not right_size)]
    return [_framed(one, size, share=share, centre=centre, shrink=shrink) for one in inks]


def _framed(ink: np.ndarray, size: tuple[int, int], *, share: float, centre: str, shrink: int) -> Fitted:
    """Put the object of a picture [H, W], bright on black and `shrink` times as small as it was, into its frame."""
    height, width = size
    left, top, right, bottom = box = _find_object(ink, faint=0.2 if centre == "mass" else 0.02)
    scale = share * min(height / (bottom - top), width / (right - left))
    inner_width, inner_height = (max(1, round(scale * edge)) for edge in (right - left, bottom - top))
    small = np.asarray(resize(Image.fromarray(ink), (inner_width, inner_height), box))  # float [h, w]
    small = small * (255 / float(small.max()))
    x0, y0 = (width - inner_width) // 2, (height - inner_height) // 2
    if centre == "mass":
        x, y = _centre_of_mass(small)
        x0 += _shift(width, x0, mass=x, share=share)
        y0 += _shift(height, y0, mass=y, share=share)
    canvas = np.zeros((height, width), dtype=np.uint8)
    canvas[y0 : y0 + inner_height, x0 : x0 + inner_width] = np.clip(np.rint(small), 0, 255)
    source_box = (float(shrink * left), float(shrink * top), float(shrink * right), float(shrink * bottom))
    return Image.fromarray(canvas), Placement(source_box, (x0, y0, x0 + inner_width, y0 + inner_height))


def _written(grey: np.ndarray) -> np.ndarray:
    """Return float32 [H, W] in 0..255 with what is written above 0: on a sheet, in any light, between printed lines."""
    from image_classification.paper import evenly_lit, sheet_alone, strokes_on_paper, without_lines

    values = sheet_alone(grey.astype(np.float32))
    ink = None if evenly_lit(values) else strokes_on_paper(values)
    return without_lines(_bright_on_black(values, frame_is_background=True) if ink is None else ink)


def _shift(edge: int, start: int, *, mass: float, share: float) -> int:
    """Return how far an object that begins at `start` must move to have its centre of mass in the middle pixel."""
    room = math.floor((1 - share) * edge / 2 + 1e-9)
    return min(max(math.floor(edge // 2 + 1 - mass) - start, -room), room)  # edge // 2 + 0.5 - mass, rounded


def _light_background(grey: np.ndarray, *, strokes: bool) -> bool:
    """Return whether the frame of a picture is light: its median is, and hardly a pixel of it is black.

    A bright garment may fill most of the frame of its black background; strokes may end there, but never fill half.
    """
    frame = border(grey)
    return float(np.median(frame)) >= 128 and (strokes or float((frame < 32).mean()) < 0.05)


def _bright_on_black(grey: np.ndarray, *, frame_is_background: bool) -> np.ndarray:
    """Return float32 [H, W] in 0..255 with the background at 0 and the object above it.

    The background is a plane through the frame (paper is never lit evenly). The object is what deviates from it: darker
    things become bright, on a dark background brighter things stay bright; whichever of the two is more. What deviates
    no more than the frame itself does is background; if that is everything, no more than half of the frame does.

    Where the object may be as large as the picture, the frame says nothing of the noise (`frame_is_background` False).
    If nothing then stands out, such as in a ramp, everything darker than the brightest pixel is the object.
    """
    values = grey.astype(np.float32)
    background = background_plane(values)
    off = border(values - background)
    darker, brighter = np.maximum(background - values, 0), np.maximum(values - background, 0)
    dark_object = darker.sum() > brighter.sum()
    off_by = darker if dark_object else brighter
    range_above = background if dark_object else 255 - background
    bright = np.minimum(off_by * (255 / np.maximum(range_above, 1)), 255).astype(np.float32)
    # Of normally distributed noise, twice the 90th percentile and five times the median are the same 3.3 deviations.
    spreads = [factor * float(np.percentile(np.abs(off), part)) for factor, part in ((2, 90), (5, 50))]
    for spread in spreads if frame_is_background else [0.0]:
        ink = np.where(off_by > max(NOISE, spread), bright, np.float32(0))
        if ink.any():
            return ink
    ink = values.max() - values
    if frame_is_background or not ink.any():
        raise DataError("the picture holds nothing but background; draw or show one object on a plain background")
    return ink


def _find_object(ink: np.ndarray, *, faint: float) -> tuple[int, int, int, int]:
    """Return the bounding box of what is brighter than `faint` x the brightest pixel, blind to single specks of noise.

    A coarse view (about `COARSE` pixels, each an average) finds it; the full view then draws the exact edges.
    """
    step = max(1, max(ink.shape) // COARSE)
    coarse = np.asarray(Image.fromarray(ink).reduce(step))
    left, top, right, bottom = _bounding_box(coarse > max(faint, 0.1) * coarse.max())
    x0, y0, x1, y1 = (
        (edge + grow) * step for edge, grow in zip((left, top, right, bottom), (-1, -1, 1, 1), strict=True)
    )
    x0, y0 = max(x0, 0), max(y0, 0)
    inside = ink[y0:y1, x0:x1]  # a brighter speck outside must not set the scale
    left, top, right, bottom = _bounding_box(inside > faint * inside.max())
    return x0 + left, y0 + top, x0 + right, y0 + bottom


def _bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _centre_of_mass(values: np.ndarray) -> tuple[float, float]:
    """Return (x, y) of the centre of mass in pixels from the left and upper edge (a pixel's middle is at +0.5)."""
    total = float(values.sum())
    x = float((values.sum(axis=0) * (np.arange(values.shape[1]) + 0.5)).sum()) / total
    y = float((values.sum(axis=1) * (np.arange(values.shape[0]) + 0.5)).sum()) / total
    return x, y
