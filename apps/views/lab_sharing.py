"""Lab: sharing weights."""

from statistics import mean

import numpy as np
import streamlit as st
from PIL import Image

from components.bars import bars, headline, percent
from components.charts import LineChart, show_charts
from components.frame import note, plain_errors
from components.lab import THUMBNAILS, Choice, ask_side_by_side, closing, formula, opening
from components.pictures import Figure, figures
from components.tables import table
from lab.sharing import FURTHEST, SEEDS, TITLES, Kind, place_of, snippet, stored

BEST = 3  # classes shown
HEADS = (
    ("First layer", ""), ("Inputs per cell", "number"), ("Weights and biases", "number"), ("Multiply-adds", "number"),
    ("All parameters", "number"), ("Centred", "number"), ("Moved by 1", "number"), ("Moved by 2", "number"),
)  # fmt: skip


def main() -> None:
    opening("sharing")
    runs = stored(THUMBNAILS)
    places = [str(i) for i in range(-FURTHEST, FURTHEST + 1)]
    words = {place: place.replace("-", "−") for place in places}
    digit, down, right = ask_side_by_side(
        Choice("Digit", "digit", [str(i) for i in range(10)], pills=True, default="3"),
        Choice("Moved down", "down", places, words, default="0"),
        Choice("Moved right", "right", places, words, default="0"),
    )
    with plain_errors():
        _answers(runs.kinds, np.array(runs.digits[int(digit)]), int(digit), int(down), int(right))
        note(
            "All four were trained on the same 1,437 centred digits for the same number of steps. With shared weights, "
            "a moved digit gives a moved feature map. Only the last network also discards the position."
        )
        table(HEADS, [_row(name, kind) for name, kind in runs.kinds.items()], label="Cost and accuracy of the four")
        lines = {
            TITLES[name]: [(float(by), _mean(kind, by)) for by in range(FURTHEST + 1)]
            for name, kind in runs.kinds.items()
        }
        title = "Test accuracy on 360 moved digits"
        show_charts([LineChart(title, lines, "moved by, in pixels", "accuracy", percent=True)], key="sharing-moved")
        note(f"Means of {len(SEEDS)} runs, {len(runs.digits)} classes; moved up, down, left and right.")
        formula(
            r"y_p = \sum_q w_{p,q}\,x_q \;\;\to\;\; \sum_{q \in N(p)} w_{p,q}\,x_q \;\;\to\;\; "
            r"\sum_{d} w_{d}\,x_{p+d}",
            'small_network("dense"), small_network("local"), small_network("convolution")',
            "lab.small",
        )
        closing(
            "sharing",
            question="The convolution finds a moved digit's strokes as well as before. Why is its prediction still "
            "wrong, and what does the fourth network leave out?",
            snippet=snippet("convolution", int(digit), int(down), int(right)),
        )


def _answers(kinds: dict[str, Kind], values: np.ndarray, digit: int, down: int, right: int) -> None:
    """Show the moved digit, and what each network takes it for."""
    picture, *others = st.columns([3, *[4] * len(kinds)], gap="medium")
    grey = np.round(values * 255 / 16).astype(np.uint8)
    with picture:
        figures(
            [Figure(Image.fromarray(np.roll(grey, (down, right), (0, 1))), f"A {digit}", f"A {digit}", pixels=True)]
        )
    for column, (name, kind) in zip(others, kinds.items(), strict=True):
        probabilities = kind.answers[digit][place_of(down, right)]
        order = sorted(range(len(probabilities)), key=lambda label: -probabilities[label])[:BEST]
        with column:
            headline(str(order[0]), kicker=TITLES[name], sure="right" if order[0] == digit else "wrong")
            bars([str(i) for i in order], [probabilities[i] for i in order], [percent(probabilities[i]) for i in order])


def _mean(kind: Kind, by: int) -> float:
    return mean(row[by] for row in kind.accuracy)


def _row(name: str, kind: Kind) -> tuple[str, ...]:
    right = [f"{100 * _mean(kind, by):.1f} %" for by in range(FURTHEST + 1)]
    return (
        TITLES[name], f"{kind.connections}", f"{kind.first:,}", f"{kind.products:,}", f"{kind.parameters:,}", *right,
    )  # fmt: skip


main()
