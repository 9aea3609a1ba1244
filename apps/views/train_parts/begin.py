"""What to train: a recipe, on its own data or yours, with the settings that people change first."""

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.data.paths import UPLOAD as UPLOADED
from cnn_core.domains import recipe_files
from cnn_core.errors import CnnError, DataError
from cnn_core.storage import write_bytes
from cnn_core.train.runs import list_runs
from components.address import pick
from components.frame import note, sentence, warn
from components.kept import File, choose, remembered, uploaded
from components.networks import RUNS, compute
from components.networks import submit as begin_long
from components.owner import all_is_seen, is_served, owner
from components.uploads import safe_name, unpack_upload
from jobs.queue import claim_folder, submit
from views.train_parts.watch import show_data

FIRST = "digits"  # a matter of seconds, and its data are embedded
RECIPES_OWN, SET, UPLOAD = "The recipe’s own", "Another set", "Your own"
LIMIT = 50  # MB of an upload
MOST_EPOCHS = 1000
UPLOADS = {  # domain -> kinds of files, what to give
    "image_classification": (("zip",), "A zip with one folder of pictures per class"),
    "text_classification": (("csv", "tsv", "jsonl"), "A table with a column of texts and one of labels"),
    "medical_segmentation": (
        ("zip",),
        "A zip of scans and masks: images, labels, a dataset.json (Decathlon or nnU-Net)",
    ),
    "image_captioning": (("zip",), "A zip with pictures and a table of their captions"),
    "audio_classification": (("zip",), "A zip with one folder of sounds per class"),
    "object_detection": (("zip",), "A zip of pictures with boxes: VOC, COCO, YOLO or a table"),
}
UNPACKED = ("medical_segmentation", "image_captioning")  # the others read the upload as it is
MOST_BYTES, MOST_FILES = 2 * 1024**3, 20_000  # unpacked
MOST_WAITING, MOST_UPLOADS, MOST_RUNS = 5, 5, 30  # of one visitor, where the pages are served to others
KINDS = {
    "image_classification": "pictures", "text_classification": "texts", "medical_segmentation": "scans",
    "image_captioning": "captions", "audio_classification": "sounds",
    "object_detection": "boxes",
}  # fmt: skip


def show_begin() -> None:
    """Show the form; a click puts a run into the queue.

    Raises:
        CnnError: the recipe cannot be read, or see `queue_run`.
    """
    files = recipe_files()
    names = sorted(files, key=lambda name: (name != FIRST, list(KINDS).index(files[name][0]) if files[name][0] in KINDS
                                            else len(KINDS), name))  # fmt: skip
    name = pick(
        st.selectbox, "Recipe", names, key="recipe",
        format_func=lambda name: f"{name}, {KINDS.get(files[name][0], files[name][0])}",
    )  # fmt: skip
    with st.spinner("Reading the recipe"):
        recipe = files[name][1]
        found = _offer(name, str(recipe), recipe.stat().st_mtime_ns)
    note(f"{sentence(found.description)} Network: {found.model}.".replace("\\", ""))
    data, file, kept = _data(found)
    changes = _settings(found)
    if file is not None and not _understood(name, changes, file, unpack=found.domain in UNPACKED):
        data = None
    called = st.text_input("Name of the run", name, key=f"train-name-{name}", max_chars=60)
    with st.container(horizontal=True, vertical_alignment="center"):
        go = st.button("Train", type="primary", key="train-go", icon=":material/play_arrow:", disabled=data is None)
    if go and data is not None:
        if file is None and data != found.data:
            changes["data"] = data
        queue_run(name, changes, called=called.strip(), file=file, unpack=found.domain in UNPACKED, keep_upload=kept)
        st.rerun()


@st.cache_resource(max_entries=100, show_spinner=False)
def _offer(name: str, file: str, changed: int) -> Any:
    def find() -> Any:
        from jobs.offers import offer

        return offer(name)

    return compute(find)


def _data(found: Any) -> tuple[str | None, File | None, bool]:
    """Return the name of the data, the uploaded file, and whether to keep it; no name while nothing is chosen."""
    ways = [RECIPES_OWN, SET, *([UPLOAD] if found.domain in UPLOADS else [])]
    way = st.segmented_control("Data", ways, default=RECIPES_OWN, required=True, key=f"train-way-{found.name}")
    if way == SET:
        return st.selectbox("Data set", found.sets, key=f"train-set-{found.domain}"), None, False
    if way == UPLOAD:
        kinds, words = UPLOADS[found.domain]
        kept = show_terms(f"train-keep-{found.domain}", unpack=found.domain in UNPACKED)
        files = uploaded(words, kinds, key=f"train-file-{found.domain}", limit=LIMIT)
        return (files[0].name, files[0], kept) if files else (None, None, kept)
    note(f"The set “{found.data}”.")
    return found.data, None, False


