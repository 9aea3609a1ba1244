"""A training as a film: curves and pictures, moment by moment, played in the browser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.browser import component
from components.packed import named, packed


@dataclass(frozen=True)
class Course:
    """A number at every moment; `top` is the end of its axis."""

    title: str
    values: Sequence[float]
    top: float
    percent: bool = False


@dataclass(frozen=True, eq=False)
class Look:
    """A small picture at every moment: [T, H, W], "grey" or "signed"."""

    title: str
    alt: str
    values: np.ndarray
    kind: str = "signed"


def film(steps: Sequence[int], courses: Sequence[Course], looks: Sequence[Look], *, key: str, across: int) -> None:
    """Show a training; a new one under the same key is played from its beginning.

    Args:
        steps: of the training, one for each moment.
        courses: numbers at these moments.
        looks: pictures at these moments.
        key: of the widget.
        across: pictures in a row.
    """
    data = {
        "steps": list(steps),
        "curves": [
            {"title": one.title, "values": list(one.values), "top": one.top, "percent": one.percent} for one in courses
        ],
        "looks": [
            {
                "title": one.title, "alt": one.alt, "values": packed(one.values), "kind": one.kind,
                "rows": one.values.shape[1], "columns": one.values.shape[2],
                "range": [float(min(0, one.values.min())), float(max(1e-6, one.values.max()))],
            }
            for one in looks
        ],
        "across": across,
    }  # fmt: skip
    component("film")(key=key, data=named(data))
