"""Home: what this is, a live tile per application, the results, where to go on."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from PIL import Image

from cnn_core.errors import CnnError
from cnn_core.weights import WeightsCard, list_weights, load_card
from components.bars import answer, headline
from components.bring import Picture
from components.coloured import coloured
from components.frame import note, page, plain_errors
from components.networks import Network, is_warm, networks, warm_up
from components.pictures import Figure, figures
from components.samples import find_sample
from components.tables import results
from components.texts import kind_of
from views.audio_parts.ask import ask as ask_sound
from views.audio_parts.source import samples as sounds
from views.caption_parts.ask import Way, captions
from views.caption_parts.source import sample_pictures, sentence_info
from views.detect_parts.ask import ask as find_boxes
from views.detect_parts.ask import counts, drawn
from views.detect_parts.source import sample_pictures as scenes
from views.image_parts.ask import ask, reasons
from views.medical_parts.example import medical_example
from views.medical_parts.result import volumes
from views.text_parts.ask import ask as answer_text
from views.text_parts.ask import names
from views.text_parts.ask import reasons as text_reasons


@dataclass(frozen=True)
class Tile:
    """An application on the home page."""

    name: str  # of its page
    title: str
    sentence: str
    live: Callable[[], None]  # shows an example and its answer, computed now


def _image() -> None:
    """A handwritten digit, what a network says to it, and where it looked."""
    sample = find_sample("eight")
    shown = [Figure(Image.open(sample.path), "Picture 61 of the MNIST test set", sample.title, pixels=True)]
    known = networks("image_classification")
    network = known.get("mnist") or next(iter(known.values()), None)
    left, right = st.columns([3, 4], gap="medium")
    with right, plain_errors():
        if network is None:
            note("No weights are here yet; cnn train digits makes some in half a minute.")
        elif is_warm():
            picture = Picture(sample.file, sample.path.read_bytes(), Image.open(sample.path))
            found = ask(network, picture)
            why = reasons(network, picture, "grad-cam", found.labels[0])
            shown.append(Figure(why.overlay, "Where the network looked", "heat map over the picture", pixels=True))
            answer(found.labels, found.probabilities, kicker="Read just now", small=True, known=found.known)
        else:
            note("The network is being loaded ...")
    with left:
        figures(shown)


def _text() -> None:
    """A sentence, what a network says to it, and the words that decided."""
    known = networks("text_classification")
    network = known.get("sst2") or next(iter(known.values()), None)
    with plain_errors():
        if network is None:
            note("No weights are here yet; cnn train docstrings makes some in half a minute.")
            return
        kind = kind_of(network.card.labels)
        text = kind.samples[0][1] if kind.samples else "A text of yours."
        left, right = st.columns([3, 4], gap="medium")
        if not is_warm():
            with left:
                coloured(text, ())
            with right:
                note("The network is being loaded ...")
            return
        answered, why = answer_text(network, text), text_reasons(network, text)
        with left:
            coloured(text, why.spans)
            note(f"Orange speaks for “{why.label}”, blue against it.")
        with right:
            labels = names(network, answered.labels)
            answer(labels, answered.probabilities, kicker="Read just now", small=True, known=answered.known)


def _ready(domain: str, name: str, training: str) -> Network | None:
    """Return a network that can answer at once; None after saying why there is none, and how to get it."""
    network = networks(domain).get(name)
    if network is None:
        note(f"No weights are here yet; {training}.")
    elif not is_warm():
        note("The network is being loaded ...")
    return network if is_warm() else None


def _medical() -> None:
    """A chest CT and what a network found in it."""
    network = _ready("medical_segmentation", "lung-ct", "cnn train lung-ct makes some")
    if network is None:
        return
    with plain_errors():
        example = medical_example(network)
        left, right = st.columns([3, 4], gap="medium")
        with left:
            said = "A slice of a chest CT, labelled just now"
            figures([Figure(example.picture, said, "a chest with its lungs coloured")], square=False)
        with right:
            volumes(example.volumes_ml)
            note("Research and teaching only, not for diagnosis.")


def _caption() -> None:
    """A drawn scene and what a network says of it."""
    network = _ready("image_captioning", "scenes", "cnn train scenes makes some in five minutes")
    if network is None:
        return
    with plain_errors():
        picture = next(iter(sample_pictures(network).values()))
        found = captions(network, picture, Way())
        left, right = st.columns([3, 4], gap="medium")
        with left:
            figures([Figure(picture.image, "A scene drawn just now", "coloured shapes", pixels=True)])
        with right:
            sure = sentence_info(found.captions[0], found.probabilities[0], picture)
            headline(found.captions[0], kicker="Written just now", sure=sure)


def _audio() -> None:
    """A spoken digit and what a network hears."""
    network = _ready("audio_classification", "fsdd", "cnn train drawn-sounds makes some in a minute")
    if network is None:
        return
    with plain_errors():
        sound = sounds(network)[7]
        found = ask_sound(network, sound)
        left, right = st.columns([3, 4], gap="medium")
        with left:
            st.audio(sound.data)
            note("“Seven”, spoken by a person; not in the training.")
        with right:
            answer(found.labels, found.probabilities, kicker="Heard just now", small=True, known=found.known)


def _detect() -> None:
    """Blood under the microscope: boxes around the cells, and how many there are."""
    network = _ready("object_detection", "bccd", "cnn train streets makes some in three minutes")
    if network is None:
        return
    with plain_errors():
        picture = next(iter(scenes(network).values()))
        found = find_boxes(network, picture).above(float(str(network.card.input["threshold"])))
        left, right = st.columns([3, 4], gap="medium")
        with left:
            shown = drawn(picture.image, found, list(network.card.labels))
            said = "Blood cells under the microscope, found just now"
            figures([Figure(shown, said, "a blood smear with a box around every cell")], square=False)
        with right:
            counts(found, network)


TILES = (
    Tile("image", "Image", "Draw a digit, drop a photo: an answer, and where the network looked.", _image),
    Tile("text", "Text", "Type a sentence: an answer at every pause, and the words that decided.", _text),
    Tile("medical", "Medical", "Drop a CT: a mask with volumes, in three planes and in 3-D.", _medical),
    Tile(
        "caption",
        "Captions",
        "Drop a photo: a sentence, and for every word the place where the network looked.",
        _caption,
    ),
    Tile(
        "audio", "Audio", "Say a digit, drop a sound: what was heard, and the part that decided, played back.", _audio
    ),
    Tile("detect", "Detection", "Drop a picture: a box around every thing, a count, and why it is there.", _detect),
)


def main() -> None:
    page(
        "Convolutional networks to use and understand",
        "One core of convolutional networks, and applications with weights that this repository trained, most of them "
        "on real data. Give them something of yours: they answer and show why, mostly in under a second. Scans take "
        "longer.",
    )
    warm_up()
    warm = is_warm()
    # While the network is being loaded the tiles look again; once it is there, they stand still.
    st.fragment(_tiles, run_every=None if warm else 1.0)(warm)
    _results()
    _links()


def _tiles(warm: bool) -> None:
    if is_warm() and not warm:
        st.rerun()
    for first in range(0, len(TILES), 2):
        for place, tile in zip(st.columns(2, gap="medium"), TILES[first : first + 2], strict=False):
            with place.container(border=True, height="stretch", key=f"tile-{tile.name}"):
                st.subheader(tile.title, anchor=False)
                note(tile.sentence)
                tile.live()
                st.page_link(
                    f"views/{tile.name}.py", label="Try it", icon=":material/arrow_forward:", icon_position="right"
                )


def _results() -> None:
    st.header("Results", anchor=False)
    note(
        "Measured on the full test sets; docs/results.md says how settings were chosen. "
        "Every figure can be reproduced with the command in its row."
    )
    cards: list[WeightsCard] = []
    for entry in list_weights():
        try:
            card = load_card(entry.folder)
        except CnnError as error:
            note(str(error))
            continue
        if card.metrics:  # others were measured by those who published them
            cards.append(card)
    if cards:
        results(cards)


def _links() -> None:
    st.header("Go on from here", anchor=False)
    first, second, third = st.columns([4, 4, 5], gap="medium")
    with first:
        st.markdown("**Your own pictures or texts**")
        note("A zip with one folder per class, or a table, trains a network of yours: on the page or with one command.")
        st.code(
            "cnn train photos --data my_photos\ncnn train my-texts --data my_texts.csv",
            language="bash",
            wrap_lines=True,
        )
    with second:
        st.markdown("**From a terminal**")
        note("Everything that the pages do, for scripts and whole folders.")
        st.code("cnn list\ncnn predict mnist digit.png", language="bash")
    with third:
        st.markdown("**From Python**")
        note("The pages are made of these calls.")
        st.code(
            'from image_classification import load\nload("mnist").predict(["digit.png"])',
            language="python",
            wrap_lines=True,
        )


main()
