"""The classes that a network knows: all of a few, a search among many."""

import streamlit as st

from components.frame import note, plain
from components.networks import Network

FEW = 24  # classes that are named one after the other
SHOWN = 60  # of those found


def show_classes(network: Network) -> None:
    """Say which classes the network can answer with."""
    labels = network.card.labels
    if not labels:
        return
    if len(labels) <= FEW:
        note(f"It knows {len(labels)} kinds: {', '.join(plain(label) for label in labels)}. "
             "Anything else is given one of these names.")  # fmt: skip
        return
    with st.expander(f"The {len(labels):,} kinds that it knows"):
        word = st.text_input("Search", key=f"classes-{network.id}", placeholder="dog, boat, bread", max_chars=40)
        wanted = word.strip().casefold()
        found = [label for label in labels if wanted in label.casefold()]
        rest = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        named = ", ".join(plain(label) for label in found[:SHOWN])
        note(f"{len(found):,} of {len(labels):,}: {named}{rest}." if found else
             f"None of the {len(labels):,} kinds has “{plain(word.strip())}” in its name.")  # fmt: skip
        note("Anything else is given one of these names.")
