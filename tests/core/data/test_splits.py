"""The one splitter: hand-worked shares, the same for ever, groups together, keys in any order."""

import hashlib

import numpy as np
import pytest

from cnn_core.data.splits import fold_out, hold_out, said_folds, said_splits
from cnn_core.errors import DataError


def test_a_seeded_split_is_the_same_for_ever():
    targets = np.arange(30) % 3
    rest, held = hold_out(targets, [1 / 3], seed=20240501)
    assert np.bincount(targets[held]).tolist() == [3, 3, 3]
    assert sorted([*rest, *held]) == list(range(30))
    held = hold_out(np.arange(1000) % 10, [0.1], seed=20240501)[1]
    # Written down once, so that a change of algorithm is noticed: it would change every validation split.
    assert hashlib.sha256(held.astype("<i8").tobytes()).hexdigest()[:16] == "a868f8fd1bf8a482"


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (10, [7, 2, 1]), (20, [14, 4, 2])]
)
def test_every_part_gets_an_item_before_any_gets_two(count: int, expected: list[int]):
    assert [len(part) for part in hold_out(np.zeros(count, int), [0.2, 0.1])] == expected


def test_keys_decide_and_not_the_order():
    names = [f"{number}.png" for number in range(40)]
    targets = np.arange(40) % 2
    _, held = hold_out(targets, [0.25], keys=names)
    order = np.random.default_rng(0).permutation(40)
    _, again = hold_out(targets[order], [0.25], keys=[names[i] for i in order])
    assert {names[i] for i in held} == {names[order[i]] for i in again}
    first = sorted(range(0, 40, 2), key=lambda i: hashlib.sha256(names[i].encode()).digest())[:5]  # of class 0
    assert set(first) <= set(held.tolist())


def test_groups_stay_together():
    groups = [f"patient {i % 13}" for i in range(100)]
    targets = np.array([i % 13 % 2 for i in range(100)])
    parts = hold_out(targets, [0.3, 0.2], groups=groups)
    found = [{groups[i] for i in part} for part in parts]
    assert sum(map(len, parts)) == 100 and all(found)
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])
    rest, fold = fold_out(targets, folds=5, fold=2, groups=groups)
    assert not {groups[i] for i in rest} & {groups[i] for i in fold}


def test_folds_cover_and_have_the_same_share_of_each_class():
    targets = np.array([0] * 23 + [1] * 7 + [2] * 11)
    folds = [fold_out(targets, folds=10, fold=k, seed=1)[1] for k in range(10)]
    assert sorted(np.concatenate(folds)) == list(range(41))
    for label, count in enumerate([23, 7, 11]):
        shares = [(targets[fold] == label).sum() for fold in folds]
        assert set(shares) <= {count // 10, count // 10 + 1}
    assert {len(fold) for fold in folds} == {4, 5}  # small classes do not all leave out the last parts


def test_a_column_says_splits_by_its_name_and_by_what_is_in_it():
    assert said_splits("Data Split", ["train", "", "dev"], table="a.csv") == ["train", "", "val"]
    assert said_splits("split", ["0", "1", "2"], table="a.csv") is None  # folds
    assert said_splits("set", ["red", "blue", "train"], table="a.csv") is None
    assert said_splits("kind", ["train", "test"], table="a.csv") is None
    with pytest.raises(DataError, match=r"a\.csv: expected train, val or test in the column 'split', got 'learning'"):
        said_splits("split", ["learning", "holdout"], table="a.csv")


def test_folds_make_one_split_where_training_has_every_label():
    cells, labels = ["1", "2", "10", "", "10"], ["a", "b", "a", "b", "b"]
    splits = (["train", "val", "test", "", "test"], "fold 10 of column 'Fold' is the test, fold 2 the validation")
    assert said_folds("Fold", cells, labels) == splits
    assert said_folds("fold_id", ["fold0", "fold1", "fold0"], ["a", "a", "b"]) == (
        ["train", "test", "train"], "fold 1 of column 'fold_id' is the test",
    )  # fmt: skip
    assert said_folds("fold", cells, [*"abcbb"]) is None  # nothing would be learned of c
    assert said_folds("fold", ["train", "test"], [*"aa"]) is None and said_folds("fold", ["1", "1"], [*"aa"]) is None
    assert said_folds("take", ["1", "2", "3"], [*"aaa"]) is None
