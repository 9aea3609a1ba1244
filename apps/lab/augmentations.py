"""The augmentations of training one at a time, each with the parameters that were drawn for it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.data.augment import Draws, apply, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.elastic import displacement
from cnn_core.errors import CnnError

STRONGEST = 2.0


@dataclass(frozen=True)
class Augmentation:
    """One kind of change: its settings for a strength and an edge in pixels, and what was drawn, in words."""

    name: str
    title: str
    settings: Callable[[float, int], AugmentConfig]
    describe: Callable[[Draws, tuple[int, ...]], str]


def _drawn(values: Tensor | None) -> Tensor:
    """Return the random parameters of a change; CnnError if none were drawn."""
    if values is None:
        raise CnnError("expected random parameters of this change, none were drawn")
    return values


def _cell(draws: Draws, row: int, column: int) -> float:
    return float(_drawn(draws.matrix)[0, row, column])


def _percent(value: float) -> str:
    return f"{value:+.0%}".replace("-", "−").replace("%", " %")


def _signed(value: float) -> str:
    return f"{value:+.0f}".replace("-", "−")


AUGMENTATIONS = (
    Augmentation("flip", "Mirror", lambda s, n: AugmentConfig(flip="random"),
                 lambda d, size: "left and right swapped" if bool(_drawn(d.flip)[0]) else "left as it is"),
    Augmentation("rotate", "Rotate", lambda s, n: AugmentConfig(rotate=15 * s),
                 lambda d, size: f"by {_signed(math.degrees(math.atan2(_cell(d, 1, 0), _cell(d, 0, 0))))}°"),
    Augmentation("scale", "Scale", lambda s, n: AugmentConfig(scale=0.2 * s),
                 lambda d, size: f"size {_percent(1 / _cell(d, 0, 0) - 1)}"),
    Augmentation("zoom", "Stretch", lambda s, n: AugmentConfig(zoom=0.2 * s),
                 lambda d, size: f"width {_percent(1 / _cell(d, 0, 0) - 1)}, "
                 f"height {_percent(1 / _cell(d, 1, 1) - 1)}"),
    Augmentation("shear", "Shear", lambda s, n: AugmentConfig(shear=15 * s),
                 lambda d, size: f"leans by {_signed(math.degrees(math.atan(_cell(d, 0, 1))))}°"),
    Augmentation("shift", "Shift", lambda s, n: AugmentConfig(shift=max(1, round(n * s / 8))),
                 lambda d, size: f"{_signed(float(_drawn(d.shift)[0, 1]))} right, "
                 f"{_signed(float(_drawn(d.shift)[0, 0]))} down"),
    Augmentation("crop", "Crop", lambda s, n: AugmentConfig(crop=1 - 0.35 * s),
                 lambda d, size: f"{_cell(d, 0, 0) ** len(size):.0%} of the area".replace("%", " %")),
    Augmentation("light", "Light", lambda s, n: AugmentConfig(light=0.3 * s),
                 lambda d, size: f"brightness {_percent(float(_drawn(d.brightness)[0]))}, "
                 f"contrast {_percent(float(_drawn(d.contrast)[0]) - 1)}"),
    Augmentation("elastic", "Elastic", lambda s, n: AugmentConfig(elastic=n * s / 32),
                 lambda d, size: f"up to {float(displacement(_drawn(d.elastic), size).norm(dim=1).max()):.1f} pixels"),
    Augmentation("noise", "Noise", lambda s, n: AugmentConfig(noise=0.15 * s),
                 lambda d, size: f"deviation {float(_drawn(d.noise)[0]):.0%} of the range".replace("%", " %")),
    Augmentation("cutout", "Cutout", lambda s, n: AugmentConfig(cutout=max(1, round(n * s / 4))),
                 lambda d, size: f"from {tuple(_drawn(d.cutout)[0].int().tolist())} on".replace("-", "−")),
)  # fmt: skip


@dataclass(frozen=True)
class Augmented:
    """A changed picture [C, *S] and what was drawn for it."""

    picture: Tensor
    description: str


def augmented(x: Tensor, augmentation: Augmentation, *, seed: int, strength: float = 1.0) -> Augmented:
    """Change one picture `x` [C, H, W] (0 to 1) as training would.

    Args:
        x: the picture.
        augmentation: which change.
        seed: of the random parameters; the same seed gives the same change.
        strength: above 0 to 2; 1 is usual.

    Raises:
        CnnError: a strength outside this range.
    """
    if not 0 < strength <= STRONGEST:
        raise CnnError(f"the strength must be above 0 and at most {STRONGEST:g}, got {strength}")
    config = augmentation.settings(strength, min(x.shape[1:]))
    generator = torch.Generator().manual_seed(seed)
    draws = draw(config, tuple(x.shape[1:]), count=1, generator=generator)
    return Augmented(apply(x.unsqueeze(0), draws, config)[0], augmentation.describe(draws, tuple(x.shape[1:])))
