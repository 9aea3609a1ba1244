"""Predictions as a CSV file."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cnn_core.storage import atomic_path

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute


class Answer(Protocol):
    """What a row is made from."""

    input: str
    labels: list[str]
    probabilities: list[float]
    error: str | None


def write_csv(answers: Iterable[Answer], path: Path | str, *, top_k: int) -> tuple[int, int]:
    """Write one row per picture as they come: file, label, probability, label2, ..., error.

    The file appears when all rows are written; a broken-off run leaves the old one. A text that a spreadsheet would
    take for a formula gets an apostrophe in front.

    Returns:
        The numbers of answers and of failures.

    Raises:
        StorageError: the file cannot be written.
    """
    numbers = ["", *range(2, top_k + 1)]
    header = ["file", *(f"{column}{n}" for n in numbers for column in ("label", "probability")), "error"]
    done = failed = 0
    with atomic_path(path) as temporary, temporary.open("x", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for answer in answers:
            pairs = zip(answer.labels[:top_k], answer.probabilities, strict=False)
            cells = [cell for label, p in pairs for cell in (_safe(label), f"{p:.6f}")]
            cells += [""] * (2 * top_k - len(cells))
            writer.writerow([_safe(answer.input), *cells, _safe(answer.error or "")])
            done, failed = done + (answer.error is None), failed + (answer.error is not None)
    return done, failed


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
