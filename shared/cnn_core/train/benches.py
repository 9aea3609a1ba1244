"""What stands behind `cnn bench`: a table that one command measures again, training by training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_core.train.finish import Outcome
from cnn_core.weights import WeightsCard, load_card


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


def train_once(train: Callable[..., Outcome], recipe: str, folder: Path, settings: Mapping[str, Any]) -> WeightsCard:
    """Return the card of a training of the table; one that is there is not repeated, one that was stopped goes on.

    Args:
        train: the domain's.
        recipe: its name or TOML file.
        folder: the run folder.
        settings: what this training differs in: fold, seed.
    """
    if not (folder / "card.json").exists():
        train(recipe, folder=folder, settings=settings, resume=folder.exists())
        (folder / "last.safetensors").unlink(missing_ok=True)  # a hundred megabytes each, of no more use
    return load_card(folder)
