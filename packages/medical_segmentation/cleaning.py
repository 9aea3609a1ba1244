"""What is taken out of a mask after the network: pieces that are too many, too small, or nothing but gas."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from medical_segmentation.contract import VolumeContract

LARGE = 20  # parts of the largest piece, below one of which a piece is dropped
GAS = -950.0  # HU: in bowel, stomach and airways; a lung, the most emphysematous one too, has more on the whole


def without_gas(mask: np.ndarray, voxels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Take out of a mask the pieces of a slice that are as dark as pure air inside.

    Args:
        mask: labels [X, Y, Z].
        voxels: [X, Y, Z] HU.

    Returns:
        The mask, and how much was taken out, in a sentence.
    """
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[..., [0, 2]] = False
    pieces, count = ndimage.label(mask, in_plane)
    if not count:
        return mask, ()
    numbers = np.arange(1, count + 1)
    core = np.where(ndimage.binary_erosion(mask, in_plane), pieces, 0)  # without the blurred rim
    inner, whole = (np.asarray(ndimage.median(voxels, part, numbers)) for part in (core, pieces))
    cored = np.bincount(core.ravel(), minlength=count + 1)[1:] > 0
    gas = numbers[np.where(cored, inner, whole) < GAS]
    if not len(gas):
        return mask, ()
    kept = np.where(np.isin(pieces, gas), 0, mask).astype(mask.dtype)
    share = 1 - np.count_nonzero(kept) / np.count_nonzero(mask)
    return kept, (f"{share:.1%} of what the network labelled was dropped: it is as dark as gas in bowel or airways",)


def clean(
    mask: np.ndarray, contract: VolumeContract, *, spacing: tuple[float, float, float] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Keep of each label what the contract says: all, its largest connected piece, the large ones, or the central one.

    Args:
        mask: labels [X, Y, Z]; for 2-D networks each slice is cleaned on its own.
        contract: its `keep`, and the centre, which it has in voxels of the network's spacing.
        spacing: of the mask, in mm; None: the network's, or cubes where it has none.
    """
    if contract.keep == "all":
        return mask, ()
    if contract.keep == "large":
        return _keep_large(mask, spacing)
    ring = ndimage.generate_binary_structure(3, 1)  # voxels that share a face
    if contract.dims == 2:
        ring[..., [0, 2]] = False  # slices are cleaned one by one
    middle = (np.array(mask.shape) - 1) / 2
    if contract.centre is not None:
        learned = contract.working_spacing(spacing, mask.shape) if spacing else None
        scale = np.divide(learned, spacing) if learned and spacing else 1.0
        middle = middle + np.array(contract.centre) * scale
    out = np.zeros_like(mask)
    for label in range(1, int(mask.max()) + 1):
        pieces, count = ndimage.label(mask == label, ring)
        if not count:
            continue
        if contract.keep == "central":
            merit = _nearness(pieces, count, middle[: contract.dims], spacing or contract.spacing or (1.0, 1.0, 1.0))
        else:
            merit = np.bincount(pieces.ravel(), minlength=count + 1)
        if contract.dims == 3:
            kept = [merit[1:].argmax() + 1]
        else:
            kept = [
                max(present, key=lambda piece: merit[piece])
                for k in range(mask.shape[2])
                if len(present := [p for p in np.unique(pieces[..., k]) if p])
            ]
        out[np.isin(pieces, kept)] = label
    return out, ()


def keep_large(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the mask without pieces of less than a twentieth of their label's largest, and how many these were.

    Pieces are connected in 3-D, through the faces of voxels.
    """
    kept, dropped = mask.copy(), 0
    for label in range(1, int(mask.max()) + 1):
        pieces, _ = ndimage.label(mask == label)
        sizes = np.bincount(pieces.ravel())[1:]
        small = np.flatnonzero(sizes < sizes.max(initial=0) / LARGE) + 1
        if len(small):
            kept[np.isin(pieces, small)] = 0
        dropped += len(small)
    return kept, dropped


def _keep_large(mask: np.ndarray, spacing: tuple[float, float, float] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    kept, dropped = keep_large(mask)
    if not dropped:
        return kept, ()
    lost = np.count_nonzero(mask) - np.count_nonzero(kept)
    much = f"{lost * float(np.prod(spacing)) / 1000:.2g} mL" if spacing else f"{lost:,} voxels"
    few = "1 small piece" if dropped == 1 else f"{dropped} small pieces"
    return kept, (f"{few} of {much} in all {'was' if dropped == 1 else 'were'} dropped",)


def _nearness(pieces: np.ndarray, count: int, middle: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return minus the squared mm of each piece's nearest voxel from the middle: `[X, Y, Z] -> [count + 1]`.

    Args:
        pieces: their numbers, 0 outside.
        count: of pieces.
        middle: in voxels, along the axes that are looked at.
        spacing: mm along X, Y, Z.
    """
    cells = np.argwhere(pieces)
    apart = (cells[:, : len(middle)] - middle) * spacing[: len(middle)]
    near = np.full(count + 1, -np.inf)
    np.maximum.at(near, pieces[tuple(cells.T)], -(apart**2).sum(1))
    return near
