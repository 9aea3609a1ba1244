"""What the chosen networks reached where this repository, or a run in the runs folder, trained them."""

import html
from collections.abc import Sequence

import streamlit as st

from cnn_core.domains import domain_folders
from cnn_core.weights import WeightsCard
from components.frame import duration, note
from components.networks import networks
from components.tables import Markup, table
from jobs.commands import training_command
from views.models_parts.choose import title_of

HEADS = (
    ("Data", "short"), ("Network", "short"), ("Test result", "short"), ("n", "number"), ("Parameters", "number"),
    ("Trained in", "number"), ("Train it yourself", ""),
)  # fmt: skip


def show_reached(names: Sequence[str]) -> None:
    """Show one line per weights of these networks, sorted by data set, so that rivals stand below each other."""
    cards = [network.card for domain in domain_folders() for network in networks(domain).values()]
    found = sorted((card for card in cards if card.model in names), key=lambda card: (data_of(card), card.model))
    if found:
        table(HEADS, map(_line, found), label="Results of these networks")
    missing = [name for name in names if name not in {card.model for card in found}]
    if missing:
        called = " and ".join(title_of(name) for name in missing)
        note(f"There are no weights of {called} yet. Runs of the command line and the Train page appear in this table.")
        st.code("\n".join(map(training_command, missing)), language="bash")


def data_of(card: WeightsCard) -> str:
    """Return the name of the set that weights were trained and measured on."""
    data = card.recipe.get("data")
    name = data.get("data", "") if isinstance(data, dict) else ""
    return str(name).rstrip("/").rsplit("/", 1)[-1]  # of an own folder: its name


def _line(card: WeightsCard) -> tuple[str | Markup, ...]:
    name, metric = next(iter(card.metrics.items()), ("", None))
    if metric is None:
        result, count = "not measured", ""
    else:
        spread = f" ± {metric['std']:.4f}" if metric["std"] is not None else ""
        result, count = f"{metric['mean']:.4f}{spread} {name.replace('_', ' ')}", f"{metric['n']:,}"
    return (
        data_of(card), title_of(card.model), result, count, f"{card.parameters:,}", duration(card.seconds),
        Markup(f"<code>{html.escape(card.command)}</code>"),
    )  # fmt: skip
