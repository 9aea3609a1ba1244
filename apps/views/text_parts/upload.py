"""An uploaded table of texts: what is in it, which column holds the texts, its rows one after the other."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import streamlit as st

from cnn_core.errors import CnnError, DataError
from cnn_core.storage import storage_errors

TABLE_TYPES = ["csv", "tsv", "jsonl", "ndjson"]
UPLOAD_LIMIT = 50  # MB
GUESSED_FROM = 200  # rows


@dataclass(frozen=True)
class Columns:
    """The columns of a table, and which of them were guessed to hold texts and labels."""

    names: tuple[str, ...]
    text: str
    label: str | None  # None: there is only one column
    said: str  # how the file was read


@contextmanager
def on_disk(name: str, data: bytes) -> Iterator[Path]:
    """Yield the uploaded file as one on the disk; it is gone afterwards, and errors call it by its own name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()}"
        with storage_errors(path):
            path.write_bytes(data)
        try:
            yield path
        except CnnError as error:
            raise DataError(str(error).replace(str(path), name).replace(path.name, name)) from error


@st.cache_data(max_entries=16, show_spinner="Looking into the table")
def columns(name: str, data: bytes) -> Columns:
    """Look into an uploaded table.

    Raises:
        DataError: it cannot be read.
    """
    from text_classification.tables import choose_columns, look, rows

    with on_disk(name, data) as path:
        layout = look(path)
        sample = list(islice(rows(path, layout), GUESSED_FROM))
        if not sample:
            raise DataError(f"{path.name} holds no rows")
        if len(layout.columns) < 2:
            return Columns(layout.columns, layout.columns[0], None, layout.said)
        text, label = choose_columns(path.name, layout, sample, None, None)
        return Columns(layout.columns, layout.columns[text], layout.columns[label], layout.said)


def choose_column(title: str, names: tuple[str, ...], guessed: str, *, key: str) -> str:
    """Let a column be chosen if there are several."""
    if len(names) < 2:
        return guessed
    return st.selectbox(title, names, index=names.index(guessed), key=key, filter_mode=None)
