"""Several characters in one picture, each alone and in the order in which they are read."""

import numpy as np
from PIL import Image
from scipy import ndimage

from image_classification.background import COARSE
from image_classification.paper import EIGHT

GAP = 0.06  # of the tallest character's height: the widest gap inside a character
LOW = 0.5  # likewise, the lowest character
PALE = 0.6  # of the darkest character's level, the palest character


def separate(ink: np.ndarray) -> list[np.ndarray]:
    """Return the ink of each of several characters alone, in reading order: [H, W] -> at least one of [H, W].

    Pieces whose gap is narrow for their height are one character, such as the roof and the belly of a five, and so are
    those above each other. What is lower than `LOW` of the tallest or paler than `PALE` of the darkest is none.
    """
    step = max(1, max(ink.shape) // (2 * COARSE))
    coarse = np.asarray(Image.fromarray(ink).reduce(step))
    pieces, _ = ndimage.label(ndimage.binary_dilation(coarse > 0.2 * coarse.max(), EIGHT), structure=EIGHT)
    found = ndimage.find_objects(pieces)
    tallest = max(rows.stop - rows.start for rows, _ in found)
    groups: list[tuple[list[int], list[int]]] = []  # numbers of pieces; top, left, bottom, right
    for number in sorted(range(len(found)), key=lambda n: found[n][1].start):
        rows, columns = found[number]
        box = [rows.start, columns.start, rows.stop, columns.stop]
        for members, around in groups:
            if _belong(around, box, gap=GAP * tallest):
                members.append(number + 1)
                around[:] = [*np.minimum(around[:2], box[:2]), *np.maximum(around[2:], box[2:])]
                break
        else:
            groups.append(([number + 1], box))
    dark = [float(np.percentile(coarse[np.isin(pieces, members)], 80)) for members, _ in groups]
    tall = [group for group, level in zip(groups, dark, strict=True)
            if group[1][2] - group[1][0] >= LOW * tallest and level >= PALE * max(dark)]  # fmt: skip
    if len(tall) < 2:
        return [ink]
    near, nearest = ndimage.distance_transform_edt(pieces == 0, return_indices=True)
    owner = np.where(near <= 2, pieces[tuple(nearest)], 0)  # soft edges go with their piece
    owner = np.kron(owner, np.ones((step, step), dtype=owner.dtype))[: ink.shape[0], : ink.shape[1]]
    return [np.where(np.isin(owner, members), ink, np.float32(0)) for members, _ in _reading_order(tall)]


def _belong(one: list[int], other: list[int], *, gap: float) -> bool:
    """Return whether two boxes (top, left, bottom, right) hold parts of one character."""
    apart = max(other[1] - one[3], one[1] - other[3])
    between = max(other[0] - one[2], one[0] - other[2])
    return apart <= gap and between <= 3 * gap


def _reading_order(groups: list[tuple[list[int], list[int]]]) -> list[tuple[list[int], list[int]]]:
    """Sort groups by lines, each begun by what is highest, and from left to right."""
    rest, order = sorted(groups, key=lambda group: group[1][0]), []
    while rest:
        middle = (rest[0][1][0] + rest[0][1][2]) / 2
        line = [group for group in rest if group[1][0] < middle]
        order += sorted(line, key=lambda group: group[1][1])
        rest = [group for group in rest if group[1][0] >= middle]
    return order
