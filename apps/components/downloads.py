"""Answers as files: one answer as CSV or JSON, many as a table."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.data.tables import csv_text
from cnn_core.weights.reports import REPORT_FILE, without_examples

PACKED = ("card.json", "model*.safetensors", "recipe.json", "report.json", "log.csv")


def answer_downloads(
    asked: str,
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
        asked: what was answered: a file's name, or a text.
        labels: the most probable first.
        probabilities: in the same order.
        name: the files' names begin with it.
        key: of the buttons.
        called: what a label, and what the probabilities are called in the files.
        heat: returns the heat map as PNG.
    """
    thing, chances = called
    pairs = [(label, float(p)) for label, p in zip(labels, probabilities, strict=True)]
    table = csv_text([(thing, "probability"), *pairs])
    answered = {"input": asked, f"{thing}s": [label for label, _ in pairs], chances: [p for _, p in pairs]}
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


def answers_csv(answers: Iterable[Any], *, top_k: int = 0) -> bytes:
    """Return predictions as `cnn predict --output` writes them: with `top_k` labels each, or, 0, with all they hold."""
    from cnn_core.answers import label_columns, write_csv

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.csv"
        write_csv((answer.to_json() for answer in answers), path, columns=label_columns(top_k) if top_k else None)
        return path.read_bytes()


def pack_network(folder: Path, name: str, *, examples: bool = False) -> bytes:
    """Return what is needed to predict, explain and export, as a zip with one folder; links are not followed.

    Args:
        folder: of the run.
        name: of the zip's folder.
        examples: keep what the report quotes of the data, see `without_examples`.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (file for pattern in PACKED for file in sorted(folder.glob(pattern))):
            if not file.is_file() or file.is_symlink():
                continue
            if file.name == REPORT_FILE and not examples:
                archive.writestr(f"{name}/{file.name}", without_examples(file.read_text("utf-8")))
            else:
                archive.write(file, f"{name}/{file.name}")
    return buffer.getvalue()
