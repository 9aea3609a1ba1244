"""Curves of a training as SVG: light, in the theme's colours, and redrawn every second without flicker.

A component of our own, because `st.html` takes SVG out of what it shows.
"""

import html
from collections.abc import Sequence

from components.browser import drawing

WIDTH, HEIGHT = 320, 150  # user units; the picture scales to its place
LEFT, RIGHT, TOP, BOTTOM = 38, 46, 10, 22


def curves(charts: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, last_x: float, unit: str, key: str) -> None:
    """Show one small chart per (title, points); all share the horizontal axis from 0 to `last_x` in `unit`s."""
    parts = "".join(f'<div class="curve">{_chart(*chart, last_x=last_x, unit=unit)}</div>' for chart in charts)
    drawing("curves")(key=key, data=parts)


def _chart(title: str, points: Sequence[tuple[float, float]], *, last_x: float, unit: str) -> str:
    values = [y for _, y in points]
    low, high = limits(values)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (right - LEFT) * x / max(last_x, 1e-9), bottom - (bottom - TOP) * (y - low) / (high - low)

    rules = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{place(0, y)[1]:.1f}" y2="{place(0, y)[1]:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{place(0, y)[1] + 4:.1f}" text-anchor="end">{y:.3g}</text>'
        for y in (low, (low + high) / 2, high)
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    end = ""
    if points:
        x, y = place(*points[-1])
        end = (
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
            f'<text x="{x + 7:.1f}" y="{y + 4:.1f}">{values[-1]:.3g}</text>'
        )
    said = f"{title}: {values[-1]:.3g} at {points[-1][0]:.3g} {unit}" if points else f"{title}: nothing yet"
    return (
        f"<p>{html.escape(title)}</p>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(said)}">{rules}'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">0</text>'
        f'<text x="{right}" y="{HEIGHT - 4}" text-anchor="end">{last_x:.3g} {html.escape(unit)}</text>'
        f'<polyline class="mark" points="{line}"/>{end}</svg>'
    )


def limits(values: Sequence[float], *, least: float = 1.0) -> tuple[float, float]:
    """Return the ends of the vertical axis: from 0 to a round number above the largest value, at least `least`."""
    highest = max(values, default=1.0)
    if highest <= least:
        return 0.0, least
    for step in (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 50, 100):
        if highest <= step:
            return 0.0, float(step)
    return 0.0, highest
