"""One layer in the diagram of a network: a box, as high as the edge of its map and as thick as it has channels."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

KINDS = {
    "input": "input", "conv": "convolution", "up": "up-convolution", "pool": "pooling", "dense": "dense layer",
    "add": "sum with a shortcut", "cat": "joined channels",
}  # fmt: skip
HIGHEST = 240.0


@dataclass(frozen=True)
class LayerBox:
    """What is drawn of a layer, its upper left corner at (0, 0)."""

    width: float
    height: float
    depth: float  # how far it reaches to the right and upwards behind its front
    mark: str  # SVG


def kind_of(node: Any) -> str:
    """Return the kind of a node as the legend calls it, or "" for what is not drawn."""
    kind = node.kind
    if kind in KINDS:
        return kind
    if "ConvTranspose" in kind:
        return "up"
    if "Conv" in kind:
        return "conv"
    if "Pool" in kind:
        return "pool"
    if kind == "Linear":
        return "dense"
    return "conv" if node.row is not None and node.row.multiply_adds else ""


def layer_box(node: Any, *, dims: int, thickness: float) -> LayerBox | None:
    """Return the box of a node, or None for what is not drawn.

    Args:
        node: of `cnn_core.anatomy`.
        dims: axes of the network's maps: a line has no depth, a volume shows its slices.
        thickness: factor of the width.
    """
    kind = kind_of(node)
    if not kind or kind in ("add", "cat"):
        return None
    channels, *edges = node.output_shape
    if not edges or (kind == "dense" and max(edges) == 1):
        height, depth = min(HIGHEST, 5.0 * channels**0.3), 0.0
        width = max(2.0, 5.0 * thickness)
    else:
        height = min(HIGHEST, 13.4 * max(edges) ** 0.42)
        depth = 0.12 * height if dims > 1 else 0.0
        width = max(1.5, 2.2 * channels**0.35 * thickness)
        if kind == "pool":
            width = max(1.5, width * 0.5)
    faces = _faces(width, height, depth, slices=3 if dims == 3 else 0)
    return LayerBox(
        width, height, depth, f'<g class="box {kind}"><title>{html.escape(_words(node))}</title>{faces}</g>'
    )


def _faces(width: float, height: float, depth: float, *, slices: int) -> str:
    w, h, d = f"{width:.1f}", f"{height:.1f}", f"{depth:.1f}"
    front = f'<rect class="front" width="{w}" height="{h}"/>'
    if not depth:
        return front
    top = f'<path class="top" d="M0,0l{d},-{d}h{w}l-{d},{d}z"/>'
    side = f'<path class="side" d="M{w},0l{d},-{d}v{h}l-{d},{d}z"/>'
    lines = "".join(
        f"M{depth * i / (slices + 1):.1f},{-depth * i / (slices + 1):.1f}h{w}v{h}" for i in range(1, slices + 1)
    )
    return f'{top}{side}{front}{f"""<path fill="none" d="{lines}"/>""" if lines else ""}'


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as "56² × 64": the size, then the channels."""
    channels, *edges = shape
    if not edges or max(edges) == 1:
        return f"{channels:,}"
    if len(edges) > 1 and len(set(edges)) == 1:
        return f"{edges[0]:,}{'²³'[len(edges) - 2]} × {channels:,}"
    return f"{' × '.join(f'{edge:,}' for edge in edges)} × {channels:,}"


def times(numbers: Sequence[int] | str | None) -> str:
    """Return "3 × 3" for (3, 3), and nothing for what is no setting."""
    return "" if numbers is None else numbers if isinstance(numbers, str) else " × ".join(map(str, numbers))


def edges_text(edges: Sequence[int] | None) -> str:
    """Return one number for edges that are the same, else all: "1,024" or "3 × 5"."""
    if not edges:
        return ""
    return f"{edges[0]:,}" if len(set(edges)) == 1 else times(edges)


def sees(row: Any) -> str:
    """Return the edges of a layer's receptive field in input pixels."""
    return edges_text([ceil(axis.size) for axis in row.receptive_field or ()])


def _words(node: Any) -> str:
    """Return what the pointer is told of a layer."""
    if node.row is None:
        return f"{node.kind}: {shape_text(node.output_shape)}"
    row = node.row
    parts = [f"{row.name}: {row.kind}", f"output {shape_text(row.output_shape)}"]
    if row.kernel:
        parts.append(f"kernel {times(row.kernel)}, stride {times(row.stride)}")
    if row.parameters:
        parts.append(f"{row.parameters:,} parameters, {row.multiply_adds:,} multiply-adds")
    if row.receptive_field:
        parts.append(f"receptive field {sees(row)}")
    return "\n".join(parts)


def legend(kinds: set[str]) -> str:
    """Return what the colours mean, of those kinds that are drawn."""
    items = []
    for kind, words in KINDS.items():
        if kind not in kinds:
            continue
        if kind == "add":
            mark = '<path class="short" d="M1,11V5q0,-4,4,-4h4q4,0,4,4v6"/>'
        elif kind == "cat":
            mark = '<circle class="join" cx="7" cy="6" r="5"/><path class="sign" d="M5.5,3V9M8.5,3V9"/>'
        else:
            mark = f'<g class="box {kind}"><rect class="front" x="3" y="1" width="8" height="10"/></g>'
        items.append(f'<li><svg viewBox="0 0 14 12" aria-hidden="true">{mark}</svg>{words}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'
