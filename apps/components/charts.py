"""Line charts: Altair's, with axes fitted to what is shown, tooltips, and the theme's colours in light and dark.

Streamlit runs Vega with its interpreter, which needs no `eval`: the pages' Content-Security-Policy stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import streamlit as st

from components.frame import note

MOST = 6  # series that can be told apart: the theme has so many colours
DASHES = ([1, 0], [7, 3], [2, 3], [9, 3, 2, 3], [4, 4], [12, 4])  # of the series: not everyone sees every colour
HEIGHT, LEGEND_LINE = 260, 24  # pixels
SCRIPTS = ("ArrowVegaLiteChart", "loadVegaEmbed", "vega-interpreter")  # Streamlit's files for charts, without hashes
POINTS, DOTS = "points", "dots"  # data sets, always of the same name: new points move in the chart that is there

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class LineChart:
    """A title, the names of the axes with their units, and the points of each series.

    Without a domain an axis is fitted to the points. `percent` writes the vertical axis in percent; `log_x` makes the
    horizontal axis logarithmic, with a tick at every point. `dots` are marked, each with a line down to zero.
    """

    title: str
    series: Mapping[str, Points]
    x: str
    y: str
    x_domain: tuple[float, float] | None = None
    y_domain: tuple[float, float] | None = None
    percent: bool = False
    log_x: bool = False
    dots: Points = ()


@st.cache_resource(show_spinner=False)
def _early() -> Any:
    script = (
        "export default ({ data }) => data.forEach((file) => import(new URL(file, document.baseURI)).catch(() => {}));"
    )
    return st.components.v2.component("charts_early", html="<span></span>", js=script)


def load_early(*, key: str = "charts-early") -> None:
    """Load the browser's code for charts now.

    It comes with the first chart of a page; if the connection is lost just then, Streamlit does not ask for it again.
    """
    _early()(key=key, data=_scripts())


@cache
def _scripts() -> list[str]:
    """Return the addresses of Streamlit's files for charts, which stay the same while the server runs."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return [f"static/js/{file.name}" for name in SCRIPTS for file in folder.glob(f"{name}.*.js")]


def show_charts(charts: Sequence[LineChart], *, key: str, live: bool = False) -> None:
    """Show charts side by side, below each other on a phone. A name has the same colour in all of them.

    Args:
        charts: at most three.
        key: of the widgets.
        live: their points change again and again: they move in the chart that is there, which a description with other
            numbers would replace.
    """
    names = list(dict.fromkeys(name for chart in charts for name in chart.series))[:MOST]
    for i, (place, chart) in enumerate(zip(st.columns(max(2, len(charts)), gap="medium"), charts, strict=False)):
        with place:
            show_chart(chart, names, key=f"{key}-{i}", live=live)


def reliability(calibration: Any, *, key: str, of: str) -> None:
    """Show how often answers are right, by their probability.

    Args:
        calibration: a `cnn_core.classification.Calibration`.
        key: of the chart.
        of: what was measured, in the plural.
    """
    points = [(probability, accuracy) for n, probability, accuracy in calibration.bins if n]
    chart = LineChart(
        "How often it is right, by its probability", {"measured": points, "perfect": [(0.0, 0.0), (1.0, 1.0)]},
        "probability of the answer", "share of right answers", x_domain=(0.0, 1.0), y_domain=(0.0, 1.0), percent=True,
    )  # fmt: skip
    show_charts([chart], key=key)
    note(
        f"Calibration error {calibration.error:.4f} on {sum(n for n, _, _ in calibration.bins):,} {of}: the mean "
        "distance of the two lines, weighted by the answers at each probability."
    )


def show_chart(chart: LineChart, names: Sequence[str] = (), *, key: str, live: bool = False) -> None:
    """Show one chart; `names` are those of the legend, if there are others than its own; `live` as in `show_charts`."""
    names = list(names or chart.series)
    height = HEIGHT + LEGEND_LINE * ceil(len(names) / 2) * (len(names) > 1)
    st.altair_chart(_drawn(chart, names), key=key, alt=described(chart, live=live), height=height)


