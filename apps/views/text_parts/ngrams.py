"""Which n-grams won the maximum of each filter, and how much each added to the score: an account that sums up."""

import html
from collections.abc import Sequence
from typing import Any

import streamlit as st

from components.frame import note
from components.networks import Network
from components.tables import Markup, table
from views.text_parts.ask import reasons, signed

SHOWN = 12  # rows; the others are one row
FILTERS, GRAMS = "Filter by filter", "N-gram by n-gram"


def show_ngrams(network: Network, text: str) -> None:
    """Show the filters' votes as a table whose last line is the score."""
    why = reasons(network, text)
    votes = [vote for vote in why.found.votes if vote.activation > 0]
    if not why.found.votes:
        note(
            f"{network.card.model} has several layers, in which words mix: no exact account by n-grams exists. "
            "See Attribution for the words' parts."
        )
        return
    note(
        f"Each filter keeps its strongest n-gram (max pooling). It adds to the score of “{why.label}” that activation "
        "times the weight of the last layer. Nothing is left out: the rows sum to the score."
    )
    way = st.segmented_control(
        "Lines", [GRAMS, FILTERS], default=GRAMS, required=True, key="votes-way", label_visibility="collapsed"
    )
    grouped = way == GRAMS
    lines = [(v.ngram, str(v.filter), f"{v.activation:.2f}", v.contribution) for v in votes]
    if grouped:
        lines = _by_ngram(votes)
    shown, rest = lines[:SHOWN], lines[SHOWN:]
    largest = max((abs(line[-1]) for line in shown), default=1.0)
    rows = [(*line[:-1], _bar(line[-1], largest)) for line in shown]
    if rest:
        rows.append((f"{len(rest)} more", "", "", _bar(sum(line[-1] for line in rest), largest)))
    silent = len(why.found.votes) - len(votes)
    bias = why.found.score - sum(vote.contribution for vote in why.found.votes)
    rows.append(("the last layer's bias", "", "", _bar(bias, largest)))
    rows.append((f"score of “{why.label}”", "", "", Markup(f"<b>{signed(why.found.score)}</b>")))
    heads = (
        ("n-gram", "word"), ("Filters" if grouped else "Filter", "number"),
        ("Highest activation" if grouped else "Activation", "number"), ("Adds to the score", "number"),
    )  # fmt: skip
    table(heads, rows, label="N-grams and what they add to the score", foot=1, narrow=True)
    note(
        "The score is that of the class less the mean of all classes; “·” is a position outside the text. "
        f"{silent} of {len(why.found.votes)} filters were not active and added nothing."
    )


def _by_ngram(votes: Sequence[Any]) -> list[tuple[str, str, str, float]]:
    """Return one line per window of the text with what all its filters add together."""
    together: dict[tuple[int, str], list[Any]] = {}
    for vote in votes:
        together.setdefault((vote.start, vote.ngram), []).append(vote)
    lines = [
        (ngram, str(len(own)), f"{max(v.activation for v in own):.2f}", sum(v.contribution for v in own))
        for (_, ngram), own in together.items()
    ]
    return sorted(lines, key=lambda line: -abs(line[-1]))


def _bar(number: float, largest: float) -> Markup:
    side = "for" if number >= 0 else "against"
    width = 100 * min(1.0, abs(number) / largest) if largest else 0.0
    bar = f'<span class="adds"><span class="{side}" style="width:{width:.1f}%"></span></span>'
    return Markup(bar + html.escape(signed(number)))
