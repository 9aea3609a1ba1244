"""A field whose words are coloured while one writes, and the answer beside it."""

from contextlib import suppress

import streamlit as st

from cnn_core.errors import DataError
from components.bars import answer
from components.downloads import answer_downloads
from components.frame import note, plain_errors
from components.networks import Network, is_warm, warm_up
from components.texts import SAMPLES, kind_of
from components.writer import readable, writer, written
from views.text_parts.ask import Reasons, ask, in_words, names, reasons


def write_and_answer(network: Network, *, key: str, chips: list[tuple[str, str]] | None = None) -> str | None:
    """Show the field and the answer to what stands in it; return the text, or None if there is no answer.

    Args:
        network: which answers.
        key: of the field; the text is kept under it.
        chips: examples (title, text); None: those of the network's kind.
    """
    kind = kind_of(network.card.labels)
    chips = list(kind.samples) if chips is None else chips
    warm_up()
    text = _text(key, [sample for _, sample in chips])
    left, right = st.columns([6, 5], gap="medium")
    if text.strip() and not is_warm():  # the first answer of a server takes seconds: one can write meanwhile
        with left:
            _field(network, text, None, key=key, chips=chips)
        with right, st.spinner("Loading the network"), plain_errors():
            ask(network, text)
            st.rerun()
        return None
    found = why = None
    with right, plain_errors():
        if text.strip():
            found = ask(network, text)
            with suppress(DataError):  # an answer without words: there is nothing to colour
                why = reasons(network, text)
            answer(names(network, found.labels), found.probabilities, kicker=kind.kicker)
            if found.note:
                note(f"Note: {found.note}.")
            answer_downloads(text, found.labels, found.probabilities, name=network.card.name, key=f"{key}-answer")
        else:
            note("Write something: the answer appears here while you type.")
    with left:
        _field(network, text, why, key=key, chips=chips)
    return text if found is not None else None


def _field(network: Network, text: str, why: Reasons | None, *, key: str, chips: list[tuple[str, str]]) -> None:
    writer(
        text,
        why.spans if why else (),
        key=key,
        label=f"Text to answer: {kind_of(network.card.labels).title}",
        revision=network.id,
        legend=(f"speaks for “{why.label}”", "speaks against it") if why and why.spans else None,
        chips=[*chips, ("Clear", "")],
        said=in_words(why) if why else "",
    )


def _text(key: str, samples: list[str]) -> str:
    """Return what stands in the field: what was written, what the address brings, or the first sample."""
    text, given = written(key), st.query_params.get(key)
    if text is None:
        text = readable(given) if given is not None else None
    elif given is not None and text != given:
        del st.query_params[key]  # the address tells no longer what is on the page
    if text is None or (samples and text in SAMPLES and text not in samples):  # another network's example
        text = samples[0] if samples else ""
    return text
