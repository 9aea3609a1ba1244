"""The text sets by name, their splits; a user's own texts are a table (see `tables`).

Splits: "test" is the official test set; where there is none, one of ten stratified parts, chosen by `fold`, as in
ten-fold cross-validation. "val" is the official development set, or a stratified tenth of what is not test; "train" is
the rest, "train+val" both. Nothing is ever tuned on the test set. Texts that a user's table repeats are in one split.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnn_core.data.paths import custom_path
from cnn_core.data.splits import fold_out
from cnn_core.domain import DataSet, find_set, missing_set
from cnn_core.errors import DataError, unknown_name
from text_classification import docstrings
from text_classification.download import get_ag_news, get_trec, get_treebank
from text_classification.tables import Table, read_table, table_files

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "train+val", "test")
SPLIT_SEED = 20240501  # any number; changing it changes every fold and validation split
FOLDS = 10
PHRASES = "train_phrases"  # the training table with `phrases`
NAMED = 6  # classes that a description names


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


@dataclass(frozen=True, kw_only=True)
class Corpus(DataSet):
    """A named set: its classes and its tables.

    Args:
        labels: the K class names; empty: those that occur.
        parts: tables `<part>.tsv` in its folder with the columns label and text; "all" alone is cross-validated.
        has_phrases: there is a table of labelled phrases of the training sentences, too.
        embedded: reads a set that comes with the software.
    """

    labels: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("all",)
    has_phrases: bool = False
    embedded: Callable[[], Table] | None = field(default=None, repr=False)

    def read(self, folder: Path, parts: Sequence[str]) -> dict[str, Table]:
        """Return the tables of some parts.

        Raises:
            DataError: one of them is missing or damaged.
        """
        if self.embedded:
            return {"all": self.embedded()}
        for part in parts:
            if not (folder / f"{part}.tsv").is_file():
                raise missing_set(self, folder)
        return {part: read_table(folder / f"{part}.tsv", text_column="text", label_column="label") for part in parts}


def describe_table(path: Path, *, text_column: str, label_column: str) -> str:
    """Describe a table: texts, classes, how it was read, what was left out.

    Raises:
        DataError: it cannot be used for training.
    """
    notes = read_table(path, text_column=text_column, label_column=label_column).notes
    sets = load_sets(path, splits=("train", "val", "test"), text_column=text_column, label_column=label_column)
    labels = sets["train"].labels
    some = ", ".join(labels[:NAMED]) + (f" and {len(labels) - NAMED} more" if len(labels) > NAMED else "")
    total = sum(len(part) for part in sets.values())
    return " ".join((f"{total:,} texts in {len(labels)} classes: {some}.", *(f"{note.rstrip('.')}." for note in notes)))


def load_sets(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    fold: int = 0,
    phrases: bool = False,
    text_column: str | None = None,
    label_column: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> dict[str, TextSet]:
    """Load splits of a named set, or of a user's texts: a table, or a folder with train, (val) and test tables.

    What was guessed or left out in reading a user's texts is logged as warnings.

    Args:
        name_or_path: a name of `DATA_SETS`, or a path.
        splits: some of `SPLITS`, see the module.
        fold: 0 to 9: the tenth that is the test set where there is no official one.
        phrases: train on the labelled phrases of the sentences too, where there are some (the Stanford Treebank).
        text_column: of a user's table; None: guessed.
        label_column: likewise.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing or damaged; the message says what is expected where.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    if not 0 <= fold < FOLDS:
        raise DataError(f"fold: expected 0 to {FOLDS - 1}, got {fold}")
    known = find_set(DATA_SETS, name_or_path)
    if known is not None:
        tables = _read_named(known, data_root, phrases=phrases)
    else:
        tables = _read_custom(name_or_path, text_column, label_column)
    name = known.name if known else os.fspath(name_or_path)
    labels = (known and known.labels) or _labels(tables, name)
    parts = {part: _to_set(table, labels, name) for part, table in tables.items()}
    made = _split(parts, fold, keep_together=known is None)
    if "train" in splits and not len(made["train"]):
        raise DataError(f"{name}: too few different texts to hold some out and train on the rest; add more")
    return {split: replace(made[split], split=split) for split in splits}


def _read_named(known: Corpus, data_root: str | os.PathLike[str] | None, *, phrases: bool) -> dict[str, Table]:
    if phrases and not known.has_phrases:
        raise DataError(f"{known.name} has no labelled phrases; train on it with --no-phrases")
    tables = known.read(known.path(data_root), [*known.parts, PHRASES] if phrases else known.parts)
    if phrases:
        tables["train"] = tables.pop(PHRASES)
    return tables


def _read_custom(
    name_or_path: str | os.PathLike[str], text_column: str | None, label_column: str | None
) -> dict[str, Table]:
    expected = "a table of texts, or a folder with train.csv"
    path = custom_path(name_or_path, DATA_SETS, expected=expected, kinds=("file", "folder"))
    tables = {
        part: read_table(file, text_column=text_column, label_column=label_column)
        for part, file in table_files(path).items()
    }
    for table in tables.values():
        for note in table.notes:
            log.warning("%s", note)
    return tables


def _labels(tables: Mapping[str, Table], name: str) -> tuple[str, ...]:
    """Return the labels that occur, all of which the training table must have."""
    labels = sorted({label for table in tables.values() for label in table.labels})
    if len(labels) < 2:
        raise DataError(f"{name}: expected texts of at least two classes, found {labels or 'none'}")
    unlearned = sorted({*labels} - {*tables["train"].labels}) if "train" in tables else []
    if unlearned:
        raise DataError(f"{name}: no training text has the label {unlearned[0]!r}")
    return tuple(labels)


