"""Many pictures at once: bring them, answer them all, and show the table that can be taken along as CSV."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from PIL import Image

from cnn_core.answers import NONE_OF_THESE, csv_bytes
from components.bring import SUFFIXES, UPLOAD_LIMIT, digest_of
from components.commands import network_word
from components.frame import download, note
from components.kept import remembered, uploaded
from components.networks import Network, compute, predictor
from components.pictures import data_uri

MOST_FILES = 200
EDGE = 112  # pixels of a thumbnail
CLASSES = {  # columns of a table of answers
    "answer": "Answer",
    "probability": st.column_config.ProgressColumn("Probability", format="percent", min_value=0, max_value=1),
    "second": "Second guess",
}
Sources = list[tuple[str, bytes | Image.Image]]  # file names, and what is in them


def bring_many(network: Network, samples: Callable[[], Sources], *, key: str) -> Sources:
    """Let pictures be uploaded and return them; the samples while there are none.

    Args:
        network: that will answer them.
        samples: called when nothing was uploaded.
        key: of the upload.
    """
    files = uploaded("Pictures", SUFFIXES, key=f"{key}-upload", limit=UPLOAD_LIMIT, many=True, hidden=True)
    if len(files) > MOST_FILES:
        note(
            f"{len(files)} pictures are more than the page takes; the first {MOST_FILES} are read. "
            f"For a whole folder: cnn predict {network_word(network)} FOLDER --json"
        )
    if files:
        return [(file.name, file.data) for file in files[:MOST_FILES]]
    note("These are the samples. Drop your own pictures above, as many as you like at a time.")
    return samples()


def answered(network: Network, sources: Sources, **options: Any) -> list[Any]:
    """Return the network's answer to every picture, under its file name.

    Args:
        network: that is asked.
        sources: the pictures.
        options: passed to `predict`.
    """
    found = compute(predictor(network).predict, [data for _, data in sources], **options)
    return [replace(answer, input=name) for answer, (name, _) in zip(found, sources, strict=True)]


def answers_table(
    answers: Sequence[Any],
    sources: Sources,
    cells: Callable[[Any], dict[str, object]],
    columns: Mapping[str, Any],
    *,
    file: str,
    top_k: int = 0,
) -> None:
    """Show answers beside their pictures, and offer them as CSV.

    Args:
        answers: from `answered`.
        sources: the pictures, in the same order.
        cells: returns what stands in the columns for an answer, which may be an error.
        columns: how Streamlit shows them, by name.
        file: name of the CSV.
        top_k: labels per answer in the CSV; 0: everything that the answers hold.
    """
    rows = [
        {
            "picture": _thumbnail(digest_of(data), _data=data) if answer.error is None else "",
            "file": answer.input,
            **cells(answer),
            "problem": answer.error or "; ".join(answer.warnings or ()),
        }
        for answer, (_, data) in zip(answers, sources, strict=True)
    ]
    show = {"picture": st.column_config.ImageColumn("Picture", width="small"), "file": "File", **columns}
    if any(row["problem"] for row in rows):
        show["problem"] = "Problem"
    st.dataframe(
        rows, column_config=show, column_order=list(show), hide_index=True, row_height=EDGE // 2, key="batch-table"
    )
    download("Table (CSV)", csv_bytes(answers, top_k=top_k), file, key="batch-download")


def class_cells(answer: Any, labels: Sequence[str]) -> dict[str, object]:
    """Return what stands in the columns `CLASSES` for an answer or an error; `labels` are as the page calls them."""
    if answer.error is not None:
        return {"answer": "", "probability": None, "second": ""}
    second = labels[1] if len(labels) > 1 else ""
    if not answer.known:
        return {"answer": NONE_OF_THESE, "probability": None, "second": labels[0]}
    return {"answer": labels[0], "probability": round(answer.probabilities[0], 4), "second": second}


def opened(data: bytes | Image.Image, edge: int) -> Image.Image:
    """Return a picture of at least `edge` pixels where the file has them."""
    from cnn_core.data.images import read_image

    return read_image(data, at_least=edge)


@remembered(2 * MOST_FILES)  # a picture goes with its owner
def _thumbnail(digest: str, *, _data: bytes | Image.Image) -> str:
    return data_uri(opened(_data, EDGE), edge=EDGE)
