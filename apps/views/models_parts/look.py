"""Surveys of the chosen networks: made once for all sessions, drawn, and as tables."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from components.diagram_layers import edges_text, sees, shape_text, times
from components.frame import note
from components.network_diagram import show_diagram
from components.networks import compute
from components.tables import Markup, table
from views.models_parts.choose import title_of

SCROLL = 520  # pixels; a longer table of layers scrolls


@st.cache_resource(max_entries=200, show_spinner=False)
def survey(name: str, *, size: int | None = None, dims: int | None = None) -> Any:
    """Return the `zoo.plans.Survey` of a network.

    Raises:
        CnnError: it does not exist for so many axes, or refuses the size.
    """

    def make() -> Any:
        from zoo.plans import survey

        return survey(name, size=size, spatial_dims=dims)

    return compute(make)


def show_network(found: Any) -> None:
    """Show the name, the paper, the figures and the diagram of one network."""
    entry, name = found.entry, found.entry.name
    st.subheader(title_of(name), anchor=False)
    link = f'<a href="{html.escape(entry.url)}" target="_blank" rel="noopener">{html.escape(entry.paper)}</a>'
    figures = (
        f"<b>{amount(found.parameters)}</b> parameters, <b>{amount(found.multiply_adds)}</b> multiply-adds, "
        f"<b>{found.layers}</b> layers with weights one after another."
    )
    if found.sees:
        figures += f" Receptive field of the last map: <b>{edges_text(found.sees)}</b> pixels."
    st.html(f'<p class="note" data-model="{name}">{link}. {figures}</p>')
    show_diagram(found, title=title_of(name), key=f"diagram-{name}")


def amount(count: int) -> str:
    """Return a large number in words: "11.7 million"."""
    for size, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if count >= size:
            return f"{count / size:.1f} {word}" if count < 100 * size else f"{count / size:,.0f} {word}"
    return f"{count:,}"


def show_comparison(surveys: Sequence[Any], measured: Mapping[str, Any]) -> None:
    """Show one line per network: what it costs on this input, and what it took here where that was measured."""
    heads = [
        ("Network", "short"), ("Year", "number"), ("Input", "number"), ("Output", "number"), ("Layers", "number"),
        ("Parameters", "number"), ("Multiply-adds", "number"), ("Receptive field", "number"),
    ]  # fmt: skip
    if measured:
        heads += [("One answer", "number"), ("Memory", "number")]
    table(heads, (_line(found, measured) for found in surveys), label="The networks side by side")


def _line(found: Any, measured: Mapping[str, Any]) -> list[str]:
    line = [
        title_of(found.entry.name), str(found.entry.year),
        shape_text(found.input_shape), shape_text(found.output_shape),
        str(found.layers), f"{found.parameters:,}", f"{found.multiply_adds:,}",
        edges_text(found.sees),
    ]  # fmt: skip
    if measured:
        took = measured.get(found.entry.name)
        if took is None:
            line += ["", ""]
        else:
            memory = "" if took.memory is None else f"{took.memory / 1e6:,.0f} MB"
            line += [f"{took.milliseconds:,.1f} ms", memory]
    return line


def show_layers(found: Any) -> None:
    """Show the table of a network's layers."""
    every = st.toggle("Also normalisation, activations and other layers without weights", key="models-every")
    rows = [r for r in found.rows if every or r.kernel or r.multiply_adds or "Pool" in r.kind]
    biggest = max((row.multiply_adds for row in found.rows), default=0) or 1
    lines: list[list[str | Markup]] = [
        [
            row.name.removeprefix("stages."), row.kind,
            shape_text(row.output_shape), times(row.kernel), _once(row.stride),
            f"{row.parameters:,}", _share(row.multiply_adds, biggest), f"{row.multiply_adds:,}", sees(row),
        ]
        for row in rows
    ]  # fmt: skip
    lines.append(["all layers", "", "", "", "", f"{found.parameters:,}", "", f"{found.multiply_adds:,}", ""])
    heads = (
        ("Layer", "short"), ("Kind", "short"), ("Output", "number"), ("Kernel", "number"), ("Stride", "number"),
        ("Parameters", "number"), ("", "number"), ("Multiply-adds", "number"), ("Receptive field", "number"),
    )  # fmt: skip
    with st.container(height=SCROLL if len(lines) > 12 else "content", border=False):
        table(heads, lines, label="Layers", foot=1)
    note(
        "The receptive field is the edge, in cells of the input, of what one cell of the layer’s output depends on. "
        "Multiply-adds are of one input; biases, normalisation and pooling are not counted, as in papers."
    )


def _once(numbers: Any) -> str:
    return times(numbers[:1]) if isinstance(numbers, tuple) and len(set(numbers)) == 1 else times(numbers)


def _share(count: int, biggest: int) -> Markup:
    """Return a bar that says how much of the work this layer has."""
    width = f"{100 * count / biggest:.1f}%" if count else "0;min-width:0"
    return Markup(f'<span class="adds"><span style="width:{width}"></span></span>')


def layers_csv(found: Any) -> str:
    """Return the table of layers for a spreadsheet."""
    from cnn_core.data.tables import csv_text

    rows = [
        ("layer", "kind", "output", "kernel", "stride", "padding", "parameters", "multiply_adds", "receptive_field")
    ]
    for row in found.rows:
        cells = [row.kernel, row.stride, row.padding]
        shown = ["" if cell is None else cell if isinstance(cell, str) else "x".join(map(str, cell)) for cell in cells]
        rows.append(
            (row.name, row.kind, "x".join(map(str, row.output_shape)), *shown, row.parameters, row.multiply_adds,
             sees(row).replace(" × ", "x").replace(",", ""))
        )  # fmt: skip
    return csv_text(rows)
