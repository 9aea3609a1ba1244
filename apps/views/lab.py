"""The lab: every idea of an introduction to convolutional networks, one page each."""

import base64
import html

import streamlit as st

from components.frame import ASSETS, page
from components.lab import IDEAS, THUMBNAILS, Idea

ACROSS = 3


def main() -> None:
    page(
        "See how it works",
        "Every idea behind convolutional networks as something to move: one picture, a few controls, the formula, and "
        "the line of code that computes what you see.",
    )
    st.html(ASSETS / "lab.css")
    for first in range(0, len(IDEAS), ACROSS):
        for place, idea in zip(st.columns(ACROSS, gap="large"), IDEAS[first : first + ACROSS], strict=False):
            with place:
                _show(idea)


def _show(idea: Idea) -> None:
    data = base64.b64encode((THUMBNAILS / f"{idea.name}.png").read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="">'
    st.html(f'<figure class="figure idea">{image}</figure>')
    st.page_link(idea.page, label=f"**{idea.title}**")
    st.html(f'<p class="note">{html.escape(idea.lead)}</p>')


main()
