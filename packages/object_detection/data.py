"""The sets of pictures with boxes by name, their official layouts and splits; a user's own are those of `folder`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cnn_core.data.coco import get_coco
from cnn_core.data.sets import DataSet, find_set, missing_set
from cnn_core.data.splits import hold_out
from cnn_core.data.summary import DataSummary, Omissions, counted
from cnn_core.errors import unknown_name
from object_detection.box_set import SPLITS, BoxSet, Truth
from object_detection.download import KIT, PARTS, get_bccd, get_voc
from object_detection.official import (
    CELLS,
    COCO,
    VOC,
    Parts,
    read_bccd,
    read_both_voc,
    read_coco2017,
    read_voc2007,
    read_voc2012,
)
from object_detection.streets import COUNTS, street_scenes
from object_detection.streets import LABELS as STREET_LABELS

SPLIT_SEED = 20240501  # any number; changing it changes every validation split
VAL_SHARE = 0.1


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
    left_out, divided = Omissions(), "the official split"
    if known.read is None:
        sets = {split: _drawn(known, split) for split in splits}
    else:
        folder = known.path(data_root)
        parts = known.read(folder, left_out)
        if "val" not in parts:
            divided = f"the official split, {VAL_SHARE:.0%} of its training pictures held out for validation"
            rest = parts["train"]
            places = hold_out(_no_classes(len(rest)), [VAL_SHARE], seed=SPLIT_SEED)
            parts |= {part: [rest[i] for i in index] for part, index in zip(("train", "val"), places, strict=True)}
        sets = {split: _set_of(known, folder, split, parts) for split in splits}
    return sets, summary_of(sets, divided=divided, left_out=left_out)


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


def _official(name: str, *, needs: Sequence[str], read: Callable[[Path, Omissions], Parts], **about: Any) -> Boxes:
    """Return the line of a published set; `needs` are files and folders without which it is not there."""

    def read_there(folder: Path, left_out: Omissions) -> Parts:
        for place in needs:
            if not (folder / place).exists():
                raise missing_set(DATA_SETS[name], folder / place if DATA_SETS[name].get else folder)
        return read(folder, left_out)

    def count(folder: Path) -> str:
        parts = read_there(folder, Omissions())
        return " + ".join(f"{len(parts[part]):,}" for part in ("train", "val", "test") if part in parts) + " pictures"

    return Boxes(name=name, read=read_there, count=count, **about)


def _voc(name: str, *years: str, **about: Any) -> Boxes:
    needs = [listed for listed in PARTS if listed[3:7] in years]
    return _official(
        name, needs=needs, labels=VOC, folder=KIT, layout="VOC2007 and VOC2012", source="the PASCAL VOC challenge",
        licence="the terms of Flickr, whose photos they are", get=partial(get_voc, years=years), **about,
    )  # fmt: skip


DATA_SETS: dict[str, Boxes] = {
    entry.name: entry
    for entry in (
        Boxes(
            name="streets", licence="MIT", labels=STREET_LABELS,
            description=f"drawn streets with cars, people, signs and lane lines; {sum(COUNTS.values()):,} scenes",
        ),
        _official(
            "bccd", read=read_bccd, needs=["ImageSets/Main"], licence="MIT", labels=CELLS, folder="BCCD",
            official="205 + 87 + 72 pictures",
            description="BCCD, 364 microscope pictures of blood with boxes: red and white cells, platelets",
            layout="JPEGImages, Annotations and ImageSets/Main", source="Shenggan/BCCD_Dataset on GitHub",
            get=get_bccd,
        ),
        _voc(
            "voc", "2007", "2012", read=read_both_voc, official="8,218 + 8,333 + 4,952 pictures",
            description="PASCAL VOC 07+12, 20 classes: train and val of both years, the test of 2007",
        ),
        _voc(
            "voc2007", "2007", read=read_voc2007, official="2,501 + 2,510 + 4,952 pictures",
            description="PASCAL VOC 2007, 20 classes: its train, val and test",
        ),
        _voc(
            "voc2012", "2012", read=read_voc2012, official="5,717 + 5,823 pictures",
            description="PASCAL VOC 2012, 20 classes: its train, and its val as the test, whose boxes are not public",
        ),
        _official(
            "coco", read=read_coco2017, needs=["annotations", "train2017", "val2017"], labels=COCO, folder="coco",
            official="118,287 + 5,000 pictures", get=get_coco, source="the COCO consortium",
            description="COCO 2017, 80 classes: train2017, and val2017 as the test, whose boxes are not public",
            layout="annotations, train2017 and val2017", licence="CC BY 4.0 for the boxes; the photos: Flickr's terms",
        ),
    )
}  # fmt: skip
