"""The diagram of a network as SVG: boxes as high as the maps and as thick as their channels, wires where the data goes.

Drawn from the survey of a real run (`zoo`). A component of our own, because `st.html` takes SVG out of what it
shows.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from components.browser import style
from components.diagram_layers import LayerBox, kind_of, layer_box, legend, shape_text

WIDEST = 1090.0  # units
# Thickness of the boxes, gap between them, and the widest diagram drawn like this: the first that fits is taken.
LOOKS: tuple[tuple[float, float, float], ...] = (
    (1.4, 30.0, 520.0), (1.2, 16.0, 760.0), (1.0, 8.0, WIDEST), (1.0, 5.0, WIDEST), (0.8, 5.0, WIDEST),
)  # fmt: skip
LOOKS += tuple((thickness, 5.0, WIDEST) for thickness in (0.62, 0.46, 0.34, 0.24))
FAN = 18.0  # where lanes part and meet
LANE_GAP = 10.0
JOIN = 6.0  # radius
SMALL, HIGHEST = 640, 360  # pixels; diagrams of small networks are blown up to no more
TEXT = 5.9  # width of a letter of the labels
LINE = 14.0  # height of a line of the labels
SIGNS = {"add": "+", "cat": "‖", "mul": "×"}


@dataclass
class Piece:
    """Something drawn around the point (0, 0), which is where the wire enters it."""

    width: float = 0.0
    up: float = 0.0  # how far it reaches above the wire
    down: float = 0.0
    marks: list[str] = field(default_factory=list)  # SVG
    places: list[tuple[int, float, float]] = field(default_factory=list)  # node, left, right

    def put(self, piece: "Piece", x: float, y: float = 0.0) -> None:
        """Draw another piece into this one; the width is the caller's to set."""
        self.marks.append(f'<g transform="translate({x:.1f},{y:.1f})">{"".join(piece.marks)}</g>')
        self.places += [(node, x + left, x + right) for node, left, right in piece.places]
        self.up, self.down = max(self.up, piece.up - y), max(self.down, piece.down + y)


def show_diagram(survey: Any, *, title: str, key: str) -> None:
    """Draw a `zoo.plans.Survey`."""
    _plan()(key=key, data=draw(survey, title=title))


def show_legend(surveys: Sequence[Any], *, key: str) -> None:
    """Say what the colours of these diagrams mean."""
    _plan()(key=key, data=legend({kind_of(node) for survey in surveys for node in survey.nodes}))


@st.cache_resource(show_spinner=False)
def _plan() -> Any:
    """Return the component that shows the markup it is given; it is not looked at: all text in it is escaped."""
    place = "parentElement.querySelector('.network-diagram')"
    show = f"export default ({{ parentElement, data }}) => {{ {place}.innerHTML = data; }}"
    body = '<div class="network-diagram" tabindex="0" role="group" aria-label="Network diagram"></div>'
    return st.components.v2.component("network_diagram", html=body, css=style("network_diagram"), js=show)


def draw(survey: Any, *, title: str) -> str:
    """Return the SVG of a survey, made as thin as it must be to fit."""
    for thickness, gap, widest in LOOKS:
        piece = _series(survey.series, survey, (thickness, gap))
        if piece.width <= widest:
            break
    labels, rows = _labels(survey, piece)
    margin = 24.0
    width, top = piece.width + 2 * margin, piece.up + 8
    height = top + piece.down + 22 + rows * 2.2 * LINE
    ends = f"from {shape_text(survey.input_shape)} to {shape_text(survey.output_shape)}"
    words = f"{title}: {len(survey.rows)} layers, {ends}"
    widest = width * max(1.0, min(max(1.5, SMALL / width), 2.0, HIGHEST / height))
    return (
        f'<svg viewBox="{-margin:.0f} {-top:.0f} {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(words)}"'
        f' style="min-width:{0.9 * width:.0f}px;max-width:{widest:.0f}px">{"".join(piece.marks)}{labels}</svg>'
    )


def _series(series: Sequence[Any], survey: Any, look: tuple[float, float]) -> Piece:
    """Draw parts one after another on a wire."""
    piece, x = Piece(), 0.0
    for part in series:
        if isinstance(part, int):
            node = survey.nodes[part]
            drawn = _join(part, node.kind) if node.kind in SIGNS else _slab(part, survey, look)
        else:
            drawn = _fork(part.lanes, survey, look)
        if drawn.width:
            piece.put(drawn, x)
            x += drawn.width
    piece.width = x
    if x:
        piece.marks.insert(0, f'<path class="wire" d="M0,0H{x:.1f}"/>')
    return piece


def _slab(number: int, survey: Any, look: tuple[float, float]) -> Piece:
    """Draw one layer's map; layers that change no size (normalisation, activations) are not drawn."""
    thickness, gap = look
    made: LayerBox | None = layer_box(survey.nodes[number], dims=len(survey.input_shape) - 1, thickness=thickness)
    if made is None:
        return Piece()
    half = made.height / 2
    mark = f'<g transform="translate({gap / 2:.1f},{-half:.1f})">{made.mark}</g>'
    right = gap / 2 + made.width
    return Piece(right + made.depth * 0.6 + gap / 2, half + made.depth, half, [mark], [(number, gap / 2, right)])


