"""Teach a network your own classes: a table of texts in, curves, a test score and the weights out."""

from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.errors import CnnError
from cnn_core.storage import storage_errors
from components.frame import note, sentence
from components.networks import Network, networks
from components.requests import TRIED, example_csv
from components.teaching import Lesson, show_training
from components.training import Workshop, workshop
from views.text_parts.live import write_and_answer
from views.text_parts.upload import TABLE_TYPES, UPLOAD_LIMIT, Columns, choose_column, columns, on_disk

LESSON = Lesson("teach", "my-texts", "texts", 'cnn predict ./my-texts "a text of yours"')
SPLITS = ("train", "val", "test")
SCRATCH = "nothing"  # to start from
VECTOR_SIZE = 64
NAMED = 6  # classes that are called by their names
EXAMPLE = ("text", "label")  # columns of the example


def show_teach(known: dict[str, Network]) -> None:
    """Take the table and the choices, run the training, show it, and let the network be tried."""
    place = workshop(LESSON.key)
    busy = place.job is not None and not place.job.finished
    form, live = st.columns([5, 6], gap="medium")
    with form:
        _form(place, known, busy=busy)
    with live:
        if place.job is None:
            _before()
        else:
            show_training(place, LESSON)
    own = networks("text_classification").get(LESSON.name)
    if own is not None and not busy:
        st.subheader("Try it", anchor=False)
        example = set(own.card.labels) == {"light", "music", "weather"}
        write_and_answer(own, key="try", chips=list(TRIED) if example else [])


def _form(place: Workshop, known: dict[str, Network], *, busy: bool) -> None:
    file = st.file_uploader(
        "A table with a column of texts and a column of classes", TABLE_TYPES, key="teach-table",
        max_upload_size=UPLOAD_LIMIT, disabled=busy,
    )  # fmt: skip
    chosen = None
    if file is not None:
        chosen = _columns(file.name, file.getvalue(), busy=busy)
    starts = [SCRATCH, *(name for name in known if name != LESSON.name)]
    start = st.selectbox(
        "Start from", starts, key="teach-start", disabled=busy, filter_mode=None,
        format_func=lambda name: "nothing: all is learned" if name == SCRATCH else f"what {known[name].title} knows",
    )  # fmt: skip
    epochs = st.slider("Epochs", 1, 30, 8, key="teach-epochs", disabled=busy, help="How often every text is seen.")
    with st.container(horizontal=True):
        go = st.button("Train on my texts", type="primary", disabled=busy or chosen is None, key="teach-go")
        example = st.button("Train on the example", disabled=busy, key="teach-example")
    st.download_button(
        "The example as CSV", example_csv, "requests.csv", "text/csv", type="tertiary", key="teach-example-csv",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip
    if go or example:
        weights = None if start == SCRATCH else known[start].folder
        name, data = ("requests.csv", example_csv().encode()) if example else (file.name, file.getvalue())
        _begin(place, name, data, EXAMPLE if example else chosen, weights=weights, epochs=epochs)
        st.rerun()


def _columns(name: str, data: bytes, *, busy: bool) -> tuple[str, str] | None:
    """Let the columns be chosen and say what is in them; None if nothing can be learned from them."""
    try:
        found: Columns = columns(name, data)
        if found.label is None:
            st.warning(sentence(f"{name} has one column; a second one must name the class of each text"))
            return None
        text, label = found.text, found.label
        if len(found.names) > 2:
            left, right = st.columns(2)
            with left:
                text = choose_column("Texts", found.names, text, key=f"teach-text-{name}", disabled=busy)
            with right:
                label = choose_column("Classes", found.names, label, key=f"teach-label-{name}", disabled=busy)
        note(_report(name, data, text, label))
    except CnnError as error:
        st.warning(sentence(str(error)), icon=":material/info:")
        return None
    return text, label


@st.cache_data(max_entries=8, show_spinner="Reading the texts")
def _report(name: str, data: bytes, text: str, label: str) -> str:
    """Return what the table holds.

    Raises:
        DataError: nothing can be learned from it.
    """
    from text_classification.data import load_sets
    from text_classification.own import read_table

    with on_disk(name, data) as path:
        notes = read_table(path, text_column=text, label_column=label).notes
        sets = load_sets(path, splits=SPLITS, text_column=text, label_column=label)
        said = " ".join(f"{sentence_end(remark)}" for remark in notes).replace(path.name, name)
    labels = sets["train"].labels
    total = sum(len(part) for part in sets.values())
    some = ", ".join(labels[:NAMED]) + (f" and {len(labels) - NAMED} more" if len(labels) > NAMED else "")
    return f"{total:,} texts in {len(labels)} classes: {some}. {said}"


def sentence_end(text: str) -> str:
    """Return a remark with a full stop."""
    return text if text.endswith(".") else f"{text}."


def _begin(
    place: Workshop, name: str, data: bytes, chosen: tuple[str, str], *, weights: Path | None, epochs: int
) -> None:
    table = place.folder / f"texts{Path(name).suffix.lower()}"
    with storage_errors(table):
        table.write_bytes(data)
    text_column, label_column = chosen
    settings = {
        "data": str(table), "text_column": text_column, "label_column": label_column, "epochs": epochs, "device": "cpu",
        "batch_size": 32, "vector_size": VECTOR_SIZE, "word_dropout": 0.1, "learning_rate": 2e-3,
        "row_learning_rate": 2e-2, "schedule": "linear", "weights": str(weights) if weights else None,
    }  # fmt: skip

    def train(**how: Any) -> Any:
        from cnn_core.train.config import override
        from text_classification.run import RECIPE, train

        recipe = override(RECIPE(description="own texts, trained on the page"), settings)
        return train(recipe, name=LESSON.name, **how)

    place.begin(train)


def _before() -> None:
    note(
        "A table from any spreadsheet: one column with the texts, one with their classes. Fifty texts per class are "
        "enough to begin with; a tenth of them is kept aside for the test score."
    )
    st.code('text,label\n"turn the lights on in the hall",light\n"will it rain tomorrow",weather', language=None)
