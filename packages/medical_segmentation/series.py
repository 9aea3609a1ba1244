"""Which slices are one volume, and which volume to take: by position, orientation and pixels, not by UIDs.

Slices of one patient and study that have the same size, spacing and orientation are one series as long as each has a
place of its own. Copies are dropped. What lies at the same places or between the others, and says that it is something
else (another series, kernel, echo, acquisition, phase, thickness), is a series of its own.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from cnn_core.errors import DataError
from cnn_core.validation import whole_number
from medical_segmentation.dicom import TRAITS, LeftOutError, Slice, check_decoder, read_header, read_pixels

SAME_PLACE = 0.01  # mm, below which two slices lie at one position
GAP = 1.5  # times the usual step, from which on a slice is missing
VOLUME = 3  # slices, from which on originals are preferred to what was calculated
FAR = 4, 100  # a volume has at most so many times its slices, and so many, as places: beyond, it is two

PRIVATE = ("SeriesInstanceUID", "SeriesDescription", "StackID")  # not repeated to anybody
TIMES = ("TriggerTime", "AcquisitionDateTime", "AcquisitionTime", "ContentTime")  # they tell apart what collides, alone

Slices = list[Slice]


@dataclass(frozen=True, eq=False)
class Series:
    """Slices that are one volume, in order along their normal.

    Attributes:
        number: its place in the list, from 1, the one that is taken first.
        study: number of its study among those that were found, from 1.
        slices: at least one.
        part: what tells it from the others of its DICOM series: "AcquisitionNumber 2"; "" where nothing has to.
        mixed: several slices lie at one place and nothing says which belong together: it cannot be read.
    """

    number: int
    study: int
    slices: Slices = field(repr=False)
    part: str = ""
    mixed: bool = False

    @property
    def uid(self) -> str:
        """The SeriesInstanceUID of the first slice."""
        return self.slices[0].traits["SeriesInstanceUID"]

    @property
    def description(self) -> str:
        """What the scanner's user called it: shown where series are listed on request, and nowhere else."""
        return self.slices[0].traits["SeriesDescription"]

    @property
    def size(self) -> str:
        """ "22 slices of 167 x 167 CT"; nothing that says anything about the patient."""
        first = self.slices[0]
        kind = f" {first.modality}" if first.modality else ""
        count = "1 slice" if len(self.slices) == 1 else f"{len(self.slices)} slices"
        return f"{count} of {first.columns} x {first.rows}{kind}"

    def __str__(self) -> str:
        first = self.slices[0]
        said = [self.size]
        said += [] if first.thickness is None else [f"{first.thickness:g} mm"]
        said += ["derived"] * first.derived + [self.part] * bool(self.part) + ["mixed"] * self.mixed
        return ", ".join(said)

    @property
    def listing(self) -> str:
        """One line of a list of series, with what its user and the scanner call it."""
        traits = self.slices[0].traits
        said = [f"{self.number}: {self}", traits["SeriesDescription"], traits["ConvolutionKernel"]]
        number = f"series number {traits['SeriesNumber']}" * bool(traits["SeriesNumber"])
        return "; ".join(text for text in (*said, number, self.uid) if text)


def find_series(
    files: Iterable[Path], *, observe: Callable[[int], object] | None = None
) -> tuple[list[Series], Counter[str]]:
    """Read the headers of `files`: `-> the series, best first, and how many files are none, by kind`.

    CT counts before other modalities, originals before what was calculated from them, then the number of slices and
    of pixels decide, then the order along the patient and the UID: never the names of the files.

    Args:
        files: DICOM files, in any order.
        observe: called with the number of files read so far.
    """
    left_out: Counter[str] = Counter()
    slices: Slices = []
    for count, path in enumerate(files, start=1):
        try:
            slices += read_header(path)
        except LeftOutError as error:
            left_out[str(error)] += 1
        if observe is not None:
            observe(count)
    studies = [found.study for found in slices]
    one_each = len(slices) >= VOLUME and len({*studies}) == len(slices)  # an anonymiser made a study of every file
    blocks: list[tuple[str, Slices]] = []
    for found in slices:
        study = found.patient if one_each else found.study
        block = next((block for of, block in blocks if of == study and _fit(block[0], found)), None)
        if block is None:
            blocks.append((study, [found]))
        else:
            block.append(found)
    parts = []
    for study, block in blocks:
        distinct, copies = _without_copies(block)
        left_out["copies of a slice that is there already"] += copies
        parts += [(study, *part) for part in _split(distinct)]
    parts.sort(key=lambda part: _rank(part[1]), reverse=True)
    order = list(dict.fromkeys(study for study, *_ in parts))
    found_series = [
        Series(number, order.index(study) + 1, block, part, mixed=_collisions(block) > 0)
        for number, (study, block, part) in enumerate(parts, start=1)
    ]
    return found_series, +left_out


