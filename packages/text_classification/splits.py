"""Text sets, and how one is divided into training, validation and test texts."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from cnn_core.data.splits import fold_out, hold_out
from cnn_core.errors import DataError

SPLIT_SEED = 20240501  # any number; changing it changes every fold and validation split
FOLDS = 10


@dataclass(frozen=True)
class TextSet:
    """One split of a labelled text set.

    Args:
        name: of the set, as in `DATA_SETS`, or the table's path.
        split: one of `SPLITS`.
        labels: the K class names; target k means `labels[k]`.
        texts: N texts.
        targets: int64 [N] in 0..K-1.
    """

    name: str
    split: str
    labels: tuple[str, ...]
    texts: list[str] = field(repr=False)
    targets: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.targets):
            raise DataError(f"{self.name}: {len(self.texts)} texts for {len(self.targets)} labels")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray) -> "TextSet":
        """Return the texts at `indices`, in that order."""
        texts = [self.texts[i] for i in indices]
        return replace(self, texts=texts, targets=self.targets[torch.from_numpy(indices)])


@dataclass(frozen=True)
class Reading:
    """How a user's texts are read and divided.

    Args:
        text_column: of a table; None: guessed.
        label_column: likewise.
        group_column: rows with the same value in it stay in one split; None: there is none.
        test: a table for the test set, or how much of the texts it is: a share (0.2) or a number (500); None: a
            tenth, by `fold`.
        fold: 0 to 9: the tenth that is the test set where there is no official one.
    """

    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    test: str | None = None
    fold: int = 0


def split_parts(
    parts: Mapping[str, TextSet], reading: Reading, groups: Mapping[str, Sequence[Hashable]]
) -> dict[str, TextSet]:
    """Derive all splits from the given parts; of those with groups, equal groups stay in one split."""
    pool = "train" if "train" in parts else "all"
    learned, test, val = parts[pool], parts.get("test"), parts.get("val", parts.get("dev"))
    kept: Sequence[Hashable] | None = groups.get(pool)
    if test is None:
        targets = learned.targets.numpy()
        if reading.test and (amount := amount_of(reading.test)) is not None:
            share = amount if amount < 1 else amount / len(learned)
            if not 0 < share < 1:
                raise DataError(f"test: expected a share or number of the {len(learned):,} texts, got {reading.test}")
            rest, inside = hold_out(targets, [share], seed=SPLIT_SEED, groups=kept)
        else:
            rest, inside = fold_out(targets, folds=FOLDS, fold=reading.fold, seed=SPLIT_SEED, groups=kept)
        learned, test = learned.subset(rest), learned.subset(inside)
        kept = kept and [kept[i] for i in rest]
    if val is None:
        rest, inside = fold_out(learned.targets.numpy(), folds=FOLDS, fold=0, seed=SPLIT_SEED, groups=kept)
        train, val = learned.subset(rest), learned.subset(inside)
    else:
        train = learned
        learned = replace(train, texts=train.texts + val.texts, targets=torch.cat([train.targets, val.targets]))
    made = {"train": train, "val": val, "train+val": learned, "test": test}
    return {split: replace(texts, split=split) for split, texts in made.items()}


def amount_of(test: str) -> float | None:
    """Return the share or number of texts that `test` says, None where it is a path."""
    try:
        return float(test)
    except ValueError:
        return None
