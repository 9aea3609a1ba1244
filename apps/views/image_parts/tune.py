"""Teach a network your own classes: a zip of class folders in, curves, a test score and the weights out."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.errors import CnnError
from components.curves import curves
from components.frame import card_facts, duration, facts, note, sentence
from components.networks import Network, add_own
from components.shapes import example_zip
from components.training import Job, Workshop, workshop

ZIP_LIMIT = 50  # MB
NAMED = 3  # unusable files that are called by their names
SPLITS = ("train", "val", "test")  # of the uploaded pictures: all of them
WAYS = {
    "bottleneck": "Only the last layer (seconds)",
    "freeze": "The later half",
    "fine-tune": "Everything (needs the most pictures)",
}
RATES = {"bottleneck": 3e-3, "freeze": 1e-3, "fine-tune": 5e-4}  # learning rates; less where more is learned already


def show_tune(known: dict[str, Network], network: Network) -> None:
    """Take the zip and the choices, run the training, show it."""
    place = workshop()
    busy = place.job is not None and not place.job.finished
    form, live = st.columns([5, 6], gap="medium")
    with form:
        _form(place, known, network, busy=busy)
    with live:
        if place.job is None:
            _before()
        else:
            st.fragment(_live, run_every=1.0 if busy else None)(place)


def _form(place: Workshop, known: dict[str, Network], network: Network, *, busy: bool) -> None:
    file = st.file_uploader(
        "A zip with one folder of pictures per class", ["zip"], key="tune-zip", max_upload_size=ZIP_LIMIT, disabled=busy
    )
    found = st.container()  # filled below, when it is known which network the pictures are for
    names = list(known)
    start = st.selectbox(
        "Start from", names, index=names.index(network.id), key=f"tune-start-{network.id}", disabled=busy,
        format_func=lambda name: f"{known[name].title} ({known[name].card.model})", filter_mode=None,
    )  # fmt: skip
    with found:
        usable = file is not None and _look(file.name, file.getvalue(), known[start])
    way = st.radio("What is learned", list(WAYS), format_func=WAYS.get, key="tune-way", disabled=busy)
    epochs = st.slider("Epochs", 1, 60, 15, key="tune-epochs", disabled=busy, help="How often every picture is seen.")
    with st.container(horizontal=True):
        go = st.button("Train on my pictures", type="primary", disabled=busy or not usable, key="tune-go")
        example = st.button("Train on the example", disabled=busy, key="tune-example")
    st.download_button(
        "The example as a zip", example_zip, "shapes.zip", "application/zip", type="tertiary", key="tune-example-zip",
        on_click="ignore",
    )  # fmt: skip
    if go or example:
        _begin(place, known[start], way, epochs, example_zip() if example else file.getvalue())
        st.rerun()


def _look(name: str, data: bytes, start: Network) -> bool:
    """Say what the uploaded zip holds and what of it is left out; tell whether a network can learn from it."""
    usable, text = _report(name, data, start.card.input)
    if usable:
        note(text)
    else:
        st.warning(sentence(text), icon=":material/info:")
    return usable


@st.cache_data(max_entries=8, show_spinner="Looking through the pictures")
def _report(name: str, data: bytes, contract: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the zip can be learned from, and the sentences that say what is in it or why not."""
    from image_classification.folder import load_folder
    from image_classification.preprocess import InputContract

    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "pictures.zip"
        archive.write_bytes(data)
        try:
            report = load_folder(archive, InputContract.from_json(contract), splits=SPLITS).report
        except CnnError as error:
            return False, str(error).replace(str(archive), name)
    used = sum(sum(per_class.values()) for per_class in report.counts.values())
    text = f"{used:,} pictures in {len(report.labels)} classes."
    if report.skipped:
        count, some = len(report.skipped), ", ".join(file for file, _ in report.skipped[:NAMED])
        more = f" and {count - NAMED} more" if count > NAMED else ""
        text += f" {count} {'file' if count == 1 else 'files'} cannot be used and will be left out: {some}{more}."
    return True, text


def _begin(place: Workshop, start: Network, way: str, epochs: int, data: bytes) -> None:
    archive = place.folder / "pictures.zip"
    archive.write_bytes(data)
    settings = {
        "data": str(archive), "weights": str(start.folder), "transfer": way, "epochs": epochs, "device": "cpu",
        "batch_size": 16, "learning_rate": RATES[way],
    }  # fmt: skip

    def train(**how: Any) -> Any:
        from cnn_core.train.config import override
        from image_classification.run import RECIPE, train

        recipe = override(RECIPE(description="own pictures, trained on the page"), settings)
        return train(recipe, name="my-classes", **how)

    place.begin(train)


def _before() -> None:
    note(
        "The network keeps what it has learned about edges, strokes and shapes, and learns your classes on top. "
        "Twenty pictures per class are enough to begin with; a fifth of them are kept aside for the test score."
    )
    st.code("my-photos.zip\n  cats/  001.jpg  002.jpg  ...\n  dogs/  001.jpg  002.jpg  ...", language=None)


def _live(place: Workshop) -> None:
    job = place.job
    progress = job.progress
    if job.finished:
        if st.session_state.get("tune-seen") != str(job.folder):
            st.session_state["tune-seen"] = str(job.folder)
            if job.outcome is not None and job.outcome.card is not None:
                add_own("my-classes", job.folder)
            st.rerun()  # the whole page: its controls are free again
        _result(job)
    elif progress is None:
        st.progress(
            0.0,
            "Another training is running on this server; yours is next."
            if job.state == "waiting"
            else "Reading the pictures",
        )
    else:
        done = (progress.epoch - 1 + progress.step / progress.steps) / progress.epochs
        words = f"Epoch {progress.epoch} of {progress.epochs}, about {duration(progress.seconds_left)} left"
        st.progress(min(1.0, done), "Stopping; measuring what has been learned" if job.stopping else words)
    if not job.finished and st.button("Stop", key="tune-stop", disabled=job.stopping, icon=":material/stop:"):
        job.stop()
    if progress is not None:
        curves(
            [("Loss on the training pictures", job.losses), ("Accuracy on held-out pictures", job.scores)],
            last_x=progress.epochs, unit="epochs",
            key="tune-curves",
        )  # fmt: skip


def _result(job: Job) -> None:
    if job.state == "failed":
        st.warning(sentence(job.error), icon=":material/info:")
        return
    card = job.outcome.card if job.outcome is not None else None
    if card is None:
        note("Stopped before anything was learned.")
        return
    metric = card.metrics.get("accuracy")
    if metric is not None:
        right = round(metric["mean"] * metric["n"])
        early = ", stopped early" if job.state == "stopped" else ""
        st.html(
            f'<div class="answer" role="status"><p class="kicker">Test score{early}</p>'
            f'<p class="word">{100 * metric["mean"]:.0f} %</p>'
            f'<p class="sure">{right} of {metric["n"]} pictures that it had never seen</p></div>'
        )
    note("It is among the networks above as “my-classes” until you leave. The download works with the command line.")
    st.download_button(
        "Network (zip)", _pack(job.folder), "my-classes.zip", "application/zip", type="primary", key="tune-download",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip
    st.code("unzip my-classes.zip\ncnn predict ./my-classes photo.jpg", language="bash")
    with st.expander("Model card"):
        facts(card_facts(card))


def _pack(folder: Path) -> bytes:
    """Return what is needed to predict, explain and export, as a zip with one folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("card.json", "model.safetensors", "recipe.json", "log.csv"):
            if (folder / name).is_file():
                archive.write(folder / name, f"my-classes/{name}")
    return buffer.getvalue()
