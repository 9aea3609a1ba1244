"""Lung nodules, benign or malignant: cut-out slices (2-D) or cubes of a CT (3-D), scored per nodule.

A nodule may have several pictures; its score is their mean. Exams (patients) are never divided between the splits: a
table that does so is refused, and folds are made of whole exams.
Ratings are radiologists' opinions, not pathology, and follow the size closely: the size alone is always measured too.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from cnn_core.data.frames import frame_notes
from cnn_core.data.images import read_image
from cnn_core.errors import DataError
from cnn_core.validation import Positive
from cnn_core.weights.card import Contract, Tuple, contract
from cnn_core.weights.members import content_hashes
from medical_segmentation.cases import FOLDS, PARTS, listed
from medical_segmentation.data import SPLIT_SEED, locate
from medical_segmentation.scan import read_scan

LABELS = ("benign", "malignant")
EDGE = 64  # pixels of a slice as published
LARGEST_EDGE = 4096  # pixels of a picture that is read at all
HU = (-1200.0, 400.0)  # of the cubes, as published
SLICE_COLUMNS = ("file", "exam_id", "nodule_id", "label", "diameter_mm", "split")
CUBE_COLUMNS = ("case", "patient_index", "split", "class3", "mask_voxels")


@contract
class NoduleContract(Contract):
    """How a picture of a nodule becomes the network's input; stored as `input` in the weights card.

    Args:
        dims: 2: slices, grey values outside the nodule 0; 3: cubes of a CT in HU, the nodule in the middle.
        size: edges of the part around the middle that is seen, in pixels or voxels.
        low: value that becomes 0 on the unit scale; 0 for slices.
        high: value that becomes 1; 255 for slices.
        mean: of the training set on the unit scale; becomes 0 for the network.
        std: likewise; becomes 1.
        mirror: average the predictions over mirror images.
        slope: of the calibration: probability = sigmoid(slope * score + offset), fitted on the validation split.
        offset: likewise.
    """

    dims: Literal[2, 3]
    size: Annotated[tuple[Annotated[int, Field(ge=1, le=512)], ...], Tuple]
    low: float
    high: float
    mean: float
    std: Positive
    mirror: bool = False
    slope: Positive = 1.0
    offset: float = 0.0

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if len(self.size) != self.dims:
            raise ValueError(f"size: expected {self.dims} edges, got {self.size}")
        if not self.low < self.high:
            raise ValueError(f"expected low < high, got {self.low:g}, {self.high:g}")
        return self

    @property
    def in_channels(self) -> int:
        return 1

    def cut(self, picture: np.ndarray) -> Tensor:
        """Return the part around the middle as bytes on the unit scale: `[*S] -> uint8 [1, *size]`."""
        scaled = (picture.astype(np.float32).clip(self.low, self.high) - self.low) / (self.high - self.low) * 255
        out = np.zeros(self.size, np.uint8)
        source, target = [], []
        for edge, wanted in zip(picture.shape, self.size, strict=True):
            begin = (edge - wanted) // 2
            source.append(slice(max(0, begin), max(0, begin) + min(edge, wanted)))
            target.append(slice(max(0, -begin), max(0, -begin) + min(edge, wanted)))
        out[tuple(target)] = scaled.round().astype(np.uint8)[tuple(source)]
        return torch.from_numpy(out)[None]

    def values(self, picture: np.ndarray) -> np.ndarray:
        """Convert bytes on the unit scale back to grey values, or HU to within 4: `uint8 -> int16`."""
        return (picture / 255 * (self.high - self.low) + self.low).round().astype(np.int16)

    def inputs(self, x: Tensor) -> Tensor:
        """Return the network's inputs for pictures on the unit scale, `[B, 1, *size]`."""
        return (x - self.mean) / self.std


