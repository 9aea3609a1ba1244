"""The text sets by name, their splits; own texts are a table (see `own`).

Splits: "test" is the official test set; where there is none, one of ten stratified parts, chosen by `fold`, as in
ten-fold cross-validation. "val" is the official development set, or a stratified tenth of what is not test; "train" is
rest, "train+val" both. Nothing is ever tuned on the test set. Texts that an own table repeats are in one split.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.data import files
from cnn_core.data.paths import own_path
from cnn_core.errors import DataError, unknown_name
from text_classification import docstrings
from text_classification.own import Table, read_table, table_files

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "train+val", "test")
SPLIT_SEED = 20240501  # any number; changing it changes every fold and validation split
FOLDS = 10
VAL_FRACTION = 0.1
NAMED = 6  # classes that are called by their names

SENTIMENT = ("negative", "positive")
FINE_SENTIMENT = ("very_negative", "negative", "neutral", "positive", "very_positive")
QUESTIONS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
TOPICS = ("World", "Sports", "Business", "Sci_Tech")


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

    def subset(self, indices: np.ndarray, *, split: str) -> "TextSet":
        """Return the texts at `indices`, in that order, as a split of its own."""
        texts = [self.texts[i] for i in indices]
        return replace(self, split=split, texts=texts, targets=self.targets[torch.from_numpy(indices)])


@dataclass(frozen=True)
class DataSet:
    """One line of the table: what a set is, and how it is read.

    Args:
        parts: official parts in its folder; "all" alone is cross-validated.
        source: who published it, for those who have to get it.
    """

    name: str
    description: str
    labels: tuple[str, ...]
    folder: str
    parts: tuple[str, ...]
    source: str
    licence: str = "research data; no explicit licence"
    embedded: Callable[[], Table] | None = field(default=None, repr=False)

    @property
    def how_to_get(self) -> str:
        """One line for lists and error messages."""
        if self.embedded:
            return "comes with every Python"
        files = ", ".join(f"{part}.tsv" for part in self.parts)
        return f"{files} with the columns label and text in <data>/{self.folder}; published by {self.source}"


def describe_table(path: Path, *, text_column: str, label_column: str) -> str:
    """Return in words what there is to learn from in a table: texts, classes, how it was read, what was left out.

    Raises:
        DataError: nothing can be learned from it.
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
    """Load splits of a named set, or of own texts: a table, or a folder with train, (val) and test tables.

    What was guessed or left out in reading own texts is logged as warnings.

    Args:
        name_or_path: a name of `DATA_SETS`, or a path.
        splits: some of `SPLITS`, see the module.
        fold: 0 to 9: the tenth that is the test set where there is no official one.
        phrases: learn from the labelled phrases of the sentences too, where there are some (the Stanford Treebank).
        text_column: of an own table; None: guessed.
        label_column: likewise.
        data_root: where the sets lie; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing or damaged; the message says what is expected where.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    if not 0 <= fold < FOLDS:
        raise DataError(f"fold: expected 0 to {FOLDS - 1}, got {fold}")
    known = DATA_SETS.get(str(name_or_path).replace("-", "_"))
    if known is not None:
        tables = _read_known(known, data_root, phrases=phrases)
        labels = known.labels or _labels(tables, known.name)
    else:
        tables = _read_own(name_or_path, text_column, label_column)
        labels = _labels(tables, str(name_or_path))
    name = known.name if known else os.fspath(name_or_path)
    parts = {part: _to_set(table, labels, name, part) for part, table in tables.items()}
    return _split(parts, splits, fold, together=known is None)


def _read_known(known: DataSet, data_root: str | os.PathLike[str] | None, *, phrases: bool) -> dict[str, Table]:
    if known.embedded:
        return {"all": known.embedded()}
    folder = (Path(data_root) if data_root is not None else files.data_root()) / known.folder
    missing = [f"{part}.tsv" for part in known.parts if not (folder / f"{part}.tsv").is_file()]
    if missing:
        raise DataError(f"{known.name}: {', '.join(missing)} missing in {folder}; expected {known.how_to_get}")
    tables = {
        part: read_table(folder / f"{part}.tsv", text_column="text", label_column="label") for part in known.parts
    }
    if phrases:
        file = folder / "train_phrases.tsv"
        if not file.is_file():
            raise DataError(f"{known.name} has no labelled phrases; expected {file}")
        tables["train"] = read_table(file, text_column="text", label_column="label")
    return tables


def _read_own(
    name_or_path: str | os.PathLike[str], text_column: str | None, label_column: str | None
) -> dict[str, Table]:
    expected = "a table of texts, or a folder with train.csv"
    path = own_path(name_or_path, DATA_SETS, expected=expected, kinds=("file", "folder"))
    tables = {
        part: read_table(file, text_column=text_column, label_column=label_column)
        for part, file in table_files(path).items()
    }
    for table in tables.values():
        for note in table.notes:
            log.warning("%s", note)
    return tables


def _labels(tables: dict[str, Table], name: str) -> tuple[str, ...]:
    found = {part: set(table.labels) for part, table in tables.items()}
    labels = sorted(set().union(*found.values()))
    if len(labels) < 2:
        raise DataError(f"{name}: expected texts of at least two classes, found {labels or 'none'}")
    for part, own in found.items():
        if part == "train" and set(labels) - own:
            raise DataError(f"{name}: no training text has the label {sorted(set(labels) - own)[0]!r}")
    return tuple(labels)


def _to_set(table: Table, labels: tuple[str, ...], name: str, part: str) -> TextSet:
    places = {label: k for k, label in enumerate(labels)}
    unknown = next((label for label in table.labels if label not in places), None)
    if unknown is not None:
        raise DataError(f"{name}: the label {unknown!r} is none of {', '.join(labels)}")
    targets = torch.tensor([places[label] for label in table.labels], dtype=torch.int64)
    return TextSet(name, part, labels, table.texts, targets)


def _split(parts: dict[str, TextSet], splits: Sequence[str], fold: int, *, together: bool) -> dict[str, TextSet]:
    """Make the wanted splits out of the parts that there are; `together`: equal texts stay in one split."""
    divide = _stratified_texts if together else _stratified_rows
    if "test" in parts:
        whole, test = parts.get("train", parts.get("all")), parts["test"]
    else:
        everything = parts.get("all", parts.get("train"))
        rest, held_out = divide(everything, parts=FOLDS, part=fold)
        whole, test = everything.subset(rest, split="train+val"), everything.subset(held_out, split="test")
    if "val" in parts or "dev" in parts:
        train, val = whole, parts.get("val", parts.get("dev"))
        both = replace(train, texts=train.texts + val.texts, targets=torch.cat([train.targets, val.targets]))
    else:
        kept, held_out = divide(whole, parts=round(1 / VAL_FRACTION), part=0)
        train, val, both = whole.subset(kept, split="train"), whole.subset(held_out, split="val"), whole
    if "train" in splits and not len(train):
        raise DataError(f"{train.name}: too few different texts to hold some out and learn from the rest; add more")
    made = {"train": train, "val": val, "train+val": both, "test": test}
    return {split: replace(made[split], split=split) for split in splits}


def _stratified_rows(texts: TextSet, *, parts: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    return stratified(texts.targets.numpy(), parts=parts, part=part)


def _stratified_texts(texts: TextSet, *, parts: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the different texts as `stratified` does, by the label of their first row; the rows go with their text."""
    numbers = {text: k for k, text in enumerate(dict.fromkeys(texts.texts))}
    number = np.array([numbers[text] for text in texts.texts])
    first = np.unique(number, return_index=True)[1]  # row
    _, inside = stratified(texts.targets.numpy()[first], parts=parts, part=part)
    held_out = np.isin(number, inside)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def stratified(targets: np.ndarray, *, parts: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide into `parts` parts with the same share of every class; return the indices outside and inside of `part`.

    The order is kept; the parts of one set are disjoint and cover it, whatever `part` is asked for.
    """
    generator = np.random.default_rng(SPLIT_SEED)
    place = np.empty(len(targets), dtype=np.int64)
    begin = 0
    for k in np.unique(targets):
        mine = np.flatnonzero(targets == k)
        # Classes go round from where the last one ended, so that small classes do not all leave out the last parts.
        place[generator.permutation(mine)] = (begin + np.arange(len(mine))) % parts
        begin += len(mine)
    return np.flatnonzero(place != part), np.flatnonzero(place == part)


def get_data(name: str, *, data_root: str | os.PathLike[str] | None = None, **_: object) -> str:
    """Say where a set is, or how to get it: none of the sets has an official file of the form that is read here.

    Raises:
        UnknownNameError: no such set.
        DataError: it is not there; the message says what is expected where.
    """
    known = DATA_SETS.get(name.replace("-", "_"))
    if known is None:
        raise unknown_name("data set", name, DATA_SETS)
    if known.embedded:
        return f"{known.name} {known.how_to_get}"
    load_sets(known.name, splits=["test"], data_root=data_root)
    return f"{known.name} is in {(Path(data_root) if data_root else files.data_root()) / known.folder}"


def _pang(name: str, text: str, labels: tuple[str, ...]) -> DataSet:
    return DataSet(name, text, labels, f"text/{name}", ("all",), "Pang and Lee, movie review data")


DATA_SETS = {
    entry.name: entry
    for entry in (
        DataSet(
            "docstrings",
            "which part of Python's standard library a docstring comes from",
            docstrings.AREAS,
            "",
            (),
            "the Python Software Foundation",
            "PSF licence",
            docstrings.read,
        ),
        _pang("mr", "10,662 sentences of film reviews, positive or negative, ten-fold", SENTIMENT),
        _pang("subj", "10,000 sentences, subjective or objective, ten-fold", ("subjective", "objective")),
        DataSet("cr", "3,771 sentences of customer reviews, positive or negative, ten-fold", SENTIMENT, "text/cr",
                ("all",), "Hu and Liu, opinion mining data"),
        DataSet("mpqa", "10,603 phrases of news, positive or negative, ten-fold", SENTIMENT, "text/mpqa", ("all",),
                "Wiebe, MPQA opinion corpus"),
        DataSet("sst1", "Stanford Sentiment Treebank, five grades; 8,544 + 1,101 + 2,210 sentences", FINE_SENTIMENT,
                "text/sst1", ("train", "dev", "test"), "Socher et al., Stanford Sentiment Treebank"),
        DataSet("sst2", "Stanford Sentiment Treebank without neutral ones; 6,920 + 872 + 1,821 sentences", SENTIMENT,
                "text/sst2", ("train", "dev", "test"), "Socher et al., Stanford Sentiment Treebank"),
        DataSet("trec", "5,452 + 500 questions by what they ask for, 6 classes", QUESTIONS, "text/trec",
                ("train", "test"), "Li and Roth, question classification"),
        DataSet("trec_fine", "5,452 + 500 questions by what they ask for, 50 classes", (), "text/trec_fine",
                ("train", "test"), "Li and Roth, question classification"),
        DataSet("ag_news", "news by topic, 4 classes; 10,000 of the 120,000 for training, 7,600 test", TOPICS,
                "text/ag_news_10k", ("train", "test"), "Zhang et al., AG's news topics", "non-commercial research"),
    )
}  # fmt: skip
