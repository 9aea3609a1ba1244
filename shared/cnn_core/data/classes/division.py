"""Which of a user's own items are for training, validation and test: copies and groups stay on one side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cnn_core.data.classes.listing import Kind
from cnn_core.data.copies import together
from cnn_core.data.splits import hold_out
from cnn_core.data.summary import counted
from cnn_core.errors import DataError

TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of the items of a class
ENOUGH_GROUPS = 5  # of a class, from which on its subfolders are kept together
MIXED = -1  # class of a group that holds several
NAMED = 3  # pairs that a sentence names


@dataclass(frozen=True)
class SplitOptions:
    """How a user wants the items divided and their labels read.

    Args:
        groups: what stays together: "auto" the subfolders of class folders where every class has enough of them,
            "folder" they do in any case, "none".
        group_column: of a table of labels: items of equal values stay together.
        label_column: of a table of labels; None: guessed.
        test: a folder of test items, a text file of their names, or how many of each class, as a share or a number.
    """

    groups: Literal["auto", "folder", "none"] = "auto"
    group_column: str | None = None
    label_column: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class Items:
    """Items before they are divided.

    Args:
        kind: what they are called.
        targets: int64 [N].
        names: N, unlike.
        given: of each the split that it is given for; "train" may still be divided.
        groups: of each its group, None: it has none.
        labels: K class names.
        same: of each the number of the first one with the same content, int64 [N].
        near: pairs of near copies, int64 [P, 2].
    """

    kind: Kind
    targets: np.ndarray
    names: Sequence[str]
    given: Sequence[str]
    groups: Sequence[str | None]
    labels: Sequence[str]
    same: np.ndarray
    near: np.ndarray = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Division:
    """Split -> indices of items (train, val, test), how they came about, and what lowers the trust in them."""

    members: Mapping[str, np.ndarray]
    divided: str
    read: tuple[str, ...]
    warnings: tuple[str, ...]


def divide(items: Items, options: SplitOptions, *, validation: bool = True) -> Division:
    """Divide items; splits that are not given get their share of each class of train.

    Args:
        items: all of them.
        options: of the user.
        validation: whether the validation split is used, and so is worth a word.

    Raises:
        DataError: more test items are wanted than a class has, or all of them stay together.
    """
    given = np.array(items.given)
    there = {str(split) for split in np.unique(given)}
    copies = np.concatenate([np.stack([np.arange(len(items)), items.same], axis=1), items.near])
    units = together(len(items), copies)
    warnings = [*_contradictions(items, units), *_crossing(items, units)]
    shares = {} if "test" in there else {"test": _test_share(options.test, items.kind)}
    shares |= {} if "val" in there else {"val": VAL_SHARE}
    train = np.flatnonzero(given == "train")
    parts, said, more = _held_out(items, train, copies, shares, options)
    members = {split: np.flatnonzero(given == split) for split in ("train", "val", "test")} | parts
    if "test" in shares and said and not len(members["test"]):
        raise DataError(
            f"no test {items.kind.many} can be held out: {said[0]}; expected at least two for each class, or a test "
            "that is named with --test"
        )
    clauses = [f"as given in {', '.join(sorted(there - {'train'}))}"] if there - {"train"} else []
    clauses += [
        f"{_words(split, share, items.kind)} of each class"
        for split, share in shares.items()
        if validation or split == "test"
    ]
    read = _said_of_copies(items, divided=bool(shares))
    return Division(members, "; ".join([*clauses, *said]), tuple(read), (*warnings, *more))


def _held_out(
    items: Items, train: np.ndarray, copies: np.ndarray, shares: Mapping[str, float], options: SplitOptions
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Return split -> indices of `items`, clauses on how, and warnings."""
    if not len(train):
        return {}, [], []
    place = np.full(len(items), -1)
    place[train] = np.arange(len(train))
    pairs = place[copies]
    pairs = pairs[(pairs >= 0).all(1)]
    targets = items.targets[train]
    groups = [items.groups[i] for i in train]
    kept, said = _wanted_groups(groups, items, targets, options)
    units = together(len(train), pairs, kept)
    needed, warnings = len(shares) + 1, []
    for label in np.unique(targets):
        own = targets == label
        if len(np.unique(units[own])) < min(needed, int(own.sum())) and kept is not groups:
            warnings.append(
                f"the {own.sum()} {items.kind.many} of {items.labels[label]!r} are copies of "
                f"{len(np.unique(units[own]))}, too few to divide: its test {items.kind.many} "
                f"are copies of training {items.kind.many}, and its figures mean nothing"
            )
            units[own] = units.max() + 1 + np.arange(own.sum())
    _, first = np.unique(units, return_index=True)
    unit_of = np.searchsorted(np.unique(units), units)
    part = np.zeros(len(first), dtype=np.int64)
    classes = targets[first]  # of each unit
    classes[unit_of[targets != classes[unit_of]]] = MIXED
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        keys = [items.names[train[first[i]]] for i in members]
        there = len(members), repr(items.labels[label])
        if label == MIXED:
            inside = targets[np.isin(unit_of, members)]
            there = len(inside) // len(np.unique(inside)), "what is in groups of several classes"
        numbers = [_number(share, *there, items.kind) for share in shares.values()]
        held = hold_out(np.zeros(len(members), dtype=np.int64), numbers, keys=keys)
        for number, indices in enumerate(held):
            part[members[indices]] = number
    return {split: train[part[unit_of] == k] for k, split in enumerate(["train", *shares])}, said, warnings


