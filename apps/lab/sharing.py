"""Sharing weights: networks that differ in who shares them, trained alike once (`make`), asked about moved digits."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lab.learning import Digits

FILE = "sharing.json"
BORDER, FURTHEST = 2, 2  # pixels around a digit; how far it can be moved without losing a part
KERNEL, STEPS, BATCH, RATE = 5, 1000, 32, 0.05
MAPS = {"dense": 6, "local": 6, "convolution": 6, "everywhere": 64}  # kind -> maps of its first layer
SEEDS = (0, 1, 2)
TITLES = {
    "dense": "Dense", "local": "Local, not shared", "convolution": "Convolution",
    "everywhere": "Global max pooling",
}  # fmt: skip
EDGE = 8 + 2 * BORDER


@dataclass(frozen=True)
class Kind:
    """What was measured of one kind of network; lists of figures have one for each seed."""

    connections: int  # of one cell of the first layer
    first: int  # parameters of the first layer
    products: int  # its multiply-adds
    parameters: int  # of the whole network
    accuracy: list[list[float]]  # moved by 0, 1 and 2 pixels (mean of the four directions), by seed
    answers: list[list[list[float]]]  # of the first seed: sample, place (row by row of the 5 x 5), class


@dataclass(frozen=True)
class Runs:
    """All of them, and the digits that can be moved: one of each class, [H, W] of whole numbers 0 to 16."""

    kinds: dict[str, Kind]
    digits: list[list[list[int]]]


@cache
def stored(folder: Path) -> Runs:
    """Return what `make` wrote."""
    return TypeAdapter(Runs).validate_json((folder / FILE).read_bytes())


def place_of(down: int, right: int) -> int:
    """Return where the answer for a moved digit stands."""
    return (down + FURTHEST) * (2 * FURTHEST + 1) + right + FURTHEST


def make(folder: Path) -> None:
    """Train every kind with every seed and store what they answer."""
    import torch

    from lab.learning import digits

    data = digits(border=BORDER)
    chosen = [int((data.y_test == label).nonzero()[0]) for label in range(10)]
    samples = data.x_test[chosen]
    runs = Runs({name: _measure(name, data, samples) for name in MAPS}, torch.round(16 * samples[:, 0]).int().tolist())
    (folder / FILE).write_text(json.dumps(asdict(runs), separators=(",", ":")) + "\n", "utf-8")


def _measure(kind: str, data: "Digits", samples: "Tensor") -> Kind:
    import torch

    from lab.learning import learn, moved
    from lab.small import first_layer_cost, small_network

    size = {"maps": MAPS[kind], "kernel_size": KERNEL, "edge": EDGE}
    accuracy: list[list[float]] = []
    answers: list[list[list[float]]] = []
    for seed in SEEDS:
        model = small_network(kind, seed=seed, **size)
        list(learn(model, data, rate=RATE, batch=BATCH, steps=STEPS, every=STEPS, seed=seed))
        with torch.no_grad():
            accuracy.append([accuracy_moved(model, data, by) for by in range(FURTHEST + 1)])
            if not answers:
                places = range(-FURTHEST, FURTHEST + 1)
                probabilities = [model(moved(samples, down, right)).softmax(1) for down in places for right in places]
                answers = torch.stack(probabilities, 1).tolist()
    first, products = first_layer_cost(kind, **size)
    return Kind(
        EDGE * EDGE if kind == "dense" else KERNEL * KERNEL, first, products,
        sum(p.numel() for p in model.parameters()), accuracy,
        [[[round(p, 3) for p in row] for row in sample] for sample in answers],
    )  # fmt: skip


def accuracy_moved(model: "nn.Module", data: "Digits", by: int) -> float:
    """Return the accuracy on held-out digits moved by so many pixels, the mean of up, down, left and right."""
    from lab.learning import moved

    ways = ((by, 0), (-by, 0), (0, by), (0, -by)) if by else ((0, 0),)
    right = [(model(moved(data.x_test, *way)).argmax(1) == data.y_test).float().mean() for way in ways]
    return round(float(sum(right)) / len(ways), 4)


def snippet(kind: str, digit: int, down: int, right: int) -> str:
    """Return the code that trains one of the networks and asks it about a moved digit."""
    return f"""\
from lab.learning import digits, learn, moved
from lab.small import first_layer_cost, small_network

size = {{"maps": {MAPS[kind]}, "kernel_size": {KERNEL}, "edge": {EDGE}}}
print(first_layer_cost("{kind}", **size))  # parameters, multiply-adds

data = digits(border={BORDER})
model = small_network("{kind}", seed=0, **size)
moments = list(learn(model, data, rate={RATE}, batch={BATCH}, steps={STEPS}, every={STEPS}))
print(moments[-1].accuracy)

sample = data.x_test[data.y_test == {digit}][:1]
probabilities = model.eval()(moved(sample, {down}, {right})).softmax(1)[0].tolist()
print(probabilities)
"""
