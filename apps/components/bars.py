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
    labels: Sequence[str], probabilities: Sequence[float], *, kicker: str, shown: int = 10, small: bool = False
) -> None:
    """Show the most probable class in large type, and the bars.

    Args:
        labels: class names, most probable first.
        probabilities: in the same order.
        kicker: the small line above.
        shown: number of bars.
        small: for several answers side by side.
    """
    rest = len(labels) - shown
    rows = "".join(_row(*pair, top=i == 0) for i, pair in enumerate(zip(labels[:shown], probabilities, strict=False)))
    more = f'<p class="note" style="margin-top:.5rem">and {rest} more classes</p>' if rest > 0 else ""
    st.html(
        f'<div class="answer{" small" if small else ""}" role="status" aria-live="polite">'
        f'<p class="kicker">{html.escape(kicker)}</p><p class="word">{html.escape(labels[0])}</p>'
        f'<p class="sure">{_in_words(probabilities[0])}</p></div>'
        f'<ul class="bars">{rows}</ul>{more}'
    )


def _row(label: str, probability: float, *, top: bool) -> str:
    width = f"{100 * min(1.0, max(0.0, probability)):.2f}%"
    return (
        f'<li class="{"top" if top else ""}"><span class="name">{html.escape(label)}</span>'
        f'<span class="track"><span class="fill" style="width:{width}"></span></span>'
        f'<span class="value">{html.escape(percent(probability))}</span></li>'
    )


def _in_words(probability: float) -> str:
    kind = next(
        w
        for least, w in ((0.95, "sure"), (0.7, "fairly sure"), (0.4, "unsure"), (0, "guessing"))
        if probability >= least
    )
    return f"{html.escape(percent(probability))}, {kind}"
