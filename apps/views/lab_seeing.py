"""Lab: what a computer sees."""

import numpy as np
import streamlit as st
from PIL import Image

from components.bars import answer
from components.bring import Picture as Question
from components.frame import note, plain_errors
from components.lab import Choice, closing, formula, opening
from components.networks import networks
from components.pictures import png
from components.pixel_inspector import inspector_key, pixel_inspector
from views.image_parts.ask import ask
from views.lab_parts.picture import DRAW, UPLOAD, Picture, choose_picture
from views.lab_parts.seeing import SCALES, snippet

READER = "mnist"
DIGITS = ("seven", "eight", DRAW)


def main() -> None:
    opening("seeing")
    picture = choose_picture(["seven", "eight", "boot", "dahlia", "palace", DRAW, UPLOAD], edge=64, mode="RGB")
    titles = {name: scale.title for name, scale in SCALES.items()}
    scale = SCALES[Choice("Written as", "scale", list(SCALES), titles).ask()]
    if picture is None:
        return
    chosen = st.session_state["picture"]
    grey = bool((picture.values == picture.values[..., :1]).all())
    values = picture.values[..., 0] if grey else picture.values
    picture = Picture(values, picture.title, picture.file, "L" if grey else "RGB")
    with plain_errors():
        painted = pixel_inspector(
            values, key=inspector_key(chosen, values), label=picture.title, factor=[scale.factor], shift=[scale.shift],
            digits=scale.digits,
        )  # fmt: skip
        if chosen in DIGITS:
            note("Paint on the numbers with the pen, or with arrow keys and space: the picture is nothing else.")
            _read(painted)
        formula(scale.latex, scale.code, "lab.pixels")
        changed = bool((painted != values).any())
        shown = Picture(painted, picture.title, "picture.png", picture.mode) if changed else picture
        middle = shown.edge // 2 - 7
        closing(
            "seeing",
            question="How few numbers have to change until the network reads another digit?",
            snippet=snippet(shown, scale, middle, middle),
            files=shown.own,
        )


def _read(painted: np.ndarray) -> None:
    network = networks("image_classification").get(READER)
    if network is None:
        return
    left, _ = st.columns([3, 2])
    with left, plain_errors():
        found = ask(network, Question("painted.png", png(painted), Image.fromarray(painted)))
        kicker = "A network reads these numbers as"
        answer(found.labels, found.probabilities, kicker=kicker, small=True, known=found.known)


main()
