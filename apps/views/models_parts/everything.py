"""All networks in a table, oldest first, each at the input of its paper."""

import html
from collections.abc import Mapping
from typing import Any

import streamlit as st

from components.diagram_layers import shape_text
from components.frame import note
from components.tables import Markup, table
from views.models_parts.choose import title_of
from views.models_parts.look import amount, survey

HEADS = (
    ("Year", "number"), ("Network", "short"), ("Input of the paper", "number"), ("Layers", "number"),
    ("Parameters", "number"), ("Multiply-adds", "number"), ("Paper", ""),
)  # fmt: skip


def show_everything(known: Mapping[str, Any]) -> None:
    """Show one line per network; its name opens its diagram."""
    whole = all(set(entry.spatial_dims) == {1, 2, 3} for entry in known.values())
    axes = "one, two and three axes" if whole else "one or two axes, most of them for three"
    note(
        f"{len(known)} networks, all for {axes}. Layers are those with weights, one after another on the "
        "longest path, as papers count depth."
    )
    with st.spinner("Surveying all networks"):
        lines = [_line(survey(name)) for name in known]
    table(HEADS, lines, label="All networks")


def _line(found: Any) -> list[str | Markup]:
    entry = found.entry
    name = f'<a href="models?model={entry.name}&amp;size={found.input_shape[1]}&amp;dims={len(found.input_shape) - 1}"'
    paper = f'<a href="{html.escape(entry.url)}" target="_blank" rel="noopener">{html.escape(entry.paper)}</a>'
    return [
        str(entry.year), Markup(f'{name} target="_self">{html.escape(title_of(entry.name))}</a>'),
        shape_text(found.input_shape), str(found.layers), amount(found.parameters), amount(found.multiply_adds),
        Markup(paper),
    ]  # fmt: skip
