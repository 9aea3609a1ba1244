"""Image captioning: a picture in, a sentence out, and for every word where the network looked."""

from pathlib import Path
from typing import Any

import streamlit as st

from components.address import sections
from components.bars import headline
from components.bring import Picture
from components.caption_explorer import caption_explorer, choice, covered_part
from components.commands import asking, file_word
from components.downloads import answer_downloads
from components.frame import how_computed, note, page, plain_errors
from components.networks import Network, choose_network
from components.side_by_side import cost, side_by_side
from components.tables import table
from views.caption_parts.ask import Way, captions, covered, reasons
from views.caption_parts.batch import show_batch, show_find
from views.caption_parts.source import choose_picture, decoder_of, probability_text, sentence_info, speaks_of_scenes

FAVOURITE = "scenes"
ONE, MANY, FIND, COMPARE = "One picture", "Many pictures", "Find a picture", "Compare"
LIKELIEST, DRAWN = "Most probable", "Sampled"
ATTENTION, EVIDENCE = "Attention", "Grad-CAM"
METHODS = {ATTENTION: "attention", EVIDENCE: "grad-cam"}
HINTS = {
    "attention": "Choose a word: the picture stays clear where the decoder was reading when it wrote it.",
    "grad-cam": "Choose a word: the picture stays clear where the encoder's evidence for it lies.",
}

WRITTEN = {
    "show-attend-tell": "A recurrent network wrote the sentence: at every step it weighed the cells of the grid "
    "(attention), read the previous word, and gave every word of its vocabulary a probability.",
    "show-tell": "A recurrent network was given the mean of the grid before the first word and wrote the sentence: at "
    "every step it read the previous word, and gave every word of its vocabulary a probability.",
}
GRADIENT = "*Grad-CAM* shows which features would raise the word's score."
LOOKED = {"show-attend-tell": f"*Attention* shows the weights of step 2. {GRADIENT}", "show-tell": GRADIENT}


def main() -> None:
    page(
        "What does this picture show?",
        "A convolutional network looks, a recurrent network writes. Choose a word to see where it looked.",
    )
    training = "Train one in five minutes with: cnn train scenes"
    known, network = choose_network("image_captioning", FAVOURITE, training=training)
    if network is None:
        return
    parts = {
        ONE: lambda: _one(network), MANY: lambda: show_batch(network), FIND: lambda: show_find(network),
        COMPARE: lambda: _compare(known, network),
    }  # fmt: skip
    sections(parts, key="view")


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
            why.picture, said, why.words, key=key, alt=picture.name, size=why.size, chosen=number,
            pixels=max(why.size) < 128, hint=HINTS[why.method],
        )  # fmt: skip
        answer_downloads(
            picture.name, found.captions, found.probabilities, name=Path(picture.name).stem,
            called=("caption", "caption_probabilities"),
        )  # fmt: skip
        if number == 0 and found.warnings:
            note(f"Be careful: {'; '.join(found.warnings)}.")
        if network.card.limits:
            note(network.card.limits[0])
        box = covered_part(key)
        if box is not None:
            _show_covered(covered(network, picture, box, sentence), sentence)
    commands = asking(network, file_word(picture.name), method=method)
    if way != Way() or number > 0:
        commands.insert(0, "# the most probable sentence, whatever is shown above")
    how_computed(network.card, commands=commands, steps=_steps(decoder_of(network)), file=picture.file)


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
    headline(change.after, kicker=f"With that part covered, {same}", sure="")
    table(
        (("Word", "word"), ("Before", "number"), ("Covered", "number")),
        [(word, f"{100 * before:.1f} %", f"{100 * after:.1f} %") for word, before, after in change.words],
        label="Probabilities of the words",
        narrow=True,
    )


def _compare(known: dict[str, Network], network: Network) -> None:
    picture = choose_picture(network)
    if picture is not None:
        side_by_side(known, network, lambda chosen: _column(chosen, picture))


def _column(network: Network, picture: Picture) -> None:
    found = captions(network, picture, Way())
    headline(
        found.captions[0],
        kicker=f"{network.title}, {decoder_of(network)}",
        sure=probability_text(found.probabilities[0]),
    )
    note(cost(network, picture.source))
    if speaks_of_scenes(network) and max(picture.image.size) > 128:
        note("This one learned from drawn scenes alone.")


def _steps(decoder: str) -> str:
    """Return the steps from a picture to its sentence in Markdown, for one of the library's decoders."""
    return f"""\
1. The picture was resized for the encoder; a convolutional network turned it into a grid of features.
2. {WRITTEN[decoder]}
3. Beam search kept the most probable beginnings; the probabilities of their words were multiplied up to the end.
   Sampling draws each word by its probability instead; a low temperature favours the probable ones.
4. {LOOKED[decoder]}

The same on the command line:"""


main()
