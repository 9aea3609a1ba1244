"""Where the network looked: the heat map over the picture, and what the network got to see."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from components.address import begin, keep
from components.frame import note
from components.networks import Network
from components.pictures import Figure, figures, png
from pages.image_parts.ask import Picture, reasons

METHODS = {  # the page's words for the methods of cnn_core.explain, the quick ones first
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "layer-cam": "Layer-CAM",
    "gradient": "Gradient",
    "integrated-gradients": "Integrated gradients",
    "smooth-grad": "SmoothGrad",
    "occlusion": "Occlusion",
}
SENTENCES = {
    "grad-cam": "Which places of the last feature map the answer rests on, weighted by their mean gradient.",
    "grad-cam++": "Grad-CAM with weights for every place, for things that occur more than once.",
    "layer-cam": "Grad-CAM place by place, sharper in early layers.",
    "gradient": "Which pixels would change the answer most if they changed a little.",
    "integrated-gradients": "What each pixel adds on the way from an empty picture to this one. "
    "Orange speaks for the class, blue against it.",
    "smooth-grad": "The gradient averaged over slightly noisy copies of the picture.",
    "occlusion": "How much the score of the class falls when a patch is covered. "
    "Orange patches speak for the class, blue ones against it.",
}


def show_why(network: Network, picture: Picture, labels: list[str]) -> None:
    """Show the heat map of the chosen method for the chosen class.

    Args:
        network: which answered.
        picture: what it answered.
        labels: the classes to choose from, the answer first.
    """
    choices, pictures = st.columns([3, 8], gap="medium")
    with choices:
        begin("method", list(METHODS), "grad-cam")
        method = st.selectbox("Method", list(METHODS), format_func=METHODS.get, key="method", filter_mode=None)
        keep("method", "grad-cam")
        # The key holds the answer: another answer begins with its own class again.
        wanted = st.selectbox("Evidence for", labels[:5], key=f"class-{network.id}-{labels[0]}", filter_mode=None)
        note(SENTENCES[method])
        with st.spinner(f"Computing {METHODS[method]}"):
            why = reasons(network, picture, method, wanted)
        overlay = why.overlay()
        st.download_button(
            "Heat map (PNG)", png(overlay), f"{Path(picture.name).stem}-{method}.png", "image/png",
            key="heat-download", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
    height, width = why.seen.shape[1:]
    small = max(overlay.shape) < 64
    seen = seen_pixels(why.seen)
    with pictures:
        figures(
            [
                Figure(overlay, f"What speaks for “{wanted}”", f"heat map for {wanted} over the picture", small),
                Figure(seen, f"What the network saw: {width} × {height} pixels", "the network's input", pixels=True),
            ]
        )


def seen_pixels(seen: Any) -> np.ndarray:
    """Return a network's input [C, H, W] as a picture, [H, W] or [H, W, 3]."""
    pixels = seen.numpy()
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
