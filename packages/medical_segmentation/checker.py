"""Check every scan and mask of a set before training; all problems are reported at once.

A problem ends the training: files that are missing or cannot be read, a mask on another grid than its scan, labels
without a name, voxels that are not finite. What is only unusual is a remark.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from cnn_core.errors import DataError
from medical_segmentation.decathlon import Case, Decathlon, listed
from medical_segmentation.scan import read_mask, read_scan

log = logging.getLogger(__name__)

HELD = 1_000_000_000  # voxels that stay in memory after the check (3 GB); others are read again
OUTLIER = 3.0  # times the usual spacing
SAMPLE = 4096  # voxels of each label and of each scan that the intensities are estimated from


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan with its mask, in RAS order.

    Args:
        name: of the case.
        voxels: int16 or float32 [X, Y, Z], HU for a CT.
        mask: uint8 [X, Y, Z], 0 to K - 1.
        spacing: mm along X, Y, Z.
        voxel_ml: the volume of one voxel in mL, as of a `Scan`; None: the product of the spacing.
    """

    name: str
    voxels: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    spacing: tuple[float, float, float]
    voxel_ml: float | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """The statistics of one case.

    Args:
        counts: voxels of each label [K].
        inside: intensities of a sample of the labelled voxels.
        overall: of a sample of all voxels.
        middle: centre of what is labelled, in voxels from the middle of the scan; None: nothing is labelled.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    counts: np.ndarray
    inside: np.ndarray = field(repr=False)
    overall: np.ndarray = field(repr=False)
    middle: tuple[float, float, float] | None = None


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
    remarks = [*_not_listed(source)]
    for case in source.cases:
        if case.name in skipped:
            continue
        try:
            volume = read_volume(case, source)
        except DataError as error:
            problems.append(f"{case.name}: {error}")
            continue
        facts[case.name] = _facts(volume, len(source.labels))
        size += volume.voxels.size
        if size <= HELD:
            held[case.name] = volume
    remarks += _remarks(source, facts)
    if facts and not any(entry.counts[1:].any() for entry in facts.values()):
        problems.append("every mask is empty: there is nothing to learn")
    if problems:
        notes = f"; also: {listed(remarks)}" if remarks else ""
        raise DataError(f"{source.folder}: {len(problems)} problems: {listed(problems)}{notes}")
    for remark in remarks:
        log.info("%s: %s", source.folder.name, remark)
    return Checked(source, facts, tuple(remarks), held)


def read_volume(case: Case, source: Decathlon) -> Volume:
    """Read one scan with its mask.

    Raises:
        DataError: they cannot be read or do not belong together, a label has no name, or a voxel is not finite.
    """
    scan = read_scan(case.image)
    if scan.missing:
        raise DataError(
            f"{case.image.name}: {scan.missing:,} voxels were NaN or infinite; expected numbers, repair the scan"
        )
    numbers = read_mask(case.label, scan)
    table = np.full(65536, 255, np.uint8)
    table[list(source.values)] = np.arange(len(source.values), dtype=np.uint8)
    mask = table[numbers]
    if len(source.values) < 256 and (mask == 255).any():
        strange = ", ".join(map(str, np.unique(numbers[mask == 255])[:5]))
        names = ", ".join(f"{value} {label}" for value, label in zip(source.values, source.labels, strict=True))
        raise DataError(f"{case.label.name}: the label {strange} has no name in dataset.json, which has {names:.200}")
    return Volume(case.name, scan.voxels, mask, scan.spacing, scan.voxel_ml)


def _facts(volume: Volume, labels: int) -> Facts:
    counts = np.bincount(volume.mask.ravel(), minlength=labels)
    rng = np.random.default_rng(0)
    flat = volume.voxels.ravel(order="K")
    overall = flat[rng.integers(0, flat.size, SAMPLE)].astype(np.float32)
    places = np.argwhere(volume.mask)
    if not len(places):
        return Facts(volume.name, volume.voxels.shape, volume.spacing, counts, overall[:0], overall)
    middle = places.mean(0) - (np.array(volume.voxels.shape) - 1) / 2
    picked = places[rng.integers(0, len(places), SAMPLE)]
    inside = volume.voxels[tuple(picked.T)].astype(np.float32)
    return Facts(volume.name, volume.voxels.shape, volume.spacing, counts, inside, overall, tuple(middle.tolist()))


def _not_listed(source: Decathlon) -> list[str]:
    """Return a note on files beside the listed ones that are not used; a listed file that is missing is a problem."""
    listed_files = {path.resolve() for case in source.cases for path in (case.image, case.label)}
    notes = []
    for folder, kind in ((source.folder / "imagesTr", "scan"), (source.folder / "labelsTr", "mask")):
        if folder.is_dir():
            files = [f for f in sorted(folder.iterdir()) if f.name.lower().endswith((".nii", ".nii.gz"))]
            others = [f.name for f in files if f.resolve() not in listed_files and not f.name.startswith(".")]
            if others:
                notes.append(f"{len(others)} {kind}s are not listed in dataset.json and not used: {listed(others)}")
    return notes


def _remarks(source: Decathlon, facts: dict[str, Facts]) -> list[str]:
    if not facts:
        return []
    notes = []
    empty = [name for name, entry in facts.items() if not entry.counts[1:].any()]
    if empty:
        notes.append(f"{len(empty)} masks are empty: {listed(empty)}")
    seen = np.sum([entry.counts > 0 for entry in facts.values()], axis=0)
    notes += [f"no mask has the label {source.labels[k]}" for k in range(1, len(seen)) if not seen[k]]
    usual = np.median([entry.spacing for entry in facts.values()], axis=0)
    for name, entry in facts.items():
        ratio = np.array(entry.spacing) / usual
        if ratio.max() > OUTLIER or ratio.min() < 1 / OUTLIER:
            came, wanted = (" x ".join(f"{length:.3g}" for length in spacing) for spacing in (entry.spacing, usual))
            notes.append(f"{name}: a spacing of {came} mm, the others have about {wanted} mm; its header may be wrong")
    return notes
