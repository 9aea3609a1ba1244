"""The report of a test set beside the weights (`report.json`): pages can show it without the data."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cnn_core.errors import DataError
from cnn_core.storage import write_text

REPORT_FILE = "report.json"
R = TypeVar("R")


class Writable(Protocol):
    """What a domain measured."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""


def write_report(report: Writable, folder: Path) -> None:
    """Write a report beside the weights in `folder`; StorageError if it cannot be written."""
    write_text(folder / REPORT_FILE, json.dumps(report.to_json(), ensure_ascii=False) + "\n")


def read_report(folder: Path, restore: Callable[[Mapping[str, Any]], R], *, limit: int) -> R | None:
    """Return the report beside weights, or None if there is none.

    Args:
        folder: of the weights.
        restore: JSON values -> the report; what it raises over wrong values counts as damage.
        limit: bytes that a report of this domain can have.

    Raises:
        DataError: it cannot be read.
    """
    file = folder / REPORT_FILE
    if not file.exists():
        return None
    try:
        if file.stat().st_size > limit:
            raise ValueError(f"larger than {limit >> 20} MiB")
        return restore(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({error}); evaluate the weights again, or delete it") from error
