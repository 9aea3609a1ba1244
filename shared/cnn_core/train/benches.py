"""What stands behind `cnn bench`: a table that one command measures again, training by training."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_core.storage import write_text
from cnn_core.train.finish import machine


@dataclass(frozen=True)
class Bench:
    """A table that one command measures again.

    Args:
        description: one line.
        columns: measured by default.
        run: (folder, *, columns, seeds, report) -> column -> row; it writes the table into `folder` too.
        format: those rows as Markdown.
    """

    description: str
    columns: tuple[str, ...]
    run: Callable[..., dict[str, Any]] = field(repr=False)
    format: Callable[[Mapping[str, Mapping[str, Any]]], str] = field(repr=False)


def write_table(folder: Path, rows: Mapping[str, Mapping[str, Any]], text: str) -> None:
    """Write the rows known so far as `table.json`, with this machine, and their Markdown as `table.md`."""
    write_text(folder / "table.json", json.dumps({"machine": machine(), "columns": rows}, indent=2) + "\n")
    write_text(folder / "table.md", text)


def markdown(lines: Iterable[Sequence[str]]) -> str:
    """Return lines of cells as a Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
