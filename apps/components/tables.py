"""The table of results, from the weights' cards."""

import html
from collections.abc import Sequence

import streamlit as st

from cnn_core.weights import WeightsCard
from components.frame import duration

HEADS = (
    ("Weights", ""), ("Network", ""), ("Test result", ""), ("n", "number"), ("Parameters", "number"),
    ("Size", "number"), ("Trained in", "number"), ("Train it yourself", ""),
)  # fmt: skip


def results(cards: Sequence[WeightsCard]) -> None:
    """Show one line per card; every figure can be made again with the command at the end of its line."""
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in HEADS)
    body = "".join(_row(card) for card in cards)
    st.html(
        '<div class="scroll" tabindex="0" role="region" aria-label="Results of all weights">'
        f'<table class="results"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(card: WeightsCard) -> str:
    name, metric = next(iter(card.metrics.items()), ("", None))
    result, count = "not measured", ""
    if metric is not None:
        spread = f" ± {100 * metric['std']:.2f}" if metric["std"] is not None else ""
        result = f"{100 * metric['mean']:.2f}{spread} % {name}"
        seeds = len(metric["seeds"])
        result += f", {seeds} seeds" if seeds > 1 else ""
        count = f"{metric['n']:,}"
    cells = (
        (card.name, ""), (card.model, ""), (result, ""), (count, "number"), (f"{card.parameters:,}", "number"),
        (f"{card.bytes / 1e6:.1f} MB", "number"), (duration(card.seconds), "number"),
    )  # fmt: skip
    row = "".join(f'<td class="{kind}">{html.escape(text)}</td>' for text, kind in cells)
    return f"<tr>{row}<td><code>{html.escape(card.command)}</code></td></tr>"
