"""The sets by name, their splits; custom data is a folder in the Decathlon layout (see `decathlon`).

Splits: those of splits.json; missing ones are drawn so that they are alike in how much is labelled. With `fold` the
test set is one of five such parts of all cases, as in five-fold cross-validation. Nothing is tuned on the test set.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn_core.data import files
from cnn_core.data.paths import custom_path
from cnn_core.domain import DataSet, find_set, missing_set
from cnn_core.errors import DataError
from medical_segmentation.decathlon import PARTS, Decathlon, read_decathlon
from medical_segmentation.download import TASKS, get_task

if TYPE_CHECKING:
    from medical_segmentation.checker import Checked, Volume

FOLDS = 5
HELD_OUT = 7  # one case in this many is for validation, and one for the test, where there is no split
SPLIT_SEED = 20240607  # any number; changing it changes every fold


@dataclass(frozen=True, kw_only=True)
class ScanSet(DataSet):
    """A named set.

    Args:
        left_out: case -> why it is not used.
    """

    left_out: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class SegmentationSet:
    """A checked set and its splits."""

    name: str
    checked: "Checked"
    splits: Mapping[str, tuple[str, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The K names, background first."""
        return self.checked.source.labels

    def volumes(self, split: str) -> list["Volume"]:
        """Return the cases of a split."""
        return [self.checked.volume(name) for name in self.splits[split]]


