"""Lab: what filters learned."""

import html

import numpy as np
import streamlit as st

from components.filters import first_layer_filters
from components.frame import note, plain_errors
from components.lab import THUMBNAILS, Choice, closing, formula, opening
from components.networks import Network, networks
from components.pictures import data_uri
from lab.filters import PICTURES, STAGES, Wanted, snippet, stored, stretched
from views.lab_parts.receptive import titled


def main() -> None:
    opening("filters")
    known = networks("image_classification")
    names = [name for name in STAGES if name in known]
    if not names:
        note("There are no networks yet. Train one in a few minutes with: cnn train mnist")
        return
    name = Choice("Network", "network", names, {name: known[name].title for name in names}, pills=True).ask()
    with plain_errors():
        wanted, tiles = stored(THUMBNAILS, name)
        note(
            f"{titled(wanted.stage)}, twelve of its channels. Large: the picture that gradient ascent draws for the "
            "channel, its contrast stretched. Small: the patches that activate it most among the first "
            f"{PICTURES:,} test pictures, {wanted.edge} × {wanted.edge} pixels each; grey lies outside a picture."
        )
        st.html(
            f'<div class="channels">{"".join(_channel(wanted, i, tiles[i]) for i in range(len(wanted.channels)))}</div>'
        )
        _first_layer(known[name])
        formula(
            r"\hat w_f = \tfrac{s_f}{|f|}, \quad x = 2.5 \tanh \tfrac{w}{2.5}, \qquad "
            r"s \leftarrow s + \text{Adam}\bigl(\tfrac{\partial u_c(x)}{\partial s}\bigr)",
            "waves = torch.fft.irfftn(torch.view_as_complex(spectrum) * falloff, "
            's=tuple(size), dim=axes, norm="ortho")\n'
            "(spectrum.grad,) = torch.autograd.grad(-middle.sum(), spectrum)\noptimizer.step()",
            "lab.preferences",
        )
        closing(
            "filters",
            question="Which channels respond to an object, which only to an edge? Would you have guessed it from "
            "the drawn picture alone?",
            snippet=snippet(name, wanted),
        )


def _channel(wanted: Wanted, i: int, tiles: list[np.ndarray]) -> str:
    small = "".join(
        f'<img src="{data_uri(tile)}" alt="{html.escape(label)}, activation {value:.2f}">'
        for tile, label, value in zip(tiles[1:], wanted.labels[i], wanted.values[i], strict=True)
    )
    return (
        f"<figure><figcaption><b>Channel {wanted.channels[i]}</b> drawn {wanted.preferred[i]:.2f}, found "
        f'{wanted.values[i][0]:.2f}</figcaption><div><img src="{data_uri(stretched(tiles[0]))}" alt="drawn for channel '
        f'{wanted.channels[i]}" class="drawn">{small}</div></figure>'
    )


def _first_layer(network: Network) -> None:
    st.subheader("The first layer", anchor=False)
    first_layer_filters(
        network,
        lambda weights: (
            f"{len(weights)} filters of {weights.shape[-1]} × {weights.shape[-1]} weights, grey is zero. In this "
            "network they are not learned but computed from the training pictures: the directions in which patches "
            "differ most, and their negatives. The layers above learn on top of them."
        ),
    )


main()
