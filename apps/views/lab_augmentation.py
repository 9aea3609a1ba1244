"""Lab: augmentation."""

import html

import streamlit as st

from components.frame import plain_errors
from components.lab import Choice, closing, formula, opening
from components.networks import compute
from components.pictures import Figure, data_uri
from views.lab_parts.augmentation import STRENGTHS, run, snippet
from views.lab_parts.picture import DRAW, UPLOAD, choose_picture

EDGE = 128  # pixels of photographs
MOST = 999  # seeds


def main() -> None:
    opening("augmentation")
    picture = choose_picture(["dahlia", "palace", "ship", "eight", "boot", DRAW, UPLOAD], edge=EDGE, mode="RGB")
    strength = float(Choice("Strength", "strength", list(STRENGTHS), STRENGTHS, default="1").ask())
    seed = _seed()
    if picture is None:
        return
    with plain_errors():
        _sheet(compute(run, picture, seed, strength))
        st.button("Draw again", icon=":material/casino:", on_click=_next, args=(seed,))
        formula(
            r"\tilde x = T_\theta(x), \qquad \theta \text{ drawn at random}, \qquad \text{label unchanged}",
            "draws = draw(config, size, count=batch, generator=generator)\nx = apply(x, draws, config)",
            "cnn_core.data.augment, as in training",
        )
        closing(
            "augmentation",
            question="Which of these changes would make a six a nine, or a p a q? Those must not be used there.",
            snippet=snippet(picture, seed, strength),
            files=picture.own,
        )


def _seed() -> int:
    wanted = st.query_params.get("seed", "1")
    return int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) <= 3 else 1


def _next(seed: int) -> None:
    st.query_params["seed"] = str((seed + 1) % (MOST + 1))


def _sheet(shown: list[Figure]) -> None:
    tiles = []
    for one in shown:
        title, _, said = one.caption.partition(": ")
        tiles.append(
            f'<figure class="figure"><img src="{data_uri(one.image)}" alt="{html.escape(one.alt)}" class="pixels">'
            f"<figcaption><b>{html.escape(title)}</b> {html.escape(said)}</figcaption></figure>"
        )
    st.html(f'<div class="sheet">{"".join(tiles)}</div>')


main()
