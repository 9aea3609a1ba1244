"""Other spacings: voxels interpolated to a finer or coarser grid over the same block of the patient, and back.

The outer faces of the block stay where they are (what `align_corners=False` means in PyTorch), so that going back to
the exact old shape puts every voxel where it was. Nothing is smoothed before it is made coarser, as is usual for CT.
"""

import math
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from cnn_core.errors import DataError
from medical_segmentation.safety import MAX_VOXELS

Order = Literal["linear", "nearest"]


def resample(
    voxels: np.ndarray, spacing: tuple[float, float, float], new_spacing: tuple[float, float, float], *,
    order: Order = "linear",
) -> tuple[np.ndarray, tuple[float, float, float]]:  # fmt: skip
    """Resample `voxels` [..., X, Y, Z] from `spacing` to `new_spacing` (mm); return them and the spacing they got.

    An edge becomes the nearest whole number of voxels, so the spacing differs a little from the requested one.

    Raises:
        DataError: a spacing that is not positive, or a result of more than `MAX_VOXELS`.
    """
    for given in (spacing, new_spacing):
        if len(given) != 3 or not all(math.isfinite(length) and length > 0 for length in given):
            raise DataError(f"expected a spacing of three positive numbers in mm, got {given}")
    edges = voxels.shape[-3:]
    wanted = [edge * old / new for edge, old, new in zip(edges, spacing, new_spacing, strict=True)]
    x, y, z = (max(1, round(edge)) if edge < MAX_VOXELS else MAX_VOXELS + 1 for edge in wanted)
    shape = x, y, z
    got = tuple(edge * old / new for edge, old, new in zip(edges, spacing, shape, strict=True))
    return resample_to(voxels, shape, order=order), got


def resample_to(voxels: np.ndarray, shape: tuple[int, int, int], *, order: Order = "linear") -> np.ndarray:
    """Resample `voxels` [..., X, Y, Z] to exactly `shape`, over the same block; the dtype stays.

    Args:
        voxels: any numbers, also with leading axes (classes of a probability map).
        shape: the new last three axes.
        order: "linear" for scans and probabilities (whole numbers are rounded), "nearest" for labels.

    Raises:
        DataError: fewer than three axes, an edge below 1, or a result of more than `MAX_VOXELS`.
    """
    if order not in ("linear", "nearest"):
        raise DataError(f"expected the order 'linear' or 'nearest', got {order!r}")
    if voxels.ndim < 3 or len(shape) != 3 or min(shape) < 1 or voxels.size == 0:
        raise DataError(f"expected voxels [..., X, Y, Z] and three edges of at least 1, got {voxels.shape} and {shape}")
    if math.prod(shape) > MAX_VOXELS:
        raise DataError(
            f"resampling to {' x '.join(map(str, shape))} voxels was requested, at most {MAX_VOXELS // 1_000_000:,} "
            "million are possible; choose a coarser spacing"
        )
    if tuple(shape) == voxels.shape[-3:]:
        return voxels.copy()
    if order == "nearest":
        # The voxel whose block holds the centre of the new one; on a border between two, the lower one.
        picks = [
            np.ceil((np.arange(new) + 0.5) * old / new - 1).clip(0, old - 1).astype(np.int64)
            for old, new in zip(voxels.shape[-3:], shape, strict=True)
        ]
        for axis, pick in zip((-3, -2, -1), picks, strict=True):
            voxels = np.take(voxels, pick, axis=axis)
        return voxels
    leading = voxels.shape[:-3]
    out = np.empty((*leading, *shape), voxels.dtype)
    for place in np.ndindex(leading):  # one map at a time, in float32
        block = torch.from_numpy(np.ascontiguousarray(voxels[place], dtype=np.float32))[None, None]  # [1, 1, X, Y, Z]
        block = F.interpolate(block, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0]
        out[place] = block.round_() if voxels.dtype.kind in "iub" else block
    return out
