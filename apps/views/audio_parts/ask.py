"""Asking a network about a sound: its answer and its reasons, computed once for the same samples and weights."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from cnn_core.errors import DataError
from components.kept import remembered
from components.networks import Network, compute, predictor
from views.audio_parts.source import BY_DIGEST, Recording

ALL = 1000  # labels; every class gets its bar
SCALE = 4  # pixels of a band of the spectrogram


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_DIGEST)
def ask(network: Network, sound: Recording) -> Any:
    """Return the `Prediction` with all classes.

    Raises:
        CnnError: the network cannot be loaded, or the sound cannot be answered.
    """
    found = compute(predictor(network).predict, [sound.data], top_k=ALL)[0]
    if found.error is not None:
        raise DataError(found.error)
    return found


@dataclass(frozen=True)
class Reasons:
    """What decided, as a page shows it."""

    start: float  # seconds at which the window begins
    seconds: float  # of the window
    wave: list[tuple[float, float]]  # (millisecond, loudest sample) of the window
    decided: list[tuple[float, float]]  # likewise, the rest turned down
    picture: np.ndarray | None  # uint8 [H, W, 3], the heat over the spectrogram; None: there is none
    pitches: tuple[str, ...]  # of the spectrogram's lowest, middle and highest band
    sound: bytes  # WAV of what decided


@remembered(32)  # sounds go with their owner
def reasons(network: Network, sound: Recording, method: str, label: str) -> Reasons:
    """Return why a network would say `label`.

    Raises:
        CnnError: the sound cannot be read, or the method does not suit the network.
    """
    return compute(_explain, predictor(network), sound.data, method, label)


def _explain(predictor: Any, data: bytes, method: str, label: str) -> Reasons:
    import soundfile
    from PIL import Image

    from cnn_core.explain import overlay

    found = predictor.explain(data, method=method, target=label)
    decided = found.decided()
    stream = io.BytesIO()
    soundfile.write(stream, decided / max(1e-6, float(np.abs(decided).max())), found.rate, format="WAV")
    picture = None
    if found.seen.shape[0] > 1:
        seen = found.seen.flip(0).numpy()  # low bands below
        grey = (255 * (seen - seen.min()) / max(1e-6, float(np.ptp(seen)))).astype(np.uint8)
        size = (2 * SCALE * grey.shape[1], SCALE * grey.shape[0])  # twice as wide as high
        picture = overlay(Image.fromarray(grey).resize(size, Image.Resampling.NEAREST),
                          _enlarged(found.heat.flip(0), size), signed=found.signed)  # fmt: skip
    return Reasons(
        found.start, len(found.wave) / found.rate, _envelope(found.wave.numpy(), found.rate, found.start),
        _envelope(decided, found.rate, found.start), picture, _pitches(found.rate), stream.getvalue(),
    )  # fmt: skip


def _pitches(rate: int) -> tuple[str, ...]:
    """Return the Hz at the bottom, in the middle and at the top of mel bands up to half the rate."""
    import torch

    from audio_classification.spectrogram import to_hertz, to_mel

    top = to_mel(torch.tensor(rate / 2, dtype=torch.float64))
    return tuple(f"{float(to_hertz(top * share)):,.0f} Hz" for share in (0.0, 0.5, 1.0))


def _enlarged(heat: Any, size: tuple[int, int]) -> Any:
    from torch.nn.functional import interpolate

    return interpolate(heat[None, None], size=(size[1], size[0]), mode="bilinear")[0, 0]


def _envelope(wave: np.ndarray, rate: int, start: float, *, points: int = 300) -> list[tuple[float, float]]:
    """Return the loudest sample of every piece of a wave, with its place in milliseconds."""
    pieces = np.array_split(np.abs(wave), min(points, len(wave)))
    return [
        (round(1000 * (start + i * len(wave) / len(pieces) / rate), 1), round(float(piece.max()), 4))
        for i, piece in enumerate(pieces)
    ]


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_DIGEST)
def first_filters(network: Network) -> Any:
    """Return the `FilterResponses` of a network of waves."""
    return compute(_filters, predictor(network))


def _filters(predictor: Any) -> Any:
    from audio_classification.filters import filter_responses

    return filter_responses(predictor)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_DIGEST)
def timeline(network: Network, sound: Recording) -> Any:
    """Return what is heard in every window; CnnError if the sound cannot be read."""
    return compute(predictor(network).timeline, sound.data)
