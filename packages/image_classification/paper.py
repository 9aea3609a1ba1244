"""What is paper in a photo and what is written on it: sheets on desks, uneven light, printed lines.

Everything large is looked at in a coarse view of about `COARSE` pixels; grey pictures are float32 [H, W] of 0 to 255.
"""

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional as F

from image_classification.background import COARSE, NOISE, background_plane, border

INNER = 0.2  # share of the ink inside the frame, from which on what touches the frame is no part of the object
SMALL = 16  # pixels: a picture of fewer holds no stroke and paper around it
STROKE = 0.25  # of the longer edge of a picture: no stroke is wider, and light changes over more than this
PEN = 0.1  # likewise, of a stroke on a sheet that lies on a desk
DARKEST = 0.35  # of the light that a shadow leaves; what is darker is ink
STEP = 20  # grey levels between a sheet and the desk under it, at least
SHEET = (0.15, 0.93)  # share of a photo that a sheet takes
FRAMED = 0.3  # share of the photo's frame that a sheet takes at most: the lit side of a shadow takes half of it
RECTANGLE = 0.78  # share of the smallest rectangle around a sheet that is sheet; of an ellipse it is 0.785
FAINT = 0.5  # of the darkest ink
LINES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of the darkest ink: levels below which what crosses the picture may lie
CROSSES = 0.9  # of the width or height, from which on a piece of ink crosses the picture
EIGHT = np.ones((3, 3), dtype=bool)  # neighbours


def evenly_lit(values: np.ndarray) -> bool:
    """Return whether a plane describes the paper, or the picture is too small for anything else."""
    plane = background_plane(values)
    if min(values.shape) < SMALL:
        return True
    if 2 * float(np.percentile(np.abs(border(values - plane)), 90)) > NOISE:
        return False
    off = values - plane
    dark_strokes = off[off < 0].sum() < -off[off > 0].sum()
    signed, light = (values, plane) if dark_strokes else (255 - values, 255 - plane)
    light = _coarse(light)
    paper = _closing(_coarse(signed), _width(light.shape, STROKE))
    shaded = (np.abs(paper - light) > 3 * NOISE) & (paper > DARKEST * light)  # darker: a stroke as wide as that
    return float(shaded.mean()) < 0.01


