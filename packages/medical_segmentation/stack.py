"""A series as a volume: its slices on an even grid, each at its own place and as thick as it is, in Hounsfield units.

NIfTI files, networks and viewers know even grids alone. Slices in uneven steps therefore get a grid whose step fits all
of them: one with gaps where slices are missing, or a finer one on which a slice takes several planes. What lies between
the slices is interpolated for the network's sake, but belongs to no slice: nothing is labelled or measured there.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from cnn_core.errors import DataError
from medical_segmentation.dicom import Slice, check_decoder, forget_frames, read_pixels
from medical_segmentation.grid import Grid, check_affine, header_for
from medical_segmentation.safety import MAX_EDGE, check_shape
from medical_segmentation.series import GAP, Series, usual_step
from medical_segmentation.values import fill

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
EVEN = 0.02, 0.05  # a step may differ from the median by this share, or by this many mm: rounding in headers
ASIDE = 1.0  # pixels by which a slice may lie beside the line through the others
FINEST = 6  # planes of the grid in a step between two slices that is tried to fit all of them
PLANES = 4, 100  # at most so many planes of the grid for each slice, and so many


def read_stack(series: Series, *, name: str) -> tuple[Grid, np.ndarray, np.ndarray | None, list[str]]:
    """Read the voxels of a series.

    Returns:
        its grid (columns, rows, planes along the normal), voxels int16 or float32 [X, Y, Z] (RAS, HU), which planes of
        the grid belong to a slice, bool [planes] (None: all), and what to know about it in sentences.

    Raises:
        DataError: several slices lie at one place, or a slice cannot be read.
    """
    slices = series.slices
    if series.mixed:
        raise DataError(
            f"{name}: several slices lie at the same place (phases or points in time, or two reconstructions), "
            "expected one scan; put the files of one phase into a folder of their own"
        )
    step, places, said = _lattice(slices)
    owners, before = _owners(slices, places, step)
    grid, more = _grid(slices, step, len(owners), before, name)
    try:
        voxels = fill(grid, _planes(slices, places + before, owners, name))
    finally:
        forget_frames()
    if slices[0].modality == "CT" and any(found.intercept is None for found in slices):
        more.append("the file does not say how its numbers become Hounsfield units (no RescaleIntercept)")
    given = owners >= 0
    return grid, voxels, None if given.all() else given, said + more


def _heights(slices: Sequence[Slice]) -> np.ndarray:
    """Positions along the normal of the first slice in mm, from that slice on."""
    positions = np.array([found.position for found in slices])
    return (positions - positions[0]) @ slices[0].axes[2]


def _lattice(slices: Sequence[Slice]) -> tuple[float, np.ndarray, list[str]]:
    """Return the step of the grid in mm, the plane of each slice, and what is uneven about the slices."""
    heights = _heights(slices)
    if len(slices) == 1:
        thickness = slices[0].thickness
        said = [] if thickness else ["the slice does not say how thick it is; 1 mm taken"]
        return thickness or 1.0, np.array([0]), said
    steps = np.diff(heights)
    middle = float(np.median(steps))
    if _close(steps, middle, middle):
        thick = max(found.thickness or 0.0 for found in slices)
        thin = f"the slices are {thick:g} mm thick and {middle:.4g} mm apart: each counts for what lies between, too"
        return middle, np.arange(len(slices)), [thin] if thick and middle > GAP * thick else []
    usual = usual_step(steps)
    uneven = f"uneven slice spacing: {steps.min():.4g} to {steps.max():.4g} mm"
    most = min(PLANES[0] * len(slices) + PLANES[1], MAX_EDGE)
    tried: list[tuple[float, float, np.ndarray]] = []
    for parts in range(1, FINEST + 1):
        for base in (usual, float(steps.min())):
            whole = np.round(steps * parts / base)
            places = np.insert(np.cumsum(whole), 0, 0).astype(int)
            if whole.min() == 0 or places[-1] >= most:
                continue
            step = float(heights @ places / (places @ places))  # the rounding of the headers averages out
            if _close(heights, places * step, step):
                return step, places, [f"{uneven}; {_gaps(steps, usual)}"]
            tried.append((_apart(heights, places * step), step, places))
    step = max(float(steps.min()) / 2, heights[-1] / most)
    places = np.round(heights / step).astype(int)
    for k in range(1, len(places)):  # no two on one plane
        places[k] = max(places[k], places[k - 1] + 1)
    tried.append((_apart(heights, places * step), step, places))
    apart, step, places = min(tried, key=lambda grid: (round(grid[0] / EVEN[1]), -grid[1]))  # the coarsest of the best
    return step, places, [f"{uneven}; {_gaps(steps, usual)}, moved by up to {apart:.2g} mm to fit an even grid"]


def _apart(values: np.ndarray, wanted: np.ndarray | float) -> float:
    return float(np.abs(values - wanted).max())


def _close(values: np.ndarray, wanted: np.ndarray | float, step: float) -> bool:
    """Tell whether values in mm differ by no more than headers round."""
    return _apart(values, wanted) <= max(EVEN[0] * step, min(EVEN[1], step / 4))


def _gaps(steps: np.ndarray, usual: float) -> str:
    """Say what becomes of the steps, and how many slices seem to be missing, if that explains them."""
    kept = "each slice keeps its place and its thickness"
    multiples = steps / usual
    missing = int(np.round(multiples).sum()) - len(steps)
    if missing < 1 or np.abs(multiples - np.round(multiples)).max() > 0.05:
        return kept
    slices = "1 slice seems" if missing == 1 else f"{missing} slices seem"
    return f"{slices} to be missing, {kept}, and nothing is labelled or measured in the gaps"


def _owners(slices: Sequence[Slice], places: np.ndarray, step: float) -> tuple[np.ndarray, int]:
    """Return which slice each plane of the grid belongs to, int [planes], -1 in gaps, and the planes before place 0.

    Two neighbours share what is between them in proportion to their thickness, unless they are too thin for it: then
    each ends after half of its own. Overlapping slices end where they meet, so that nothing counts twice.
    """
    if places[-1] == len(slices) - 1:
        return np.arange(len(slices)), 0
    steps = np.diff(places) * step
    usual = usual_step(steps)
    near = np.minimum(np.append(steps, np.inf), np.insert(steps, 0, np.inf))
    thick = np.maximum([found.thickness or 0.0 for found in slices], near.clip(max=usual))
    outer = np.minimum(thick, near) / 2  # where there is no neighbour
    room = int(max(outer[0], outer[-1]) / step) + 1
    planes = np.arange(-room, places[-1] + room + 1)
    owners = np.full(len(planes), -1)
    rounding = EVEN[0] * step  # of headers: a plane in the middle goes to the slice after it
    for k, place in enumerate(places):
        ends = []
        for other in (k - 1, k + 1):
            if not 0 <= other < len(slices):
                ends.append(outer[k])
                continue
            apart, both = abs(places[other] - place) * step, thick[k] + thick[other]
            ends.append(apart * thick[k] / both if both >= 2 * apart / GAP else thick[k] / 2)
        heights = (planes - place) * step
        owners[(heights >= -ends[0] - rounding) & (heights < ends[1] - rounding)] = k
        owners[planes == place] = k
    taken = np.flatnonzero(owners >= 0)
    return owners[taken[0] : taken[-1] + 1], room - int(taken[0])


def _grid(slices: Sequence[Slice], step: float, planes: int, before: int, name: str) -> tuple[Grid, list[str]]:
    """Place the stack: DICOM PS3.3 C.7.6.2.1.1, equation for the mapping of pixels, then LPS -> RAS."""
    first = slices[0]
    along, said = _line(slices)
    between_rows, between_columns = first.pixel_spacing
    corner = first.position - before * step * along
    columns = first.axes[0] * between_columns, first.axes[1] * between_rows, along * step, corner
    affine = LPS_TO_RAS @ np.vstack([np.column_stack(columns), [0, 0, 0, 1]])
    check_affine(affine, name)
    shape = (first.columns, first.rows, planes)
    check_shape(shape, name)
    header = header_for(affine)
    return Grid(shape, header.get_sform(), header), said  # as float32 holds it, so that masks agree exactly


def _line(slices: Sequence[Slice]) -> tuple[np.ndarray, list[str]]:
    """Return the vector (LPS) along the line of the slices, 1 mm high, slanted by a tilt, and what lies aside."""
    normal = slices[0].axes[2]
    if len(slices) == 1:
        return normal, []
    positions = np.array([found.position for found in slices])
    whole = positions[-1] - positions[0]
    along = whole / float(whole @ normal)
    aside = float(np.linalg.norm(positions - positions[0] - np.outer(_heights(slices), along), axis=1).max())
    if aside > ASIDE * min(slices[0].pixel_spacing):
        return along, [f"the slices do not lie in one line (up to {aside:.1f} mm beside it); the line was taken"]
    return along, []


def _planes(
    slices: Sequence[Slice], places: np.ndarray, owners: np.ndarray, name: str
) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield the numbers of each plane [columns, rows], their slope and their intercept; gaps are interpolated."""
    for syntax in {found.syntax for found in slices}:
        check_decoder(syntax, name)
    held: dict[int, tuple[np.ndarray, float, float]] = {}

    def stored(k: int) -> tuple[np.ndarray, float, float]:
        for old in [old for old in held if old < k - 1]:
            del held[old]
        if k not in held:
            held[k] = _stored(slices[k], name)
        return held[k]

    for plane, owner in enumerate(owners.tolist()):
        if owner >= 0:
            yield stored(owner)
            continue
        after = int(np.searchsorted(places, plane))
        share = (plane - places[after - 1]) / (places[after] - places[after - 1])
        low, high = (pixels * slope + intercept for pixels, slope, intercept in (stored(after - 1), stored(after)))
        mixed = low * (1 - share) + high * share
        whole = all(float(number).is_integer() for k in (after - 1, after) for number in stored(k)[1:])
        yield np.round(mixed).astype(np.int32) if whole else mixed, 1.0, 0.0


def _stored(found: Slice, name: str) -> tuple[np.ndarray, float, float]:
    slope = 1.0 if found.slope is None else found.slope
    if slope == 0:
        raise DataError(f"{name}: a slice has the RescaleSlope 0, which makes every voxel the same; export it again")
    return read_pixels(found, name).T, slope, found.intercept or 0.0
