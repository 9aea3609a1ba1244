"""Answers of any domain as a table, one row each, as CSV for spreadsheets; and what many of them come to."""

import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from cnn_core.data.summary import NAMED, LeftOut, Omissions, more_classes
from cnn_core.data.tables import csv_text
from cnn_core.errors import CnnError
from cnn_core.storage import atomic_path

REASONS = 50  # kinds of failures and of notes that are told apart
SHOWN = 60  # characters of an input in an example
NONE_OF_THESE = "none of these"  # the answer to an input that is like nothing that was learned

Item = Mapping[str, Any]  # "input", and "labels" with "probabilities", or other fields, or "error"
T = TypeVar("T")


class Tally:
    """What many answers come to: how many there are, of which classes, with which notes, and what failed."""

    def __init__(self) -> None:
        self.answered = self.failed = 0
        self.classes: Counter[str] = Counter()
        self._reasons, self._notes = Omissions(), Omissions()
        self._kinds: dict[str, str] = {}

    def add(self, item: Item) -> None:
        """Count one answer."""
        name = str(item["input"])
        example = name if len(name) <= SHOWN else f"{name[:SHOWN]}..."
        if "error" in item:
            self.failed += 1
            error = str(item["error"]).replace(name, "").strip(": ") if name.strip() else str(item["error"])
            self._reasons.add(self._kind(error), example)
            return
        self.answered += 1
        if item.get("labels"):
            self.classes[NONE_OF_THESE if item.get("none_of_these") else str(item["labels"][0])] += 1
        for note in filter(None, (item.get("note"), *item.get("warnings", ()))):
            self._notes.add(self._kind(str(note)), example)

    def _kind(self, text: str) -> str:
        """Return the first of the texts that differ from this one in numbers alone."""
        kind = re.sub(r"\d[\d.,]*", "0", text)
        if kind not in self._kinds and len(self._kinds) >= REASONS:
            return "for other reasons"
        return self._kinds.setdefault(kind, text)

    @property
    def reasons(self) -> tuple[LeftOut, ...]:
        """Why inputs could not be answered."""
        return self._reasons.all

    @property
    def failure(self) -> str:
        """A sentence on what could not be answered; empty: nothing."""
        if not self.failed:
            return ""
        total = self.answered + self.failed
        why = "; ".join(map(str, self.reasons))
        return f"{self.failed:,} of {total:,} inputs could not be answered: {why}"

    @property
    def sentences(self) -> list[str]:
        """Everything but the failures in sentences."""
        counts = [f"{label} {count:,}" for label, count in self.classes.most_common(NAMED)]
        more = f" and {more_classes(len(self.classes) - NAMED)}" if len(self.classes) > NAMED else ""
        said = [f"{self.answered:,} answered{': ' if counts else ''}{', '.join(counts)}{more}."]
        return said + [f"Noted of {note}." for note in map(str, self._notes.all)]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "answered": self.answered,
            "failed": self.failed,
            "classes": dict(self.classes.most_common()),
            "reasons": [{**vars(entry), "examples": list(entry.examples)} for entry in self.reasons],
            "notes": [{**vars(entry), "examples": list(entry.examples)} for entry in self._notes.all],
            "sentences": [*self.sentences, *([f"{self.failure}."] if self.failed else [])],
        }


def skip_answered(inputs: Iterable[T], answered: Iterable[Item], *, name: Any = str) -> Iterator[T]:
    """Yield the inputs behind those that were answered before.

    Args:
        inputs: all of them.
        answered: the answers that are there, as `to_json` of each made them.
        name: of an input, as its answer calls it.

    Raises:
        CnnError: the inputs that were answered are not the first of these.
    """
    inputs = iter(inputs)
    for number, answer in enumerate(answered, start=1):
        before, entry = str(answer["input"]), next(inputs, None)
        now = None if entry is None else name(entry)
        if now != before:
            found = "gone" if now is None else repr(now[:SHOWN])
            raise CnnError(
                f"cannot go on: input {number:,} was {before[:SHOWN]!r} and is {found}; "
                "give the same inputs, or answer all of them again without --resume"
            )
    yield from inputs


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
        columns = columns_of(items)
    done = failed = 0
    with atomic_path(path) as temporary, temporary.open("x", newline="", encoding="utf-8", errors="replace") as file:
        file.write(csv_text([["input", *columns, "error"]]))
        for item in items:
            file.write(csv_text([row_of(item, columns)]))
            done, failed = done + ("error" not in item), failed + ("error" in item)
    return done, failed


def cells_of(item: Item) -> dict[str, str | float]:
    """Return column -> cell of an item, without input and error."""
    return dict(_cells(item))


def row_of(item: Item, columns: Sequence[str], cells: Mapping[str, str | float] | None = None) -> list[str | float]:
    """Return the row of an item: input, the cells of the columns, error; `cells` are those of `cells_of`."""
    cells = cells_of(item) if cells is None else cells
    return [str(item["input"]), *(cells.get(name, "") for name in columns), str(item.get("error", ""))]


def csv_bytes(answers: Iterable[Any], *, top_k: int = 0) -> bytes:
    """Return predictions as `cnn predict --output` writes them: with `top_k` labels each, or, 0, with all they hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.csv"
        write_csv((answer.to_json() for answer in answers), path, columns=label_columns(top_k) if top_k else None)
        return path.read_bytes()


def columns_of(items: Iterable[Item]) -> list[str]:
    """Return all columns that occur: those of the labels, then the others in the order of their first occurrence."""
    labels, names = 0, dict[str, None]()
    for item in items:
        labels = max(labels, len(item.get("labels", ())))
        names.update(dict.fromkeys(name for name, _ in _cells(item)))
    return list(dict.fromkeys([*label_columns(labels), *names]))


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