@dataclass(frozen=True, eq=False)
class NoduleSet:
    """Pictures of nodules.

    Args:
        pictures: uint8 [N, 1, *size].
        nodule: [N] which nodule each shows, 0 to M - 1.
        names: M texts.
        exams: M texts: the exam (patient) of each nodule.
        targets: int64 [M], 1 malignant.
        sizes: float [M], the size of each nodule, the baseline.
        size_name: what `sizes` measures.
    """

    name: str
    split: str
    pictures: Tensor = field(repr=False)
    nodule: np.ndarray = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    exams: tuple[str, ...] = field(repr=False)
    targets: np.ndarray = field(repr=False)
    sizes: np.ndarray = field(repr=False)
    size_name: str = "diameter"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def contents(self) -> np.ndarray:
        """Hashes of the pictures of each nodule, as the network sees them: uint64 [M]."""
        pictures = self.pictures.numpy()
        return content_hashes(pictures[self.nodule == k].tobytes() for k in range(len(self)))

    def subset(self, chosen: np.ndarray) -> Self:
        """Return the nodules of these indices, in their order."""
        kept = np.isin(self.nodule, chosen)
        place = np.full(len(self), -1)
        place[chosen] = np.arange(len(chosen))
        return replace(
            self, pictures=self.pictures[torch.from_numpy(kept)], nodule=place[self.nodule[kept]],
            names=tuple(self.names[i] for i in chosen), exams=tuple(self.exams[i] for i in chosen),
            targets=self.targets[chosen], sizes=self.sizes[chosen],
        )  # fmt: skip


@dataclass(frozen=True)
class _Row:
    """One nodule of a table: its pictures as files."""

    name: str
    exam: str
    target: int
    size: float
    split: str
    files: tuple[Path, ...]


def load_nodules(
    name_or_path: str, contract: NoduleContract, *, splits: Sequence[str], fold: int | None = None
) -> dict[str, NoduleSet]:
    """Load splits of nodule pictures: a named set, or a folder with index.csv (slices) or labels.csv (cubes).

    Args:
        name_or_path: a set's name or a folder.
        contract: what is cut out of each picture.
        splits: some of "train", "val", "train+val", "test", and "all", whatever the table says.
        fold: 0 to 4: the fifth of the exams that is the test set; None: the table's own split.

    Raises:
        UnknownNameError: neither a known name nor an existing folder.
        DataError: a table or picture is missing or damaged; all problems of the table's rows are listed. Or, without
            `fold`, exams are in several splits.
    """
    name, folder, _ = locate(name_or_path)
    rows = _slice_rows(folder) if contract.dims == 2 else _cube_rows(folder)
    if tuple(splits) == ("all",):
        parts = dict.fromkeys((row.name for row in rows), "all")
    else:
        parts = _table_split(rows, folder) if fold is None else _folds(rows, fold)
    size_name = "diameter" if contract.dims == 2 else "mask volume"
    sets = {}
    for split in splits:
        chosen = [row for row in rows if parts[row.name] in split.split("+")]
        if not chosen or len({row.target for row in chosen}) < 2:
            raise DataError(f"{name}: the {split} split must hold nodules of both kinds, it has {len(chosen)} nodules")
        pictures = [contract.cut(read_picture(file, contract.dims)) for row in chosen for file in row.files]
        nodule = np.repeat(np.arange(len(chosen)), [len(row.files) for row in chosen])
        sets[split] = NoduleSet(
            name, split, torch.stack(pictures), nodule, tuple(row.name for row in chosen),
            tuple(row.exam for row in chosen), np.array([row.target for row in chosen]),
            np.array([row.size for row in chosen]), size_name,
        )  # fmt: skip
    return sets


def read_picture(file: Path, dims: int) -> np.ndarray:
    """Read a slice as grey values uint8 [H, W], or a cube as HU [X, Y, Z].

    Slices of more than 8 bits are scaled from their own smallest and largest value to 0..255 (see `read_image`).

    Raises:
        DataError: it is missing, damaged, or of another kind.
    """
    if dims == 3:
        return read_scan(file).voxels
    try:
        picture = read_image(file, name=file.name)
    except DataError as error:
        raise DataError(f"{error}; expected a picture of a cut-out nodule slice (PNG)") from error
    if notes := frame_notes(picture):
        raise DataError(f"{file.name}: expected one slice a file, but {notes[0]}")
    if max(picture.size) > LARGEST_EDGE:
        raise DataError(f"{file.name}: {picture.size} pixels, expected a cut-out nodule of about {EDGE} x {EDGE}")
    return np.asarray(picture.convert("L"))


