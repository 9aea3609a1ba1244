"""Many pictures at once: a table, and the table as CSV."""

from typing import Any

import streamlit as st

from components.batch import Sources, answered, answers_table, bring_many
from components.networks import Network
from components.samples import kind_of, samples

COLUMNS = {
    "answer": "Answer",
    "probability": st.column_config.ProgressColumn("Probability", format="percent", min_value=0, max_value=1),
    "second": "Second guess",
}


def show_batch(network: Network) -> None:
    """Take pictures, answer them all, and offer the table."""

    def of_its_kind() -> Sources:
        kind = kind_of(network.card.labels, channels=network.channels)
        return [(sample.file, sample.path.read_bytes()) for sample in samples(kind)]

    sources = bring_many(network, of_its_kind, key="batch")
    answers = answered(network, sources, top_k=2)
    answers_table(answers, sources, _cells, COLUMNS, file=f"{network.card.name}-answers.csv", top_k=2)


def _cells(answer: Any) -> dict[str, object]:
    if answer.error is not None:
        return {"answer": "", "probability": None, "second": ""}
    second = answer.labels[1] if len(answer.labels) > 1 else ""
    return {"answer": answer.labels[0], "probability": round(answer.probabilities[0], 4), "second": second}
