"""The audio page: a sound in, an answer, and the part of it that decided."""

from pathlib import Path

import streamlit as st

from components.address import sections
from components.bars import answer
from components.charts import load_early
from components.commands import asking, file_word
from components.downloads import answer_downloads
from components.frame import how_computed, note, page, plain_errors
from components.networks import Network, choose_network
from components.side_by_side import side_by_side
from views.audio_parts.ask import ask
from views.audio_parts.batch import show_many
from views.audio_parts.source import Recording, choose_sound
from views.audio_parts.why import show_filters, show_timeline, show_why

FAVOURITE = "fsdd"  # chosen at first, if it is there
ONE, MANY = "One sound", "Many sounds"
WHY, TIME, COMPARE, FILTERS = "What decided", "Over time", "Side by side", "First filters"
STEPS = """\
1. The sound was brought to the network's rate and to one channel, exactly as in training; the rule is in the card.
2. {view}
3. The network computed one score per class; softmax turned them into probabilities that sum to 1. A sound that is
   longer than the network's input is heard in windows, and the probabilities are their mean.

The same on the command line:"""
VIEWS = {
    "wave": "The samples themselves went into a 1-D network, whose first kernels are filters of a few milliseconds.",
    "log-mel": "It became a log-mel spectrogram, a picture of pitch over time, which went into a 2-D network.",
}


def main() -> None:
    page(
        "What is that sound?",
        "Record it, drop it, or take a sample. A small network that this repository trained answers, "
        "and plays the part that decided.",
    )
    load_early()
    known, network = choose_network(
        "audio_classification", FAVOURITE, training="Train one in a minute with: cnn train drawn-sounds"
    )
    if network is None:
        return
    sections({ONE: lambda: _one(known, network), MANY: lambda: show_many(network)}, key="view")


def _one(known: dict[str, Network], network: Network) -> None:
    left, right = st.columns([5, 6], gap="medium")
    with left:
        sound = choose_sound(network)
    if sound is None:
        with right:
            note("The answer appears here.")
        return
    found = None
    with right, plain_errors():
        with st.spinner("Loading the network"):
            found = ask(network, sound)
        answer(found.labels, found.probabilities, kicker="The network's answer", known=found.known)
        if found.note:
            note(f"{found.note[0].upper()}{found.note[1:]}.")
        answer_downloads(sound.name, found.labels, found.probabilities, name=Path(sound.name).stem)
    if found is None:
        return
    parts = {
        WHY: lambda: show_why(network, sound, found.labels),
        TIME: lambda: show_timeline(network, sound),
        COMPARE: lambda: side_by_side(known, network, lambda chosen: _column(chosen, sound)),
    }
    if network.card.input["view"] == "wave":
        parts[FILTERS] = lambda: show_filters(network)
    sections(parts, key="part")
    method = st.session_state.get("method", "grad-cam")
    commands = asking(network, file_word(sound.name), method=method)
    how_computed(
        network.card, commands=commands, steps=STEPS.format(view=VIEWS[str(network.card.input["view"])]),
        file=None if sound.theirs else (sound.name, sound.data),
    )  # fmt: skip


def _column(network: Network, sound: Recording) -> None:
    """Show the answer of a network."""
    found = ask(network, sound)
    kicker = f"{network.title}, {network.card.model}"
    answer(found.labels, found.probabilities, kicker=kicker, small=True, known=found.known)


main()
