"""The same picture through several networks, side by side."""

import time

import streamlit as st

from components.bars import answer
from components.frame import note, plain_errors
from components.networks import Network, compute, predictor
from components.pictures import Figure, figures
from views.image_parts.ask import Picture, ask, reasons

MOST = 4


def show_compare(known: dict[str, Network], network: Network, picture: Picture) -> None:
    """Show answer, heat map and cost of up to four networks."""
    others = [n.id for n in known.values() if n.id != network.id]
    same = [n for n in others if known[n].card.labels == network.card.labels]
    first = [network.id, *(same or others)[: MOST - 1]]
    chosen = st.pills(
        "Networks", list(known), selection_mode="multi", default=first, key=f"compare-{network.id}",
        format_func=lambda name: f"{known[name].title} ({known[name].card.model})",
    )  # fmt: skip
    if not 1 <= len(chosen) <= MOST:
        note(f"Choose one to {MOST} networks.")
    chosen = chosen[:MOST]
    for place, name in zip(st.columns(max(3, len(chosen)), gap="medium"), chosen, strict=False):
        with place, plain_errors():
            _column(known[name], picture)


def _column(network: Network, picture: Picture) -> None:
    found = ask(network, picture)
    answer(found.labels, found.probabilities, kicker=f"{network.title}, {network.card.model}", shown=3, small=True)
    begin = time.perf_counter()
    compute(predictor(network).predict, [picture.source])  # once more, for the clock: the first time loads the network
    spent = 1000 * (time.perf_counter() - begin)
    why = reasons(network, picture, "grad-cam", found.labels[0])
    caption = f"{network.card.parameters:,} parameters, answered in {spent:.0f} ms"
    figures([Figure(why.overlay, caption, f"where {network.title} looked")])
