"""The smallest deletion: the fewest words without which the answer is another one."""

from typing import Any

import streamlit as st

from components.bars import headline, percent
from components.coloured import Span, coloured
from components.frame import note
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.texts import spoken
from views.text_parts.ask import reasons

MOST_WORDS = 80  # of a text whose words are taken out; more would keep everybody waiting
LARGEST = 4  # words that are taken out


def show_deletion(network: Network, text: str) -> None:
    """Show the text with the words struck through whose removal changes the answer."""
    why = reasons(network, text)
    tokens = why.found.tokens
    if len(tokens) > MOST_WORDS:
        note(f"This text has {len(tokens):,} words; the search takes texts of at most {MOST_WORDS}. Shorten it.")
        return
    with st.spinner("Taking words out"):
        found = _search(network, text)
    if found is None:
        most = min(LARGEST, len(tokens) - 1)
        what = f"No deletion of up to {most} words was found that" if most else "It is a single word: nothing"
        note(f"{what} changes the answer “{why.label}”.")
        return
    places: list[tuple[int, int] | None] = predictor(network).contract.places(text)
    kept = [(place, i in found.positions) for i, place in enumerate(places) if place is not None]
    count = len(found.positions)
    label = spoken(found.label, network.card.labels)
    words = "this word" if count == 1 else f"these {count} words"
    headline(
        label,
        kicker=f"Without {words} the answer would be",
        sure=f"{percent(found.probability)}, instead of {why.label}, {percent(why.found.probability)}",
    )
    coloured(text, [Span(*place, 0.0, "") for place, _ in kept], struck={i for i, (_, gone) in enumerate(kept) if gone})
    note(
        "Every smaller deletion was tried: none changes the answer."
        if found.smallest
        else "Longer texts have too many deletions to try them all; a smaller one may exist."
    )


@remembered(128)
def _search(network: Network, text: str) -> Any:
    loaded = predictor(network)

    def run() -> Any:
        from text_classification.explain import smallest_deletion

        return smallest_deletion(loaded, text, largest=LARGEST)

    return compute(run)
