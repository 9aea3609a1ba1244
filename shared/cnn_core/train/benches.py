"""What stands behind `cnn bench`: a table that one command measures again, training by training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Bench:
    """A table that one command measures again.

    Args:
        description: one line.
        columns: what it has, unless some are asked for.
        run: (folder, *, columns, seeds, report) -> column -> row; it writes the table into `folder` too.
        format: those rows as Markdown.
    """

    description: str
    columns: tuple[str, ...]
    run: Callable[..., dict[str, Any]] = field(repr=False)
    format: Callable[[Mapping[str, Mapping[str, Any]]], str] = field(repr=False)
