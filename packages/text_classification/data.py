"""The text sets by name, their splits; a user's own texts are a table (see `tables`).

Splits: "test" is the official test set; where there is none, one of ten stratified parts, chosen by `fold`, as in
ten-fold cross-validation. "val" is the official development set, or a stratified tenth of what is not test; "train" is
the rest, "train+val" both. Nothing is ever tuned on the test set. Texts that a user's table repeats, word by word or
nearly so, are in one split.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from cnn_core.data.paths import custom_path
from cnn_core.data.sets import find_set
from cnn_core.data.summary import DataSummary, class_counts, class_warnings, shortened
from cnn_core.errors import DataError, unknown_name
from text_classification.copies import contradictions, copies, grouped, label_warnings, similar
from text_classification.corpora import DATA_SETS, PHRASES, Corpus
from text_classification.splits import FOLDS, Reading, TextSet, amount_of, split_parts
from text_classification.tables import Table, lacks, look, name_of, read_table, table_files

SPLITS = ("train", "val", "train+val", "test")


@dataclass(frozen=True)
class LoadedSets:
    """All splits of a text set, and what was understood of it.

    Args:
        splits: by name.
        summary: for the user.
        columns: names of the columns of texts and labels; empty for named sets.
        custom: the texts are a user's own.
    """

    splits: dict[str, TextSet]
    summary: DataSummary
    columns: tuple[str, str] = ("", "")
    custom: bool = False


def load_sets(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    fold: int = 0,
    phrases: bool = False,
    text_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    test: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> dict[str, TextSet]:
    """Load splits of a named set, or of a user's texts: a table, or a folder with train, (val) and test tables.

    Args:
        name_or_path: a name of `DATA_SETS`, or a path.
        splits: some of `SPLITS`, see the module.
        fold: see `Reading`.
        phrases: train on the labelled phrases of the sentences too, where there are some (the Stanford Treebank).
        text_column: see `Reading`.
        label_column: likewise.
        group_column: likewise.
        test: likewise.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing or damaged; the message says what is expected where.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    reading = Reading(text_column, label_column, group_column, test, fold)
    made = load_data(name_or_path, reading, phrases=phrases, data_root=data_root).splits
    if "train" in splits and not len(made["train"]):
        raise DataError(f"{name_or_path}: too few different texts to hold some out and train on the rest; add more")
    return {split: made[split] for split in splits}


def load_data(
    name_or_path: str | os.PathLike[str],
    reading: Reading,
    *,
    phrases: bool = False,
    data_root: str | os.PathLike[str] | None = None,
) -> LoadedSets:
    """Load all splits of a set, with what was understood of it; arguments and errors as those of `load_sets`."""
    if not 0 <= reading.fold < FOLDS:
        raise DataError(f"fold: expected 0 to {FOLDS - 1}, got {reading.fold}")
    known = find_set(DATA_SETS, name_or_path)
    if known is None:
        return _load_custom(os.fspath(name_or_path), reading)
    if reading.test or reading.group_column:
        raise DataError(f"{known.name} has splits of its own; leave test and group_column out")
    tables = _read_named(known, data_root, phrases=phrases)
    labels = known.labels or _labels(tables, known.name)
    parts = {part: _to_set(table, labels, known.name) for part, table in tables.items()}
    divided = "as published" if "test" in parts else f"fold {reading.fold} of {FOLDS} is the test set"
    made = split_parts(parts, reading, {})
    return LoadedSets(made, DataSummary(known.name, "texts", _sizes(made), _counts(made), divided))


def _read_named(known: Corpus, data_root: str | os.PathLike[str] | None, *, phrases: bool) -> dict[str, Table]:
    if phrases and not known.has_phrases:
        raise DataError(f"{known.name} has no labelled phrases; train on it with --no-phrases")
    tables = known.read(known.path(data_root), [*known.parts, PHRASES] if phrases else known.parts)
    if phrases:
        tables["train"] = tables.pop(PHRASES)
    return tables


