"""One answer as a file: CSV, JSON, heat map."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from cnn_core.data.tables import csv_text
from components.frame import download


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
        csv_and_json(table, answered, name=f"{name}-answer", key=key)
        if heat is not None:
            download("Heat map (PNG)", heat, f"{name}-heat.png", key="heat-download", kind="tertiary")


def csv_and_json(table: str, record: Mapping[str, Any], *, name: str, key: str) -> None:
    """Offer a table as CSV, and what there is to say as JSON."""
    download("CSV", table, f"{name}.csv", key=f"{key}-csv", kind="tertiary")
    download("JSON", json.dumps(record, indent=2), f"{name}.json", key=f"{key}-json", kind="tertiary")
