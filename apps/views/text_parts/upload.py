"""An uploaded table of texts: what is in it, and which of its columns is meant."""

from typing import Any

import streamlit as st

from components.uploads import as_file

TABLE_TYPES = ["csv", "tsv", "jsonl", "ndjson"]
UPLOAD_LIMIT = 50  # MB


@st.cache_data(max_entries=16, show_spinner="Looking into the table")
def columns(name: str, data: bytes) -> Any:
    """Return the `text_classification.tables.Columns` of an uploaded table.

    Raises:
        DataError: it cannot be read.
    """
    from text_classification.tables import guess_columns

    with as_file(name, data) as path:
        return guess_columns(path)


def choose_column(title: str, names: tuple[str, ...], guessed: str, *, key: str) -> str:
    """Let a column be chosen if there are several."""
    if len(names) < 2:
        return guessed
    return st.selectbox(title, names, index=names.index(guessed), key=key, filter_mode=None)