def choose_series(series: Sequence[Series], wanted: str | None, *, name: str) -> Series:
    """Return the first of `series`, or the one that is asked for by number, UID or description.

    Raises:
        DataError: there is none, or several; the message lists what there is.
    """
    if wanted is None:
        return series[0]
    found = [entry for entry in series if wanted == str(entry.number)]
    found = found or [entry for entry in series if wanted == entry.uid]
    text = wanted.strip().casefold()
    found = found or [entry for entry in series if text == entry.description.casefold()]
    found = found or [entry for entry in series if text and text in entry.description.casefold()]
    if len(found) == 1:
        return found[0]
    there = "; ".join(f"{entry.number}: {entry}" for entry in series[:9]) + (" ..." if len(series) > 9 else "")
    problem = f"{len(found)} series fit" if found else "there is no series"
    raise DataError(
        f"{name}: {problem} {wanted!r}; expected a number, a UID or a description of `--list-series`: {there}"
    )


def _fit(one: Slice, other: Slice) -> bool:
    """Tell whether two slices could be of one volume; directions and spacings may differ by rounding."""
    return (
        (one.modality, one.derived, one.rows, one.columns)
        == (other.modality, other.derived, other.rows, other.columns)
        and np.allclose(one.axes[:2], other.axes[:2], rtol=0, atol=0.01)
        and np.allclose(one.pixel_spacing, other.pixel_spacing, rtol=0.001, atol=0)
    )  # fmt: skip


def _rank(slices: Slices) -> tuple:
    first = slices[0]
    volume = len(slices) >= VOLUME and not _collisions(slices)
    uid = first.traits["SeriesInstanceUID"]
    return (
        first.modality == "CT", volume and not first.derived, volume, len(slices), first.rows * first.columns,
        tuple(-part for part in _natural(first.traits["AcquisitionNumber"])), -first.number, uid,
    )  # fmt: skip


def _natural(text: str) -> tuple[int, ...]:
    return (whole_number(text) or 0,)


def _heights(slices: Slices) -> np.ndarray:
    """Positions along the normal in mm."""
    return np.array([found.position for found in slices]) @ slices[0].axes[2]


def _in_order(slices: Slices) -> Slices:
    """Sort along the normal; what lies at one place by the order in which it was made, never by the files' names."""
    keys = zip(np.round(_heights(slices) / SAME_PLACE).tolist(), slices, strict=True)
    ordered = sorted(keys, key=lambda key: (key[0], key[1].number, *key[1].traits.values()))
    return [found for _, found in ordered]


def _places(slices: Slices) -> list[Slices]:
    """Divide slices by where they lie along the normal."""
    heights = _heights(slices)
    places: list[Slices] = []
    before = -np.inf
    for index in np.argsort(heights, kind="stable"):
        if heights[index] - before > SAME_PLACE:
            places.append([])
        places[-1].append(slices[index])
        before = heights[index]
    return places


def _without_copies(slices: Slices) -> tuple[Slices, int]:
    """Drop slices with the place and the pixels of another one; that of the larger series stays."""
    sizes = Counter(found.traits["SeriesInstanceUID"] for found in slices)
    kept: Slices = []
    for place in _places(slices):
        if len(place) == 1:
            kept += place
            continue
        seen: set[Hashable] = set()
        for found in sorted(place, key=lambda f: (-sizes[f.traits["SeriesInstanceUID"]], f.number, str(f.path))):
            identity = _identity(found)
            if identity not in seen:
                kept.append(found)
            seen.add(identity)
    return kept, len(slices) - len(kept)


