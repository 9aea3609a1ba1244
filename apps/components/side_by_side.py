"""The same thing through several networks, side by side."""

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from components.frame import note, plain, plain_errors
from components.networks import Network, compute, predictor

MOST = 4


def side_by_side(known: dict[str, Network], network: Network, column: Callable[[Network], None]) -> None:
    """Let up to four networks be chosen, and give each its column.

    Args:
        known: all networks of the domain.
        network: the first of those chosen at first; the others are preferably of the same classes.
        column: shows what a network says.
    """
    others = [n.id for n in known.values() if n.id != network.id]
    same = [n for n in others if known[n].card.labels == network.card.labels]
    first = [network.id, *(same or others)[: MOST - 1]]
    chosen = st.pills(
        "Networks", list(known), selection_mode="multi", default=first, key=f"compare-{network.id}",
        format_func=lambda name: plain(f"{known[name].title} ({known[name].card.model})"),
    )  # fmt: skip
    if not 1 <= len(chosen) <= MOST:
        note(f"Choose one to {MOST} networks.")
    chosen = chosen[:MOST]
    for place, name in zip(st.columns(max(3, len(chosen)), gap="medium"), chosen, strict=False):
        with place, plain_errors():
            column(known[name])


def cost(network: Network, source: Any) -> str:
    """Return how large a network is and how long it takes to answer for `source`, measured now."""
    begin = time.perf_counter()
    compute(predictor(network).predict, [source])  # once more, for the clock: the first time loads the network
    spent = 1000 * (time.perf_counter() - begin)
    return f"{network.card.parameters:,} parameters, answered in {spent:.0f} ms"
