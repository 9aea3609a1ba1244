"""The numbers of a scan: filled in plane by plane, int16 as long as that holds them exactly, then checked.

Planes are converted one at a time straight into their place in the RAS array, so that a scan is in memory once. What
nibabel's `dataobj` and pydicom's `apply_modality_lut` scale becomes float64, four times the memory of a CT as int16
(79 MB instead of 20 for 256 x 256 x 150 voxels).
"""

from collections.abc import Iterable

import numpy as np

from cnn_core.errors import DataError
from medical_segmentation.grid import Grid

INT16 = np.iinfo(np.int16)
MOST = 0.5  # share of voxels without a number, above which a scan is refused
# Hounsfield units: air -1000, fat about -100, water 0, bone up to 2000, metal more.
FAT = -30.0  # a CT has at least 1 % below this (air, lung or fat); an MR, a PET and an 8-bit picture have not
METAL = 4000.0  # a CT has at most 1 % above this


def fill(grid: Grid, planes: Iterable[tuple[np.ndarray, float, float]]) -> np.ndarray:
    """Return a volume in RAS order from the planes along the file's third axis, each with its slope and intercept.

    Returns:
        int16 [X, Y, Z], float32 from the first plane on that int16 does not hold exactly; strides are positive.
    """
    voxels = np.empty(grid.ras_shape, dtype=np.int16, order="F")
    for index, (plane, slope, inter) in enumerate(planes):
        values = _scaled(plane, slope, inter)
        if values.dtype != np.int16 and voxels.dtype == np.int16:
            voxels = voxels.astype(np.float32)  # keeps the order in memory
        grid.from_ras(voxels)[:, :, index] = values
    return voxels


def _scaled(plane: np.ndarray, slope: float, inter: float) -> np.ndarray:
    """Return `plane * slope + inter`: int16 if that is exact, else float32."""
    # Where the sum fits int16 and `inter` is small, so was the product, and float64 has lost no digit of it.
    whole = plane.dtype.kind in "iu" and slope.is_integer() and inter.is_integer() and abs(inter) < 2**30
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is found by replace_missing
        values = plane if (slope, inter) == (1, 0) else plane * np.float64(slope) + inter
        fits = whole and INT16.min <= values.min() and values.max() <= INT16.max
        return values.astype(np.int16 if fits else np.float32, copy=False)


def replace_missing(voxels: np.ndarray, name: str) -> tuple[int, list[str]]:
    """Replace NaN and infinite voxels by the smallest number there is, in place; return how many, and it in sentences.

    Raises:
        DataError: more than half of the voxels are no numbers.
    """
    if voxels.dtype.kind != "f":
        return 0, []
    finite = np.isfinite(voxels)
    count = finite.size - np.count_nonzero(finite)
    if count > MOST * voxels.size:
        raise DataError(
            f"{name}: {count / voxels.size:.0%} of the voxels are NaN or infinite, expected numbers; the scan is "
            "damaged or a map of something else, export it again"
        )
    if count == 0:
        return 0, []
    low = np.min(voxels, where=finite, initial=np.inf)
    np.copyto(voxels, low, where=~finite)
    return count, [f"{count:,} voxels ({_percent(count / voxels.size)}) were NaN or infinite and were set to {low:g}"]


def intensity_warnings(voxels: np.ndarray, modality: str) -> list[str]:
    """Say why the numbers do not look like a CT in Hounsfield units; nothing if they do.

    Args:
        voxels: [X, Y, Z].
        modality: what the file says it is ("CT", "MR" ...), or "" where it does not say.
    """
    if modality not in ("", "CT"):
        return [f"not a CT: the file says that it is {modality}; what is trained on CT gives no sensible answer here"]
    step = max(1, int((voxels.size / 1_000_000) ** (1 / 3)))  # a million voxels tell enough
    sample = voxels[tuple(slice(None, None, step if edge > step else 1) for edge in voxels.shape)]
    low, high = np.percentile(sample, [1, 99])
    if low == high and sample.min() == sample.max():
        return [f"every voxel looked at has the value {low:g}: there is nothing to see"]
    if modality == "CT" or (low <= FAT and high <= METAL):  # a CT may be cropped to one bone
        return []
    found = f"98 % of the values lie between {low:g} and {high:g}"
    return [
        f"not a CT in Hounsfield units: {found}, where a CT has air at -1000, fat at -100 and little above 2000; "
        "intensities look like MR, or were rescaled"
    ]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%"
