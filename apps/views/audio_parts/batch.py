"""Many sounds at once: a table, and the table as CSV."""

from dataclasses import replace
from typing import Any

import streamlit as st

from cnn_core.answers import csv_bytes
from components.batch import CLASSES, MOST_FILES, class_cells
from components.commands import network_word
from components.frame import download, note
from components.kept import uploaded
from components.networks import Network, compute, predictor
from views.audio_parts.source import SUFFIXES, UPLOAD_LIMIT, Recording, samples


def show_many(network: Network) -> None:
    """Take sounds, answer them all, and offer the table."""
    files = uploaded("Sounds", SUFFIXES, key="batch-upload", limit=UPLOAD_LIMIT, many=True, hidden=True)
    if len(files) > MOST_FILES:
        note(
            f"{len(files)} sounds are more than the page takes; the first {MOST_FILES} are heard. "
            f"For a whole folder: cnn predict {network_word(network)} FOLDER --output OUT"
        )
    sounds = [Recording(file.name, file.data, theirs=True) for file in files[:MOST_FILES]]
    if not sounds:
        note("These are the samples. Drop your own sounds above, as many as you like at a time.")
        sounds = samples(network)
    found = compute(predictor(network).predict, [sound.data for sound in sounds], top_k=2)
    answers = [replace(answer, input=sound.name) for answer, sound in zip(found, sounds, strict=True)]
    rows = [
        {"file": answer.input, **class_cells(answer, answer.labels), "problem": answer.error or answer.note}
        for answer in answers
    ]
    show: dict[str, Any] = {"file": "File", **CLASSES}
    if any(row["problem"] for row in rows):
        show["problem"] = "To know"
    st.dataframe(rows, column_config=show, column_order=list(show), hide_index=True, key="batch-table")
    download("Table (CSV)", csv_bytes(answers, top_k=2), f"{network.card.name}-answers.csv", key="batch-download")
