"""Why a box is there: the pixels that its score depends on, and what is left of it when a part is covered."""

import streamlit as st

from components.address import pick
from components.bars import bars
from components.bring import Picture
from components.frame import download, note
from components.networks import Network
from components.pictures import Figure, figures, png
from views.detect_parts.ask import LOWEST, reasons, when_covered

METHODS = {"layer-cam": "LayerCAM", "grad-cam": "Grad-CAM", "integrated-gradients": "Integrated gradients"}
MOST = 30  # boxes to choose from


def choose_box(names: list[str]) -> int:
    """Let one of the boxes be chosen, and return its place."""
    return st.selectbox(
        "Box", range(min(MOST, len(names))), key="box", format_func=names.__getitem__, filter_mode=None,
        help="Numbered by score, as in the picture.",
    )  # fmt: skip


def show_why(network: Network, picture: Picture, box: int, name: str, score: float) -> None:
    """Show the heat of a box, and its score with parts of it covered."""
    left, right = st.columns([6, 5], gap="medium")
    with left:
        method = pick(st.selectbox, "Method", list(METHODS), key="method", format_func=METHODS.get, filter_mode=None)
        with st.spinner(f"Computing {METHODS[method]}"):
            heat = reasons(network, picture, method, box, LOWEST)
        figures([Figure(heat, f"What speaks for {name}", f"heat map of {name}")], square=False)
        download("Heat map (PNG)", lambda: png(heat), f"box-{box + 1}-heat.png", key="heat-download", kind="tertiary")
    with right:
        with st.spinner("Covering parts of it"):
            rows = [("nothing", score), *when_covered(network, picture, box, LOWEST)]
        st.markdown("**Its score when a part of it is covered**")
        bars([part for part, _ in rows], [value for _, value in rows], [f"{value:.2f}" for _, value in rows])
        note("Covered with the picture's mean colour. 0 means that the box is gone.")