def _number(share: float, count: int, label: str, kind: Kind) -> float:
    """Return the share of `count` that is held out for a share (below 1) or a number of each class."""
    if share < 1:
        return share
    if share >= count:
        raise DataError(
            f"--test {share:.0f} asks for {share:.0f} test {kind.many} of each class, {label} has {count} to "
            "divide; ask for fewer, or for a share such as --test 0.2"
        )
    return share / count


def _wanted_groups(
    groups: list[str | None], items: Items, targets: np.ndarray, options: SplitOptions
) -> tuple[list[str | None], list[str]]:
    """Return the group of each item as far as it is kept together, and a clause that says so."""
    nothing: list[str | None] = [None] * len(groups)
    names = sorted({group for group in groups if group is not None})
    if not names or (options.groups == "none" and not options.group_column):
        return nothing, []
    kinds = f"values of {options.group_column}" if options.group_column else "subfolders of the classes"
    if options.group_column or options.groups == "folder":
        return groups, [f"{items.kind.many} of the {counted(len(names), kinds)} stay together"]
    alone = [i if group is None else group for i, group in enumerate(groups)]
    units = [len({alone[i] for i in np.flatnonzero(targets == label)}) for label in np.unique(targets)]
    if min(units) >= ENOUGH_GROUPS and len(names) >= ENOUGH_GROUPS:
        return groups, [f"{items.kind.many} of the {len(names)} {kinds} stay together (--groups none divides them)"]
    few = f"the {len(names)} {kinds} are too few to stay together (--groups folder keeps them so)"
    return nothing, [few]


def _test_share(test: str | None, kind: Kind) -> float:
    """Return which share (below 1) or number of each class is for the test."""
    if test is None:
        return TEST_SHARE
    try:
        share = float(test)
    except ValueError:
        share = 0.0
    if share <= 0 or (share >= 1 and share != int(share)):
        raise DataError(
            f"--test expects a folder of test {kind.many}, a text file of their names, a share such as 0.2 or a number "
            f"of {kind.many} per class, got {test!r}"
        )
    return share


def is_share(test: str | None) -> bool:
    """Tell whether the wish is a share or a number, not a place."""
    try:
        return test is None or float(test) > 0
    except ValueError:
        return False


def _words(split: str, share: float, kind: Kind) -> str:
    part = f"{share:.0f} {kind.many}" if share >= 1 else {0.2: "a fifth", 0.1: "a tenth"}.get(share, f"{share:.0%}")
    return f"{split} {part}" if split == "test" else f"validation {part}"


def _said_of_copies(items: Items, *, divided: bool) -> list[str]:
    """Say how many items are copies of earlier ones."""
    exact = {int(i) for i in np.flatnonzero(items.same != np.arange(len(items)))}
    later = {int(b) for _, b in items.near} - exact
    if not exact and not later:
        return []
    kinds = [f"{len(found):,} {kind}" for kind, found in (("exact", exact), ("near", later)) if found]
    copies = "copy" if len(exact) + len(later) == 1 else "copies"
    apart = f": a {items.kind.one} and its copies stay on one side of a split" if divided else ""
    return [f"{' and '.join(kinds)} {copies} among the {items.kind.many}{apart}"]


def _contradictions(items: Items, units: np.ndarray) -> list[str]:
    """Say which items are in several classes."""
    first: dict[int, int] = {}  # unit -> its first item
    found: dict[int, set[int]] = {}
    shown = []
    for i, unit in enumerate(units.tolist()):
        one = first.setdefault(unit, i)
        if items.targets[i] != items.targets[one]:
            found.setdefault(unit, {one}).add(i)
            shown.append(f"{items.names[one]} and {items.names[i]}")
    if not found:
        return []
    count = sum(map(len, found.values()))
    more = ", ..." if len(shown) > NAMED else ""
    pairs = ", ".join(shown[:NAMED])
    return [
        f"{count:,} {items.kind.many} contradict each other, the same {items.kind.one} in several classes: "
        f"{pairs}{more}"
    ]


def _crossing(items: Items, units: np.ndarray) -> list[str]:
    """Say how many items of a given test are copies of items given for training."""
    given, said = np.array(items.given), []
    for split, name in (("test", "test"), ("val", "validation")):
        held = units[given == split]
        copies = int(np.isin(held, units[given == "train"]).sum())
        if copies:
            said.append(
                f"{copies:,} of the {len(held):,} {name} {items.kind.many} are copies of training {items.kind.many}, "
                f"which flatters the "
                f"{name} figures"
            )
    return said
