"""Asking a network about a picture: its sentences and what stands behind their words, computed once for each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from cnn_core.errors import DataError
from components.bring import Picture
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


def captions(network: Network, picture: Picture, way: Way) -> Any:
    """Return a `Caption` with up to `SENTENCES` different sentences.

    Raises:
        CnnError: the network cannot be loaded, or the picture cannot be read.
    """
    found = _captions(network.card.sha256, picture.digest, way, _network=network, _picture=picture)
    if found.error is not None:
        raise DataError(found.error)
    return found


@st.cache_resource(max_entries=256, show_spinner=False)
def _captions(sha256: str, digest: str, way: Way, *, _network: Network, _picture: Picture) -> Any:
    loaded = predictor(_network)
    (found,) = compute(
        loaded.predict, [_picture.source], n_best=SENTENCES, temperature=way.temperature, seed=way.seed
    )  # fmt: skip
    return found


@dataclass(frozen=True)
class Reasons:
    """A picture as the network's reader brought it, and the words of a sentence with what spoke for them."""

    picture: str  # a data URI
    size: tuple[int, int]  # width, height
    words: list[Word]
    method: str


def reasons(network: Network, picture: Picture, sentence: str, method: str) -> Reasons:
    """Return what stands behind the words of a sentence about a picture."""
    return _reasons(network.card.sha256, picture.digest, sentence, method, _network=network, _picture=picture)


@remembered(64)  # pictures go with their owner
def _reasons(sha256: str, digest: str, sentence: str, method: str, *, _network: Network, _picture: Picture) -> Reasons:
    return compute(_explain, predictor(_network), _picture, sentence, method)


def _explain(predictor: Any, picture: Picture, sentence: str, method: str) -> Reasons:
    found = predictor.explain(picture.source, caption=sentence, method=method)
    words = [
        Word(reason.word, reason.probability, reason.alternatives, veil(_small(reason.heat.numpy())))
        for reason in found.words
    ]
    shown = found.picture.copy()
    shown.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    return Reasons(data_uri(shown), shown.size, words, found.method)


def _small(heat: np.ndarray) -> np.ndarray:
    """Return a map with about 200 numbers along its longer side."""
    step = max(1, max(heat.shape) // 200)
    return heat[::step, ::step]


def covered(network: Network, picture: Picture, box: tuple[float, float, float, float], sentence: str) -> Any:
    """Return what changes when a part of the picture is covered, see `image_captioning.explain.cover`."""
    return _covered(network.card.sha256, picture.digest, box, sentence, _network=network, _picture=picture)


@st.cache_resource(max_entries=64, show_spinner=False)
def _covered(
    sha256: str,
    digest: str,
    box: tuple[float, float, float, float],
    sentence: str,
    *,
    _network: Network,
    _picture: Picture,
) -> Any:
    from image_captioning.explain import cover

    return compute(cover, predictor(_network), _picture.source, box, caption=sentence)