def described(chart: LineChart, *, live: bool = False) -> str:
    """Return what screen readers say: the title, and where each line ends, unless the ends move."""

    def end(name: str, x: float, y: float) -> str:
        value = f"{100 * y:.1f} %" if chart.percent else f"{y:.4g}"
        return f"{name} {value} at {x:g}".strip()

    if live:
        return f"{chart.title} ({chart.y} by {chart.x}), while it is trained"
    ends = [end(name, *line[-1]) for name, line in chart.series.items() if line]
    return f"{chart.title} ({chart.y} by {chart.x}): {'; '.join(ends) or 'nothing yet'}"


def _drawn(chart: LineChart, names: list[str]) -> Any:
    """Return the Altair chart: the lines, their ends, and the points that the pointer is nearest to."""
    import altair as alt  # takes 0.3 s

    several = len(names) > 1
    legend = None
    if several:
        legend = alt.Legend(
            title=None, orient="bottom", columns=2, labelLimit=150, symbolType="stroke", symbolSize=400, padding=0,
            offset=8, rowPadding=4,
        )  # fmt: skip
    number = ".1%" if chart.percent else ".4~g"
    tooltip = [alt.Tooltip("x:Q", title=chart.x, format=",~f"), alt.Tooltip("y:Q", title=chart.y, format=number)]
    ticks = sorted({x for line in chart.series.values() for x, _ in line}) if chart.log_x else alt.Undefined
    base = alt.Chart(alt.NamedData(POINTS)).encode(
        x=alt.X(
            "x:Q", title=chart.x, scale=_scale(chart.x_domain, type="log" if chart.log_x else "linear", nice=False),
            axis=alt.Axis(grid=False, tickMinStep=1, tickCount=6, values=ticks, format=",~f", titlePadding=6,
                          labelOverlap=False if chart.log_x else alt.Undefined),
        ),
        y=alt.Y(
            "y:Q", title=chart.y, scale=_scale(chart.y_domain),
            axis=alt.Axis(tickCount=5, format=".3~%" if chart.percent else ",~f", titlePadding=8),
        ),
        color=alt.Color("name:N", scale=alt.Scale(domain=names), legend=legend),
        tooltip=[alt.Tooltip("name:N", title=" "), *tooltip] if several else tooltip,
    )  # fmt: skip
    dash = alt.StrokeDash("name:N", scale=alt.Scale(domain=names, range=list(DASHES[: len(names)])), legend=legend)
    near = alt.selection_point(
        name="near", on="pointerover", clear="pointerout", nearest=True, fields=["x"], empty=False
    )
    clip = chart.y_domain is not None
    layers = [
        base.mark_line(strokeWidth=2.5, strokeJoin="round", clip=clip).encode(strokeDash=dash),
        base.mark_point(filled=True, size=50, opacity=1, clip=clip).transform_filter("datum.last"),
        base.mark_point(filled=True, size=80, clip=clip)
        .encode(opacity=alt.condition(near, alt.value(1), alt.value(0)))
        .add_params(near),
    ]
    if chart.dots:
        dots = alt.Chart(alt.NamedData(DOTS)).encode(x="x:Q", y="y:Q", tooltip=tooltip)
        zero = dots.mark_rule(strokeDash=[3, 4], strokeWidth=1.5, color="#8a857c").encode(y2=alt.datum(0))
        layers = [layers[0], zero, dots.mark_point(filled=True, size=130, color="#8a857c", opacity=1), layers[2]]
    title = alt.TitleParams(chart.title, anchor="start", limit=0, offset=10)
    padding = {"top": 10, "bottom": 4, "left": 0, "right": 8}
    return alt.layer(*layers, datasets=_data_sets(chart, names)).properties(title=title, padding=padding)


def _scale(domain: tuple[float, float] | None, **settings: Any) -> Any:
    import altair as alt

    return alt.Scale(zero=False, domain=alt.Undefined if domain is None else list(domain), **settings)


def _data_sets(chart: LineChart, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    points = [
        {"name": name, "x": float(x), "y": float(y), "last": i == len(line) - 1}
        for name, line in chart.series.items() if name in names
        for i, (x, y) in enumerate(line)
    ]  # fmt: skip
    dots = [{"x": float(x), "y": float(y)} for x, y in chart.dots]
    return {POINTS: points} | ({DOTS: dots} if dots else {})
