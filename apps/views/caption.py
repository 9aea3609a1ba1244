"""Image captioning: a picture in, a sentence out, and for every word where the network looked."""

from pathlib import Path
from typing import Any

import streamlit as st

from components.address import tabs
from components.bars import headline
from components.bring import Picture
from components.caption_explorer import CaptionedPicture, caption_explorer, choice, covered_part
from components.commands import file_word, network_word
from components.downloads import answer_downloads
from components.frame import how_computed, note, page, plain_errors
from components.networks import Network, choose_network, networks
from components.side_by_side import cost, side_by_side
from components.tables import table
from views.caption_parts.ask import Way, captions, covered, reasons
from views.caption_parts.batch import show_batch, show_find
from views.caption_parts.source import choose_picture, decoder_of, probability_text, sentence_info, speaks_of_scenes
from views.caption_parts.steps import caption_steps

FAVOURITE = "scenes"
ONE, MANY, FIND, COMPARE = "One picture", "Many pictures", "Find a picture", "Compare"
LIKELIEST, DRAWN = "Most probable", "Sampled"
ATTENTION, EVIDENCE = "Attention", "Grad-CAM"
METHODS = {ATTENTION: "attention", EVIDENCE: "grad-cam"}
HINTS = {
    "attention": "Choose a word: the picture stays clear where the decoder was reading when it wrote it.",
    "grad-cam": "Choose a word: the picture stays clear where the encoder's evidence for it lies.",
}


def main() -> None:
    page(
        "What does this picture show?",
        "A convolutional network looks, a recurrent network writes. Choose a word to see where it looked.",
    )
    known = networks("image_captioning")
    if not known:
        st.warning("There are no networks yet. Train one in five minutes with: cnn train scenes")
        return
    network = choose_network(known, FAVOURITE)
    one, many, find, compare = tabs([ONE, MANY, FIND, COMPARE], key="view")
    if one.open:
        with one:
            _one(network)
    if many.open:
        with many, plain_errors():
            show_batch(network)
    if find.open:
        with find, plain_errors():
            show_find(network)
    if compare.open:
        with compare:
            picture = choose_picture(network)
            if picture is not None:
                side_by_side(known, network, lambda chosen: _column(chosen, picture))


def _one(network: Network) -> None:
    picture = choose_picture(network)
    if picture is None:
        return
    place = st.container()  # above the choices, although made after them
    method, way = _how(network)
    with place, plain_errors():
        with st.spinner("Loading the network"):
            found = captions(network, picture, way)
        key = f"captions-{network.card.sha256[:12]}-{picture.digest[:12]}-{way.temperature}-{way.seed}"
        number = choice(key, len(found.captions))
        sentence = found.captions[number]
        if not sentence:
            note("The network says nothing: its most probable sentence is empty.")
            return
        why = reasons(network, picture, sentence, method)
        said = [
            (text, sentence_info(text, p, picture)) for text, p in zip(found.captions, found.probabilities, strict=True)
        ]
        caption_explorer(
            CaptionedPicture(
                why.picture, picture.name, why.size, said, number, why.words, pixels=max(why.size) < 128,
                hint=HINTS[why.method],
            ),
            key=key,
        )  # fmt: skip
        answer_downloads(
            picture.name, found.captions, found.probabilities, name=Path(picture.name).stem,
            called=("caption", "caption_probabilities"),
        )  # fmt: skip
        if network.card.limits:
            note(network.card.limits[0])
        box = covered_part(key)
        if box is not None:
            _show_covered(covered(network, picture, box, sentence), sentence)
    arguments = f"{network_word(network)} {file_word(picture.name)}"
    commands = [f"cnn predict {arguments}", f"cnn explain {arguments} --method {method} --output why.png"]
    if way != Way() or number > 0:
        commands.insert(0, "# the most probable sentence, whatever is shown above")
    how_computed(network.card, commands=commands, steps=caption_steps(decoder_of(network)), file=picture.file)


def _how(network: Network) -> tuple[str, Way]:
    """Show how sentences are found and explained; return the method and the way."""
    attends = decoder_of(network) == "show-attend-tell"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        methods = [ATTENTION, EVIDENCE] if attends else [EVIDENCE]
        method = st.segmented_control(
            "Where it looked", methods, key=f"method-{attends}", default=methods[0], required=True
        )
        ways = [LIKELIEST, DRAWN]
        way = st.segmented_control("Sentences", ways, key="way", default=LIKELIEST, required=True)
        if way == LIKELIEST:
            return METHODS[method], Way()
        temperature = st.slider("Temperature", 0.1, 2.0, 0.8, 0.1, key="temperature", width=220)
        if st.button("Draw again", key="draw-again"):
            st.session_state["drawn"] = st.session_state.get("drawn", 0) + 1
    return METHODS[method], Way(temperature, st.session_state.get("drawn", 0))


def _show_covered(change: Any, sentence: str) -> None:
    """Say what the network writes when a part is covered, and how much likelier each word of `sentence` was before."""
    same = "still the same sentence" if change.after == sentence else "it writes"
    headline(change.after, kicker=f"With that part covered, {same}", sure="", small=True)
    table(
        (("Word", "word"), ("Before", "number"), ("Covered", "number")),
        [(word, f"{100 * before:.1f} %", f"{100 * after:.1f} %") for word, before, after in change.words],
        label="Probabilities of the words",
        narrow=True,
    )


def _column(network: Network, picture: Picture) -> None:
    found = captions(network, picture, Way())
    headline(
        found.captions[0],
        kicker=f"{network.title}, {decoder_of(network)}",
        sure=probability_text(found.probabilities[0]),
        small=True,
    )
    note(cost(network, picture.source))
    if speaks_of_scenes(network) and max(picture.image.size) > 128:
        note("This one learned from drawn scenes alone.")


main()
