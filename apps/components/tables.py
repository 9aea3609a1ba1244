"""Tables of a few columns, and the table of results from the weights' cards.

Our own in place of `st.table`: that one aligns figures that are texts to the left ("0.569, 200", "85.8 ± 1.5 %"), reads
every cell as Markdown, so that every foreign word had to be escaped, has no last row that sums up and no bars in its
cells, and would load pandas (0.5 s) for the home page.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from cnn_core.weights import WeightsCard
from components.frame import duration

HEADS = (
    ("Weights", ""), ("Network", ""), ("Test result", ""), ("n", "number"), ("Parameters", "number"),
    ("Size", "number"), ("Trained in", "number"), ("Train it yourself", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Markup:
    """A cell that is HTML already; everything else is text."""

    html: str


def table(
    heads: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[str | Markup]],
    *,
    label: str,
    foot: int = 0,
    narrow: bool = False,
) -> None:
    """Show a table.

    Args:
        heads: (title, kind) of each column; the kind "number" aligns to the right.
        rows: a text, or markup, for each column.
        label: what screen readers call it.
        foot: rows at the end that sum the others up.
        narrow: no wider than a column of text, so that the eye finds from one side to the other.
    """
    kinds = [kind for _, kind in heads]
    head = "".join(f'<th scope="col" class="{kind}">{html.escape(name)}</th>' for name, kind in heads)
    lines = [
        "".join(
            f'<td class="{kind}">{cell.html if isinstance(cell, Markup) else html.escape(cell)}</td>'
            for cell, kind in zip(row, kinds, strict=True)
        )
        for row in rows
    ]
    first_foot = len(lines) - foot
    body = "".join(f'<tr class="{"foot" if i >= first_foot else ""}">{line}</tr>' for i, line in enumerate(lines))
    st.html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="results{" narrow" if narrow else ""}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def results(cards: Sequence[WeightsCard]) -> None:
    """Show one line per card; every figure can be made again with the command at the end of its line."""
    table(HEADS, map(_row, cards), label="Results of all weights")


def _row(card: WeightsCard) -> tuple[str | Markup, ...]:
    name, metric = next(iter(card.metrics.items()), ("", None))
    result, count = "not measured", ""
    if metric is not None:
        spread = f" ± {100 * metric['std']:.2f}" if metric["std"] is not None else ""
        result = f"{100 * metric['mean']:.2f}{spread} % {name}"
        seeds = len(metric["seeds"])
        result += f", {seeds} seeds" if seeds > 1 else ""
        count = f"{metric['n']:,}"
    return (
        card.name, card.model, result, count, f"{card.parameters:,}", f"{card.bytes / 1e6:.1f} MB",
        duration(card.seconds), Markup(f"<code>{html.escape(card.command)}</code>"),
    )  # fmt: skip
