"""Many pictures at once: a table, and the table as CSV."""

from dataclasses import replace
from typing import Any

import streamlit as st

from components.bring import SUFFIXES, UPLOAD_LIMIT
from components.downloads import answers_csv
from components.frame import note
from components.networks import Network, compute, predictor
from components.pictures import data_uri
from components.samples import kind_of, samples

MOST_FILES = 200


def show_batch(network: Network) -> None:
    """Take pictures, answer them all, and offer the table."""
    files = st.file_uploader(
        "Pictures", SUFFIXES, accept_multiple_files=True, key="batch-upload", max_upload_size=UPLOAD_LIMIT,
        label_visibility="collapsed",
    )  # fmt: skip
    if len(files) > MOST_FILES:
        note(
            f"{len(files)} pictures are more than the page takes; the first {MOST_FILES} are answered. "
            f"For a whole folder: cnn predict {network.id} FOLDER --json"
        )
    if files:
        sources = [(file.name, file.getvalue()) for file in files[:MOST_FILES]]
    else:
        kind = kind_of(network.card.labels, channels=network.channels)
        sources = [(sample.file, sample.path.read_bytes()) for sample in samples(kind)]
        note("The samples, answered. Drop your own pictures above, as many as you like at a time.")
    answers = compute(_answers, predictor(network), sources)
    rows = [_row(answer, data) for answer, (_, data) in zip(answers, sources, strict=True)]
    show = {
        "picture": st.column_config.ImageColumn("Picture", width="small"),
        "file": "File",
        "answer": "Answer",
        "probability": st.column_config.ProgressColumn("Probability", format="percent", min_value=0, max_value=1),
        "second": "Second guess",
        "problem": "Problem",
    }
    order = [name for name in show if name != "problem" or any(row["problem"] for row in rows)]
    st.dataframe(rows, column_config=show, column_order=order, hide_index=True, row_height=56, key="batch-table")
    st.download_button(
        "Table (CSV)", answers_csv(answers, top_k=2), f"{network.card.name}-answers.csv", "text/csv",
        key="batch-download", on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def _answers(asked: Any, sources: list[tuple[str, bytes]]) -> list[Any]:
    """Return a `Prediction` for every picture, under its file name."""
    found = asked.predict([data for _, data in sources], top_k=2)
    return [replace(answer, input=name) for answer, (name, _) in zip(found, sources, strict=True)]


def _row(answer: Any, data: bytes) -> dict[str, object]:
    row = {
        "file": answer.input,
        "picture": "",
        "answer": "",
        "probability": None,
        "second": "",
        "problem": answer.error,
    }
    if answer.error is None:
        row["picture"] = _thumbnail(data)
        row["answer"], row["probability"] = answer.labels[0], round(answer.probabilities[0], 4)
        row["second"] = answer.labels[1] if len(answer.labels) > 1 else ""
    return row


@st.cache_data(max_entries=2 * MOST_FILES, show_spinner=False)
def _thumbnail(data: bytes) -> str:
    from cnn_core.data.images import read_image

    return data_uri(read_image(data, at_least=112), edge=112)
