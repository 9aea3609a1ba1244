"""Rendered scenes: one to four coloured shapes on a light ground. Made, not downloaded, and true captions are known.

Eighteen of the sixty combinations of size, colour and shape never occur in training scenes. Every validation scene
holds at least one of six of them, every test scene at least one of the twelve others. A network that writes a true
caption for it has learned sizes, colours and shapes, not things.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

EDGE = 64  # pixels
COLOURS = {
    "red": (214, 48, 42), "green": (46, 158, 66), "blue": (46, 92, 208), "yellow": (242, 204, 48),
    "purple": (146, 70, 178), "black": (34, 34, 38),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "cross")
RADII = {"small": (6.0, 7.0), "large": (11.0, 12.5)}  # pixels, from the centre to the farthest point
# Never in a training scene. The settings of a training are chosen on one group, and it is measured on the other.
HELD_OUT = {
    "val": (
        ("small", "red", "square"), ("large", "green", "circle"), ("large", "blue", "triangle"),
        ("small", "yellow", "circle"), ("small", "purple", "cross"), ("large", "black", "star"),
    ),
    "test": (
        ("large", "red", "cross"), ("small", "red", "star"), ("large", "green", "square"),
        ("small", "green", "triangle"), ("large", "blue", "cross"), ("small", "blue", "star"),
        ("large", "yellow", "triangle"), ("small", "yellow", "square"), ("large", "purple", "triangle"),
        ("small", "purple", "square"), ("large", "black", "circle"), ("small", "black", "cross"),
    ),
}  # fmt: skip
SEEN = tuple(
    kind for kind in product(RADII, COLOURS, SHAPES) if kind not in HELD_OUT["val"] and kind not in HELD_OUT["test"]
)
MOST_THINGS = 4
SHARES = (0.3, 0.35, 0.2, 0.15)  # of scenes with one, two, three and four things
GAP = 2.0  # pixels at least between two things
SEEDS = {"train": 11, "val": 22, "test": 23}
COUNTS = {"train": 10_000, "val": 300, "test": 1_000}
_OVERSAMPLING = 2  # scenes are drawn larger and shrunk: smooth edges


@dataclass(frozen=True)
class Thing:
    """A shape in a scene; pixels count from the left and from the top."""

    colour: str
    shape: str
    size: str
    x: float
    y: float
    radius: float


Scene = tuple[Thing, ...]


def make_scenes(split: str, *, count: int | None = None) -> list[Scene]:
    """Return the scenes of a split, the same ones every time.

    Args:
        split: "train", without held-out combinations, or "val" or "test", each scene with at least one of its own.
        count: the first of them; None: `COUNTS`.
    """
    random = np.random.RandomState(SEEDS[split])
    held_out = HELD_OUT.get(split, ())
    return [_scene(random, held_out=held_out) for _ in range(COUNTS[split] if count is None else count)]


def _scene(random: np.random.RandomState, *, held_out: Sequence[tuple[str, str, str]]) -> Scene:
    """Draw 1 to 4 things that keep their distance."""
    count = 1 + random.choice(MOST_THINGS, p=SHARES)
    things: list[Thing] = []
    while len(things) < count:
        kinds = held_out if held_out and (not things or random.rand() < 0.2) else SEEN
        size, colour, shape = kinds[random.randint(len(kinds))]
        radius = random.uniform(*RADII[size])
        for _ in range(20):
            x, y = random.uniform(radius + 1, EDGE - radius - 1, size=2)
            if all(math.hypot(x - t.x, y - t.y) > radius + t.radius + GAP for t in things):
                things.append(Thing(colour, shape, size, float(x), float(y), float(radius)))
                break
        else:
            things = []  # no room left: start again
    order = random.permutation(count)
    return tuple(things[i] for i in order)


def render(scenes: list[Scene], *, seed: int = 0) -> Tensor:
    """Draw scenes: `-> uint8 [N, 3, 64, 64]`. Ground, tints and grain vary with the seed."""
    random = np.random.RandomState(seed)
    pictures = np.empty((len(scenes), EDGE, EDGE, 3), dtype=np.uint8)
    for picture, scene in zip(pictures, scenes, strict=True):
        ground = tuple(int(v) for v in random.randint(216, 246) + random.randint(-6, 7, size=3))
        image = Image.new("RGB", (EDGE * _OVERSAMPLING,) * 2, ground)
        draw = ImageDraw.Draw(image)
        for thing in scene:
            tint = random.randint(-14, 15, size=3)
            colour = tuple(int(v) for v in np.clip(np.array(COLOURS[thing.colour]) + tint, 0, 255))
            _draw(draw, thing, colour)
        shrunk = np.asarray(image.resize((EDGE, EDGE), Image.Resampling.BOX), dtype=np.int16)
        grain = random.randint(-5, 6, size=(EDGE, EDGE, 1))
        picture[:] = np.clip(shrunk + grain, 0, 255)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def _draw(draw: ImageDraw.ImageDraw, thing: Thing, colour: tuple[int, ...]) -> None:
    x, y, r = (value * _OVERSAMPLING for value in (thing.x, thing.y, thing.radius))
    if thing.shape == "circle":
        draw.ellipse((x - 0.9 * r, y - 0.9 * r, x + 0.9 * r, y + 0.9 * r), fill=colour)
    elif thing.shape == "square":
        draw.rectangle((x - 0.78 * r, y - 0.78 * r, x + 0.78 * r, y + 0.78 * r), fill=colour)
    elif thing.shape == "cross":
        draw.rectangle((x - r, y - 0.3 * r, x + r, y + 0.3 * r), fill=colour)
        draw.rectangle((x - 0.3 * r, y - r, x + 0.3 * r, y + r), fill=colour)
    else:
        points = 3 if thing.shape == "triangle" else 10
        radii = [r if points == 3 or i % 2 == 0 else 0.42 * r for i in range(points)]
        angles = [2 * math.pi * i / points - math.pi / 2 for i in range(points)]
        draw.polygon(
            [(x + q * math.cos(a), y + q * math.sin(a)) for q, a in zip(radii, angles, strict=True)], fill=colour
        )
