"""Teach a network your own classes: a table of texts in, curves, a test score and the weights out."""

from functools import partial

import streamlit as st

from cnn_core.errors import DataError
from components.frame import download, note, plain_errors, understood
from components.kept import File, uploaded
from components.networks import Network, networks
from components.requests import TEMPLATES, TRIED, example_csv
from components.uploads import as_file
from views.text_parts.live import write_and_answer
from views.text_parts.upload import TABLE_TYPES, UPLOAD_LIMIT, choose_column, columns
from views.train_parts.begin import queue_run, show_terms
from views.train_parts.preset import show_preset

RECIPE, DOMAIN = "my-texts", "text_classification"
SCRATCH = "nothing"  # to start from
USUAL = "trec"  # likewise, as the recipe does
EXAMPLE = ("text", "label")  # columns of the example


def show_teach(known: dict[str, Network]) -> None:
    """Take the table and the choices, queue the training, show it, and let the network be tried."""
    run = show_preset(RECIPE, DOMAIN, form=partial(_form, known), before=_before)
    own = None if run is None or run.busy else networks(DOMAIN).get(f"runs/{run.name}")
    if own is not None:
        st.subheader("Try it", anchor=False)
        write_and_answer(own, key="try", chips=list(TRIED) if set(own.card.labels) == set(TEMPLATES) else [])


def _form(known: dict[str, Network]) -> None:
    kept = show_terms("teach-keep")
    files = uploaded(
        "A table with a column of texts and a column of classes", TABLE_TYPES, key="teach-table", limit=UPLOAD_LIMIT
    )
    chosen = _columns(files[0].name, files[0].data) if files else None
    starts = [SCRATCH, *known]
    start = st.selectbox(
        "Start from", starts, key="teach-start", filter_mode=None, index=starts.index(USUAL) if USUAL in known else 0,
        format_func=lambda name: "nothing (from scratch)" if name == SCRATCH else f"what {known[name].title} knows",
    )  # fmt: skip
    epochs = st.slider(
        "Epochs", 1, 30, 8, key="teach-epochs", help="How often every text is seen; few texts more often."
    )
    with st.container(horizontal=True):
        go = st.button("Train on my texts", type="primary", disabled=chosen is None, key="teach-go")
        example = st.button("Train on the example", key="teach-example")
    download("The example as CSV", example_csv, "requests.csv", key="teach-example-csv", kind="tertiary")
    if go or example:
        file = File("requests.csv", example_csv().encode()) if example else files[0]
        text, label = EXAMPLE if example or chosen is None else chosen
        settings = {"text_column": text, "label_column": label, "epochs": epochs}
        if start != USUAL:
            settings["weights"] = "none" if start == SCRATCH else start
        queue_run(RECIPE, settings, called=RECIPE, file=file, keep_upload=kept)
        st.rerun()


def _columns(name: str, data: bytes) -> tuple[str, str] | None:
    """Let the columns be chosen and say what is in them; None if nothing can be learned from them."""
    with plain_errors():
        found = columns(name, data)
        if found.label is None:
            raise DataError(f"{name} has one column; a second one must name the class of each text")
        text, label = found.text, found.label
        if len(found.names) > 2:
            left, right = st.columns(2)
            with left:
                text = choose_column("Texts", found.names, text, key=f"teach-text-{name}")
            with right:
                label = choose_column("Classes", found.names, label, key=f"teach-label-{name}")
        understood(_report(name, data, text, label))
        return text, label
    return None


@st.cache_data(max_entries=8, show_spinner="Reading the texts")
def _report(name: str, data: bytes, text: str, label: str) -> list[str]:
    """Return what a training would understand of the table, as `cnn train` says it.

    Raises:
        DataError: nothing can be learned from it.
    """
    from text_classification import DOMAIN

    with as_file(name, data) as path:
        settings = {"data": str(path), "text_column": text, "label_column": label}
        return [said.replace(path.name, name) for said in DOMAIN.summarise(RECIPE, settings).sentences]


def _before() -> None:
    note(
        "A table from any spreadsheet: one column with the texts, one with their classes. Fifty texts per class are "
        "enough to begin with; a tenth of them is held out for the test score."
    )
    st.code('text,label\n"turn the lights on in the hall",light\n"will it rain tomorrow",weather', language=None)
