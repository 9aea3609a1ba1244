"""One answer as a file: CSV, JSON, heat map."""

import json
from collections.abc import Callable, Sequence

import streamlit as st

from cnn_core.data.tables import csv_text


def answer_downloads(
    source: str,
    labels: Sequence[str],
    probabilities: Sequence[float],
    *,
    name: str,
    key: str = "answer",
    called: tuple[str, str] = ("label", "probabilities"),
    heat: Callable[[], bytes] | None = None,
) -> None:
    """Offer the probabilities of one answer as files.

    Args:
        source: what was answered: a file's name, or a text.
        labels: the most probable first.
        probabilities: in the same order.
        name: the files' names begin with it.
        key: of the buttons.
        called: what a label, and what the probabilities are called in the files.
        heat: returns the heat map as PNG.
    """
    thing, probabilities_name = called
    pairs = [(label, float(p)) for label, p in zip(labels, probabilities, strict=True)]
    table = csv_text([(thing, "probability"), *pairs])
    answered = {"input": source, f"{thing}s": [label for label, _ in pairs], probabilities_name: [p for _, p in pairs]}
    with st.container(horizontal=True, gap="small"):
        for title, data, kind in (("CSV", table, "csv"), ("JSON", json.dumps(answered, indent=2), "json")):
            st.download_button(
                title, data, f"{name}-answer.{kind}", f"text/{kind}", key=f"{key}-{kind}", on_click="ignore",
                type="tertiary", icon=":material/download:",
            )  # fmt: skip
        if heat is not None:
            st.download_button(
                "Heat map (PNG)", heat, f"{name}-heat.png", "image/png", key="heat-download", on_click="ignore",
                type="tertiary", icon=":material/download:",
            )  # fmt: skip
