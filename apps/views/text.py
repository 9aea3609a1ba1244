"""The text page: words in, an answer out, and the words that decided coloured while one types."""

import streamlit as st

from components.address import tabs
from components.commands import network_word, text_word
from components.frame import how_computed, page, plain_errors
from components.networks import Network, choose_network, networks
from views.text_parts.ask import ask
from views.text_parts.attribution import show_attribution
from views.text_parts.batch import show_batch
from views.text_parts.compare import show_compare
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
    known = networks("text_classification")
    if not known:
        st.warning("There are no networks yet. Train one in half a minute with: cnn train docstrings")
        return
    network = choose_network(known, FAVOURITE)
    one, many, filters, own = tabs([ONE, MANY, FILTERS, OWN], key="view")
    if one.open:
        with one:
            st.fragment(_one)(known, network)
    if many.open:
        with many, plain_errors():
            show_batch(network)
    if filters.open:
        with filters, plain_errors():
            show_filters(network)
    if own.open:
        with own, plain_errors():
            show_teach(known)


def _one(known: dict[str, Network], network: Network) -> None:
    text = write_and_answer(network, key="text")
    if text is None:
        return
    ngrams, deletion, attribution, compare = tabs([NGRAMS, DELETION, ATTRIBUTION, COMPARE], key="part")
    if ngrams.open:
        with ngrams, plain_errors():
            show_ngrams(network, text)
    if deletion.open:
        with deletion, plain_errors():
            show_deletion(network, text)
    if attribution.open:
        with attribution, plain_errors():
            show_attribution(network, text, ask(network, text).labels)
    if compare.open:
        with compare, plain_errors():
            show_compare(known, network, text)
    _how(network, text)


def _how(network: Network, text: str) -> None:
    method = st.session_state.get("method", "ngrams")
    arguments = f"{network_word(network)} {text_word(text)}"
    commands = [f"cnn predict {arguments}", f"cnn explain {arguments} --method {method} --output why.html"]
    how_computed(network.card, commands=commands, steps=text_steps(network.card))


main()
