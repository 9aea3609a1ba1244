"""Many texts at once: a table in, the table of answers out."""

import html
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import streamlit as st

from cnn_core.answers import csv_bytes
from components.bars import bars, percent
from components.batch import CLASSES, class_cells
from components.commands import file_word, network_word
from components.frame import download, note
from components.kept import remembered, uploaded
from components.networks import Network, compute, predictor
from components.texts import kind_of
from components.uploads import as_file
from views.text_parts.ask import names
from views.text_parts.upload import TABLE_TYPES, UPLOAD_LIMIT, choose_column, columns

MOST_TEXTS = 20_000
SHOWN = 1_000  # rows on the page; the download holds all
SHOWN_TEXT = 300  # characters
TOP = 2  # labels per text


def show_batch(network: Network) -> None:
    """Take a table of texts, answer them all, and offer the answers."""
    files = uploaded(
        "A table of texts (CSV, TSV, JSON lines) or a text file with one text per line", [*TABLE_TYPES, "txt"],
        key="batch-upload", limit=UPLOAD_LIMIT,
    )  # fmt: skip
    if not files:
        texts = [text for _, text in kind_of(network.card.labels).samples]
        if not texts:
            note("The answers appear here.")
            return
        note("The examples, answered. Drop a table of your own above.")
        answers = compute(predictor(network).predict, texts, top_k=TOP)
    else:
        answers = _uploaded(network, files[0].name, files[0].data)
        if not answers:
            note(f"{files[0].name} holds no rows.")
            return
    _summary(network, answers)
    _table(network, answers)


def _uploaded(network: Network, name: str, data: bytes) -> list[Any]:
    """Return the answers for the texts of an uploaded file.

    Raises:
        DataError: it cannot be read.
    """
    column = None
    if not name.lower().endswith(".txt"):
        table = columns(name, data)
        column = choose_column("Column with the texts", table.names, table.text, key=f"batch-column-{name}")
        note(f"{name}: {table.description}.")
    with st.spinner("Reading and answering"):
        answers, more = _answers(network, name, data, column)
    if more:
        note(
            f"The page answers the first {MOST_TEXTS:,} texts. For all of them: "
            f"cnn predict {network_word(network)} {file_word(name)} --output FOLDER"
        )
    return answers


@remembered(4)  # the answers hold the texts
def _answers(network: Network, name: str, data: bytes, column: str | None) -> tuple[list[Any], bool]:
    """Return the answers, and whether the file goes on."""
    from text_classification.tables import read_texts

    with as_file(name, data) as path:
        texts = list(islice(read_texts(path, text_column=column), MOST_TEXTS + 1))
    answers = compute(predictor(network).predict, texts[:MOST_TEXTS], top_k=TOP)
    return answers, len(texts) > MOST_TEXTS


def _summary(network: Network, answers: Sequence[Any]) -> None:
    """Say how the answers are distributed."""
    counts = Counter(answer.labels[0] for answer in answers if answer.error is None)
    total = sum(counts.values())
    failed = len(answers) - total
    said = f"{total:,} {'text' if total == 1 else 'texts'} answered"
    said += f", {failed:,} could not be" if failed else ""
    st.html(f'<p class="note"><b>{html.escape(said)}</b></p>')
    if total:
        ordered = counts.most_common()
        shares = [count / total for _, count in ordered]
        words = [f"{count:,}" if total < 1000 else percent(count / total) for _, count in ordered]
        bars(names(network, [label for label, _ in ordered]), shares, words)


def _table(network: Network, answers: Sequence[Any]) -> None:
    rows = [_row(network, answer) for answer in answers[:SHOWN]]
    show: dict[str, Any] = {
        "text": st.column_config.TextColumn("Text", width="large"),
        **CLASSES,
        "note": "Note",
    }
    order = [name for name in show if name != "note" or any(row["note"] for row in rows)]
    st.dataframe(rows, column_config=show, column_order=order, hide_index=True, key="batch-table")
    if len(answers) > SHOWN:
        note(f"The first {SHOWN:,} rows; the download holds all {len(answers):,}.")
    file = f"{network.card.name}-answers.csv"
    download("Table (CSV)", csv_bytes(answers, top_k=TOP), file, key="batch-download")


def _row(network: Network, answer: Any) -> dict[str, object]:
    text = answer.input[:SHOWN_TEXT].encode("utf-8", "replace").decode()
    cells = class_cells(answer, names(network, answer.labels))
    return {"text": text, **cells, "note": answer.note if answer.error is None else answer.error}