def _understood(name: str, changes: Mapping[str, Any], file: File, *, unpack: bool) -> bool:
    """Say what a training would understand of an upload; return False where nothing could be learned from it."""
    with st.spinner("Reading your data"):
        said, usable = _look_at(name, changes.get("validation"), file, unpack)
    if usable:
        show_data(said)
    else:
        warn(said[0])
    return usable


@remembered(3)
def _look_at(name: str, validation: bool | None, file: File, unpack: bool) -> tuple[list[str], bool]:
    """Return the sentences of an upload's summary, or why there is none, and whether something can be learned from it.

    Where this look ahead fails for another reason, such as a full disk, the training may still succeed.
    """

    def look() -> list[str]:
        from jobs.offers import summary_of

        return summary_of(name, {**changes, "data": place.name}, run).sentences

    changes = {} if validation is None else {"validation": validation}
    with tempfile.TemporaryDirectory(prefix="cnn-showcase-") as folder:
        run = Path(folder)
        place = run / UPLOADED / safe_name(file.name)
        try:
            _put(file, place, unpack=unpack)
            return begin_long(look).result(), True
        except CnnError as error:
            said = str(error).replace(f"{place.parent}/", "").replace(folder, "")
            return [said], not isinstance(error, DataError)


def _put(file: File, place: Path, *, unpack: bool) -> None:
    if unpack:
        unpack_upload(file.name, file.data, place, max_members=MOST_FILES, max_bytes=MOST_BYTES)
    else:
        write_bytes(place, file.data)


def show_terms(key: str, *, unpack: bool = False) -> bool:
    """Say before an upload what becomes of it, and return whether its owner wants it kept.

    Args:
        key: of the tick box.
        unpack: it is unpacked.
    """
    size = f"At most {LIMIT} MB" + (f", {MOST_BYTES >> 30} GB in {MOST_FILES:,} files when unpacked" * unpack)
    said = [f"{size}."]
    if is_served():
        said.append(f"You can have {MOST_RUNS} runs here; {MOST_WAITING} can wait, and {MOST_UPLOADS} hold an upload.")
    if not all_is_seen():
        said.append("Other visitors do not see it.")
    said.append("It is removed when its training has finished or its run is deleted; a stopped run keeps it.")
    note(" ".join(said))
    return st.checkbox("Keep my upload on the server after the training", key=key)


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
            "Hold out a validation split", True, key=f"train-validation-{key}",
            help="Measured after every epoch; the best epoch is kept. Off: as in the recipe, on all training data.",
        )  # fmt: skip
        if found.validation is False and not changes["validation"]:
            del changes["validation"]
    return changes


def queue_run(
    recipe: str, changes: Mapping[str, Any], *, called: str, file: File | None, unpack: bool = False,
    keep_upload: bool = False,
) -> None:  # fmt: skip
    """Make the run folder, put the upload into it, queue the run, and choose it to be watched.

    Args:
        recipe: its name.
        changes: setting -> value.
        called: the run, and its weights.
        file: the upload to learn from, if there is one.
        unpack: whether it is unpacked first.
        keep_upload: whether it stays when the training has finished.

    Raises:
        CnnError: wrong settings, name or archive, or the visitor has, or the queue is, as full as may be; no folder is
            left.
    """
    from jobs.offers import job_of

    if file is not None:
        changes = {**changes, "data": safe_name(file.name)}
    weights = re.sub(r"[^a-z0-9._-]", "-", called.lower()) or "run"
    job = compute(job_of, recipe, changes, called=weights)  # wrong settings leave no folder
    _check_limits(upload=file is not None)
    folder = claim_folder(RUNS, called, apart=is_served())
    try:
        if file is not None:
            _put(file, folder / UPLOADED / changes["data"], unpack=unpack)
        submit(RUNS, folder, dataclasses.replace(job, owner=owner(), keep_upload=keep_upload))
    except CnnError:
        shutil.rmtree(folder, ignore_errors=True)  # what nobody sees, nobody could delete
        raise
    choose("run", folder.name)


def _check_limits(*, upload: bool) -> None:
    """Raise CnnError where the visitor of a page that is served to others has as much as one may have."""
    if not is_served():
        return
    own = [run for run in list_runs(RUNS) if run.owner == owner()]
    waiting = sum(run.state == "waiting" for run in own)
    holding = sum(any((run.folder / UPLOADED).glob("*")) for run in own)
    for count, most, what in (
        (waiting, MOST_WAITING, "are waiting already; stop some of them, or wait"),
        (holding if upload else 0, MOST_UPLOADS, "hold an upload; delete some of them"),
        (len(own), MOST_RUNS, "are kept; delete some of them"),
    ):
        if count >= most:
            raise CnnError(f"{count} of your runs {what}")
