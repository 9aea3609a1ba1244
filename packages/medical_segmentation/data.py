"""The sets by name, their splits; custom data is a folder of scans and masks (see `decathlon`, and `dividing`).

Splits of named sets: those of splits.json; missing ones are drawn so that they are alike in how much is labelled. With
`fold` the test set is one of five such parts of all cases, as in five-fold cross-validation. Nothing is tuned on the
test set.
"""

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn_core.data import files
from cnn_core.data.paths import custom_path, given_path
from cnn_core.data.sets import DataSet, find_set, missing_set
from cnn_core.data.summary import DataSummary, LeftOut, Omissions
from cnn_core.errors import DataError
from medical_segmentation.cases import FOLDS, HELD_OUT, PARTS, listed
from medical_segmentation.decathlon import Decathlon, join, read_decathlon
from medical_segmentation.download import TASKS, get_lung_ct, get_nodule_cubes, get_nodule_slices, get_task

if TYPE_CHECKING:
    from medical_segmentation.checker import Checked, Volume
    from medical_segmentation.dividing import Division

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
    """A checked set and its splits.

    Args:
        name: as it was given.
        checked: the set.
        division: its splits.
        own: it is a user's own, no set by name.
        left_out: what is not used.
    """

    name: str
    checked: "Checked"
    division: "Division"
    own: bool = False
    left_out: tuple[LeftOut, ...] = ()

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """train, val, test and train+val -> names of cases."""
        return self.division.splits

    @property
    def labels(self) -> tuple[str, ...]:
        """The K names, background first."""
        return self.checked.source.labels

    def volumes(self, split: str) -> list["Volume"]:
        """Return the cases of a split."""
        return [self.checked.volume(name) for name in self.splits[split]]

    def contents(self, names: Sequence[str]) -> np.ndarray:
        """Return the hashes of the voxels of cases: uint64 [N]."""
        return np.array([self.checked.facts[name].content for name in names], dtype=np.uint64)

    def summary(self, splits: Sequence[str], *, read: Sequence[str] = ()) -> DataSummary:
        """Return what is in some of the splits, label by label, and what was chosen besides the set's own."""
        source, facts, division = self.checked.source, self.checked.facts, self.division
        parts = {split: self.splits[split] for split in splits}
        classes = {
            f"{label} ({number})" if source.values != tuple(range(len(self.labels))) else label: {
                split: sum(bool(facts[name].counts[k]) for name in names) for split, names in parts.items()
            }
            for k, (label, number) in enumerate(zip(self.labels, source.values, strict=True))
            if k
        }
        return DataSummary(
            self.name, "scans", {split: len(names) for split, names in parts.items()}, classes, division.divided,
            (*source.read, *division.read, *read), self.left_out,
            (*self.checked.remarks, *_missing_labels(classes), *division.warnings),
        )  # fmt: skip


