"""A DICOM series as a volume: the right files, in the order in which they lie in the patient, in Hounsfield units."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cnn_core.errors import DataError
from medical_segmentation.dicom import LeftOutError, Slice, check_decoder, read_header, read_pixels
from medical_segmentation.grid import Grid, check_affine, header_for
from medical_segmentation.safety import check_shape
from medical_segmentation.values import fill

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE = 1e-3  # mm along the normal, below which two slices lie at one position
EVEN = 0.02, 0.05  # a step may differ from the median by this share, or by this many mm: rounding in headers
ASIDE = 1.0  # pixels by which a slice may lie beside the line through the others


def read_series(files: Iterable[Path], *, name: str) -> tuple[Grid, np.ndarray, list[str], str]:
    """Read the biggest CT series (or, without a CT, the biggest series) among `files`.

    Returns:
        its grid (columns, rows, slices along the normal), voxels int16 or float32 [X, Y, Z] (RAS, HU), what to know
        about it in sentences, and its modality ("CT").

    Raises:
        DataError: no slice that can be used; the message counts what was found instead.
    """
    groups, left_out = _group(files)
    if not groups:
        found = "; ".join(f"{count} {kind}" for kind, count in left_out.most_common()) or "no DICOM files"
        raise DataError(f"{name}: expected slices of a CT series, found {found}")
    chosen, *others = sorted(groups, key=_size, reverse=True)
    said = [f"left out: {count} {kind}" for kind, count in left_out.most_common()]
    if others:
        rest = ", ".join(_describe(group) for group in others[:3]) + (" ..." if len(others) > 3 else "")
        said.append(f"{len(groups)} series found; the biggest was taken ({_describe(chosen)}); left out: {rest}")
    slices, more = _in_order(chosen, name)
    said += more
    grid, more = _grid(slices, name)
    said += more
    voxels = fill(grid, _planes(slices, name))
    modality = slices[0].modality
    if modality == "CT" and any(found.intercept is None for found in slices):
        said.append("the file does not say how its numbers become Hounsfield units (no RescaleIntercept)")
    return grid, voxels, said, modality


def _group(files: Iterable[Path]) -> tuple[list[list[Slice]], Counter[str]]:
    """Sort files into series of slices that could be one volume; count what is none, by kind."""
    groups: list[list[Slice]] = []
    left_out: Counter[str] = Counter()
    instances: set[str] = set()
    for path in files:
        try:
            found = read_header(path)
        except LeftOutError as error:
            left_out[str(error)] += 1
            continue
        if found.instance and found.instance in instances:
            left_out["copies of a slice that is there already"] += 1
            continue
        instances.add(found.instance)
        group = next((group for group in groups if _fit(group[0], found)), None)
        if group is None:
            groups.append([found])
        else:
            group.append(found)
    return groups, left_out


def _fit(one: Slice, other: Slice) -> bool:
    """Tell whether two slices could be of one volume; directions and spacings may differ by rounding."""
    return (
        (one.series, one.rows, one.columns) == (other.series, other.rows, other.columns)
        and np.allclose(one.axes[:2], other.axes[:2], rtol=0, atol=0.01)
        and np.allclose(one.pixel_spacing, other.pixel_spacing, rtol=0.001, atol=0)
    )


def _size(group: list[Slice]) -> tuple:
    """The order among series; the UID decides between equals, so that the choice does not depend on file names."""
    return group[0].modality == "CT", len(group), group[0].rows * group[0].columns, group[0].series


def _describe(group: list[Slice]) -> str:
    kind = f" {group[0].modality}" if group[0].modality else ""
    count = "1 slice" if len(group) == 1 else f"{len(group)} slices"
    return f"{count} of {group[0].columns} x {group[0].rows}{kind}"


def _in_order(slices: list[Slice], name: str) -> tuple[list[Slice], list[str]]:
    """Sort along the normal; of several acquisitions at the same places, take the one with most slices."""
    slices = [slices[k] for k in np.argsort(_heights(slices), kind="stable")]
    if not _repeats(slices):
        return slices, []
    acquisitions: defaultdict[int, list[Slice]] = defaultdict(list)
    for found in slices:
        acquisitions[found.acquisition].append(found)
    biggest = max(acquisitions.values(), key=len)
    if _repeats(biggest):
        raise DataError(
            f"{name}: several slices lie at the same place (phases or points in time, or two reconstructions), "
            "expected one scan; put the files of one phase into a folder of their own"
        )
    return biggest, [f"{len(acquisitions)} acquisitions of one series found; one was taken ({_describe(biggest)})"]


def _repeats(slices: list[Slice]) -> bool:
    return len(slices) > 1 and float(np.diff(_heights(slices)).min()) < SAME_PLACE


def _heights(slices: list[Slice]) -> np.ndarray:
    """Positions along the normal in mm."""
    return np.array([found.position for found in slices]) @ slices[0].axes[2]


def _grid(slices: list[Slice], name: str) -> tuple[Grid, list[str]]:
    """Place the stack: DICOM PS3.3 C.7.6.2.1.1, equation for the mapping of pixels, then LPS -> RAS."""
    first = slices[0]
    step, said = _step(slices, first.axes[2])
    between_rows, between_columns = first.pixel_spacing
    columns = first.axes[0] * between_columns, first.axes[1] * between_rows, step, first.position
    affine = LPS_TO_RAS @ np.vstack([np.column_stack(columns), [0, 0, 0, 1]])
    check_affine(affine, name)
    shape = (first.columns, first.rows, len(slices))
    check_shape(shape, name)
    header = header_for(affine)
    return Grid(shape, header.get_sform(), header), said  # as float32 holds it, so that masks agree exactly


def _step(slices: list[Slice], normal: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the vector (mm, LPS) from slice to slice, and what is irregular about it."""
    if len(slices) == 1:
        thickness = slices[0].thickness
        return normal * (thickness or 1.0), [] if thickness else ["the slice does not say how thick it is; 1 mm taken"]
    positions = np.array([found.position for found in slices])
    steps = np.diff(_heights(slices))
    usual = float(np.median(steps))
    whole = positions[-1] - positions[0]
    step = whole * (usual / float(whole @ normal))  # along the line of the slices, which a tilt makes slanted
    said = []
    if np.abs(steps - usual).max() > max(EVEN[0] * usual, EVEN[1]):
        said.append(
            f"uneven slice spacing: {steps.min():.4g} to {steps.max():.4g} mm, taken as {usual:.4g} mm everywhere, so "
            "lengths and volumes along this axis are not right" + _gaps(steps, usual)
        )
    line = positions[0] + np.outer((_heights(slices) - _heights(slices)[0]) / float(whole @ normal), whole)
    aside = float(np.linalg.norm(positions - line, axis=1).max())
    if aside > ASIDE * min(slices[0].pixel_spacing):
        said.append(f"the slices do not lie in one line (up to {aside:.1f} mm beside it); the line was taken")
    return step, said


def _gaps(steps: np.ndarray, usual: float) -> str:
    """Say how many slices seem to be missing, if the steps are multiples of the usual one."""
    multiples = steps / usual
    if np.abs(multiples - np.round(multiples)).max() > 0.05:
        return ""
    missing = int(np.round(multiples).sum()) - len(steps)
    return f"; {missing} {'slice seems' if missing == 1 else 'slices seem'} to be missing" if missing > 0 else ""


def _planes(slices: list[Slice], name: str) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield the stored numbers of each slice [columns, rows], its slope and its intercept."""
    for syntax in {found.syntax for found in slices}:
        check_decoder(syntax, name)
    for found in slices:
        slope = 1.0 if found.slope is None else found.slope
        if slope == 0:
            raise DataError(
                f"{name}: a slice has the RescaleSlope 0, which makes every voxel the same; export it again"
            )
        yield read_pixels(found, name).T, slope, found.intercept or 0.0