def _join(number: int, kind: str) -> Piece:
    """Draw the place where maps meet."""
    centre = JOIN + 2
    lines = {
        "add": f"M{centre - 3},0H{centre + 3}M{centre},-3V3",
        "cat": f"M{centre - 1.8},-3V3M{centre + 1.8},-3V3",
        "mul": f"M{centre - 2.2},-2.2L{centre + 2.2},2.2M{centre - 2.2},2.2L{centre + 2.2},-2.2",
    }
    names = {"add": "sum of both ways", "cat": "all maps one behind the other", "mul": "product of both ways"}
    mark = (
        f'<g><title>{names[kind]}</title><circle class="join" cx="{centre}" cy="0" r="{JOIN}"/>'
        f'<path class="sign" d="{lines[kind]}"/></g>'
    )
    return Piece(2 * centre, JOIN, JOIN, [mark], [(number, 2.0, 2.0 + 2 * JOIN)])


def _fork(lanes: Sequence[Any], survey: Any, look: tuple[float, float]) -> Piece:
    """Draw lanes above each other, or one lane under the arc of its shortcut."""
    drawn = [(lane, _series(lane, survey, look)) for lane in lanes]
    boxes = [len(piece.places) for _, piece in drawn]
    if len(lanes) == 2 and min(boxes) <= 1 < max(boxes):
        main, aside = sorted(drawn, key=lambda pair: -len(pair[1].places))
        return _arc(main[1], aside[0], aside[1], survey)
    return _stack([piece for _, piece in drawn])


def _arc(main: Piece, aside: Sequence[Any], over: Piece, survey: Any) -> Piece:
    piece, start = Piece(), 4.0
    end = start + main.width + 4.0
    piece.put(main, start)
    height, bend = main.up + 9.0, 6.0
    inside = "; ".join(_name(survey.nodes[part]) for part in aside if isinstance(part, int))
    words = f"shortcut: {inside}" if inside else "shortcut: the input itself"
    path = (
        f"M{start - 2:.1f},0V{bend - height:.1f}q0,{-bend},{bend},{-bend}H{end + JOIN + 2 - bend:.1f}"
        f"q{bend},0,{bend},{bend}V{-JOIN:.1f}"
    )
    style = "short padded" if aside and not over.places else "short"
    mark = f'<g><title>{html.escape(words)}</title><path class="{style}" d="{path}"/>'
    if over.places:  # one layer on the shortcut
        middle = (start + end) / 2
        node = survey.nodes[over.places[0][0]]
        mark += (
            f'<g class="box {kind_of(node)}"><rect class="front" x="{middle - 4:.1f}" y="{-height - 5:.1f}" width="8"'
            ' height="10" rx="1"/></g>'
        )
    piece.marks.append(mark + "</g>")
    piece.marks.insert(0, f'<path class="wire" d="M0,0H{end:.1f}"/>')
    piece.up = height + (6.0 if over.places else 1.0)
    piece.width = end
    return piece


def _stack(lanes: Sequence[Piece]) -> Piece:
    piece = Piece()
    widest = max(lane.width for lane in lanes)
    total = sum(lane.up + lane.down for lane in lanes) + LANE_GAP * (len(lanes) - 1)
    edge = -total / 2
    end = widest + 2 * FAN
    for lane in lanes:
        y = edge + lane.up
        edge = y + lane.down + LANE_GAP
        half = FAN / 2
        piece.marks.append(
            f'<path class="wire" d="M0,0C{half},0,{half},{y:.1f},{FAN},{y:.1f}H{end - FAN:.1f}'
            f'C{end - half:.1f},{y:.1f},{end - half:.1f},0,{end:.1f},0"/>'
        )
        piece.put(lane, FAN, y)
    piece.width = end
    return piece


def _labels(survey: Any, piece: Piece) -> tuple[str, int]:
    """Return the names of the stages under the boxes they span, and how many rows of names that takes."""
    from cnn_core.anatomy import is_inside

    names = _layer_names(survey.nodes)
    spans = []
    for path in ("input", *survey.stages):
        inside = [place for place in piece.places if is_inside(names[place[0]], path)]
        if inside:
            size = shape_text(survey.nodes[max(node for node, _, _ in inside)].output_shape)
            name = path.removeprefix("encoder.").removeprefix("stages.").replace("ups.", "up ")
            spans.append((name, size, min(a for _, a, _ in inside), max(b for _, _, b in inside)))
    marks, base = [], piece.down + 12
    ends: list[float] = []
    for name, size, left, right in spans:
        middle, half = (left + right) / 2, TEXT * max(len(name), len(size)) / 2
        row = next((i for i, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row : row + 1] = [middle + half + 6]
        y = base + 2.2 * LINE * row
        marks.append(
            f'<path class="bracket" d="M{left:.1f},{base - 5:.1f}H{right:.1f}M{middle:.1f},{base - 5:.1f}V{y:.1f}"/>'
            f'<text x="{middle:.1f}" y="{y + 10:.1f}">{html.escape(name)}</text>'
            f'<text class="quiet" x="{middle:.1f}" y="{y + 10 + LINE - 2:.1f}">{html.escape(size)}</text>'
        )
    return "".join(marks), max(1, len(ends))


def _layer_names(nodes: Sequence[Any]) -> list[str]:
    """Return the path of every node; a join counts to the layer that ran last before it."""
    names: list[str] = []
    for node in nodes:
        names.append(node.row.name if node.row is not None else names[max(node.inputs)] if node.inputs else "input")
    return names


def _name(node: Any) -> str:
    return node.kind if node.row is None else f"{node.row.name} ({node.kind})"
