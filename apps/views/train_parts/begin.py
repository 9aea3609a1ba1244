"""What to train: a recipe, on its own data or yours, with the settings that people change first."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.data.archives import extract
from cnn_core.domains import recipe_files
from cnn_core.errors import CnnError, DataError
from cnn_core.storage import write_bytes
from cnn_core.train.queue import claim_folder, submit
from components.address import begin, keep
from components.frame import note, sentence
from components.kept import File, choose, uploaded
from components.networks import RUNS, compute

FIRST = "digits"  # a matter of seconds, and its data are embedded
RECIPES_OWN, SET, UPLOAD = "The recipe’s own", "Another set", "Your own"
LIMIT = 50  # MB of an upload
MOST_EPOCHS = 1000
UPLOADS = {  # domain -> kinds of files, what to give
    "image_classification": (("zip",), "A zip with one folder of pictures per class"),
    "text_classification": (("csv", "tsv", "jsonl"), "A table with a column of texts and one of labels"),
    "medical_segmentation": (("zip",), "A zip of a Decathlon folder: dataset.json, images, labels"),
    "image_captioning": (("zip",), "A zip with pictures and a table of their captions"),
}
UNPACKED = ("medical_segmentation", "image_captioning")  # the others read the upload as it is
MOST_BYTES, MOST_FILES = 2 * 1024**3, 20_000  # unpacked
KINDS = {
    "image_classification": "pictures", "text_classification": "texts", "medical_segmentation": "scans",
    "image_captioning": "captions",
}  # fmt: skip


def show_begin() -> None:
    """Show the form; a click puts a run into the queue."""
    files = recipe_files()
    names = sorted(files, key=lambda name: (name != FIRST, list(KINDS).index(files[name][0]) if files[name][0] in KINDS
                                            else len(KINDS), name))  # fmt: skip
    begin("recipe", names, FIRST if FIRST in names else names[0])
    name = st.selectbox(
        "Recipe", names, key="recipe",
        format_func=lambda name: f"{name}, {KINDS.get(files[name][0], files[name][0])}",
    )  # fmt: skip
    keep("recipe", FIRST)
    try:
        with st.spinner("Reading the recipe"):
            recipe = files[name][1]
            found = _offer(name, str(recipe), recipe.stat().st_mtime_ns)
    except CnnError as error:
        st.warning(sentence(str(error)), icon=":material/info:")
        return
    note(f"{sentence(found.description)} Network: {found.model}.".replace("\\", ""))
    data, file = _data(found)
    changes = _settings(found)
    called = st.text_input("Name of the run", name, key=f"train-name-{name}", max_chars=60)
    with st.container(horizontal=True, vertical_alignment="center"):
        go = st.button("Train", type="primary", key="train-go", icon=":material/play_arrow:", disabled=data is None)
    if go and data is not None:
        if file is None and data != found.data:
            changes["data"] = data
        try:
            queue_run(name, changes, called=called.strip(), file=file, unpack=found.domain in UNPACKED)
        except CnnError as error:
            st.warning(sentence(str(error)), icon=":material/info:")
            return
        st.rerun()


@st.cache_resource(max_entries=100, show_spinner=False)
def _offer(name: str, file: str, changed: int) -> Any:
    def find() -> Any:
        from cnn_core.train.offers import offer

        return offer(name)

    return compute(find)


def _data(found: Any) -> tuple[str | None, File | None]:
    """Return the name of the data, and the uploaded file; no name as long as nothing is chosen."""
    ways = [RECIPES_OWN, SET, *([UPLOAD] if found.domain in UPLOADS else [])]
    way = st.segmented_control("Data", ways, default=RECIPES_OWN, required=True, key=f"train-way-{found.name}")
    if way == SET:
        return st.selectbox("Data set", found.sets, key=f"train-set-{found.domain}"), None
    if way == UPLOAD:
        kinds, words = UPLOADS[found.domain]
        files = uploaded(words, kinds, key=f"train-file-{found.domain}", limit=LIMIT)
        return (files[0].name, files[0]) if files else (None, None)
    note(f"The set “{found.data}”.")
    return found.data, None


def _settings(found: Any) -> dict[str, Any]:
    """Show the settings with the recipe's values, and return them all."""
    first, second, third = st.columns(3)
    key = found.name
    epochs = first.number_input("Epochs", 1, MOST_EPOCHS, found.epochs, key=f"train-epochs-{key}")
    rate = second.number_input(
        "Learning rate", value=float(found.learning_rate), format="%.5g", step=found.learning_rate / 2,
        key=f"train-rate-{key}",
    )  # fmt: skip
    seed = third.number_input("Seed", 0, 2**32 - 1, found.seed, key=f"train-seed-{key}")
    changes: dict[str, Any] = {"epochs": int(epochs), "learning_rate": float(rate), "seed": int(seed)}
    if found.validation is not None:
        changes["validation"] = st.toggle(
            "Keep a part aside to watch", True, key=f"train-validation-{key}",
            help="Measured after every epoch, and the best epoch is kept. Off: as the recipe, on all training data.",
        )  # fmt: skip
        if found.validation is False and not changes["validation"]:
            del changes["validation"]
    return changes


def queue_run(recipe: str, changes: Mapping[str, Any], *, called: str, file: File | None, unpack: bool = False) -> None:
    """Make the run folder, put the upload into it, queue the run, and choose it to be watched.

    Args:
        recipe: its name.
        changes: setting -> value.
        called: the run, and its weights.
        file: the upload to learn from, if there is one.
        unpack: whether it is unpacked first.

    Raises:
        CnnError: wrong settings, name or archive, or the queue is full; no folder is left.
    """
    from cnn_core.train.offers import job_of

    shown = {"data": file.name} if file is not None else {}
    if file is not None:
        changes = {**changes, "data": file.name}
    compute(job_of, recipe, changes, called=called or "run", shown=shown)  # wrong settings leave no folder
    folder = claim_folder(RUNS, called)
    if file is not None:
        changes = {**changes, "data": str(_placed(file, folder, unpack=unpack))}
    job = compute(job_of, recipe, changes, called=_weights_name(called), shown=shown)
    submit(RUNS, folder, job)
    choose("run", folder.name)


def _placed(file: File, folder: Path, *, unpack: bool) -> Path:
    """Put an upload into the run folder and return where it lies; a bad archive takes the folder along."""
    place = folder / f"data{Path(file.name).suffix.lower()}"
    write_bytes(place, file.data)
    if not unpack:
        return place.resolve()
    try:
        inside = extract(place, folder / "data", max_members=MOST_FILES, max_bytes=MOST_BYTES)
        place.unlink()
    except CnnError as error:
        shutil.rmtree(folder)
        raise DataError(str(error).replace(str(place), file.name)) from error
    found = [entry for entry in inside.iterdir() if not entry.name.startswith((".", "__"))]
    return (found[0] if len(found) == 1 and found[0].is_dir() else inside).resolve()


def _weights_name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", text.lower()) or "run"
