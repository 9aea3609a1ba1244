"""Lab: the receptive field."""

import streamlit as st

from components.browser import is_whole
from components.frame import note, plain_errors
from components.lab import Choice, arithmetic, closing, formula, opening
from components.maps import maps
from components.networks import compute, networks, predictor
from views.lab_parts.receptive import EXAMPLES, run, snippet

LARGEST = 10_000  # number of a map, a row or a column


def main() -> None:
    opening("receptive")
    known = {name: network for name, network in networks("image_classification").items() if name in EXAMPLES}
    if not known:
        note("There are no networks yet. Train one in a few minutes with: cnn train mnist")
        return
    names = [name for name in EXAMPLES if name in known]
    name = Choice("Network", "network", names, {name: known[name].title for name in names}, pills=True).ask()
    network, key = known[name], f"fields-{name}"
    state = (st.session_state.get(key) or {}).get("chosen")
    chosen = None
    if isinstance(state, list | tuple) and len(state) == 3 and all(is_whole(n, 0, LARGEST) for n in state):
        chosen = (int(state[0]), int(state[1]), int(state[2]))
    with plain_errors():
        shown = compute(run, predictor(network), EXAMPLES[name], chosen)
        maps(
            shown.maps, key=key, chosen=shown.chosen, reports=True, columns=3,
            hint="Click a cell of any map. The frame in the picture is its receptive field: all that it can see.",
        )  # fmt: skip
        arithmetic(
            f"Receptive field of a cell of {shown.stage}", f"{shown.size} × {shown.size} pixels",
            f"95 % of its gradient lies within {shown.inside} × {shown.inside}: pixels in the middle reach a unit by "
            f"many ways, those at the rim by one. Neighbouring cells look {shown.stride} pixels apart.",
            sign="",
        )  # fmt: skip
        formula(
            r"r_{l} = r_{l-1} + (k_l - 1)\prod_{m<l} s_m, \qquad g = \left|\frac{\partial u}{\partial x}\right|",
            "field = field.through(kernel_size, stride=stride, padding=padding)\n"
            "(gradient,) = torch.autograd.grad(unit, x)",
            "cnn_core.anatomy.receptive_field, lab.effective",
        )
        closing(
            "receptive",
            question="Click a cell at the corner of the last map: how much of its field lies outside the picture, and "
            "what does it do there?",
            snippet=snippet(network, EXAMPLES[name], shown.chosen),
        )


main()
