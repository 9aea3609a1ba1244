"""The text page: words in, an answer out, and the words that decided coloured while one types."""

import streamlit as st

from components.address import sections
from components.bars import answer
from components.coloured import coloured
from components.commands import asking, text_word
from components.frame import how_computed, note, page
from components.networks import Network, choose_network
from components.side_by_side import cost, side_by_side
from views.text_parts.ask import ask, names, reasons
from views.text_parts.attribution import show_attribution
from views.text_parts.batch import show_batch
from views.text_parts.deletion import show_deletion
from views.text_parts.filters import show_filters
from views.text_parts.live import write_and_answer
from views.text_parts.ngrams import show_ngrams
from views.text_parts.steps import text_steps
from views.text_parts.teach import show_teach

FAVOURITE = "sst2"  # chosen at first, if it is there
ONE, MANY, FILTERS, OWN = "One text", "Many texts", "What the filters look for", "Your own classes"
NGRAMS, DELETION, ATTRIBUTION, COMPARE = "Which n-grams won", "Smallest deletion", "Attribution", "Side by side"


def main() -> None:
    page(
        "What does this text say?",
        "Type, and a small network that this repository trained answers at every pause and colours the words that "
        "decided.",
    )
    training = "Train one in half a minute with: cnn train docstrings"
    known, network = choose_network("text_classification", FAVOURITE, training=training)
    if network is None:
        return
    parts = {
        ONE: lambda: st.fragment(_one)(known, network), MANY: lambda: show_batch(network),
        FILTERS: lambda: show_filters(network), OWN: lambda: show_teach(known),
    }  # fmt: skip
    sections(parts, key="view")


def _one(known: dict[str, Network], network: Network) -> None:
    text = write_and_answer(network, key="text")
    if text is None:
        return
    parts = {
        NGRAMS: lambda: show_ngrams(network, text),
        DELETION: lambda: show_deletion(network, text),
        ATTRIBUTION: lambda: show_attribution(network, text, ask(network, text).labels),
        COMPARE: lambda: side_by_side(known, network, lambda chosen: _column(chosen, text)),
    }
    sections(parts, key="part")
    method = st.session_state.get("method", "ngrams")
    commands = asking(network, text_word(text), method=method, output="why.html")
    how_computed(network.card, commands=commands, steps=text_steps(network.card))


def _column(network: Network, text: str) -> None:
    """Show answer, coloured text and cost of a network."""
    found = ask(network, text)
    kicker = f"{network.title}, {network.card.model}"
    answer(names(network, found.labels), found.probabilities, kicker=kicker, small=True)
    coloured(text, reasons(network, text).spans, small=True)
    note(cost(network, text))


main()