def _missing_labels(classes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Say which labels occur in some split but not in another."""
    said = []
    for split, lost in (
        ("train", "cannot be learned"),
        ("train+val", "cannot be learned"),
        ("test", "is not measured"),
    ):
        names = [n for n, counts in classes.items() if split in counts and not counts[split] and any(counts.values())]
        if names:
            where = "test" if split == "test" else "training"
            said.append(f"no {where} scan holds {', '.join(names)}, so it {lost}")
    return said


def load_set(
    name_or_path: str | os.PathLike[str],
    *,
    fold: int | None = None,
    data_root: str | os.PathLike[str] | None = None,
    test: Sequence[str] = (),
    by_patient: bool = True,
) -> SegmentationSet:
    """Read, check and divide a set: a name of `DATA_SETS`, or a custom folder.

    Args:
        name_or_path: a name, or a folder with dataset.json or with images and labels.
        fold: 0 to 4: the fifth of all cases that is the test set; None: the set's own split.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.
        test: the test cases of a custom set, see `dividing.divide`; or one folder of further scans and masks.
        by_patient: whether the names of cases of a custom set may tell of patients.

    Raises:
        UnknownNameError: neither a known name nor an existing folder.
        DataError: the set is missing, or it has problems; all are listed.
    """
    from medical_segmentation.dividing import Division, divide  # `cnn list data` works without what reads scans

    if fold is not None and not 0 <= fold < FOLDS:
        raise DataError(f"fold: expected 0 to {FOLDS - 1}, got {fold}")
    found = read_set(name_or_path, data_root=data_root, test=test)
    if found.own:
        names = () if found.splits["test"] else test
        division = divide(found.checked, fold=fold, test=names, by_patient=by_patient)
    else:
        if test:
            raise DataError(f"--test chooses among your own scans, and {found.name} has its own split; leave it out")
        sizes = {name: int(entry.counts[1:].sum()) for name, entry in found.checked.facts.items()}
        source = found.checked.source
        how = (
            f"fold {fold} of {FOLDS} is the test set"
            if fold is not None
            else "as published" * (source.splits is not None)
        )
        division = Division(split_cases(source, sizes, fold), how)
    return replace(found, division=division)


def read_set(
    name_or_path: str | os.PathLike[str],
    *,
    data_root: str | os.PathLike[str] | None = None,
    test: Sequence[str] = (),
) -> SegmentationSet:
    """Read and check a set that is not divided: its only split is "all", and "test" where `test` is a folder.

    Raises:
        UnknownNameError, DataError: as `load_set`.
    """
    from medical_segmentation.checker import check
    from medical_segmentation.dividing import Division

    name, path, skipped = locate(name_or_path, data_root)
    source = read_decathlon(path)
    own = is_own(name_or_path, data_root)
    further = given_path(test[0]) if own and len(test) == 1 else None
    if further is not None and not further.is_dir():
        further = None
    if further is not None:
        source = join(source, read_decathlon(further))
    checked = check(source, left_out=skipped)
    left_out = Omissions()
    for case in (case.name for case in source.cases if case.name in skipped):
        left_out.add(f"scans, since {skipped[case]}", case)
    names = tuple(checked.facts)
    splits = {"all": names, "test": tuple((source.splits or {}).get("test", ())) if further is not None else ()}
    return SegmentationSet(name, checked, Division(splits), own, source.left_out + left_out.all)


def is_own(name_or_path: str | os.PathLike[str], data_root: str | os.PathLike[str] | None = None) -> bool:
    """Tell whether scans are a user's own: no set by name, nor its folder."""
    if find_set(DATA_SETS, name_or_path) is not None:
        return False
    root = Path(data_root) if data_root is not None else files.data_root()
    path = given_path(name_or_path).resolve()
    known = {(root / entry.folder).resolve() for entry in DATA_SETS.values() if entry.folder}
    return not known & {path, path.parent}


def locate(
    name_or_path: str | os.PathLike[str], data_root: str | os.PathLike[str] | None = None
) -> tuple[str, Path, Mapping[str, str]]:
    """Return (name, folder, cases left out with the reasons) of a named set or a custom folder (or its JSON file).

    A path to the folder of a named set leaves the same cases out as its name.

    Raises:
        UnknownNameError: neither a known name nor an existing folder.
        DataError: the set or the folder is not where it is expected.
    """
    root = Path(data_root) if data_root is not None else files.data_root()
    known = find_set(DATA_SETS, name_or_path)
    if known is None:
        path = custom_path(
            name_or_path, DATA_SETS, expected="one with dataset.json, imagesTr and labelsTr, or with images and labels"
        )
        folder = path.parent if path.is_file() else path
        place = folder if path.name == "dataset.json" else path
        sets = {(root / entry.folder).resolve(): entry.left_out for entry in DATA_SETS.values() if entry.folder}
        return os.fspath(name_or_path), place, sets.get(folder.resolve(), {})
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
    elif not parts["test"] and parts["val"] and parts["train"]:  # a set that holds nothing else out
        parts["test"] = parts["val"]
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
    return {**parts, "train+val": parts["train"] + tuple(name for name in parts["val"] if name not in parts["test"])}


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
UNPUBLISHED_MASKS = (
    "its lung masks were drawn for this software and are not published, so no command can get it; the pictures are "
    "CT Medical Images (https://www.kaggle.com/datasets/kmader/siim-medical-images, folder dicom_dir), which "
    "`cnn predict lung-ct` takes as they are; no recipe learns from it, `cnn train lung-ct` and `cnn eval lung-ct` use "
    "lung_ct"
)


def _is_there(folder: Path) -> str:
    """Describe what is in a set's folder; DataError if nothing is there."""
    file = next((folder / name for name in ("dataset.json", "index.csv") if (folder / name).is_file()), None)
    if file is None:
        raise DataError(f"{folder} holds neither dataset.json nor index.csv; expected a set of scans there")
    return file.name


def _count_scans(folder: Path) -> str:
    """Say how many scans with masks each split has; DataError where files are missing."""
    _is_there(folder)
    source = read_decathlon(folder)
    if source.problems:
        raise DataError(f"{folder}: {listed(source.problems)}")
    splits = source.splits or {"train": tuple(case.name for case in source.cases)}
    return " + ".join(f"{len(splits[part]):,}" for part in PARTS if splits.get(part)) + " scans"


def _count_slices(folder: Path) -> str:
    """Say how many slices of nodules each split has; DataError where there is no table, or files are missing."""
    _is_there(folder)
    try:
        with (folder / "index.csv").open(newline="", encoding="utf-8") as stream:
            rows = [(row["split"], row["exam_id"], row["nodule_id"], row["file"]) for row in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"{folder / 'index.csv'} is missing or damaged ({error})") from error
    if lost := sum(not (folder / str(file)).is_file() for *_, file in rows):
        raise DataError(f"{folder}: {lost:,} of {len(rows):,} slices of index.csv are missing")
    counts = Counter(part for part, *_ in rows)
    nodules = len({(exam, nodule) for _, exam, nodule, _ in rows})
    return " + ".join(f"{counts[part]:,}" for part in PARTS) + f" slices of {nodules:,} nodules"


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
            folder="LungCT2D", source="K. Mader, Finding and Measuring Lungs in CT Data", layout=SCANS,
            count=_count_scans, official="187 + 27 + 53 scans", get=get_lung_ct,
            licence="unknown; research use only", left_out={"lung_052": AIR, "lung_134": AIR, "lung_254": AIR},
        ),
        ScanSet(
            name="thorax_slices",
            description="52 CT slices of 30 patients in Hounsfield units with lung masks, 13 without lungs",
            folder="ThoraxSlices", source="CT Medical Images (SIIM; TCGA-LUAD and TCGA-LUSC), masks drawn by us",
            layout=SCANS, count=_count_scans, licence="CC BY 3.0 as far as known", unavailable=UNPUBLISHED_MASKS,
        ),
        ScanSet(
            name="lidc_nodule", description="134 CT cubes around a lung nodule, with masks and malignancy ratings",
            folder="LIDCNodule", source=LIDC, layout=SCANS, count=_count_scans, licence="CC BY 3.0",
            official="94 + 20 + 20 scans", get=get_nodule_cubes,
        ),
        ScanSet(
            name="nodule_slices",
            description="5,043 slices of 882 lung nodules, benign or malignant; for the malignancy recipe",
            folder="LIDCNoduleSlices", source=LIDC, layout="index.csv, train, val, test",
            licence="CC BY 3.0", count=_count_slices, official="3,466 + 805 + 772 slices of 882 nodules",
            get=get_nodule_slices,
        ),
        *map(_task, TASKS),
    )
}  # fmt: skip
