"""Asking a network about a picture: its sentences and what stands behind their words, computed once for each."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from cnn_core.errors import DataError
from components.bring import BY_DIGEST, Picture
from components.caption_explorer import Word, veil
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.pictures import SHOWN_EDGE, data_uri

SENTENCES = 5


@dataclass(frozen=True)
class Way:
    """How the sentences are found: the likeliest ones, or drawn at random at a temperature."""

    temperature: float | None = None
    seed: int = 0


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_DIGEST)
def captions(network: Network, picture: Picture, way: Way) -> Any:
    """Return a `Caption` with up to `SENTENCES` different sentences.

    Raises:
        CnnError: the network cannot be loaded, or the picture cannot be read.
    """
    loaded = predictor(network)
    (found,) = compute(loaded.predict, [picture.source], n_best=SENTENCES, temperature=way.temperature, seed=way.seed)
    if found.error is not None:
        raise DataError(found.error)
    return found


@dataclass(frozen=True)
class Reasons:
    """A picture as the network's reader brought it, and the words of a sentence with what spoke for them."""

    picture: str  # a data URI
    size: tuple[int, int]  # width, height
    words: list[Word]
    method: str


@remembered(64)  # pictures go with their owner
def reasons(network: Network, picture: Picture, sentence: str, method: str) -> Reasons:
    """Return what stands behind the words of a sentence about a picture."""
    return compute(_explain, predictor(network), picture, sentence, method)


def _explain(predictor: Any, picture: Picture, sentence: str, method: str) -> Reasons:
    found = predictor.explain(picture.source, caption=sentence, method=method)
    step = max(1, max(found.words[0].heat.shape) // 200) if found.words else 1  # about 200 numbers along a side
    words = [
        Word(reason.word, reason.probability, reason.alternatives, veil(reason.heat.numpy()[::step, ::step]))
        for reason in found.words
    ]
    shown = found.picture.copy()
    shown.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    return Reasons(data_uri(shown), shown.size, words, found.method)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_DIGEST)
def covered(network: Network, picture: Picture, box: tuple[float, float, float, float], sentence: str) -> Any:
    """Return what changes when a part of the picture is covered, see `image_captioning.explain.cover`."""
    from image_captioning.explain import cover

    return compute(cover, predictor(network), picture.source, box, caption=sentence)
