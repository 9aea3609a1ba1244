"""A picture with its sentence: every word can be chosen, and the picture darkens where nothing spoke for it.

Which word is looked at is the browser's own business; Python hears which sentence was chosen and which part of the
picture is covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from components.browser import component, is_number
from components.pictures import data_uri

VEIL_EDGE = 96  # pixels of a veil; the browser enlarges it smoothly
DARKNESS = 0.8  # of the veil where nothing spoke for the word


@dataclass(frozen=True)
class Word:
    """A word of the sentence.

    Args:
        text: the word.
        probability: given the picture and the words before.
        others: the likeliest words at this place with probabilities.
        veil: what lies over the picture when the word is chosen, see `veil`.
    """

    text: str
    probability: float
    others: Sequence[tuple[str, float]] = ()
    veil: str = ""


def choice(key: str, count: int) -> int:
    """Return which sentence is chosen, 0 at first."""
    state = st.session_state.get(key) or {}
    chosen = state.get("chosen")
    return chosen if isinstance(chosen, int) and 0 <= chosen < count else 0


def covered_part(key: str) -> tuple[float, float, float, float] | None:
    """Return the covered part as left, top, right, bottom, fractions of the picture; None: nothing is covered."""
    state = st.session_state.get(key) or {}
    box = state.get("box")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return None
    left, top, right, bottom = (min(1.0, max(0.0, float(edge))) for edge in box)
    return (left, top, right, bottom) if left < right and top < bottom else None


def caption_explorer(
    picture: str,
    sentences: Sequence[tuple[str, str]],
    words: Sequence[Word],
    *,
    key: str,
    alt: str,
    size: tuple[int, int],
    chosen: int,
    pixels: bool = False,
    hint: str = "",
) -> None:
    """Show a picture and what a network says of it.

    Args:
        picture: a data URI.
        sentences: what was said, the best first, with a line each that says how likely it is.
        words: of the chosen sentence.
        key: of the widget; another one begins anew, with the first sentence and nothing covered.
        alt: what screen readers call the picture.
        size: (width, height) of the picture in pixels.
        chosen: which sentence is shown word by word.
        pixels: True shows the pixels of a small picture as squares.
        hint: what the veil means.
    """
    data = {
        "picture": picture, "alt": alt, "size": list(size), "sentences": [list(sentence) for sentence in sentences],
        "chosen": chosen, "pixels": pixels, "hint": hint,
        "words": [
            {
                "text": word.text, "p": round(word.probability, 4), "veil": word.veil,
                "others": [[text, round(p, 4)] for text, p in word.others],
            }
            for word in words
        ],
    }  # fmt: skip
    nothing = lambda: None  # noqa: E731 (the component wants one for each state)
    component("caption_explorer")(key=key, data=data, on_chosen_change=nothing, on_box_change=nothing)


def veil(heat: np.ndarray) -> str:
    """Return a dark layer, clear where `heat` [H, W] is high, as a data URI; heat that is 0 everywhere darkens all."""
    top = float(heat.max())
    share = heat / top if top > 0 else np.zeros_like(heat)
    layer = np.zeros((*heat.shape, 4), np.uint8)
    layer[..., 3] = np.round(255 * DARKNESS * (1 - share))
    image = Image.fromarray(layer)
    image.thumbnail((VEIL_EDGE, VEIL_EDGE), Image.Resampling.BILINEAR)
    return data_uri(image)
