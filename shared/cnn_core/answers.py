"""Answers of any domain as a table: the items of `cnn predict`, one row each, as CSV for spreadsheets."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from cnn_core.data.tables import csv_text
from cnn_core.storage import atomic_path

Item = Mapping[str, Any]  # "input", and "labels" with "probabilities", or other fields, or "error"


def label_columns(top_k: int) -> list[str]:
    """Return the columns of `top_k` labels: label, probability, label2, probability2, ..."""
    return [f"{column}{number}" for number in _numbers(top_k) for column in ("label", "probability")]


def write_csv(items: Iterable[Item], path: Path | str, *, columns: Sequence[str] | None = None) -> tuple[int, int]:
    """Write one row per item: input, label, probability, label2, ..., error.

    Other fields have columns of their own between labels and error: a text or number one of the field's name, a list of
    them numbered ones (captions, captions2), a mapping one for each of its keys (volumes_ml.liver). The file appears
    when all rows are written; a broken-off run leaves the old one. A text that a spreadsheet would take for a formula
    gets an apostrophe in front.

    Args:
        items: what a domain's `predict_items` yields.
        path: of the CSV file.
        columns: those between input and error, others are left out, and items are written as they come; None: all that
            occur, for which all items are held in memory.

    Returns:
        The numbers of answers and of failures.

    Raises:
        StorageError: the file cannot be written.
    """
    if columns is None:
        items = list(items)
        columns = _columns(items)
    done = failed = 0
    with atomic_path(path) as temporary, temporary.open("x", newline="", encoding="utf-8", errors="replace") as file:
        file.write(csv_text([["input", *columns, "error"]]))
        for item in items:
            cells = dict(_cells(item))
            row = [str(item["input"]), *(cells.get(name, "") for name in columns), str(item.get("error", ""))]
            file.write(csv_text([row]))
            done, failed = done + ("error" not in item), failed + ("error" in item)
    return done, failed


def csv_bytes(answers: Iterable[Any], *, top_k: int = 0) -> bytes:
    """Return predictions as `cnn predict --output` writes them: with `top_k` labels each, or, 0, with all they hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.csv"
        write_csv((answer.to_json() for answer in answers), path, columns=label_columns(top_k) if top_k else None)
        return path.read_bytes()


def _columns(items: Sequence[Item]) -> list[str]:
    """Return all columns that occur: those of the labels, then the others in the order of their first occurrence."""
    labels = label_columns(max((len(item.get("labels", ())) for item in items), default=0))
    return list(dict.fromkeys([*labels, *(name for item in items for name, _ in _cells(item))]))


def _cells(item: Item) -> Iterator[tuple[str, str | float]]:
    """Yield (column, cell) of an item, without input and error."""
    labels = item.get("labels", ())
    pairs = zip(labels, item.get("probabilities", ()), strict=True)
    texts = chain.from_iterable((str(label), f"{probability:.6f}") for label, probability in pairs)
    yield from zip(label_columns(len(labels)), texts, strict=True)
    for name, value in item.items():
        if name not in ("input", "labels", "probabilities", "error"):
            yield from _flat(name, value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str | float]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _flat(f"{name}.{key}", entry)
    elif isinstance(value, list | tuple):
        for number, entry in zip(_numbers(len(value)), value, strict=True):
            yield from _flat(f"{name}{number}", entry)
    elif value is None or (isinstance(value, float) and not math.isfinite(value)):
        yield name, ""
    else:
        yield name, value if isinstance(value, int | float) else str(value)


def _numbers(length: int) -> list[str]:
    """Return what is put behind the names of `length` columns: "", "2", "3", ..."""
    return [str(number) if number > 1 else "" for number in range(1, length + 1)]
