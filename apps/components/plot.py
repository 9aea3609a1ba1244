"""Lines in one frame as SVG, in the theme's colours, each named where it ends."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.browser import drawing

LEFT, TOP, BOTTOM = 44, 12, 34  # user units around the frame
HEIGHT = 300
LETTER = 7.2  # width of a letter of a name, in user units


@dataclass(frozen=True)
class Line:
    """A named line; `colour` is 0 to 4, dashed lines are those of second rank."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """The axes: what lies between which ends, and what is written below."""

    x: tuple[float, float]
    y: tuple[float, float]
    below: str = ""
    width: int = 560


def plot(
    lines: Sequence[Line], frame: Frame, *, key: str, label: str, dots: Sequence[tuple[float, float]] = ()
) -> None:
    """Show lines.

    Args:
        lines: at most five.
        frame: the axes.
        key: of the widget.
        label: what screen readers call the picture.
        dots: points that are marked, with a line down to the axis.
    """
    drawing("plot")(key=key, data=_svg(lines, frame, label=label, dots=dots))


def _svg(lines: Sequence[Line], frame: Frame, *, label: str, dots: Sequence[tuple[float, float]]) -> str:
    right = LEFT + frame.width
    margin = 14 + LETTER * max((len(line.name) for line in lines), default=0)
    (x0, x1), (y0, y1) = frame.x, frame.y

    def place(x: float, y: float) -> tuple[float, float]:
        share = min(1.15, max(-0.15, (y - y0) / (y1 - y0)))
        return LEFT + frame.width * (x - x0) / (x1 - x0), HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

    parts = []
    for y in ticks(y0, y1):
        height = place(x0, y)[1]
        kind = "axis" if y == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{right}" y1="{height:.1f}" y2="{height:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{said(y)}</text>')
    for x in ticks(x0, x1):
        across = place(x, y0)[0]
        if x == 0 and x0 < 0:
            parts.append(f'<line class="axis" x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{said(x)}</text>')
    parts.append(f'<text x="{right + 10}" y="{HEIGHT - BOTTOM + 18}">{html.escape(frame.below)}</text>')
    for line, height in zip(lines, _name_heights(lines, place), strict=True):
        points = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line.points)
        kind = f"s{line.colour}"
        parts.append(f'<polyline class="line {kind}{" dashed" if line.dashed else ""}" points="{points}"/>')
        parts.append(f'<text class="name {kind}" x="{right + 10}" y="{height + 4:.1f}">{html.escape(line.name)}</text>')
    for x, y in dots:
        across, height = place(x, y)
        zero = place(x, min(max(0.0, y0), y1))[1]
        parts.append(f'<line class="drop" x1="{across:.1f}" x2="{across:.1f}" y1="{height:.1f}" y2="{zero:.1f}"/>')
        parts.append(f'<circle class="dot" cx="{across:.1f}" cy="{height:.1f}" r="6"/>')
    box = f"0 0 {right + margin:.0f} {HEIGHT}"
    return f'<svg viewBox="{box}" role="img" aria-label="{html.escape(label)}">{"".join(parts)}</svg>'


def _name_heights(lines: Sequence[Line], place: "object") -> list[float]:
    """Return where the names stand: at the lines' ends, pushed apart where they would touch."""
    ends = [place(*line.points[-1])[1] if line.points else HEIGHT / 2 for line in lines]
    last = -np.inf
    for i in sorted(range(len(ends)), key=ends.__getitem__):
        ends[i] = last = max(ends[i], last + 15)
    return ends


def ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers from `low` to `high`."""
    for size in (10.0**power * step for power in range(-4, 6) for step in (1, 2, 5)):
        if (high - low) / size <= 5:
            first = np.ceil(low / size - 1e-9)
            return [round(float(i * size), 6) for i in np.arange(first, high / size + 1e-9)]
    return [low, high]


def said(value: float) -> str:
    """Write a number of an axis."""
    return f"{value:g}".replace("-", "−")