def _identity(found: Slice) -> Hashable:
    """What two copies of a slice have in common: place and values; of an empty one also what it says of itself."""
    place = tuple(np.round(found.position, 1).tolist())
    try:
        check_decoder(found.syntax, found.path.name)
        pixels = read_pixels(found, found.path.name)
    except DataError:  # said when the series is read
        return found.path, found.frame
    says = (found.number, *found.traits.values()) if pixels.min() == pixels.max() else ()
    values = hashlib.blake2b(np.ascontiguousarray(pixels).astype(np.int64).tobytes()).digest()
    return place, found.slope, found.intercept, values, says


def _split(slices: Slices, part: str = "") -> list[tuple[Slices, str]]:
    """Divide slices of one size and orientation into volumes, each with what tells it from the others."""
    for name, groups in _ways(slices):
        if len(groups) > 1 and _apart(name, slices, groups):
            return [
                volume
                for value, group in sorted(groups.items(), key=lambda item: _in_order(item[1])[0].number)
                for volume in _split(group, part if name in PRIVATE else _said(name, value))
            ]
    ordered = _in_order(slices)
    if len(ordered) > 2 and not _collisions(ordered):
        steps = np.diff(_heights(ordered))
        if steps.sum() > usual_step(steps) * (FAR[0] * len(ordered) + FAR[1]):
            cut = int(steps.argmax()) + 1
            return [*_split(ordered[:cut], part), *_split(ordered[cut:], part)]
    return [(ordered, part)]


def _said(name: str, value: Hashable) -> str:
    return f"{name} {value}" if isinstance(value, str | int | float) and len(str(value)) < 24 else name


def _ways(slices: Slices) -> Iterable[tuple[str, dict[Hashable, Slices]]]:
    """Yield the ways to divide slices, with the groups of each."""
    for name in TRAITS:
        yield name, _by(slices, [found.traits[name] for found in slices])
    if _collisions(slices):
        first = slices[0]
        beside = [np.round(first.axes[:2] @ found.position).tolist() for found in slices]
        yield "position in the plane", _by(slices, [tuple(place) for place in beside])
        yield "image at each place", _by(slices, _turns(slices))


def _by(slices: Slices, values: Sequence[Hashable]) -> dict[Hashable, Slices]:
    groups: defaultdict[Hashable, Slices] = defaultdict(list)
    for found, value in zip(slices, values, strict=True):
        groups[value].append(found)
    return dict(groups)


def _turns(slices: Slices) -> list[Hashable]:
    """Number the slices at each place in the order in which they were made; all 0 unless that is sure."""
    places = _places(slices)
    numbers = [[found.number for found in place] for place in places]
    sure = len({len(place) for place in places}) == 1 and all(len({*n}) == len(n) and min(n) >= 0 for n in numbers)
    turns = {id(f): k + 1 for place in places for k, f in enumerate(sorted(place, key=lambda f: f.number))}
    return [turns[id(found)] if sure else 0 for found in slices]


def _apart(name: str, slices: Slices, groups: dict[Hashable, Slices]) -> bool:
    """Tell whether groups are volumes of their own, rather than parts of one.

    They are if they lie at the same places, or between one another where each is even in itself (two acquisitions,
    interleaved): but not if one fills the gaps of another. What is alone in its group tells nothing (a UID or a time
    for every slice).
    """
    most = max(map(len, _places(slices)))
    if len(groups) > max(most, len(slices) // 2):
        return False
    if most > 1:
        return sum(map(_collisions, groups.values())) < _collisions(slices)
    if name in TIMES:
        return False
    ends = sorted((heights.min(), heights.max()) for heights in map(_heights, groups.values()))
    if all(before[1] < after[0] for before, after in pairwise(ends)):
        # One behind the other: two series of their own if they say so and do not go on in the same steps.
        numbers = {found.traits["SeriesNumber"] for found in slices}
        return name == "SeriesInstanceUID" and len(numbers) > 1 and not _even(slices)
    return not _even(slices) or all(map(_even, groups.values()))


def _even(slices: Slices) -> bool:
    """Tell whether slices follow in steps without a gap; one alone does not."""
    steps = np.diff(np.sort(_heights(slices)))
    return len(steps) > 0 and float(steps.max()) < GAP * usual_step(steps)


def usual_step(steps: np.ndarray) -> float:
    """Return the lower median: of two steps the smaller one, since the other may be a gap."""
    return float(np.sort(steps)[(len(steps) - 1) // 2])


def _collisions(slices: Slices) -> int:
    """Count the slices that lie at the place of another one."""
    return len(slices) - len(_places(slices))
