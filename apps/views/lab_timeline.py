"""Lab: the timeline."""

import html
import math

import streamlit as st

from components.frame import note
from components.lab import closing, opening
from components.networks import compute
from lab.milestones import MILESTONES, Milestone, parameters, snippet

LARGEST = 1.5e8  # parameters that fill a bar
SMALLEST = 1e3


def main() -> None:
    opening("timeline")
    counts = _counts()
    st.html(f'<ol class="timeline">{"".join(_entry(entry, counts.get(entry.model)) for entry in MILESTONES)}</ol>')
    note("Bars: trainable parameters, from a thousand to 150 million, on a logarithmic scale.")
    closing(
        "timeline",
        question="VGG-16 has five times the parameters of ResNet-50 and makes more errors. Where are most of them? The "
        "table of its layers tells.",
        snippet=snippet(),
    )


@st.cache_data(show_spinner=False)
def _counts() -> dict[str, int]:
    return compute(parameters, frozenset(entry.model for entry in MILESTONES))


def _entry(entry: Milestone, count: int | None) -> str:
    """Return a milestone as HTML; networks that the repository has are linked and show their size."""
    size = ""
    if count is not None:
        share = math.log(count / SMALLEST) / math.log(LARGEST / SMALLEST)
        size = (
            f'<p class="size"><span class="bar" style="--share:{min(1, max(0.02, share)):.3f}"></span>'
            f'<span>{count:,} parameters</span> <a href="models?model={entry.model}" target="_self" '
            f'aria-label="Open {html.escape(entry.title)} in the zoo">Open in the zoo</a></p>'
        )
    return (
        f"<li><b>{entry.year}</b><div><h3>{html.escape(entry.title)}</h3>"
        f'<p class="by">{html.escape(entry.by)}</p><p>{html.escape(entry.text)}</p>{size}</div></li>'
    )


main()
