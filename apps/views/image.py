"""The image page: a picture in, an answer and its reasons out."""

from pathlib import Path

import streamlit as st

from components.address import sections
from components.bars import answer
from components.bring import Picture
from components.commands import asking, file_word
from components.downloads import answer_downloads
from components.frame import how_computed, note, page, plain_errors
from components.networks import Network, choose_network
from components.pictures import Figure, figures
from components.side_by_side import cost, side_by_side
from views.image_parts.ask import ask, reasons
from views.image_parts.batch import show_batch
from views.image_parts.inside import show_inside
from views.image_parts.source import choose_picture
from views.image_parts.tune import show_tune
from views.image_parts.why import show_why

FAVOURITE = "mnist"  # chosen at first, if it is there
ONE, MANY, OWN = "One picture", "Many pictures", "Your own classes"
WHY, INSIDE, COMPARE = "Where it looked", "Inside the network", "Side by side"

VIEWS = {  # of a picture, by the card's `tta`: what the scores are the mean of
    "none": "",
    "flip": ", the mean of those for the picture and for its mirror image",
    "shift": ", half of it from the picture, a quarter each from the picture moved by one pixel down-right and up-left",
}
VIEWS["flip-shift"] = f"{VIEWS['shift']}, each averaged with its mirror image"
STEPS = """\
1. The picture was brought to the network's input exactly as in training; the rule is in the model card.
2. The network computed one score per class{views}; softmax turned them into probabilities that sum to 1.
3. The heat map is a second computation on the same network, by the method named beside it{alone}.

The same on the command line:"""
ALONE = ", for the picture itself alone, neither moved nor mirrored"


def main() -> None:
    page(
        "What is in this picture?",
        "Draw it, drop it or photograph it. A small network answers and shows where it looked.",
    )
    training = "Train one in half a minute with: cnn train digits"
    known, network = choose_network("image_classification", FAVOURITE, training=training)
    if network is None:
        return
    parts = {
        ONE: lambda: _one(known, network), MANY: lambda: show_batch(network), OWN: lambda: show_tune(known, network),
    }  # fmt: skip
    sections(parts, key="view")


def _one(known: dict[str, Network], network: Network) -> None:
    left, right = st.columns([5, 6], gap="medium")
    with left:
        picture = choose_picture(network)
    if picture is None:
        with right:
            note("The answer appears here.")
        return
    found = None
    with right, plain_errors():
        with st.spinner("Loading the network"):
            found = ask(network, picture)
        answer(found.labels, found.probabilities, kicker="The network's answer", known=found.known)
        answer_downloads(picture.name, found.labels, found.probabilities, name=Path(picture.name).stem)
    if found is None:
        return
    parts = {
        WHY: lambda: show_why(network, picture, found.labels),
        INSIDE: lambda: show_inside(network, picture),
        COMPARE: lambda: side_by_side(known, network, lambda chosen: _column(chosen, picture)),
    }
    sections(parts, key="part")
    method = st.session_state.get("method", "grad-cam")
    commands = asking(network, file_word(picture.name), method=method)
    views = VIEWS[str(network.card.input.get("tta", "none"))]
    steps = STEPS.format(views=views, alone=views and ALONE)
    how_computed(network.card, commands=commands, steps=steps, file=picture.file)


def _column(network: Network, picture: Picture) -> None:
    """Show answer, heat map and cost of a network."""
    found = ask(network, picture)
    kicker = f"{network.title}, {network.card.model}"
    answer(found.labels, found.probabilities, kicker=kicker, small=True, known=found.known)
    caption = cost(network, picture.source)
    why = reasons(network, picture, "grad-cam", found.labels[0])
    figures([Figure(why.overlay, caption, f"where {network.title} looked")])


main()
