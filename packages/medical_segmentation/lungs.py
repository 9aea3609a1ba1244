"""Which pieces of a lung mask are lungs: neither gas in bowel, stomach and airways, nor islands.

A slice of the abdomen holds air too. Slice by slice the pieces of a mask are told apart by their Hounsfield units: a
lung is air mixed with tissue, gas is nothing but air, and stool is gas beside something dense. The limits were chosen
on 40 slices of 23 patients (the training part of `thorax_slices`); all lungs there are within them, and of 23 pieces
of gas above half a percent of the body's slice two are as well.
"""

import numpy as np
from scipy import ndimage

LARGE = 20  # parts of the largest piece, below one of which a piece is dropped
LEAST = 0.005  # of the body in a slice: a piece that is smaller in all its slices is no lung
GAS = -940.0  # HU: pieces with a lower median are gas; the lungs of an emphysema have -916
# Only of pieces below `SOME` of the body in a slice:
SOME = 0.08
DARK = -955.0  # HU: a quarter is darker: gas beside a wall or a level of liquid
FEW = 0.02  # and below this share
PURE, PURE_HU = 50.0, -900.0  # HU: all alike and dark: windpipe
MIXED = 170.0  # HU: standard deviation, above which it is stool


def keep_lungs(
    mask: np.ndarray, voxels: np.ndarray, body: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a mask without the pieces that are no lungs, and what was dropped, in sentences.

    Args:
        mask: labels [X, Y, Z].
        voxels: [X, Y, Z] HU.
        body: bool [X, Y, Z].
        spacing: mm along X, Y, Z.
    """
    lungs, gas = without_gas(mask, voxels, body)
    kept, islands = without_islands(lungs, body)
    voxel = float(np.prod(spacing)) / 1000
    said = []
    if gas:
        lost = np.count_nonzero(mask) - np.count_nonzero(lungs)
        said.append(f"{_ml(lost * voxel)} as dark as gas in bowel, stomach or airways were dropped")
    if islands:
        lost = np.count_nonzero(lungs) - np.count_nonzero(kept)
        pieces = "1 small piece" if islands == 1 else f"{islands} small pieces"
        said.append(f"{pieces} of {_ml(lost * voxel)} in all {'was' if islands == 1 else 'were'} dropped")
    return kept, tuple(said)


def _ml(volume: float) -> str:
    return f"{volume:,.0f} mL" if volume >= 10 else f"{volume:.2g} mL"


def without_gas(mask: np.ndarray, voxels: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a mask without the pieces of slices that are gas or stool, and how many these were."""
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[..., [0, 2]] = False
    pieces, count = ndimage.label(mask, in_plane)
    core = ndimage.binary_erosion(mask, in_plane)  # without the blurred rim
    areas = np.count_nonzero(body, axis=(0, 1))
    gas = np.zeros(count + 1, bool)
    for piece, place in enumerate(ndimage.find_objects(pieces), start=1):
        own = pieces[place] == piece
        inner = own & core[place]
        values = voxels[place][inner if inner.any() else own].astype(np.float32)
        gas[piece] = is_gas(values, float(own.sum() / max(1, areas[place[2].start])))
    return (np.where(gas[pieces], 0, mask).astype(mask.dtype), int(gas.sum())) if gas.any() else (mask, 0)


def is_gas(values: np.ndarray, share: float) -> bool:
    """Tell whether a piece of a slice is gas or stool, from the HU inside it and its share of the body's slice."""
    median, dark = np.percentile(values, [50, 25])
    if median < GAS or (share < SOME and dark < DARK):
        return True
    spread = float(values.std())
    return share < FEW and (spread > MIXED or (spread < PURE and median < PURE_HU))


def without_islands(mask: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a mask without small pieces, connected in 3-D through the faces of voxels, and how many these were.

    Small is less than a twentieth of the largest, or less than half a percent of the body in every slice.
    """
    pieces, count = ndimage.label(mask)
    if not count:
        return mask, 0
    areas = np.maximum(np.count_nonzero(body, axis=(0, 1)), 1)
    sizes, shares = np.zeros(count + 1, np.int64), np.zeros(count + 1)
    for k, area in enumerate(areas):
        counts = np.bincount(pieces[:, :, k].ravel(), minlength=count + 1)
        sizes += counts
        shares = np.maximum(shares, counts / area)
    small = (sizes < sizes[1:].max() / LARGE) | (shares < LEAST)
    small[0] = False
    return (np.where(small[pieces], 0, mask).astype(mask.dtype), int(small.sum())) if small.any() else (mask, 0)
