"""Curves of several runs in the same charts, as SVG in the theme's colours, redrawn every second without flicker."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from components.browser import drawing

WIDTH, HEIGHT = 320, 150  # user units; the picture scales to its place
LEFT, RIGHT, TOP, BOTTOM = 38, 46, 10, 22
MOST = 6  # series that can be told apart

Points = Sequence[tuple[float, float]]
Chart = tuple[str, Sequence[tuple[str, Points]]]  # title; name and points of each series


@dataclass(frozen=True)
class Axis:
    """The horizontal axis, in `unit`s up to `last`: from 0, or by powers from `first` above 0; and the least top."""

    last: float
    unit: str
    first: float = 0.0
    least_y: float = 1.0

    def share(self, x: float) -> float:
        """Return where `x` lies: 0 at the left end, 1 at the right one."""
        if self.first > 0:
            return math.log(x / self.first) / math.log(self.last / self.first)
        return x / max(self.last, 1e-9)


def lines(
    charts: Sequence[Chart], *, last_x: float, unit: str, key: str, first_x: float = 0.0, least_y: float = 1.0
) -> None:
    """Show one chart per entry; all share the horizontal axis from 0 to `last_x` in `unit`s.

    A name has the same colour in every chart; with more than one name a legend says which. With `first_x` above 0 the
    axis begins there and goes by powers. The vertical axes go from 0 to `least_y` or more.
    """
    axis = Axis(last_x, unit, first_x, least_y)
    names = list(dict.fromkeys(name for _, series in charts for name, _ in series))[:MOST]
    parts = [_chart(*chart, names=names, axis=axis) for chart in charts]
    data = f"{_legend(names) if len(names) > 1 else ''}{''.join(parts)}"
    drawing("lines")(key=key, data=data)


def _legend(names: Sequence[str]) -> str:
    items = (
        f'<li class="s{i}"><svg viewBox="0 0 24 8" aria-hidden="true"><path class="mark" d="M0,4H24"/></svg>'
        f"{html.escape(name)}</li>"
        for i, name in enumerate(names)
    )
    return f"<ul>{''.join(items)}</ul>"


def _chart(title: str, series: Sequence[tuple[str, Points]], *, names: Sequence[str], axis: Axis) -> str:
    shown = [(name, points) for name, points in series if name in names and points]
    low, high = limits([y for _, points in shown for _, y in points], least=axis.least_y)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        share = min(1.0, max(0.0, (y - low) / (high - low)))
        return LEFT + (right - LEFT) * axis.share(x), bottom - (bottom - TOP) * share

    ticks = [(value, place(axis.first, value)[1]) for value in (low, (low + high) / 2, high)]
    rules = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value, y in ticks
    )
    marks, taken = [], []
    for name, points in shown:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        x, y = place(*points[-1])
        free = all(abs(y - other) > 11 for other in taken)
        taken.append(y)
        label = f'<text x="{x + 7:.1f}" y="{y + 4:.1f}">{points[-1][1]:.3g}</text>' if free else ""
        marks.append(
            f'<g class="s{names.index(name)}"><polyline class="mark" points="{line}"/>'
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>{label}</g>'
        )
    said = "; ".join(f"{name} {points[-1][1]:.3g} at {_number(points[-1][0])} {axis.unit}" for name, points in shown)
    words = html.escape(f"{title}: {said or 'nothing yet'}")
    return (
        f"<section><p>{html.escape(title)}</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">'
        f'{rules}<text class="axis" x="{LEFT}" y="{HEIGHT - 4}">{_number(axis.first)}</text>'
        f'<text class="axis" x="{right}" y="{HEIGHT - 4}" text-anchor="end">{_number(axis.last)} '
        f"{html.escape(axis.unit)}</text>"
        f"{''.join(marks)}</svg></section>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def limits(values: Sequence[float], *, least: float = 1.0) -> tuple[float, float]:
    """Return the ends of the vertical axis: from 0 to a round number above the largest value, at least `least`."""
    highest = max(values, default=1.0)
    if highest <= least:
        return 0.0, least
    for step in (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 50, 100):
        if highest <= step:
            return 0.0, float(step)
    return 0.0, highest
