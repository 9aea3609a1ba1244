"""Many pictures at once: captions in a table, and the table as CSV; or the pictures that suit a sentence best."""

from dataclasses import replace
from typing import Any

import streamlit as st
from PIL import Image

from components.bring import SUFFIXES, UPLOAD_LIMIT
from components.downloads import answers_csv
from components.frame import note
from components.networks import Network, compute, predictor
from components.pictures import Figure, data_uri, figures
from views.caption_parts.source import sample_pictures, speaks_of_scenes

MOST_FILES = 200
FOUND = 6
Sources = list[tuple[str, bytes | Image.Image]]


def show_batch(network: Network) -> None:
    """Take pictures, caption them all, and offer the table."""
    sources = _sources(network, "batch")
    answers = compute(_answers, predictor(network), sources)
    rows = [
        {
            "picture": "" if answer.error else _thumbnail(data),
            "file": answer.input,
            "caption": answer.captions[0] if answer.captions else "",
            "problem": answer.error,
        }
        for answer, (_, data) in zip(answers, sources, strict=True)
    ]
    show = {
        "picture": st.column_config.ImageColumn("Picture", width="small"),
        "file": "File",
        "caption": st.column_config.TextColumn("Caption", width="large"),
        "problem": "Problem",
    }
    order = [name for name in show if name != "problem" or any(row["problem"] for row in rows)]
    st.dataframe(rows, column_config=show, column_order=order, hide_index=True, row_height=56, key="batch-table")
    st.download_button(
        "Table (CSV)", answers_csv(answers, top_k=0), f"{network.card.name}-captions.csv", "text/csv",
        key="batch-download", on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def show_find(network: Network) -> None:
    """Take pictures and a sentence, and show the pictures that suit it best."""
    example = "a large red cross" if speaks_of_scenes(network) else "an animal looks at the camera"
    wanted = st.text_input("A sentence", example, key="find-sentence", max_chars=300)
    sources = _sources(network, "find")
    if not wanted.strip():
        note("Write what the picture should show.")
        return
    asked = predictor(network)
    strange = asked.unknown_words(wanted)
    matches = compute(asked.retrieve, [data for _, data in sources], wanted)
    by_place = {f"picture {i + 1}": source for i, source in enumerate(sources)}
    if strange:
        note(f"Not known to the network: {', '.join(strange)}.")
    shown = []
    for match in matches[:FOUND]:
        name, data = by_place[match.input]
        if match.error is None:
            said = f"{name}: every word {_times(match.score)} than in the others"
            shown.append(Figure(_open(data), said, name, pixels=speaks_of_scenes(network)))
    figures(shown)
    failed = [f"{by_place[match.input][0]}: {match.error}" for match in matches if match.error]
    if failed:
        note(f"Not read: {'; '.join(failed[:5])}")


def _times(score: float) -> str:
    """Return a score, nats per word more than usual, in words."""
    from math import exp

    return f"{exp(score):.1f} times likelier" if score >= 0 else f"{exp(-score):.1f} times less likely"


def _sources(network: Network, key: str) -> Sources:
    """Return the names and bytes of the pictures that were brought, or of the samples."""
    files = st.file_uploader(
        "Pictures", SUFFIXES, accept_multiple_files=True, key=f"{key}-upload", max_upload_size=UPLOAD_LIMIT,
        label_visibility="collapsed",
    )  # fmt: skip
    if len(files) > MOST_FILES:
        note(
            f"{len(files)} pictures are more than the page takes; the first {MOST_FILES} are read. "
            f"For a whole folder: cnn predict {network.id} FOLDER --json"
        )
    if files:
        return [(file.name, file.getvalue()) for file in files[:MOST_FILES]]
    note("These are the samples. Drop your own pictures above, as many as you like at a time.")
    return [(picture.name, picture.source) for picture in sample_pictures(network).values()]


def _answers(asked: Any, sources: Sources) -> list[Any]:
    found = asked.predict([data for _, data in sources], n_best=1)
    return [replace(answer, input=name) for answer, (name, _) in zip(found, sources, strict=True)]


def _open(data: bytes | Image.Image) -> Image.Image:
    from cnn_core.data.images import read_image

    return read_image(data, at_least=320)


@st.cache_data(max_entries=2 * MOST_FILES, show_spinner=False)
def _thumbnail(data: bytes) -> str:
    return data_uri(_open(data), edge=112)
