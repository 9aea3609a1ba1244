"""The numbers of a scan: filled in plane by plane, int16 as long as that holds them exactly, then checked.

Planes are converted one at a time straight into their place in the RAS array, so that a scan is in memory once.
"""

import numpy as np

from cnn_core.errors import DataError
from medical_segmentation.grid import Grid

INT16 = np.iinfo(np.int16)
MOST = 0.5  # share of voxels without a number, above which a scan is refused
# Hounsfield units: air -1000, fat about -100, water 0, bone up to 2000, metal more.
FAT = -30.0  # a CT has at least 1 % below this (air, lung or fat); an MR, a PET and an 8-bit picture have not
METAL = 4000.0  # a CT has at most 1 % above this


class VoxelStack:
    """A volume in RAS order that is filled with planes in the file's order.

    Attributes:
        voxels: int16 [X, Y, Z], float32 from the first plane on that int16 does not hold exactly; strides are positive.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.voxels = np.empty(grid.ras_shape, dtype=np.int16, order="F")

    def put(self, index: int, plane: np.ndarray, *, slope: float = 1.0, inter: float = 0.0) -> None:
        """Write `plane * slope + inter` (first two axes of the file) at `index` of the file's third axis."""
        values = _scaled(plane, slope, inter)
        if values.dtype != np.int16 and self.voxels.dtype == np.int16:
            self.voxels = self.voxels.astype(np.float32)  # keeps the order in memory
        self._grid.from_ras(self.voxels)[:, :, index] = values


def _scaled(plane: np.ndarray, slope: float, inter: float) -> np.ndarray:
    """Return int16 if that is exact, else float32."""
    whole = plane.dtype.kind in "biu" and float(slope).is_integer() and float(inter).is_integer()
    if whole and max(abs(slope), abs(inter)) < 2**30:
        low, high = sorted(int(end) * int(slope) + int(inter) for end in (plane.min(), plane.max()))
        if low >= INT16.min and high <= INT16.max:
            if slope == 1 and inter == 0:
                return plane.astype(np.int16, copy=False)
            return (plane.astype(np.int64) * int(slope) + int(inter)).astype(np.int16)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is found by replace_missing
        return (plane.astype(np.float64) * slope + inter).astype(np.float32)


def replace_missing(voxels: np.ndarray, name: str) -> tuple[int, list[str]]:
    """Replace NaN and infinite voxels by the smallest number there is, in place; return how many, and it in sentences.

    Raises:
        DataError: more than half of the voxels are no numbers.
    """
    if voxels.dtype.kind != "f":
        return 0, []
    count, low = 0, np.inf
    for k in range(voxels.shape[2]):
        finite = np.isfinite(voxels[:, :, k])
        count += finite.size - np.count_nonzero(finite)
        low = min(low, np.min(voxels[:, :, k], where=finite, initial=np.inf))
    if count > MOST * voxels.size:
        raise DataError(
            f"{name}: {count / voxels.size:.0%} of the voxels are NaN or infinite, expected numbers; the scan is "
            "damaged or a map of something else, export it again"
        )
    if count == 0:
        return 0, []
    for k in range(voxels.shape[2]):
        plane = voxels[:, :, k]
        plane[~np.isfinite(plane)] = low
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
