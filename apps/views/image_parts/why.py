"""Where the network looked: the heat map over the picture, and what the network got to see."""

from pathlib import Path

import streamlit as st

from components.address import pick
from components.bring import Picture
from components.frame import download, note
from components.networks import Network, compute
from components.pictures import Figure, figures, png
from views.image_parts.ask import reasons

FIRST = "grad-cam"
TITLES = {  # the page's words for methods of cnn_core.explain, the quick ones first; others go by their own name
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "layer-cam": "Layer-CAM",
    "gradient": "Gradient",
    "integrated-gradients": "Integrated gradients",
    "smooth-grad": "SmoothGrad",
    "occlusion": "Occlusion",
}
SENTENCES = {
    "grad-cam": "Which places of the last feature map the answer rests on, its channels weighted by their "
    "mean gradient.",
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
        methods = compute(_methods)
        method = pick(
            st.selectbox, "Method", list(methods), key="method", default=FIRST, format_func=title, filter_mode=None
        )
        # The key holds the answer: another answer begins with its own class again.
        wanted = st.selectbox("Evidence for", labels[:5], key=f"class-{network.id}-{labels[0]}", filter_mode=None)
        note(SENTENCES.get(method, methods[method]))
        with st.spinner(f"Computing {title(method)}"):
            why = reasons(network, picture, method, wanted)
        file = f"{Path(picture.name).stem}-{method}.png"
        download("Heat map (PNG)", png(why.overlay), file, key="heat-download")
    height, width = why.seen.shape[:2]
    size = f"{width} × {height} pixels"
    small = max(why.overlay.shape) < 64
    with pictures:
        figures(
            [
                Figure(why.overlay, f"What speaks for “{wanted}”", f"heat map for {wanted} over the picture", small),
                Figure(why.seen, f"What the network saw: {size}", "the network's input", pixels=True),
            ]
        )


def title(method: str) -> str:
    """Return what the page calls a method."""
    return TITLES.get(method, method.replace("-", " ").capitalize())


def _methods() -> dict[str, str]:
    """Return the methods of the core with the papers that they come from, in the page's order."""
    from cnn_core.explain import list_methods, method_spec

    known = [*(name for name in TITLES if name in list_methods()), *(n for n in list_methods() if n not in TITLES)]
    return {name: f"{method_spec(name).paper}." for name in known}