def load_set(
    name_or_path: str | os.PathLike[str],
    *,
    fold: int | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> SegmentationSet:
    """Read and check a set: a name of `DATA_SETS`, or a custom folder.

    Args:
        name_or_path: a name, or a folder with dataset.json.
        fold: 0 to 4: the fifth of all cases that is the test set; None: the set's own split.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: neither a known name nor an existing folder.
        DataError: the set is missing, or it has problems; all are listed.
    """
    from medical_segmentation.checker import check  # `cnn list data` works without the packages that read scans

    if fold is not None and not 0 <= fold < FOLDS:
        raise DataError(f"fold: expected 0 to {FOLDS - 1}, got {fold}")
    name, folder, left_out = locate(name_or_path, data_root)
    source = read_decathlon(folder)
    checked = check(source, left_out=left_out)
    splits = split_cases(source, {k: int(f.counts[1:].sum()) for k, f in checked.facts.items()}, fold)
    return SegmentationSet(name, checked, splits)


def locate(
    name_or_path: str | os.PathLike[str], data_root: str | os.PathLike[str] | None = None
) -> tuple[str, Path, Mapping[str, str]]:
    """Return (name, folder, cases left out with the reasons) of a named set or a custom folder.

    A path to the folder of a named set leaves the same cases out as its name.

    Raises:
        UnknownNameError: neither a known name nor an existing folder.
        DataError: the set or the folder is not where it is expected.
    """
    root = Path(data_root) if data_root is not None else files.data_root()
    known = find_set(DATA_SETS, name_or_path)
    if known is None:
        path = custom_path(name_or_path, DATA_SETS, expected="one with dataset.json, imagesTr and labelsTr")
        folder = path.parent if path.is_file() else path
        sets = {(root / entry.folder).resolve(): entry.left_out for entry in DATA_SETS.values() if entry.folder}
        return os.fspath(name_or_path), folder, sets.get(folder.resolve(), {})
    if not known.folder:
        from medical_segmentation.phantom import phantom_folder

        return known.name, phantom_folder(data_root), {}
    folder = root / known.folder
    if not folder.is_dir():
        raise missing_set(known, folder)
    return known.name, folder, known.left_out


def split_cases(source: Decathlon, sizes: Mapping[str, int], fold: int | None) -> dict[str, tuple[str, ...]]:
    """Divide the cases into train, val, test (and train+val).

    Args:
        source: its `splits` are taken if there are any and `fold` is None.
        sizes: labelled voxels of each case that takes part.
        fold: which fifth is the test set; None: none of them.

    Raises:
        DataError: there are too few cases.
    """
    if fold is not None and len(sizes) < FOLDS:
        raise DataError(
            f"{source.folder}: {len(sizes)} cases cannot be divided into {FOLDS} parts, expected at least {FOLDS}; "
            "leave fold out or add cases"
        )
    given = source.splits or {}
    parts = {part: tuple(name for name in given.get(part, ()) if name in sizes) for part in PARTS}
    rest = [name for name in sizes if fold is not None or not given or name in parts["train"]]
    if fold is not None:
        parts["test"] = tuple(_pick(rest, sizes, parts=FOLDS, part=fold))
        parts["val"] = ()
    elif not parts["test"]:
        parts["test"] = tuple(_pick(rest, sizes, parts=HELD_OUT, part=0))
    rest = [name for name in rest if name not in parts["test"]]
    if not parts["val"]:
        parts["val"] = tuple(_pick(rest, sizes, parts=HELD_OUT - 1, part=0))
    parts["train"] = tuple(name for name in rest if name not in parts["val"])
    if not parts["train"] or not parts["test"]:
        raise DataError(
            f"{source.folder}: {len(sizes)} cases are too few to train and to measure on, expected at least 3"
        )
    return {**parts, "train+val": parts["train"] + parts["val"]}


def _pick(names: Sequence[str], sizes: Mapping[str, int], *, parts: int, part: int) -> list[str]:
    """Return one of `parts` parts that are alike in the sizes of their cases; together they are all, each once."""
    order = sorted(names, key=lambda name: (sizes[name], name))
    rng = np.random.default_rng(SPLIT_SEED)
    picked = []
    for begin in range(0, len(order), parts):
        block = order[begin : begin + parts]
        places = rng.permutation(parts)[: len(block)] if len(block) < parts else rng.permutation(parts)
        picked += [name for name, place in zip(block, places, strict=True) if place == part]
    return sorted(picked or (order[:1] if len(order) >= 3 else []))


LIDC = "LIDC-IDRI, The Cancer Imaging Archive"
AIR = "its mask also covers the air around the body"

SCANS = "dataset.json, imagesTr, labelsTr"


def _is_there(folder: Path) -> str:
    """Describe what is in a set's folder; DataError if nothing is there."""
    file = next((folder / name for name in ("dataset.json", "index.csv") if (folder / name).is_file()), None)
    if file is None:
        raise DataError(f"{folder} holds neither dataset.json nor index.csv; expected a set of scans there")
    return file.name


def _task(name: str) -> ScanSet:
    folder, text = TASKS[name]
    return ScanSet(
        name=name, description=f"Medical Segmentation Decathlon: {text}", folder=folder, source="medicaldecathlon",
        licence="CC BY-SA 4.0", count=_is_there, get=get_task,
    )  # fmt: skip


DATA_SETS = {
    entry.name: entry
    for entry in (
        ScanSet(name="phantom", description="40 drawn thoraxes: lungs, heart, spine, a nodule", licence="MIT"),
        ScanSet(
            name="lung_ct", description="267 axial chest CT slices with lung masks; 3 wrong masks left out",
            folder="LungCT2D", source="K. Mader, Finding and Measuring Lungs in CT Data", layout=SCANS, count=_is_there,
            licence="unknown; research use only", left_out={"lung_052": AIR, "lung_134": AIR, "lung_254": AIR},
        ),
        ScanSet(
            name="lidc_nodule", description="134 CT cubes around a lung nodule, with masks and malignancy ratings",
            folder="LIDCNodule", source=LIDC, layout=SCANS, count=_is_there, licence="CC BY 3.0",
        ),
        ScanSet(
            name="nodule_slices",
            description="5,043 slices of 882 lung nodules, benign or malignant; for the malignancy recipe",
            folder="LIDCNoduleSlices", source=LIDC, layout="index.csv, train, val, test", count=_is_there,
            licence="CC BY 3.0",
        ),
        *map(_task, TASKS),
    )
}  # fmt: skip