def _to_set(table: Table, labels: tuple[str, ...], name: str) -> TextSet:
    places = {label: k for k, label in enumerate(labels)}
    unknown = next((label for label in table.labels if label not in places), None)
    if unknown is not None:
        raise DataError(f"{name}: the label {unknown!r} is none of {', '.join(labels)}")
    targets = torch.tensor([places[label] for label in table.labels], dtype=torch.int64)
    return TextSet(name, "", labels, table.texts, targets)


def _split(parts: Mapping[str, TextSet], fold: int, *, keep_together: bool) -> dict[str, TextSet]:
    """Derive all splits from the given parts; `keep_together`: equal texts stay in one split."""

    def divide(texts: TextSet, fold: int) -> tuple[TextSet, TextSet]:
        groups = texts.texts if keep_together else None
        rest, held_out = fold_out(texts.targets.numpy(), folds=FOLDS, fold=fold, seed=SPLIT_SEED, groups=groups)
        return texts.subset(rest), texts.subset(held_out)

    learned, test = parts["train"] if "train" in parts else parts["all"], parts.get("test")
    if test is None:
        learned, test = divide(learned, fold)
    val = parts.get("val", parts.get("dev"))
    if val is None:
        train, val = divide(learned, 0)
    else:
        train = learned
        learned = replace(train, texts=train.texts + val.texts, targets=torch.cat([train.targets, val.targets]))
    return {"train": train, "val": val, "train+val": learned, "test": test}


def _corpus(name: str, description: str, *, source: str, **more: Any) -> Corpus:
    """Return a set of tables under `text/` of the data root."""

    def count(folder: Path) -> str:
        known = DATA_SETS[name]
        tables = known.read(folder, [*known.parts, PHRASES] if known.has_phrases else known.parts)
        return " + ".join(f"{len(tables[part].texts):,}" for part in known.parts) + " texts"

    files = ", ".join(f"{part}.tsv" for part in more.get("parts", ("all",)))
    return Corpus(
        **{"folder": f"text/{name}", **more},
        name=name,
        description=description,
        source=source,
        layout=f"{files} with the columns label and text",
        count=count,
    )


SENTIMENT = ("negative", "positive")
FINE_SENTIMENT = ("very_negative", "negative", "neutral", "positive", "very_positive")
QUESTIONS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
TOPICS = ("World", "Sports", "Business", "Sci_Tech")
PANG = "Pang and Lee, movie review data"
TREEBANK = "Socher et al., Stanford Sentiment Treebank"
ZHANG = "Zhang et al., AG's news topics"
LI_ROTH = "Li and Roth, question classification"
IN_THREE, IN_TWO = ("train", "dev", "test"), ("train", "test")

DATA_SETS: dict[str, Corpus] = {
    entry.name: entry
    for entry in (
        Corpus(
            name="docstrings", description="which part of Python's standard library a docstring comes from",
            licence="PSF licence", labels=docstrings.AREAS, embedded=docstrings.read,
        ),
        _corpus("mr", "10,662 sentences of film reviews, positive or negative, ten-fold", source=PANG,
                labels=SENTIMENT),
        _corpus("subj", "10,000 sentences, subjective or objective, ten-fold", source=PANG,
                labels=("subjective", "objective")),
        _corpus("cr", "3,771 sentences of customer reviews, positive or negative, ten-fold",
                source="Hu and Liu, opinion mining data", labels=SENTIMENT),
        _corpus("mpqa", "10,603 phrases of news, positive or negative, ten-fold", source="Wiebe, MPQA opinion corpus",
                labels=SENTIMENT),
        _corpus("sst1", "Stanford Sentiment Treebank, five grades; 8,544 + 1,101 + 2,210 sentences", source=TREEBANK,
                labels=FINE_SENTIMENT, parts=IN_THREE, has_phrases=True, official="8,544 + 1,101 + 2,210 texts",
                get=partial(get_treebank, labels=FINE_SENTIMENT)),
        _corpus("sst2", "Stanford Sentiment Treebank without neutral ones; 6,920 + 872 + 1,821 sentences",
                source=TREEBANK, labels=SENTIMENT, parts=IN_THREE, has_phrases=True,
                official="6,920 + 872 + 1,821 texts",
                get=partial(get_treebank, labels=("negative", "negative", None, "positive", "positive"))),
        _corpus("trec", "5,452 + 500 questions by what they ask for, 6 classes", source=LI_ROTH, labels=QUESTIONS,
                parts=IN_TWO, official="5,452 + 500 texts", get=get_trec),
        _corpus("trec_fine", "5,452 + 500 questions by what they ask for, 50 classes", source=LI_ROTH, parts=IN_TWO,
                official="5,452 + 500 texts", get=partial(get_trec, fine=True)),
        _corpus("ag_news", "news by topic, 4 classes; 10,000 of the 120,000 for training, 7,600 test",
                source=ZHANG, licence="non-commercial research", labels=TOPICS, parts=IN_TWO,
                folder="text/ag_news_10k"),
        _corpus("ag_news_full", "news by topic, 4 classes; all 120,000 for training, 7,600 test", source=ZHANG,
                licence="non-commercial research", labels=TOPICS, parts=IN_TWO, folder="text/ag_news",
                official="120,000 + 7,600 texts", get=partial(get_ag_news, labels=TOPICS)),
    )
}  # fmt: skip
