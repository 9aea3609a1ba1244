"""Transfer learning: the three ways of transfer and none against labels per class, trained once (`make`)."""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

FILE = "transfer.json"
WEIGHTS = "mnist"
TARGETS = {"digits": "Digits of another scanner", "fashion_mnist": "Clothes"}
LABELS = (1, 2, 5, 10, 20, 50, 100)  # per class
STEPS, BATCH = 200, 50
SEEDS = (0, 1, 2)
TITLES = {
    "bottleneck": "Frozen encoder", "freeze": "Frozen early stages", "fine-tune": "Everything fine-tuned",
    "scratch": "From scratch",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One way with so many labels per class."""

    accuracy: list[float]  # on the whole test set, for each seed
    seconds: float  # of one training, the mean
    trained: int  # parameters


@dataclass(frozen=True)
class Target:
    """All ways on one data set."""

    sha256: str  # of the encoder that was transferred, see `encoder_sha256`
    n: int  # test pictures
    runs: dict[str, dict[int, Run]]  # way -> labels per class


@cache
def stored(folder: Path) -> dict[str, Target]:
    """Return what `make` wrote."""
    return TypeAdapter(dict[str, Target]).validate_json((folder / FILE).read_bytes())


def encoder_sha256() -> str:
    """Return the SHA-256 of the encoder's tensors, which a calibration of the head leaves as they are."""
    from cnn_core.weights import load_state

    state, _ = load_state(WEIGHTS)
    digest = hashlib.sha256()
    for key in sorted(key for key in state if not key.startswith("head.")):
        digest.update(key.encode() + state[key].contiguous().numpy().tobytes())
    return digest.hexdigest()


def settings(labels: int, seed: int) -> dict[str, Any]:
    """Return what every way is trained with: as many steps for few pictures as for many."""
    batch = min(BATCH, 10 * labels)
    return {
        "per_class": labels, "seed": seed, "validation": False, "batch_size": batch,
        "epochs": -(-STEPS // max(1, 10 * labels // batch)), "learning_rate": 2e-3, "schedule": "one-cycle",
        "weight_decay": 0.05,
    }  # fmt: skip


def make(folder: Path) -> None:
    """Train every way on every set with every number of labels and store the accuracies."""
    sha256 = encoder_sha256()
    targets = {name: asdict(_measure(name, sha256)) for name in TARGETS}
    (folder / FILE).write_text(json.dumps(targets, indent=1) + "\n", "utf-8")


def _measure(data: str, sha256: str) -> Target:
    from image_classification import compare

    n = 0
    runs: dict[str, dict[int, Run]] = {way: {} for way in TITLES}
    for labels in LABELS:
        rows: dict[str, list[dict]] = {way: [] for way in TITLES}
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as place:
                for row in compare(WEIGHTS, data, folder=Path(place), settings=settings(labels, seed)):
                    rows[row["mode"]].append(row)
                    n = row["n"]
        for way, found in rows.items():
            seconds = round(sum(row["seconds"] for row in found) / len(found), 1)
            runs[way][labels] = Run([round(row["accuracy"], 4) for row in found], seconds, found[0]["trained"])
    return Target(sha256, n, runs)


def snippet(data: str, labels: int) -> str:
    """Return the code of the four trainings with one seed."""
    return f"""\
from pathlib import Path

from image_classification import compare

settings = {settings(labels, 0)}
for row in compare("{WEIGHTS}", "{data}", folder=Path("runs/compare"), settings=settings):
    print(row)
"""
