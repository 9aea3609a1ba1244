"""The files of `cnn predict --output`, written as the answers come, so that an interrupted run can go on.

    predictions.part.json, predictions.part.csv     while they come; what an interrupted run leaves
    predictions.json, predictions.csv               when all are there

The JSON is what `--json` prints, with an answer a line; the same answers stand in the CSV. From the JSON a run goes on:
its answers are compared with the inputs, and the CSV is made of them again.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cnn_core.answers import Item, cells_of, columns_of, row_of, write_csv
from cnn_core.cli.output import to_json
from cnn_core.data.tables import csv_text
from cnn_core.errors import CnnError
from cnn_core.storage import storage_errors

NAME = "predictions"
WAITING = 200  # answers without columns that are held until one has some
EVERY = 1.0  # seconds between two writes


class AnswerFiles:
    """Writes answers into a folder.

    Args:
        folder: made if it is not there.
        head: what stands before the items in the JSON: names of the weights.
        resume: go on behind the answers that are there.

    Raises:
        StorageError: the folder cannot be written.
        CnnError: the answers that are there are of other weights.
    """

    def __init__(self, folder: Path, head: Mapping[str, Any], *, resume: bool = False) -> None:
        self.folder = folder
        self.part, self.csv_part = folder / f"{NAME}.part.json", folder / f"{NAME}.part.csv"
        self.head = to_json(head)[:-1] + ', "items": [\n'
        self.count = 0  # of answers in the files
        self._columns: Sequence[str] = ()
        self._known: set[str] = set()
        self._waiting: list[Item] = []
        self._lines: list[str] = []
        self._rows: list[list[str | float]] = []
        self._more_columns, self._written = False, time.monotonic()
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            size = self._keep_answers() if resume and self.part.exists() else 0
            self._json = self.part.open("r+b" if size else "wb")
            if size:
                self._json.seek(size)
                self._json.truncate()
            else:
                self._json.write(self.head.encode())
            self._csv = self.csv_part.open("w", newline="", encoding="utf-8", errors="replace")
        for number, item in enumerate(self.items(), start=1):
            self._put(item)
            if number % 1000 == 0:
                self._write()

    @classmethod
    def is_finished(cls, folder: Path) -> bool:
        """Tell whether all answers are there already."""
        return (folder / f"{NAME}.json").exists() and not (folder / f"{NAME}.part.json").exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with storage_errors(self.part):
            self._write()
            self._json.close()
            self._csv.close()

    def items(self) -> Iterator[Item]:
        """Yield the answers that were there in the beginning."""
        if self.count:
            with self.part.open("rb") as file:
                next(file)
                for _, line in zip(range(self.count), file, strict=False):
                    yield json.loads(line.rstrip().removesuffix(b","))

    def add(self, item: Item) -> None:
        """Write one answer; it is on its way to the disk within a second."""
        self._lines.append(("" if self.count == 0 and not self._lines else ",\n") + to_json(item))
        self._put(item)
        if time.monotonic() - self._written > EVERY or len(self._lines) >= 1000:
            with storage_errors(self.part):
                self._write()

    def finish(self, tail: Mapping[str, Any]) -> None:
        """Write what stands behind the items in the JSON, and give both files their names."""
        with storage_errors(self.folder):
            if not self._columns:
                self._start_csv()
            self._write()
            self._json.write(f"\n], {to_json(tail)[1:]}\n".encode())
            self._json.flush()
            self._csv.flush()
            if self._more_columns:
                write_csv(self.items(), self.csv_part, columns=columns_of(self.items()))
            self.csv_part.replace(self.folder / f"{NAME}.csv")
            self.part.replace(self.folder / f"{NAME}.json")

    def _put(self, item: Item) -> None:
        if not self._columns:
            self._waiting.append(item)
            if "error" not in item or len(self._waiting) >= WAITING:
                self._start_csv()
            return
        cells = cells_of(item)
        self._more_columns = self._more_columns or not cells.keys() <= self._known
        self._rows.append(row_of(item, self._columns, cells))

    def _start_csv(self) -> None:
        """Write the header: the columns of the first answers; `finish` adds those that come later."""
        columns = columns_of(self._waiting)
        self._columns, self._known = columns, {*columns}
        self._rows = [["input", *columns, "error"], *(row_of(item, columns) for item in self._waiting)]
        self._waiting = []

    def _write(self) -> None:
        self._json.write("".join(self._lines).encode())
        self._csv.write(csv_text(self._rows))
        self._json.flush()
        self._csv.flush()
        self.count += len(self._lines)
        self._lines, self._rows, self._written = [], [], time.monotonic()

    def _keep_answers(self) -> int:
        """Count the whole answers that are there, and return where they end."""
        with self.part.open("rb") as file:
            head = file.readline()
            if head != self.head.encode():
                raise CnnError(f"{self.part} holds answers of other weights; choose another folder with --output")
            size = len(head)
            for line in file:
                whole = line.rstrip().removesuffix(b",")
                try:
                    json.loads(whole)
                except ValueError:
                    break
                if not whole.endswith(b"}"):
                    break
                self.count += 1
                end, size = size + len(whole), size + len(line)
        return end if self.count else 0
