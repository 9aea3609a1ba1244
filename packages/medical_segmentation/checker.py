"""Check every scan and mask of a set before training; all problems are reported at once.

A problem ends the training: files that are missing or cannot be read, a mask on another grid than its scan, labels
without a name. What is only unusual is a remark.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cnn_core.errors import DataError
from cnn_core.weights.members import content_hash
from medical_segmentation.cases import Case, listed, some
from medical_segmentation.decathlon import Decathlon, named_by_numbers
from medical_segmentation.metrics import IGNORED
from medical_segmentation.scan import read_labels, read_scan
from medical_segmentation.values import CT, intensity_warnings

HELD = 1_000_000_000  # voxels that stay in memory after the check (3 GB); others are read again
OUTLIER = 3.0  # times the usual spacing
MOSTLY = 0.5  # of a scan: a mask that labels more, and more than OUTLIER times as much as others do, may be inverted
SAMPLE = 4096  # voxels of each label and of each scan that the intensities are estimated from


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan with its mask, in RAS order.

    Args:
        name: of the case.
        voxels: int16 or float32 [X, Y, Z], HU for a CT.
        mask: uint8 [X, Y, Z], 0 to K - 1, or `IGNORED`.
        spacing: mm along X, Y, Z.
        voxel_ml: the volume of one voxel in mL, as of a `Scan`; None: the product of the spacing.
        missing: voxels that were NaN or infinite and were filled.
        rounded: the mask held numbers such as 1.0000001.
    """

    name: str
    voxels: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    spacing: tuple[float, float, float]
    voxel_ml: float | None = None
    missing: int = 0
    rounded: bool = False