def _read_table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    if not file.is_file():
        raise DataError(f"{file.parent}: no {file.name}, expected a table with the columns {', '.join(columns)}")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read ({error}); expected a CSV table in UTF-8") from error
    missing = [column for column in columns if not rows or rows[0].get(column) is None]
    if missing:
        raise DataError(f"{file}: the columns {', '.join(missing)} are missing or there are no rows")
    return rows


def _slice_rows(folder: Path) -> list[_Row]:
    """Gather the slices of each nodule: label and split are the same in all its rows, the size is that of the first."""
    gathered: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in _read_table(folder / "index.csv", SLICE_COLUMNS):
        gathered.setdefault((row["exam_id"], row["nodule_id"]), []).append(row)
    problems, rows = [], []
    for (exam, nodule), group in gathered.items():
        name, first = f"{exam}_{nodule}", group[0]
        if any((r["label"], r["split"]) != (first["label"], first["split"]) for r in group):
            problems.append(f"{name}: its slices differ in label or split")
        size = _number(first["diameter_mm"])
        files = tuple(folder / r["file"] for r in group)
        if first["label"] not in ("0", "1") or size is None:
            problems.append(f"{name}: expected the label 0 or 1 and a diameter in mm, got {first['label']!r:.20}")
        elif not all(f.resolve().is_relative_to(folder.resolve()) for f in files):
            problems.append(f"{name}: a file is outside the folder")
        else:
            rows.append(_Row(name, exam, int(first["label"]), size, first["split"], files))
    if problems:
        raise DataError(f"{folder / 'index.csv'}: {'; '.join(problems[:20])}")
    return rows


def _cube_rows(folder: Path) -> list[_Row]:
    """Take the decided nodules: ratings 1 and 2 are benign, 4 and 5 malignant."""
    rows = []
    for row in _read_table(folder / "labels.csv", CUBE_COLUMNS):
        size = _number(row["mask_voxels"])
        if row["class3"] in LABELS and size is not None:
            file = folder / "imagesTr" / f"{Path(row['case']).name}.nii.gz"
            target = LABELS.index(row["class3"])
            rows.append(_Row(row["case"], row["patient_index"], target, size, row["split"], (file,)))
    return rows


def _table_split(rows: Sequence[_Row], folder: Path) -> dict[str, str]:
    """Return the split of each nodule as the table has it.

    Raises:
        DataError: exams are in several splits.
    """
    splits_of_exam: dict[str, set[str]] = {}
    for row in rows:
        if row.split in PARTS:
            splits_of_exam.setdefault(row.exam, set()).add(row.split)
    divided = [f"{exam} ({', '.join(sorted(parts))})" for exam, parts in splits_of_exam.items() if len(parts) > 1]
    if divided:
        raise DataError(
            f"{folder}: each exam must be in one split, or test cases are trained on; in several are "
            f"{listed(divided)}; correct the table or give a fold"
        )
    return {row.name: row.split for row in rows}


def _folds(rows: Sequence[_Row], fold: int) -> dict[str, str]:
    """Deal the exams out to five parts: part `fold` is the test set, the next one the validation split."""
    exams = sorted({row.exam for row in rows})
    places = np.random.default_rng(SPLIT_SEED).permutation(len(exams)) % FOLDS
    part = dict(zip(exams, places.tolist(), strict=True))
    names = {fold: "test", (fold + 1) % FOLDS: "val"}
    return {row.name: names.get(part[row.exam], "train") for row in rows}


def _number(text: str | None) -> float | None:
    """Return a number of at least 0; None for anything else, also where a row ends before its column."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None
