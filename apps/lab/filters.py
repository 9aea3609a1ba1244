"""What channels want to see: searched among test pictures once (`make`), and shown from the stored tiles."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

STAGES = {"fashion-mnist": 2, "mnist": 1}  # network -> number of the stage
PICTURES = 2000  # of the test set that are searched
CHANNELS, PATCHES = 12, 6


@dataclass(frozen=True)
class Wanted:
    """What some channels of a stage want to see; tiles of `edge` pixels lie in NETWORK.png, a row per channel."""

    sha256: str  # of the weights
    stage: str
    number: int
    edge: int  # what a cell sees, in pixels
    channels: list[int]
    preferred: list[float]  # how much the drawn input moves each channel
    values: list[list[float]]  # how much each patch does
    labels: list[list[str]]  # what the patches' pictures show


def stored(folder: Path, network: str) -> tuple[Wanted, list[list[np.ndarray]]]:
    """Return what `make` wrote: the numbers, and for each channel its tiles, the drawn one first."""
    wanted = Wanted(**json.loads((folder / f"filters-{network}.json").read_text("utf-8")))
    sheet = np.asarray(Image.open(folder / f"filters-{network}.png").convert("RGB"))
    edge = wanted.edge
    tiles = [
        [sheet[row * edge : (row + 1) * edge, column * edge : (column + 1) * edge] for column in range(PATCHES + 1)]
        for row in range(len(wanted.channels))
    ]
    return wanted, tiles


def stretched(tile: np.ndarray) -> np.ndarray:
    """Return a drawn tile [H, W, 3] with full contrast about its mean: what is drawn is faint."""
    away = tile.astype(float) - tile.mean()
    return np.round(127.5 + 127.5 * away / max(1.0, np.abs(away).max())).astype(np.uint8)


def chosen(count: int) -> list[int]:
    """Return the channels that are shown, evenly spread over `count`."""
    return [i * count // CHANNELS for i in range(CHANNELS)]


def make(folder: Path) -> None:
    """Search the test pictures and store the tiles."""
    for name, number in STAGES.items():
        wanted, sheet = _search(name, number)
        (folder / f"filters-{name}.json").write_text(json.dumps(asdict(wanted), indent=1) + "\n", "utf-8")
        Image.fromarray(sheet).quantize(256, dither=Image.Dither.NONE).save(
            folder / f"filters-{name}.png", optimize=True
        )


def _search(name: str, number: int) -> tuple[Wanted, np.ndarray]:
    import torch

    from cnn_core.weights import load_card
    from cnn_core.weights.find import find_weights
    from image_classification import load
    from image_classification.data import load_set
    from lab.effective import stage_fields
    from lab.preferences import best_inputs, preferred_inputs

    network, images = load(name, device="cpu"), load_set(name, split="test")
    pictures = images.images[:PICTURES]
    x = network.contract.normalize(pictures)
    stages = stage_fields(network.model, x[0])
    field = stages[number].field
    edge, stride, start = int(field.size), int(field.stride), int(field.start)
    channels = chosen(len(stages[number].output))
    best = best_inputs(network.model, x, stage=number, channels=channels, count=PATCHES)
    drawn = preferred_inputs(network.model, x.shape[2:], stage=number, channels=channels)
    with torch.no_grad():
        moved = best_inputs(network.model, drawn, stage=number, channels=channels, count=len(channels))
        middle = [float(moved.value[i][moved.index[i] == i]) for i in range(len(channels))]
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (network.contract.mean, network.contract.std))
    shown = ((drawn * std + mean).clamp(0, 1) * 255).round().to(torch.uint8)
    size = x.shape[-1]
    cell = stages[number].output.shape[-1] // 2
    rows = []
    for i in range(len(channels)):
        places = [(shown[i], (cell, cell))]
        places += [
            (pictures[n], tuple(p)) for n, p in zip(best.index[i].tolist(), best.position[i].tolist(), strict=True)
        ]
        cut = [_cut(image, [start + stride * p for p in place], edge, size) for image, place in places]
        rows.append(np.concatenate(cut, 1))
    labels = [[images.labels[int(images.targets[n])] for n in row] for row in best.index.tolist()]
    wanted = Wanted(
        load_card(find_weights(name)).sha256, stages[number].name, number, edge, channels, _round(middle),
        [_round(row) for row in best.value.tolist()], labels,
    )  # fmt: skip
    return wanted, np.concatenate(rows, 0)


def _cut(image: "Tensor", corner: list[int], edge: int, size: int) -> np.ndarray:
    """Cut what a cell sees out of a picture uint8 [C, H, W]; what lies outside is grey."""
    canvas = np.full((edge, edge, 3), 128, np.uint8)
    values = np.moveaxis(np.broadcast_to(image.numpy(), (3, size, size)), 0, -1)
    top, left = corner
    rows = slice(max(0, top), min(size, top + edge))
    columns = slice(max(0, left), min(size, left + edge))
    canvas[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = values[rows, columns]
    return canvas


def _round(values: list[float]) -> list[float]:
    return [round(value, 3) for value in values]


def snippet(network: str, wanted: Wanted) -> str:
    """Return the code that draws the input of the first channel, and the filters of the first layer."""
    return f"""\
from lab.preferences import preferred_inputs
from cnn_core.explain import filters
from image_classification import load

network = load("{network}", device="cpu")
channel = {wanted.channels[0]}
drawn = preferred_inputs(network.model, network.contract.size, stage={wanted.number}, channels=[channel])
moved = network.model.forward_features(drawn)[{wanted.number}][0, channel].max().item()
print(moved)  # how much the drawn picture moves the channel
print(filters(network.model).shape)  # of the first layer, 0 to 1
"""
