"""An answer: the word, and a bar for every class."""

import html
from collections.abc import Sequence

import streamlit as st


def percent(probability: float) -> str:
    """Return a probability as text that does not claim certainty: 0.9996 is "> 99.9 %"."""
    if probability > 0.999:
        return "> 99.9 %"
    return "< 0.1 %" if probability < 0.001 else f"{100 * probability:.1f} %"


def answer(
    labels: Sequence[str], probabilities: Sequence[float], *, kicker: str, small: bool = False, known: bool = True
) -> None:
    """Show the most probable class in large type, and bars of the first ten.

    Args:
        labels: class names, most probable first.
        probabilities: in the same order.
        kicker: the small line above.
        small: for several answers side by side, with three bars each.
        known: the input is of the classes at all; if not, the bars are of what is nearest.
    """
    word, sure = labels[0], _in_words(probabilities[0])
    if not known:
        word, sure = "None of these", f"Unlike everything that was learned; nearest: {labels[0]}, {sure}"
    shown = 3 if small else 10
    rest = len(labels) - shown
    said = [percent(probability) for probability in probabilities]
    more = (
        f'<p class="note" style="margin-top:.5rem">and {rest} more {"class" if rest == 1 else "classes"}</p>'
        if rest > 0
        else ""
    )
    st.html(
        _headline(word, kicker=kicker, sure=sure, small=small)
        + f"{_bars(labels[:shown], probabilities[:shown], said[:shown])}{more}"
    )


def headline(word: str, *, kicker: str, sure: str) -> None:
    """Show a word in large type between a small line above and one below."""
    st.html(_headline(word, kicker=kicker, sure=sure, small=True))


def _headline(word: str, *, kicker: str, sure: str, small: bool) -> str:
    return (
        f'<div class="answer{" small" if small else ""}" role="status" aria-live="polite">'
        f'<p class="kicker">{html.escape(kicker)}</p><p class="word">{html.escape(word)}</p>'
        f'<p class="sure">{html.escape(sure)}</p></div>'
    )


def bars(names: Sequence[str], shares: Sequence[float], texts: Sequence[str]) -> None:
    """Show a bar for each name, the first one marked.

    Args:
        names: what the bars are called.
        shares: 0 to 1, the length of each.
        texts: what is written behind each.
    """
    st.html(f'<div style="max-width:44rem">{_bars(names, shares, texts)}</div>')


def _bars(names: Sequence[str], shares: Sequence[float], said: Sequence[str]) -> str:
    rows = (_row(*line, top=i == 0) for i, line in enumerate(zip(names, shares, said, strict=True)))
    return f'<ul class="bars">{"".join(rows)}</ul>'


def _row(label: str, share: float, said: str, *, top: bool) -> str:
    width = f"{100 * min(1.0, max(0.0, share)):.2f}%"
    return (
        f'<li class="{"top" if top else ""}"><span class="name">{html.escape(label)}</span>'
        f'<span class="track"><span class="fill" style="width:{width}"></span></span>'
        f'<span class="value">{html.escape(said)}</span></li>'
    )


def _in_words(probability: float) -> str:
    kind = next(
        w
        for least, w in ((0.95, "sure"), (0.7, "fairly sure"), (0.4, "unsure"), (0, "guessing"))
        if probability >= least
    )
    return f"{percent(probability)}, {kind}"
