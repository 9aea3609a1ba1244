"""What the pages of the lab share: the list of ideas, and the parts that each idea has besides its picture."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from components.frame import ASSETS, page
from components.pictures import png


@dataclass(frozen=True)
class Idea:
    """A page of the lab."""

    name: str  # in the address
    title: str  # in the navigation and on the index
    promise: str  # the page's own headline
    lead: str  # one or two sentences

    @property
    def page(self) -> str:
        return f"views/lab_{self.name.replace('-', '_')}.py"


IDEAS = (
    Idea(
        "convolution", "Convolution", "A kernel slides over a picture",
        "At every place, nine pixels are multiplied with nine weights and added up: one pixel of the result.",
    ),
)  # fmt: skip


def find_idea(name: str) -> Idea:
    """Return an idea by its name, which must be one."""
    return next(idea for idea in IDEAS if idea.name == name)


def opening(name: str) -> None:
    """Begin the page of an idea."""
    idea = find_idea(name)
    page(idea.promise, idea.lead)
    st.html(ASSETS / "lab.css")


def formula(latex: str, line: str) -> None:
    """Show what is computed, as mathematics and as the line of code that does it."""
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        st.latex(latex)
    with right:
        st.code(line, language="python", wrap_lines=True)


def arithmetic(before: str, after: str, note: str) -> None:
    """Show one calculation in large type."""
    st.html(
        f'<p class="arithmetic" role="status"><span>{html.escape(before)}</span> = <b>{html.escape(after)}</b></p>'
        f'<p class="note">{html.escape(note)}</p>'
    )


def closing(name: str, *, question: str, snippet: str, files: Sequence[tuple[str, bytes]] = ()) -> None:
    """End the page of an idea: something to try, the code that gives the numbers shown, the ways on.

    Args:
        name: of the idea.
        question: one thing to try.
        snippet: runs by itself from the repository's folder.
        files: (name, bytes) that the snippet reads and the reader does not have.
    """
    st.html(f'<p class="question"><b>Try</b> {html.escape(question)}</p>')
    with st.expander("Show the code"):
        st.code(snippet, language="python")
        for file, data in files:
            st.download_button(file, data, file, key=f"file-{file}", on_click="ignore", icon=":material/download:")
    place = [idea.name for idea in IDEAS].index(name)
    before, after = st.columns(2)
    if place:
        with before:
            st.page_link(IDEAS[place - 1].page, label=IDEAS[place - 1].title, icon=":material/arrow_back:")
    if place + 1 < len(IDEAS):
        with after, st.container(horizontal_alignment="right"):
            following = IDEAS[place + 1]
            st.page_link(following.page, label=following.title, icon=":material/arrow_forward:", icon_position="right")


def picture_file(values: "object") -> tuple[str, bytes]:
    """Return the picture that a snippet opens as picture.png."""
    return "picture.png", png(values)


def sample_code(file: Path) -> str:
    """Return where a sample lies, seen from the repository's folder."""
    return f"apps/assets/samples/{file.name}"