@dataclass(frozen=True, eq=False)
class Facts:
    """The statistics of one case.

    Args:
        counts: voxels of each label [K].
        inside: intensities of a sample of the labelled voxels.
        overall: of a sample of all voxels.
        middle: centre of what is labelled, in voxels from the middle of the scan; None: nothing is labelled.
        content: hash of the voxels, whatever file they are in.
        missing: as of the `Volume`.
        rounded: likewise.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    counts: np.ndarray
    inside: np.ndarray = field(repr=False)
    overall: np.ndarray = field(repr=False)
    middle: tuple[float, float, float] | None = None
    content: int = 0
    missing: int = 0
    rounded: bool = False


@dataclass(frozen=True, eq=False)
class Checked:
    """A set that passed the check.

    Args:
        facts: of every case, by name.
        remarks: what is unusual, in sentences.
    """

    source: Decathlon
    facts: dict[str, Facts]
    remarks: tuple[str, ...]
    held: dict[str, Volume] = field(default_factory=dict, repr=False)

    def volume(self, name: str) -> Volume:
        """Return a case, from memory or read again."""
        if name in self.held:
            return self.held[name]
        return read_volume(next(case for case in self.source.cases if case.name == name), self.source)


def check(source: Decathlon, *, left_out: Iterable[str] = ()) -> Checked:
    """Read and check every case.

    Args:
        source: the folder.
        left_out: cases that are known to be wrong and are skipped.

    Raises:
        DataError: with all problems.
    """
    skipped = {*left_out}
    problems, facts, held, size = list(source.problems), {}, {}, 0
    wrong: dict[str, list[tuple[str, str]]] = {}  # what is wrong -> cases, and it with their files' names
    if not source.labels:
        source = named_by_numbers(source, _numbers(source))
    remarks = [*_not_listed(source)]
    for case in source.cases:
        if case.name in skipped:
            continue
        try:
            volume = read_volume(case, source)
        except DataError as error:
            text = str(error).removeprefix(f"{case.label.name}: ").removeprefix(f"{case.image.name}: ")
            text = text.replace(f"its scan {case.image.name}", "its scan")
            wrong.setdefault(text, []).append((case.name, str(error)))
            continue
        facts[case.name] = _facts(volume, len(source.labels))
        size += volume.voxels.size
        if size <= HELD:
            held[case.name] = volume
    for text, cases in wrong.items():
        names = [name for name, _ in cases]
        problems.append(
            f"{names[0]}: {cases[0][1]}" if len(cases) == 1 else f"{len(cases)} cases ({some(names)}): {text}"
        )
    remarks += _remarks(source, facts)
    if facts and not any(entry.counts[1:].any() for entry in facts.values()):
        problems.append("every mask is empty: there is nothing to learn")
    if problems:
        notes = f"; also: {listed(remarks)}" if remarks else ""
        raise DataError(
            f"{source.folder}: {len(problems)} problem{'s' * (len(problems) > 1)}: {listed(problems)}{notes}"
        )
    return Checked(source, facts, tuple(remarks), held)


def _numbers(source: Decathlon) -> set[int]:
    """Return the numbers in all masks that can be read; what is wrong with the others is found afterwards."""
    found: set[int] = set()
    for case in source.cases:
        try:
            numbers, _ = read_labels(case.label, read_scan(case.image))
        except DataError:
            continue
        found |= {*np.flatnonzero(np.bincount(numbers.ravel())).tolist()}
    return found


def read_volume(case: Case, source: Decathlon) -> Volume:
    """Read one scan with its mask.

    Raises:
        DataError: they cannot be read or do not belong together, or a label has no name.
    """
    scan = read_scan(case.image)
    numbers, rounded = read_labels(case.label, scan)
    table = np.zeros(65536, np.uint8)
    known = np.zeros(65536, bool)
    for value, index in source.index.items():
        table[value], known[value] = index, True
    if source.ignored is not None:
        table[source.ignored], known[source.ignored] = IGNORED, True
    present = np.flatnonzero(np.bincount(numbers.ravel()))
    if not known[present].all():
        strange = ", ".join(map(str, present[~known[present]][:5]))
        names = ", ".join(f"{value} {label}" for value, label in zip(source.values, source.labels, strict=True))
        raise DataError(f"{case.label.name}: the label {strange} has no name in dataset.json, which has {names:.200}")
    return Volume(
        case.name, scan.voxels, table[numbers], scan.spacing, scan.voxel_ml, missing=scan.missing, rounded=rounded
    )


def content_of(voxels: np.ndarray) -> int:
    """Return the hash of a scan's numbers, which is the same for int16 and float32: `[X, Y, Z] -> 64 bits`."""
    digest = hashlib.sha256(repr(voxels.shape).encode())
    for k in range(voxels.shape[2]):  # plane by plane: a copy of the whole would be another scan in memory
        digest.update(np.ascontiguousarray(voxels[:, :, k], dtype=np.float32).tobytes())
    return content_hash(digest.digest())


def _facts(volume: Volume, labels: int) -> Facts:
    counts = np.bincount(volume.mask.ravel(), minlength=labels)[:labels]
    rng = np.random.default_rng(0)
    flat = volume.voxels.ravel(order="K")
    overall = flat[rng.integers(0, flat.size, SAMPLE)].astype(np.float32)
    places = np.argwhere((volume.mask > 0) & (volume.mask != IGNORED))
    facts = Facts(
        volume.name, volume.voxels.shape, volume.spacing, counts, overall[:0], overall,
        content=content_of(volume.voxels), missing=volume.missing, rounded=volume.rounded,
    )  # fmt: skip
    if not len(places):
        return facts
    middle = places.mean(0) - (np.array(volume.voxels.shape) - 1) / 2
    picked = places[rng.integers(0, len(places), SAMPLE)]
    inside = volume.voxels[tuple(picked.T)].astype(np.float32)
    return replace(facts, inside=inside, middle=tuple(middle.tolist()))


