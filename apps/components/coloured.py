"""Texts whose words are coloured: orange for an answer, blue against it, stronger where they matter more."""

import html
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

import streamlit as st

SHOWN = 5_000  # characters; what lies behind is left out of a text that is only shown


@dataclass(frozen=True)
class Span:
    """A coloured word of a text."""

    start: int  # place of its first character
    end: int  # place behind its last one
    strength: float  # -1 to 1; below 0: against
    said: str  # what is said of it: its number


def coloured(text: str, spans: Sequence[Span], *, struck: Collection[int] = (), small: bool = False) -> None:
    """Show a text with its coloured words.

    Args:
        text: any text.
        spans: in the order of the text.
        struck: places (of `spans`) of words that are struck through.
        small: for several texts side by side.
    """
    st.html(f'<p class="coloured{" small" if small else ""}" dir="auto">{_marked(text, spans, struck)}</p>')


def _marked(text: str, spans: Sequence[Span], struck: Collection[int]) -> str:
    parts, at = [], 0
    for i, span in enumerate(spans):
        if span.end > SHOWN:
            break
        parts.append(html.escape(text[at : span.start]))
        word = html.escape(text[span.start : span.end])
        if i in struck:
            parts.append(f"<del>{word}</del>")
        elif span.strength:
            kind = "for" if span.strength > 0 else "against"
            parts.append(
                f'<mark class="{kind}" style="--strength:{abs(span.strength):.3f}" '
                f'title="{html.escape(span.said)}">{word}</mark>'
            )
        else:
            parts.append(word)
        at = span.end
    return "".join(parts) + html.escape(text[at:SHOWN]) + (" …" if len(text) > SHOWN else "")


def utf16_places(text: str) -> Callable[[int], int]:
    """Return the function from places in a text to places in it as browsers count: in UTF-16 units."""
    if not text or max(text) <= "\uffff":
        return lambda place: place
    places = [0, *accumulate(2 if sign > "\uffff" else 1 for sign in text)]
    return places.__getitem__
