"""Receptive fields: the maps of a network, and what one of their cells could see and does see."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from components.maps import Chosen, Map
from components.networks import Network
from components.samples import find_sample

EXAMPLES = {"cifar10": "dahlia", "mnist": "seven"}  # network -> sample


@dataclass(frozen=True)
class View:
    """The maps, and for the chosen cell: its stage, what it could see (pixels), and what nearly all of it was."""

    maps: list[Map]
    chosen: Chosen
    stage: str
    size: int
    inside: int  # edge of the centred square that holds 95 % of the gradient
    stride: int


def prepared(predictor: Any, name: str) -> tuple[Any, Any]:
    """Return a predictor's input [C, H, W] for a sample, and the picture 0 to 1 that it shows."""
    x = predictor.contract.prepare([Image.open(find_sample(name).path)])[0]
    mean = np.reshape(predictor.contract.mean, (-1, 1, 1))
    std = np.reshape(predictor.contract.std, (-1, 1, 1))
    return x, np.clip(x.numpy() * std + mean, 0, 1)


def run(predictor: Any, name: str, chosen: Chosen | None) -> View:
    """Compute all maps and the gradient of the chosen cell.

    Args:
        predictor: the network's predictor.
        name: of the sample.
        chosen: None: the middle of the last stage but one; a pixel of the first two maps: that stage's cell over it.
    """
    from lab.effective import effective_field, stage_fields

    x, picture = prepared(predictor, name)
    stages = [stage for stage in stage_fields(predictor.model, x) if stage.output.ndim == 3]
    shown = [Map("Picture", 255 * picture, "colour") if len(picture) == 3 else Map("Picture", picture[0])]
    maps = []
    for stage in stages:
        field = stage.field
        size, stride, start = float(field.size), float(field.stride), float(field.start)
        maps.append(
            Map(titled(stage.name), stage.output.abs().mean(0).numpy(), "grey", size, stride, start,
                says=f"{' × '.join(map(str, stage.output.shape))}, receptive field {size:.0f}")
        )  # fmt: skip
    own = chosen[0] - 2 if chosen is not None and 2 <= chosen[0] < 2 + len(maps) else None
    number = max(0, len(maps) - 2) if own is None else own
    rows, columns = maps[number].values.shape
    if chosen is None:
        row, column = rows // 2, columns // 2
    elif own is not None:
        row, column = min(chosen[1], rows - 1), min(chosen[2], columns - 1)
    else:
        row, column = maps[number].nearest(chosen[1], rows), maps[number].nearest(chosen[2], columns)
    chosen = (number + 2, row, column)
    heat = effective_field(predictor.model, x, stage=number, position=chosen[1:]).numpy()
    shown.append(Map("Its gradient", heat, limits=(0, 1), says="gradient of the cell"))
    field = stages[number].field
    centre = [float(field.start) + i * float(field.stride) + (float(field.size) - 1) / 2 for i in chosen[1:]]
    return View(
        [*shown, *maps], chosen, titled(stages[number].name), int(np.ceil(float(field.size))),
        edge_of(heat, centre), int(field.stride),
    )  # fmt: skip


def titled(name: str) -> str:
    """Return a stage's name as people write it: "stage2" is "Stage 2"."""
    return re.sub(r"(?<=[a-z])(?=\d)", " ", name).capitalize()


def edge_of(heat: np.ndarray, centre: list[float], share: float = 0.95) -> int:
    """Return the edge of the smallest square around `centre` (row, column) that holds this share of the heat [H, W]."""
    distance = np.maximum(*(np.abs(axis - at) for axis, at in zip(np.indices(heat.shape), centre, strict=True)))
    order = np.argsort(distance, axis=None, kind="stable")
    held = np.cumsum(heat.flat[order])
    if held[-1] <= 0:
        return 0
    last = distance.flat[order][np.searchsorted(held, share * held[-1])]
    return int(2 * last + 1)


def snippet(network: Network, name: str, chosen: Chosen) -> str:
    """Return the code that computes the fields and the gradient."""
    return f"""\
from PIL import Image

from lab.effective import effective_field, stage_fields
from image_classification import load

network = load("{network.id}", device="cpu")
picture = Image.open("apps/assets/samples/{find_sample(name).file}")
x = network.contract.prepare([picture])[0]
for stage in stage_fields(network.model, x):
    print(stage.name, tuple(stage.output.shape), stage.fields)

heat = effective_field(network.model, x, stage={chosen[0] - 2}, position=({chosen[1]}, {chosen[2]}))
print((heat > 0.05).sum(), "pixels move the unit by more than a twentieth of the strongest")
"""