def read_custom(
    name_or_path: str,
    reading: Reading,
    *,
    likely: tuple[str | None, str | None] = (None, None),
    folds: bool = True,
) -> dict[str, Table]:
    """Return part -> table of a user's texts: "all", or train, val and test.

    Args:
        name_or_path: a table, or a folder of tables.
        reading: names of columns; a test table belongs to the parts.
        likely: columns of text and label that are taken instead of a guess, where a table has them.
        folds: whether a column of folds divides a table.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    expected = "a table of texts, or a folder with train.csv"
    files = table_files(custom_path(name_or_path, DATA_SETS, expected=expected, kinds=("file", "folder")))
    if reading.test and amount_of(reading.test) is None:
        if "test" in files:
            raise DataError(f"{name_or_path} has a test table, {files['test'].name}; leave test out")
        files["test"] = custom_path(reading.test, (), expected="a table of texts, a share or a number", kinds=("file",))
    columns = {"text_column": reading.text_column, "label_column": reading.label_column}
    tables: dict[str, Table] = {}
    for part, file in files.items():
        group = reading.group_column if part in ("all", "train") else None
        layout = look(file, *columns.values(), group, *map(name_of, likely)) if part == "test" else None
        if layout and tables and not reading.test and lacks(file, layout, likely[1] or ""):  # as Kaggle's
            first = next(iter(tables))
            said = f"{file.name} is not used: it has no column {likely[1]!r}; cnn predict answers its texts"
            tables[first] = replace(tables[first], read=(*tables[first].read, said))
            continue
        folds = folds and [*files] == ["all"] and not (group or reading.test)
        tables[part] = read_table(file, **columns, group_column=group, likely=likely, layout=layout, folds=folds)
        likely = tables[part].columns  # the other parts are read as the first one
    if "all" in tables and tables["all"].splits:
        tables = tables["all"].parts() | {part: table for part, table in tables.items() if part != "all"}
        if reading.test and "test" in tables:
            raise DataError(f"{name_or_path}: its rows say which are the test; leave test out, or remove that column")
    if "all" in tables and "test" in tables:
        tables["train"] = tables.pop("all")
    return tables


def _load_custom(name: str, reading: Reading) -> LoadedSets:
    tables = read_custom(name, reading)
    if "all" not in tables and "train" not in tables:
        raise DataError(f"{name}: expected a training table, train.csv; found {', '.join(tables)} alone")
    labels = _labels(tables, name)
    parts = {part: _to_set(table, labels, name) for part, table in tables.items()}
    groups = {part: grouped([similar(text) for text in table.texts], table.groups) for part, table in tables.items()}
    made = split_parts(parts, reading, groups)
    counts = _counts(made)
    warnings = [*class_warnings(counts, label_flag="--label-column"), *label_warnings(labels)]
    summary = DataSummary(
        name, "texts", _sizes(made), counts, _divided(tables, reading),
        read=tuple(line for table in tables.values() for line in table.read),
        left_out=tuple(entry for table in tables.values() for entry in table.left_out),
        warnings=(*warnings, *contradictions(tables), *copies(made)),
    )  # fmt: skip
    columns = tables.get("all", tables.get("train", next(iter(tables.values())))).columns
    return LoadedSets(made, summary, columns, custom=True)


def _divided(tables: Mapping[str, Table], reading: Reading) -> str:
    """Return how the splits came about."""
    together = "texts that differ in case, spaces or punctuation alone stay together"
    if reading.group_column:
        together += f", and so do rows with the same {reading.group_column!r}"
    if "test" in tables and "val" in tables:
        return "as given"
    if "test" in tables:
        return f"test as given, a tenth of the other texts held out for validation; {together}"
    amount = f"{reading.test} {'of the texts' if '.' in reading.test else 'texts'}" if reading.test else "a tenth"
    if "val" in tables:
        return f"validation as given, {amount} held out for the test; {together}"
    return f"{amount} held out for the test, a tenth of the rest for validation; {together}"


def _labels(tables: Mapping[str, Table], name: str) -> tuple[str, ...]:
    """Return the labels that occur, all of which the training table must have."""
    labels = sorted({label for table in tables.values() for label in table.labels})
    if len(labels) < 2:
        found = list(map(shortened, labels)) or "none"
        raise DataError(
            f"{name}: expected texts of at least two classes, found {found}; --label-column names another column for "
            "the classes"
        )
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


def _sizes(made: Mapping[str, TextSet]) -> dict[str, int]:
    return {split: len(made[split]) for split in ("train", "val", "test")}


def _counts(made: Mapping[str, TextSet]) -> dict[str, dict[str, int]]:
    return class_counts(made["train"].labels, {split: made[split].targets.tolist() for split in _sizes(made)})
