"""What cannot be right about a mask, or is only a part of what it seems, in sentences."""

import numpy as np
from scipy import ndimage

from medical_segmentation.contract import VolumeContract
from medical_segmentation.scan import Scan

EDGES = (("left", "right"), ("back", "front"), ("lower", "upper"))  # of a scan in RAS order
TOUCHING = 0.002  # of a face of the scan that is labelled, from which on what is labelled is cut off there
PIECES = 2  # a pair of organs, or one


def doubts(mask: np.ndarray, scan: Scan, labels: tuple[str, ...], contract: VolumeContract) -> list[str]:
    """Return what is doubtful about a mask: cut off at the edge of the scan, too small or large, in many pieces.

    Args:
        mask: labels [X, Y, Z].
        scan: that it belongs to.
        labels: their names, background first.
        contract: says what a whole patient has.
    """
    if contract.plausible_ml is None or not mask.any():
        return []
    name, said = " and ".join(labels[1:]), []
    several = mask.shape[2] > 1
    cut = cut_edges(mask)
    if cut:
        said.append(f"{name} is cut off at the scan's {' and '.join(cut)} edge: the volume is of the part in view")
    low, high = contract.plausible_ml
    volume = float(np.count_nonzero(mask) * scan.voxel_ml)
    if volume > high or (volume < low and several and not cut):
        said.append(
            f"{volume:,.0f} mL of {name} is outside the {low:,.0f} to {high:,.0f} mL that a patient has: the mask is "
            "wrong, or the voxel size in the file"
        )
    pieces = ndimage.label(mask)[1] if several else 0
    if pieces > PIECES:
        said.append(f"{name} lies in {pieces} separate pieces, expected {PIECES}: look at the smaller ones")
    return said


def cut_edges(mask: np.ndarray) -> list[str]:
    """Return the names of the edges of a scan that what is labelled reaches; a single slice has no lower and upper."""
    found = []
    for axis, names in enumerate(EDGES):
        if mask.shape[axis] == 1:
            continue
        for end, name in zip((0, -1), names, strict=True):
            face = mask.take(end, axis)
            if np.count_nonzero(face) > TOUCHING * face.size:
                found.append(name)
    return found
