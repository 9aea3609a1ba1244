"""A training replayed step by step in the browser: its figures and its pictures at every moment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.browser import component, named, packed


@dataclass(frozen=True)
class Figure:
    """A number at every moment."""

    title: str
    values: Sequence[float]
    percent: bool = False


@dataclass(frozen=True, eq=False)
class Look:
    """A small picture at every moment: [T, H, W], "grey" or "signed"."""

    title: str
    alt: str
    values: np.ndarray
    kind: str = "signed"


def training_replay(
    steps: Sequence[int], figures: Sequence[Figure], looks: Sequence[Look], *, key: str, columns: int
) -> None:
    """Show a training; a new one under the same key is played from its beginning.

    Args:
        steps: of the training, one for each moment.
        figures: numbers at these moments.
        looks: pictures at these moments.
        key: of the widget.
        columns: pictures in a row.
    """
    data = {
        "steps": list(steps),
        "figures": [{"title": one.title, "values": list(one.values), "percent": one.percent} for one in figures],
        "looks": [
            {
                "title": one.title, "alt": one.alt, "values": packed(one.values), "kind": one.kind,
                "rows": one.values.shape[1], "columns": one.values.shape[2],
                "range": [float(min(0, one.values.min())), float(max(1e-6, one.values.max()))],
            }
            for one in looks
        ],
        "columns": columns,
    }  # fmt: skip
    component("training_replay")(key=key, data=named(data))
