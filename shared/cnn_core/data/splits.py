"""The one splitter: training, validation and test items, alike in their classes, with groups kept together.

Published sets are divided by a seeded permutation of their official order; a user's own data by keys, such as their
names or contents, so that the same items are divided in the same way in whatever order they come.
"""

import hashlib
import re
from collections.abc import Hashable, Sequence

import numpy as np

from cnn_core.errors import DataError

SPLIT_NAMES = {  # what people call the parts of a data set that is divided already
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
    "restval": "train",  # Karpathy's name for the rest of COCO's validation
}  # fmt: skip
SPLIT_COLUMNS = (  # names, letters alone
    "split", "set", "subset", "part", "partition", "dataset", "usage", "fold", "phase",
)  # fmt: skip
FOLD_COLUMNS = ("fold", "folds", "foldid", "foldnumber", "kfold", "cvfold")  # likewise
MOST_FOLDS = 20


def split_of_folder(name: str) -> str | None:
    """Return the part of the data that a folder is called like: `Testing -> test`, `train2017 -> train`."""
    return SPLIT_NAMES.get(re.sub(r"[\W\d_]+$", "", name.lower()))


def may_say_splits(column: str) -> bool:
    """Tell by the name of a column whether it may say which part of the data a row belongs to."""
    name = re.sub(r"[\W_]", "", column.lower())
    return "split" in name or name in SPLIT_COLUMNS or name in FOLD_COLUMNS


def said_splits(column: str, cells: Sequence[str], *, table: str) -> list[str] | None:
    """Return what a table says of every row: "train", "val" or "test", "" for an empty cell; None: nothing.

    A column says so by its name, and where at least half of the cells that are filled are names of a part; one that is
    called split in any case, unless it holds numbers.

    Args:
        column: its name.
        cells: one of each row.
        table: the file's name, for messages.

    Raises:
        DataError: another word stands among these names.
    """
    if not may_say_splits(column):
        return None
    words = [cell.strip().lower() for cell in cells]
    filled = [word for word in words if word]
    known = sum(word in SPLIT_NAMES for word in filled)
    is_meant = column.strip().lower() == "split" and not all(word.isdecimal() for word in filled)
    if not is_meant and (not known or 2 * known < len(filled)):
        return None
    other = next((word for word in filled if word not in SPLIT_NAMES), None)
    if other is not None:
        count = len(filled) - known
        raise DataError(
            f"{table}: expected train, val or test in the column {column!r}, got {other[:40]!r} ({count:,} of "
            f"{len(words):,} rows are none of these); correct them, or rename the column if it says something else"
        )
    return [SPLIT_NAMES.get(word, "") for word in words]


def is_fold(column: str) -> bool:
    """Tell by the name of a column whether it holds the folds of a cross-validation."""
    return re.sub(r"[\W_]", "", column.lower()) in FOLD_COLUMNS


def said_folds(column: str, cells: Sequence[str], labels: Sequence[str]) -> tuple[list[str], str] | None:
    """Return the split of every row by the folds of a cross-validation, and a clause on it; None: there are none.

    The last fold is the test and, of three or more, the one before it the validation, as publishers divide by folds
    what must not be torn apart. Rows without a number are for training. There are none, too, where the training rows
    would lack a label.

    Args:
        column: its name.
        cells: one of each row: 1, 2, ... or fold1, fold2, ...
        labels: likewise.
    """
    if not is_fold(column):
        return None
    numbers = [re.sub(r"\.0$", "", re.sub(r"^fold[ _-]*", "", cell.strip().lower())) for cell in cells]
    filled = {number for number in numbers if number}
    if not all(map(str.isdecimal, filled)) or not 2 <= len(filled) <= MOST_FOLDS:
        return None
    *rest, before, last = sorted(filled, key=int)
    parts = {last: "test"} | ({before: "val"} if rest else {})
    splits = [parts.get(number, "train" if number else "") for number in numbers]
    learned = {label for label, split in zip(labels, splits, strict=True) if split in ("train", "")}
    if not {*labels} <= {*learned, ""}:
        return None
    validation = f", fold {before} the validation" if rest else ""
    return splits, f"fold {last} of column {column!r} is the test{validation}"


def hold_out(
    targets: np.ndarray,
    shares: Sequence[float],
    *,
    seed: int = 0,
    keys: Sequence[str | bytes] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> list[np.ndarray]:
    """Divide 0..N-1 into `[rest, held out 1, held out 2, ...]`, each ascending.

    Of each class with n items `round(n * share)` are held out, at least one, while one is left for the rest.

    Args:
        targets: int [N], the class of each item; zeros where there are no classes.
        shares: of all items, one for each part that is held out, together less than 1.
        seed: of the permutation within each class, the same on every machine and version: NumPy guarantees the stream
            of RandomState.
        keys: N texts; items are held out by the order of their hashes instead of by the seed.
        groups: N values; items of equal ones stay together, with the class of their first.
    """
    units, first = _units(len(targets), groups)
    classes = np.asarray(targets)[first]
    random = np.random.RandomState(seed)
    part = np.zeros(len(first), dtype=np.int64)
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        if keys is None:
            order = random.permutation(members)
        else:
            order = np.array(sorted(members, key=lambda i: _hash(keys[int(first[i])])))
        begin = 0
        for number, share in enumerate(shares, start=1):
            count = min(max(1, round(len(order) * share)), len(order) - begin - 1)
            part[order[begin : begin + count]] = number
            begin += count
    return [np.flatnonzero(part[units] == number) for number in range(len(shares) + 1)]


def fold_out(
    targets: np.ndarray, *, folds: int, fold: int, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Divide 0..N-1 into `(rest, fold)`, both ascending: one of `folds` parts with the same share of every class.

    The parts of one set are disjoint and cover it; `seed` and `groups` as in `hold_out`.
    """
    units, first = _units(len(targets), groups)
    classes = np.asarray(targets)[first]
    random = np.random.default_rng(seed)
    part = np.empty(len(first), dtype=np.int64)
    begin = 0
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        # Classes go round from where the last one ended, so that small classes do not all leave out the last parts.
        part[random.permutation(members)] = (begin + np.arange(len(members))) % folds
        begin += len(members)
    return np.flatnonzero(part[units] != fold), np.flatnonzero(part[units] == fold)


def _units(count: int, groups: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit of each item, and the first item of each unit."""
    if groups is None:
        return np.arange(count), np.arange(count)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    units = np.array([numbers[group] for group in groups], dtype=np.int64)
    return units, np.unique(units, return_index=True)[1]


def _hash(key: str | bytes) -> bytes:
    return hashlib.sha256(key.encode(errors="replace") if isinstance(key, str) else key).digest()
