"""The sets of pictures with boxes by name, their official layouts and splits; a user's own are those of `folder`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_core.data.splits import hold_out
from cnn_core.data.summary import DataSummary, Omissions, counted
from cnn_core.domain import DataSet, find_set, missing_set
from cnn_core.errors import DataError, unknown_name
from object_detection.box_set import SPLITS, BoxSet, Truth
from object_detection.download import get_bccd
from object_detection.streets import COUNTS, street_scenes
from object_detection.streets import LABELS as STREET_LABELS
from object_detection.voc import read_voc, voc_ids

SPLIT_SEED = 20240501  # any number; changing it changes every validation split
VAL_SHARE = 0.1
CELLS = ("Platelets", "RBC", "WBC")

Parts = dict[str, list[tuple[Path, Truth]]]  # "train", "val" (may be missing), "test"


@dataclass(frozen=True, kw_only=True)
class Boxes(DataSet):
    """A named set.

    Args:
        labels: the K class names.
        read: folder -> the pictures with their truth, by official part; None: they are drawn.
    """

    labels: tuple[str, ...]
    read: Callable[[Path, Omissions], Parts] | None = field(default=None, repr=False)


def load_sets(
    name: str | os.PathLike[str], *, splits: Sequence[str], data_root: str | os.PathLike[str] | None = None
) -> tuple[dict[str, BoxSet], DataSummary]:
    """Load splits of a named set, and what was understood of it.

    Args:
        name: of `DATA_SETS`.
        splits: some of `SPLITS`.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: no such set or split.
        DataError: the set is missing (the message says how to get it) or damaged.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    known = find_set(DATA_SETS, name)
    if known is None:
        raise unknown_name("data set or folder", str(name), DATA_SETS)
    left_out = Omissions()
    if known.read is None:
        sets = {split: _drawn(known, split) for split in splits}
    else:
        folder = known.path(data_root)
        parts = known.read(folder, left_out)
        if "val" not in parts:
            rest = parts["train"]
            places = hold_out(_no_classes(len(rest)), [VAL_SHARE], seed=SPLIT_SEED)
            parts |= {part: [rest[i] for i in index] for part, index in zip(("train", "val"), places, strict=True)}
        sets = {split: _set_of(known, folder, split, parts) for split in splits}
    return sets, summary_of(sets, divided="the official split", left_out=left_out)


def summary_of(
    sets: dict[str, BoxSet], *, divided: str, left_out: Omissions | None = None, read: Sequence[str] = ()
) -> DataSummary:
    """Return what was understood of splits: pictures by split, boxes by class."""
    first = next(iter(sets.values()))
    counts = {split: part.counts() for split, part in sets.items()}
    classes = {label: {split: counts[split][label] for split in sets} for label in first.labels}
    boxes = sum(sum(each.values()) for each in counts.values())
    empty = sum(not len(truth) for part in sets.values() for truth in part.truths)
    said = [f"{boxes:,} boxes; the numbers of the classes are boxes, those of the splits pictures", *read]
    if empty:
        said.append(counted(empty, "pictures without a box, learned as background"))
    return DataSummary(
        first.name, "pictures", {split: len(part) for split, part in sets.items()}, classes, divided, tuple(said),
        left_out.all if left_out else (),
    )  # fmt: skip


def _no_classes(count: int) -> Any:
    import numpy as np

    return np.zeros(count, dtype=np.int64)


def _drawn(known: Boxes, split: str) -> BoxSet:
    scenes = [scene for part in split.split("+") for scene in street_scenes(part)]
    truths = [
        Truth.of([box for _, box in things], [known.labels.index(label) for label, _ in things]) for _, things in scenes
    ]
    return BoxSet(known.name, split, known.labels, [picture for picture, _ in scenes], truths)


def _set_of(known: Boxes, folder: Path, split: str, parts: Parts) -> BoxSet:
    entries = [entry for part in split.split("+") for entry in parts[part]]
    files = tuple(file.relative_to(folder).as_posix() for file, _ in entries)
    return BoxSet(known.name, split, known.labels, [f for f, _ in entries], [truth for _, truth in entries], files)


def voc_pictures(
    folder: Path, names: Sequence[str], labels: Sequence[str], left_out: Omissions
) -> list[tuple[Path, Truth]]:
    """Return the pictures of a list of VOC with their truth; boxes without area are left out and counted."""
    return [_voc_picture(folder, name, labels, left_out) for name in names]


def _voc_picture(folder: Path, name: str, labels: Sequence[str], left_out: Omissions) -> tuple[Path, Truth]:
    file = folder / "Annotations" / f"{name}.xml"
    if not file.is_file():
        raise DataError(f"{file} is missing: the data set is not complete; unpack it again")
    record = read_voc(file)
    unknown = sorted({*record.labels} - {*labels})
    if unknown:
        raise DataError(f"{file.name}: expected the classes {', '.join(labels)}, got {', '.join(unknown)}")
    good = [k for k, (a, b, c, d) in enumerate(record.boxes) if c - a > 1 and d - b > 1]
    left_out.add("boxes without area", name, len(record.boxes) - len(good))
    truth = Truth.of(
        [record.boxes[k] for k in good], [labels.index(record.labels[k]) for k in good],
        [record.ignored[k] for k in good],
    )  # fmt: skip
    return folder / "JPEGImages" / f"{name}.jpg", truth


def _read_bccd(folder: Path, left_out: Omissions) -> Parts:
    lists = folder / "ImageSets" / "Main"
    if not lists.is_dir():
        raise missing_set(DATA_SETS["bccd"], folder)
    return {
        part: voc_pictures(folder, [*voc_ids(lists / f"{part}.txt")], CELLS, left_out)
        for part in ("train", "val", "test")
    }


def _official(name: str, *, read: Callable[[Path, Omissions], Parts], **about: Any) -> Boxes:
    def count(folder: Path) -> str:
        parts = read(folder, Omissions())
        return " + ".join(f"{len(parts[part]):,}" for part in ("train", "val", "test") if part in parts) + " pictures"

    return Boxes(name=name, read=read, count=count, **about)


DATA_SETS: dict[str, Boxes] = {
    entry.name: entry
    for entry in (
        Boxes(
            name="streets", licence="MIT", labels=STREET_LABELS,
            description=f"drawn streets with cars, people, signs and lane lines; {sum(COUNTS.values()):,} scenes",
        ),
        _official(
            "bccd", read=_read_bccd, licence="MIT", labels=CELLS, folder="BCCD", official="205 + 87 + 72 pictures",
            description="BCCD, 364 microscope pictures of blood with boxes: red and white cells, platelets",
            layout="JPEGImages, Annotations and ImageSets/Main", source="Shenggan/BCCD_Dataset on GitHub",
            get=get_bccd,
        ),
    )
}  # fmt: skip