def _not_listed(source: Decathlon) -> list[str]:
    """Return a note on files beside the listed ones that are not used; a listed file that is missing is a problem."""
    listed_files = {path.resolve() for case in source.cases for path in (case.image, case.label)}
    said = {name for entry in source.left_out for name in entry.examples}
    notes = []
    for folder, kind in ((source.folder / "imagesTr", "scan"), (source.folder / "labelsTr", "mask")):
        if folder.is_dir():
            files = [f for f in sorted(folder.iterdir()) if f.name.lower().endswith((".nii", ".nii.gz"))]
            others = [f.name for f in files if f.resolve() not in listed_files and not f.name.startswith(".")]
            others = [name for name in others if name not in said]
            if others:
                notes.append(f"{len(others)} {kind}s are not listed in dataset.json and not used: {some(others)}")
    return notes


def _remarks(source: Decathlon, facts: dict[str, Facts]) -> list[str]:
    if not facts:
        return []
    notes = []
    empty = [name for name, entry in facts.items() if not entry.counts[1:].any()]
    if empty:
        notes.append(f"{len(empty)} masks are empty: {some(empty)}")
    if filled := [f"{name} ({entry.missing:,})" for name, entry in facts.items() if entry.missing]:
        notes.append(
            f"{len(filled)} scans hold voxels that are NaN or infinite, which were set to their scan's lowest "
            f"intensity: {some(filled)}"
        )
    if rounded := [name for name, entry in facts.items() if entry.rounded]:
        notes.append(f"the labels of {len(rounded)} masks were rounded to whole numbers: {some(rounded)}")
    seen = np.sum([entry.counts > 0 for entry in facts.values()], axis=0)
    notes += [f"no mask has the label {source.labels[k]}" for k in range(1, len(seen)) if not seen[k]]
    notes += [*_doubtful_masks(source, facts), *_unlike_others(source, facts)]
    usual = np.median([entry.spacing for entry in facts.values()], axis=0)
    for name, entry in facts.items():
        ratio = np.array(entry.spacing) / usual
        if ratio.max() > OUTLIER or ratio.min() < 1 / OUTLIER:
            came, wanted = (" x ".join(f"{length:.3g}" for length in spacing) for spacing in (entry.spacing, usual))
            notes.append(f"{name}: a spacing of {came} mm, the others have about {wanted} mm; its header may be wrong")
    return notes


def _doubtful_masks(source: Decathlon, facts: dict[str, Facts]) -> list[str]:
    """Say which masks may be inverted, of another scan, or written in other numbers than the rest."""
    notes = []
    shares = {name: float(entry.counts[1:].sum() / max(1, entry.counts.sum())) for name, entry in facts.items()}
    usual = float(np.median([*shares.values()]))
    if full := [name for name, share in shares.items() if share == 1]:
        notes.append(f"masks that label every voxel, so that nothing is background: {some(full)}")
    odd = [f"{name} ({share:.0%})" for name, share in shares.items() if 1 > share > max(MOSTLY, OUTLIER * usual)]
    if odd:
        notes.append(f"masks that label most of their scan, the others about {usual:.0%}; inverted? {some(odd)}")
    of: dict[Path, list[str]] = {}
    for case in source.cases:
        of.setdefault(case.label.resolve(), []).append(case.name)
    if shared := [f"{path.name} of {some(names)}" for path, names in of.items() if len(names) > 1]:
        notes.append(f"masks that are given to several scans: {some(shared)}")
    present = {tuple(np.flatnonzero(entry.counts[1:]).tolist()) for entry in facts.values()} - {()}
    if not source.named and present == {(0,), (1,)} and source.values[-1] == 255:
        one, other = source.values[1:]
        notes.append(
            f"the labels {one} and {other} are never in one mask: if they mean the same, write all with one of them"
        )
    return notes


def _unlike_others(source: Decathlon, facts: dict[str, Facts]) -> list[str]:
    """Say which scans of a set of CTs are not in Hounsfield units, where the others are."""
    if source.modality.upper() not in ("CT", ""):
        return []
    odd = [name for name, entry in facts.items() if intensity_warnings(entry.overall, CT)]
    if not odd or len(odd) == len(facts):
        return []
    return [
        f"scans that do not look like Hounsfield units, {len(odd)} of {len(facts)} (no offset, rescaled, another kind "
        f"of scan): {some(odd)}"
    ]
