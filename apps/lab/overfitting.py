"""Overfitting: the same network on few digits with and without remedies, trained once (`make`) and shown as curves."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

FILE = "overfitting.json"
SIZES = (50, 200, 1437)  # digits to learn from
STEPS, EVERY, BATCH, RATE, MAPS = 1500, 50, 32, 0.02, 16
SEEDS = (0, 1, 2, 3, 4)
DROPOUT, DECAY = 0.5, 0.01
MOVES = {"shift": 1, "rotate": 10.0, "scale": 0.1}
TITLES = {
    "none": "Nothing", "dropout": "Dropout", "decay": "Weight decay", "augment": "Augmentation", "all": "All three",
}  # fmt: skip
REMEDIES: dict[str, dict[str, Any]] = {
    "none": {},
    "dropout": {"dropout": DROPOUT},
    "decay": {"weight_decay": DECAY},
    "augment": {"augment": MOVES},
    "all": {"dropout": DROPOUT, "weight_decay": DECAY, "augment": MOVES},
}


@dataclass(frozen=True)
class Run:
    """Curves, the means of all seeds, one value for every `EVERY` steps and one before the first; and how it ended."""

    loss: list[float]  # on the digits it learned from, as it saw them
    test_loss: list[float]
    errors: list[float]  # share of new digits that is read wrong
    final: list[float]  # accuracy at the end, for each seed


@cache
def stored(folder: Path) -> dict[int, dict[str, Run]]:
    """Return what `make` wrote: digits to learn from -> remedy -> run."""
    return TypeAdapter(dict[int, dict[str, Run]]).validate_json((folder / FILE).read_bytes())


def make(folder: Path) -> None:
    """Train with every size, remedy and seed, and store the curves."""
    runs = {size: {name: asdict(_train(size, name)) for name in REMEDIES} for size in SIZES}
    (folder / FILE).write_text(json.dumps(runs, separators=(",", ":")) + "\n", "utf-8")


def _train(size: int, remedy: str) -> Run:
    trainings = [learned(size, remedy, seed) for seed in SEEDS]

    def mean(name: str) -> list[float]:
        moments = zip(*trainings, strict=True)
        return [round(sum(getattr(m, name) for m in at) / len(SEEDS), 4) for at in moments]

    final = [round(moments[-1].accuracy, 4) for moments in trainings]
    errors = [round(1 - right, 4) for right in mean("accuracy")]
    return Run(mean("loss"), mean("test_loss"), errors, final)


def learned(size: int, remedy: str, seed: int) -> list[Any]:
    """Return the moments of one training."""
    from cnn_core.data.augment_config import AugmentConfig
    from lab.learning import digits, learn
    from lab.small import small_network

    how = dict(REMEDIES[remedy])
    model = small_network("convolution", maps=MAPS, dropout=how.pop("dropout", 0.0), seed=seed)
    if "augment" in how:
        how["augment"] = AugmentConfig(**how["augment"])
    data = digits(samples=size)
    return list(learn(model, data, rate=RATE, batch=BATCH, steps=STEPS, every=EVERY, seed=seed, **how))


def snippet(size: int, remedy: str) -> str:
    """Return the code of one training."""
    how = REMEDIES[remedy]
    dropout = f", dropout={how['dropout']}" if "dropout" in how else ""
    decay = f", weight_decay={how['weight_decay']}" if "weight_decay" in how else ""
    moves = ", ".join(f"{name}={value}" for name, value in MOVES.items())
    augment = f", augment=AugmentConfig({moves})" if "augment" in how else ""
    config = "from cnn_core.data.augment_config import AugmentConfig\n" if augment else ""
    return f"""\
from lab.learning import digits, learn
from lab.small import small_network
{config}
data = digits(samples={size})
model = small_network("convolution", maps={MAPS}, seed=0{dropout})
how = dict(rate={RATE}, batch={BATCH}, steps={STEPS}, every={EVERY}{decay}{augment})
moments = list(learn(model, data, **how))
print(moments[-1].loss, moments[-1].test_loss, moments[-1].accuracy)
"""
