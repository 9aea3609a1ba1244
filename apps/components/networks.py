"""The networks that pages can ask: which there are, loaded once, and run by a few threads for all sessions.

This module loads no torch; the first `compute` does.
"""

import atexit
import gc
import importlib
import importlib.util
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from cnn_core.data.files import data_root
from cnn_core.errors import CnnError
from cnn_core.train.runs import owner_of
from cnn_core.weights import WeightsCard, list_weights, load_card
from components.address import pick
from components.frame import plain
from components.owner import may_see

P = ParamSpec("P")
T = TypeVar("T")

RUNS = Path("runs")  # where `cnn train` leaves its runs, seen from the folder that the server was started in
WORKERS = 2
WARMED = (
    "image_classification",
    "text_classification",
    "medical_segmentation",
    "image_captioning",
    "audio_classification",
    "object_detection",
)  # domains whose code is loaded before the first question
TITLES = {
    "digits": "Digits, 8 × 8", "mnist": "Digits", "fashion-mnist": "Clothes", "cifar10": "Photos, 10 kinds",
    "imagenet": "Photos, 1,000 kinds",
    "sst2": "Film reviews", "trec": "Questions", "ag-news": "News",
    "phantom": "Drawn thorax", "lung-ct": "Lungs", "lidc-nodule": "Lung nodule", "nodule-malignancy": "Nodule rating",
    "nodule-malignancy-3d": "Nodule rating, 3-D",
    "scenes": "Drawn scenes", "flickr8k-plain": "Photos, no attention", "flickr8k": "Photos",
    "fsdd": "Spoken digits", "fsdd-wave": "Spoken digits, waves", "drawn-sounds": "Drawn sounds",
    "bccd": "Blood cells", "streets": "Drawn streets",
}  # fmt: skip


FETCHED = {
    "medical_segmentation": "monai-",
    "object_detection": "torchvision-",
}  # domain -> how the folders of weights of others begin that pages can use

_here = threading.local()


@dataclass(frozen=True)
class Network:
    """Weights that a page can use."""

    id: str  # what stands in the address: the name of shipped weights, or "runs/<name>"
    folder: Path
    card: WeightsCard

    @property
    def title(self) -> str:
        """How people call it."""
        return TITLES.get(self.id, self.id)

    @property
    def missing(self) -> bool:
        """Whether its weights come with a package that is not installed."""
        return bool(self.card.package) and importlib.util.find_spec(self.card.package) is None

    @property
    def digest(self) -> str:
        """A name for exactly these weights."""
        return self.card.sha256

    @property
    def channels(self) -> int:
        return self.card.arguments["in_channels"]


def networks(domain: str) -> dict[str, Network]:
    """Return the shipped networks of a domain, and the runs and fetched bundles that this visitor may see, by id."""
    folders = {entry.name: entry.folder for entry in list_weights(domain=domain)}
    runs = [card.parent for card in sorted(RUNS.glob("*/card.json"))]
    folders |= {f"runs/{folder.name}": folder for folder in runs if may_see(owner_of(folder))}
    if domain in FETCHED:
        fetched = [card.parent for card in sorted((data_root() / "weights").glob(f"{FETCHED[domain]}*/card.json"))]
        folders |= {folder.name: folder for folder in fetched if may_see(owner_of(folder))}
    found = {}
    for name, folder in folders.items():
        try:
            card = card_in(folder)
        except (CnnError, OSError):  # a run of another version, or one that comes or goes just now
            continue
        if card.domain == domain:
            found[name] = Network(name, folder, card)
    return found


def choose_network(domain: str, *favourites: str, training: str) -> tuple[dict[str, Network], Network | None]:
    """Let one of a domain's networks be chosen, and keep the choice in the address; return all of them, and that one.

    Args:
        domain: whose networks.
        favourites: the first of them that can be asked is chosen first.
        training: the sentence that is shown if there are none.
    """
    known = networks(domain)
    if not known:
        st.warning(f"There are no networks yet. {training}")
        return known, None
    usable = [name for name in (*favourites, *known) if name in known and not known[name].missing]
    first = usable[0] if usable else next(iter(known))
    order = [first, *(name for name in known if name != first)]
    name = pick(
        st.pills, "Network", order, key="weights", default=first, required=True,
        format_func=lambda name: plain(known[name].title),
    )  # fmt: skip
    return known, known[name]


def card_in(folder: Path) -> WeightsCard:
    """Return the card in a folder, read again when it has changed.

    Raises:
        CnnError: it is damaged.
        OSError: there is none.
    """
    return _card(str(folder), (folder / "card.json").stat().st_mtime_ns)


@st.cache_resource(max_entries=500, show_spinner=False)
def _card(folder: str, changed: int) -> WeightsCard:
    return load_card(folder)


def predictor(network: Network) -> Any:
    """Return the loaded predictor of a network; the same object for all sessions until its weights change.

    Asked for before `compute`, never in what it runs: there, all threads could wait for the session that loads the
    network, which waits for one of them.

    Raises:
        WeightsError: the weights are damaged.
        RuntimeError: a thread of `compute` asks.
    """
    if getattr(_here, "works", False):
        raise RuntimeError("a predictor is asked for in a thread of `compute`; ask before, and pass it")
    return _load(network.card.domain, str(network.folder), network.card.sha256)


@st.cache_resource(max_entries=12, show_spinner=False)
def _load(domain: str, folder: str, sha256: str) -> Any:
    return compute(lambda: importlib.import_module(domain).load(folder, device="cpu"))


def forget(folder: Path, card: WeightsCard) -> None:
    """Let go of a network whose run was deleted."""
    _load.clear(card.domain, str(folder), card.sha256)


def compute(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in one of a few threads that all sessions share, and wait for it.

    Streamlit runs every rerun of every session in a thread of its own, and torch would build a pool of threads for
    each; this bounds both the memory and the load. What runs in such a thread already runs there: were it to wait for
    another one, all of them could wait for each other.
    """
    if getattr(_here, "works", False):
        return function(*args, **kwargs)
    return _workers().submit(function, *args, **kwargs).result()


def await_torch() -> None:
    """Wait until computations can begin, and say so meanwhile: the first page after a start comes before torch."""
    if not is_warm():
        with st.spinner("Loading the networks"):
            compute(bool)  # any work: its thread loads torch first


def submit(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Begin something long, for all sessions one after the other, so that nobody's short answer has to wait for it."""
    return _workers(1, "long").submit(function, *args, **kwargs)


@st.cache_resource(show_spinner=False)
def _workers(count: int = WORKERS, name: str = "network") -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=name, initializer=_settle)


def _settle() -> None:
    import torch

    _here.works = True
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // WORKERS))


@st.cache_resource(show_spinner=False)
def warm_up() -> Future[Any]:
    """Begin to load torch in the background, so that the first answer does not have to wait for it."""
    loaded = _workers().submit(_import_predictors)
    _workers().submit(importlib.import_module, "monai.inferers")  # four seconds, for scans that go through in windows
    return loaded


def _import_predictors() -> None:
    for domain in WARMED:
        importlib.import_module(f"{domain}.predict")
    # What was imported stays for good. Left to the collector, its 200,000 objects would be searched in the middle of
    # answers and at the end of every rerun, above a tenth of a second each time.
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries complain of what is still there at the end


def is_warm() -> bool:
    """Tell whether an answer can be had at once."""
    return warm_up().done()
