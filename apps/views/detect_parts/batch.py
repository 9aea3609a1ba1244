"""Many pictures at once: how many of each class, and the boxes as CSV and as COCO's JSON."""

import json
from typing import Any

import streamlit as st

from components.batch import answered, bring_many
from components.frame import download, note
from components.networks import Network, predictor
from views.detect_parts.ask import shown_labels
from views.detect_parts.source import sample_pictures


def show_many(network: Network) -> None:
    """Take pictures, find what is in them all, and offer the boxes."""
    from object_detection.writing import boxes_table, coco_of

    def samples() -> list[tuple[str, Any]]:
        return [(picture.name, picture.source) for picture in sample_pictures(network).values()]

    sources = bring_many(network, samples, key="batch")
    answers = answered(network, sources)
    labels = predictor(network).labels
    columns = shown_labels(labels, answers)
    rows = [
        {
            "file": one.input,
            **{label: one.counts.get(label, 0) for label in columns},
            "problem": one.error or "; ".join(one.warnings),
        }
        for one in answers
    ]
    show: dict[str, Any] = {"file": "File", **{label: label for label in columns}}
    if any(row["problem"] for row in rows):
        show["problem"] = "Problem"
    st.dataframe(rows, column_config=show, column_order=list(show), hide_index=True, key="batch-table")
    total = sum(len(one.boxes) for one in answers)
    note(f"{total:,} boxes from a score of {network.card.input['threshold']:.2f} on, the network's own threshold.")
    name = network.card.name
    with st.container(horizontal=True, gap="small"):
        download("Boxes (CSV)", boxes_table(answers), f"{name}-boxes.csv", key="batch-csv")
        download("Boxes (COCO JSON)", json.dumps(coco_of(answers, labels)), f"{name}-boxes.coco.json", key="batch-coco")