def strokes_on_paper(values: np.ndarray) -> np.ndarray | None:
    """Return float32 [H, W] in 0..255 with the paper at 0 and the strokes above it, however the paper is lit.

    The paper around a stroke is what remains if everything narrower than `STROKE` is filled with its surroundings, a
    grey closing for dark strokes and an opening for bright ones; that follows shadows, lamps and darker corners. A
    stroke's darkness is measured as a part of the paper's light at its place. None: nothing stands out.
    """
    coarse = _coarse(values)
    width = _width(coarse.shape, STROKE)
    # strokes fill no window
    off = ndimage.median_filter(coarse[::2, ::2], size=width // 2, mode="nearest") - coarse[::2, ::2]
    darker, brighter = ((_without_border_pieces(np.maximum(sign * off, 0)) ** 2).sum() for sign in (1, -1))
    dark_strokes = darker >= brighter
    signed = coarse if dark_strokes else 255 - coarse  # strokes are dark in it
    paper = _full(_closing(signed, width), values.shape)
    off_by = np.maximum(paper - (values if dark_strokes else 255 - values), 0)
    ink = np.minimum(off_by * (255 / np.maximum(paper, 1)), 255).astype(np.float32)
    noise = 5 * float(np.median(ink))
    ink = np.where(ink > max(NOISE, noise), ink, np.float32(0))
    return _without_faint_pieces(_without_border_pieces(ink)) if ink.any() else None


def sheet_alone(values: np.ndarray) -> np.ndarray:
    """Return the picture with the paper of a sheet continued over the desk that it lies on; without a desk as it is.

    A sheet is a piece of other light than the rest that is about a rectangle, with most of the writing on it: a shadow
    has an edge too, but on a sheet the writing stands anywhere.
    """
    coarse = _coarse(values)
    if min(coarse.shape) < SMALL:
        return values
    width = _width(coarse.shape, PEN)
    dark, bright = (_closing(signed, width) - signed for signed in (coarse, 255 - coarse))
    inverted = bool((bright**2).sum() > (dark**2).sum())  # chalk on a board
    signed = 255 - coarse if inverted else coarse
    paper = _closing(signed, width)
    sheet = _sheet(paper, ink=paper - signed)
    if sheet is None:
        return values
    _, (rows, columns) = ndimage.distance_transform_edt(~sheet, return_indices=True)
    around = ndimage.gaussian_filter(paper[rows, columns], 2)
    inside = _full(sheet.astype(np.float32), values.shape) > 0.5
    return np.where(inside, values, _full(255 - around if inverted else around, values.shape)).astype(np.float32)


def _sheet(paper: np.ndarray, *, ink: np.ndarray) -> np.ndarray | None:
    """Return where the sheet is, a little inside its edges, or None if there is no desk around one: of [h, w]."""
    bright = paper > _threshold(paper)
    if not bright.any() or bright.all() or paper[bright].mean() - paper[~bright].mean() < STEP:
        return None
    pieces, count = ndimage.label(bright)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    whole = ndimage.binary_fill_holes(pieces == 1 + int(sizes.argmax()))
    if not SHEET[0] < whole.mean() < SHEET[1] or border(whole).mean() > FRAMED or _rectangularity(whole) < RECTANGLE:
        return None
    inside = ndimage.binary_erosion(whole, iterations=3, border_value=1)
    strong = np.where(ink > 3 * NOISE, ink, 0)
    return inside if strong[inside].sum() > 2 * strong[~whole].sum() else None


def _threshold(values: np.ndarray) -> float:
    """Return the level that divides the values best into two kinds (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    counts, edges = np.histogram(values, bins=64)
    middle = (edges[1:] + edges[:-1]) / 2
    below, above = np.cumsum(counts), counts.sum() - np.cumsum(counts)
    sums = np.cumsum(counts * middle)
    mean_below, mean_above = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    return float(edges[1 + int(np.argmax(below * above * (mean_above - mean_below) ** 2))])


def _rectangularity(mask: np.ndarray) -> float:
    """Return the share that a piece takes of the smallest rectangle around it, turned as it may be."""
    y, x = np.nonzero(mask)
    angles = np.deg2rad(np.arange(0, 90, 3))[:, None]
    along, across = x * np.cos(angles) + y * np.sin(angles), y * np.cos(angles) - x * np.sin(angles)
    areas = (np.ptp(along, axis=1) + 1) * (np.ptp(across, axis=1) + 1)
    return float(mask.sum() / areas.min())


def without_lines(ink: np.ndarray) -> np.ndarray:
    """Return the ink without printed lines, which cross the picture and are lighter than the pen: of [H, W].

    The level below which ink is dropped is the lowest at which nothing crosses the picture any more; what lies close to
    darker ink, the soft edges of a stroke, stays.
    """
    top = float(np.percentile(ink[ink > 0], 99)) if ink.any() else 0.0
    for level in LINES:
        dark = ink > level * top
        pieces, _ = ndimage.label(ndimage.binary_dilation(dark, EIGHT), structure=EIGHT)
        spans = [
            (piece[0].stop - piece[0].start) / ink.shape[0] >= CROSSES
            or (piece[1].stop - piece[1].start) / ink.shape[1] >= CROSSES
            for piece in ndimage.find_objects(pieces)
        ]
        if not any(spans):
            break
    else:
        return ink
    if level == LINES[0]:
        return ink
    sizes = np.bincount(pieces[dark], minlength=len(spans) + 1)
    touching = np.unique(border(pieces))
    kept = sizes >= 0.05 * sizes[1:].max()
    inner = kept.copy()
    inner[touching] = False
    kept = inner if inner[1:].any() else kept
    kept[0] = False
    near = ndimage.binary_dilation(dark & kept[pieces], EIGHT, iterations=max(1, max(ink.shape) // COARSE))
    return np.where(near, ink, np.float32(0))


def _without_border_pieces(ink: np.ndarray) -> np.ndarray:
    """Drop what touches the frame, such as the edge of the paper or of a table, where something else is left."""
    pieces, _ = ndimage.label(ink > 0.2 * ink.max(), structure=EIGHT)
    outside = np.unique(border(pieces))
    kept = np.where(np.isin(pieces, outside[outside > 0]), np.float32(0), ink)
    return kept if kept.sum() > INNER * ink.sum() else ink


def _without_faint_pieces(ink: np.ndarray) -> np.ndarray:
    """Drop pieces that are nowhere as dark as `FAINT` of the darkest ink, such as the soft edge of a shadow."""
    pieces, count = ndimage.label(ink > 0, structure=EIGHT)
    darkest = ndimage.maximum(ink, pieces, np.arange(count + 1))
    faint = np.asarray(darkest) < FAINT * float(np.percentile(ink[ink > 0.2 * ink.max()], 90))
    return np.where(faint[pieces], np.float32(0), ink)


def _coarse(values: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(values).reduce(max(1, max(values.shape) // COARSE)))


def _full(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _width(shape: tuple[int, ...], share: float) -> int:
    """Return an odd number of pixels, about `share` of the longer edge."""
    return 2 * int(share * max(shape) / 2) + 1


def _closing(values: np.ndarray, width: int) -> np.ndarray:
    """Fill what is darker than its surroundings and narrower than `width` pixels (odd): grey closing, [H, W].

    By torch's pooling, which takes a quarter of the time of `scipy.ndimage.grey_closing` for a width of 33.
    """
    x = torch.from_numpy(np.pad(values, width, mode="edge"))[None, None]
    for sign in (1, -1):  # the largest value around each pixel, then the smallest of those
        x = sign * F.max_pool2d(sign * x, width, stride=1)
    return x[0, 0].numpy()[1:-1, 1:-1]
