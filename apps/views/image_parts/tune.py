"""Teach a network your own classes: a zip of class folders in, curves, a test score and the weights out."""

from functools import partial
from typing import Any

import streamlit as st

from components.frame import download, note, plain_errors, understood
from components.kept import File, uploaded
from components.networks import Network, compute
from components.shapes import example_zip
from components.uploads import as_file
from views.train_parts.begin import LIMIT, UPLOADS, queue_run, show_terms
from views.train_parts.preset import show_preset

RECIPE, DOMAIN = "my-pictures", "image_classification"
WAYS = {
    "linear-probe": "Only the last layer (seconds)",
    "freeze": "The later half",
    "fine-tune": "Everything (needs the most pictures)",
}


def show_tune(known: dict[str, Network], network: Network) -> None:
    """Take the zip and the choices, queue the training, show it."""
    show_preset(RECIPE, DOMAIN, form=partial(_form, known, network), before=_before)


def _form(known: dict[str, Network], network: Network) -> None:
    kinds, label = UPLOADS[DOMAIN]
    kept = show_terms("tune-keep")
    files = uploaded(label, kinds, key="tune-zip", limit=LIMIT)
    found = st.container()  # filled below, when it is known which network the pictures are for
    names = list(known)
    start = st.selectbox(
        "Start from", names, index=names.index(network.id), key=f"tune-start-{network.id}", filter_mode=None,
        format_func=lambda name: f"{known[name].title} ({known[name].card.model})",
    )  # fmt: skip
    with found:
        usable = bool(files) and _look(files[0].name, files[0].data, known[start])
    way = st.radio("What is trained", list(WAYS), format_func=WAYS.get, key="tune-way")
    epochs = st.slider("Epochs", 1, 60, 15, key="tune-epochs", help="How often every picture is seen.")
    with st.container(horizontal=True):
        go = st.button("Train on my pictures", type="primary", disabled=not usable, key="tune-go")
        example = st.button("Train on the example", key="tune-example")
    download("The example as a zip", example_zip, "shapes.zip", key="tune-example-zip", kind="tertiary")
    if go or example:
        file = File("shapes.zip", example_zip()) if example else files[0]
        settings = {"weights": start, "epochs": epochs, **compute(_settings_of, way)}
        queue_run(RECIPE, settings, called=RECIPE, file=file, keep_upload=kept)
        st.rerun()


def _settings_of(way: str) -> dict[str, Any]:
    from image_classification.transfer import LEARNING_RATES

    rate = {"learning_rate": LEARNING_RATES[way]} if way in LEARNING_RATES else {}
    return {"transfer": way, **rate}


def _look(name: str, data: bytes, start: Network) -> bool:
    """Say what the uploaded zip holds and what of it is left out; tell whether a network can learn from it."""
    with plain_errors():
        understood(_understood(name, data, start.id))
        return True
    return False


@st.cache_data(max_entries=8, show_spinner="Looking through the pictures")
def _understood(name: str, data: bytes, start: str) -> list[str]:
    """Return the sentences that say what a training would understand of the zip.

    Raises:
        CnnError: nothing can be learned from it.
    """
    from image_classification.domain import DOMAIN as IMAGES

    with as_file(name, data) as archive:
        return IMAGES.summarise(RECIPE, {"data": str(archive), "weights": start, "transfer": "fine-tune"}).sentences


def _before() -> None:
    note(
        "The network keeps what it has learned about edges, strokes and shapes, and learns your classes on top. "
        "Twenty pictures per class are enough to begin with; a fifth of them is held out for the test score."
    )
    st.code("my-photos.zip\n  cats/  001.jpg  002.jpg  ...\n  dogs/  001.jpg  002.jpg  ...", language=None)
