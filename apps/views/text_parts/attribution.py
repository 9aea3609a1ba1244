"""What each word adds to the score of a class, by the method of one's choice."""

import streamlit as st

from components.address import pick
from components.coloured import coloured
from components.frame import note
from components.networks import Network
from components.tables import table
from components.texts import spoken
from views.text_parts.ask import names, reasons, signed

TITLES = {
    "ngrams": "N-grams",
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
}
SENTENCES = {
    "ngrams": "Each filter's strongest n-gram is split into its words. Exact for networks of parallel filters; other "
    "networks are explained by integrated gradients.",
    "integrated-gradients": "What each word adds on the way from an empty text to this one, step by step.",
    "occlusion": "How far the score falls when the word alone is taken out.",
}
SHOWN = 8  # words in the table


def show_attribution(network: Network, text: str, labels: list[str]) -> None:
    """Show the words of the text coloured by the chosen method for the chosen class.

    Args:
        network: which answered.
        text: what it answered.
        labels: of the card, the answer first.
    """
    choices, shown = st.columns([4, 7], gap="medium")
    with choices:
        method = pick(
            st.selectbox, "Method", list(TITLES), key="method", format_func=TITLES.__getitem__, filter_mode=None
        )
        # The key holds the answer: another answer begins with its own class again.
        wanted = st.selectbox(
            "Evidence for", labels[:10], key=f"class-{network.id}-{labels[0]}", filter_mode=None,
            format_func=lambda label: spoken(label, network.card.labels),
        )  # fmt: skip
        note(SENTENCES[method])
    with shown:
        with st.spinner(f"Computing {TITLES[method]}"):
            why = reasons(network, text, method, wanted)
        if why.found.method != method:
            note(f"{network.card.model} is explained by {TITLES[why.found.method].lower()}.")
        coloured(text, why.spans)
        strongest = sorted(zip(why.found.tokens, why.found.weights, strict=True), key=lambda pair: -abs(pair[1]))
        count = len(strongest) - SHOWN
        rows = [(token, signed(weight)) for token, weight in strongest[:SHOWN]]
        if count > 0:
            rows.append((f"{count:,} more", signed(sum(weight for _, weight in strongest[SHOWN:]))))
        rows += [("rest", signed(why.found.rest)), (f"score of “{why.label}”", signed(why.found.score))]
        table((("Word", "word"), ("Adds", "number")), rows, label="Words and what they add", foot=1, narrow=True)
        others = ", ".join(names(network, [label for label in labels if label != wanted][:3]))
        note(f"Orange speaks for “{why.label}”, blue against it and for the others ({others}).")
