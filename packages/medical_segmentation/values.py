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
CT = -1000.0, 900.0  # what most of a CT lies between, for weights that do not say what they learned from
# In each of 464 scans and cut-out nodules 5 % lie below -300 (air, lungs), and a fifth of these or more below -700.
AIR, DEEP, SOME, HARDLY = -300.0, -700.0, 0.05, 0.02
PADDING = -1100.0  # below it a CT has only what scanners fill with
NOT_HU = "not in Hounsfield units, it seems: "
METAL = 3000.0  # above the top of what was learned, where a CT has at most 1 %


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


def blank_warnings(voxels: np.ndarray) -> list[str]:
    """Say that there is nothing to see in a scan [X, Y, Z], or in axial slices between others, if so."""
    sample = _sample(voxels)
    if sample.min() == sample.max():
        return [f"every voxel looked at has the value {sample.min():g}: there is nothing to see"]
    blank = voxels.min((0, 1)) == voxels.max((0, 1))
    seen = np.flatnonzero(~blank)
    lost = int(blank[seen[0] : seen[-1]].sum())
    slices = "1 slice between others holds" if lost == 1 else f"{lost} slices between others hold"
    return [f"{slices} the same number everywhere: nothing is found there, and volumes lack it"] if lost else []


def intensity_warnings(voxels: np.ndarray, learned: tuple[float, float]) -> list[str]:
    """Say why a scan's numbers do not look like those that a network learned from; nothing if they do.

    They do unless hardly any lie in the lower half of what was learned, or hardly any above its lowest tenth: an MR, a
    PET, a picture of 8 bits and a CT without its offset have no air at -1000. What is larger than was learned is not
    told from metal.

    Args:
        voxels: [X, Y, Z], or a sample of them.
        learned: the smallest and the largest number of the usual training scan, without a hundredth at either end.
    """
    low, high = np.percentile(_sample(voxels), [1, 99])
    bottom, top = learned
    if low == high or (low <= (bottom + top) / 2 and high >= bottom + 0.1 * (top - bottom) and high <= top + METAL):
        return []
    return [
        f"unlike the scans that the network learned from: 98 % of the values lie between {low:g} and {high:g}, there "
        f"between {bottom:g} and {top:g}; another kind of scan, or its intensities were rescaled"
    ]


def scale_warnings(voxels: np.ndarray) -> list[str]:
    """Say why the numbers of a CT cannot be Hounsfield units; nothing if they can.

    They cannot if they were halved or cut off below, if their offset of -1024 was not added or added twice, and if
    they are grey values of 8 bits. No rule speaks on the 464 real scans of `AIR`, or on a crop without air.

    Args:
        voxels: [X, Y, Z].
    """
    sample = _sample(voxels).ravel().astype(np.float32)
    least, most = sample.min(), sample.max()
    if least == most:
        return []
    if least >= 0 and 200 <= most <= 255:
        return [f"{NOT_HU}its numbers are {least:g} to {most:g}, those of a picture of 8 bits"]
    shown = sample[sample > least] if least < PADDING else sample
    air = shown[shown < AIR]
    if len(air) > SOME * len(shown) and (air < DEEP).mean() < HARDLY:
        middle = np.median(air)
        return [
            f"{NOT_HU}air and lungs lie at about {middle:.0f}, in a CT below -700; its numbers were halved, or cut off"
        ]
    soft, lowered, raised = (np.abs(shown - level) < 200 for level in (0, -1024, 1050))
    if (shown < PADDING).mean() > 0.15 and soft.mean() < 0.03 and lowered.any():
        middle = np.median(shown[lowered])
        return [f"{NOT_HU}soft tissue lies at about {middle:.0f}, in a CT near 0; an offset of -1024 was added twice"]
    if (shown < -200).mean() < 0.005 and raised.mean() > 0.1:
        return [f"{NOT_HU}soft tissue lies at about 1000, in a CT near 0; its offset of -1024 was not added"]
    return []


def _sample(voxels: np.ndarray) -> np.ndarray:
    step = max(1, int((voxels.size / 1_000_000) ** (1 / 3)))  # a million voxels tell enough
    return voxels[tuple(slice(None, None, step if edge > step else 1) for edge in voxels.shape)]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%"
