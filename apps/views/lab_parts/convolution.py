"""Convolution: what the stepper shows, computed by cnn_core."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from components.convolution_stepper import Steps
from views.lab_parts.picture import Picture

if TYPE_CHECKING:
    from torch import Tensor

MODES = {"zeros": "Zeros", "replicate": "Same value", "reflect": "Mirror"}


@dataclass(frozen=True)
class Settings:
    """How a kernel slides."""

    rows: tuple[tuple[float, ...], ...]  # the kernel as typed
    turned: bool = False  # True: convolution in the strict sense, the kernel turned by half a circle
    padding: int = 0
    mode: str = "zeros"
    stride: int = 1
    dilation: int = 1


# Four filters for colour pictures: one 3 x 3 kernel per colour each, as (kernel, weights of red, green, blue).
UPRIGHT = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))
MEAN = ((1 / 9,) * 3,) * 3
COLOUR_FILTERS = {
    "Vertical edges, any colour": (UPRIGHT, (1 / 3, 1 / 3, 1 / 3)),
    "Red against green": (MEAN, (1, -1, 0)),
    "Blue against yellow": (MEAN, (-0.5, -0.5, 1)),
    "Edges where red changes": (UPRIGHT, (1, 0, 0)),
}


def steps(picture: Picture, settings: Settings) -> Steps:
    """Compute one map of a grey picture.

    Raises:
        CnnError: the kernel does not fit, or the picture cannot be mirrored so far.
    """
    import torch

    x = torch.from_numpy(picture.values.astype(np.float32)).unsqueeze(0)  # [1, H, W]
    kernel = torch.tensor(settings.rows, dtype=torch.float32)
    kernel = kernel.flip(0, 1) if settings.turned else kernel
    return _slid(x, kernel[None, None], settings, ["kernel"])


def _slid(x: "Tensor", kernels: "Tensor", settings: Settings, filters: Sequence[str]) -> Steps:
    from lab.stepwise import convolve, padded

    stride, padding, dilation = settings.stride, settings.padding, settings.dilation
    output = convolve(x, kernels, stride=stride, padding=padding, padding_mode=settings.mode, dilation=dilation).numpy()
    wide = padded(x, padding, settings.mode).numpy()
    return Steps(wide, output, kernels.numpy(), stride, dilation, padding, start(output[0]), filters)


def start(output: np.ndarray) -> tuple[int, int]:
    """Return where to begin: the pixel of the map [H, W] that is farthest from zero, away from the rim if it can be."""
    rim = 3 if min(output.shape) > 8 else 0
    inner = np.abs(output[rim : output.shape[0] - rim, rim : output.shape[1] - rim])
    row, column = np.unravel_index(inner.argmax(), inner.shape)
    return int(row) + rim, int(column) + rim


def colour_steps(picture: Picture) -> Steps:
    """Compute four maps of a colour picture [H, W, 3]."""
    import torch

    x = torch.from_numpy(picture.values.astype(np.float32)).permute(2, 0, 1).contiguous()  # [3, H, W]
    kernels = torch.stack(
        [torch.tensor(c, dtype=torch.float32)[:, None, None] * torch.tensor(k) for k, c in COLOUR_FILTERS.values()]
    )  # [4, 3, 3, 3]
    return _slid(x, kernels, Settings((), padding=1, mode="replicate"), list(COLOUR_FILTERS))


def snippet(picture: Picture, settings: Settings, position: Sequence[int]) -> str:
    """Return the code that computes the map and one of its pixels."""
    turned = ".flip(0, 1)  # convolution in the strict sense" if settings.turned else ""
    rows = ", ".join("[" + ", ".join(f"{weight:.7g}" for weight in row) + "]" for row in settings.rows)
    return f"""\
import numpy as np
import torch
from PIL import Image, ImageOps

from lab.stepwise import convolution_step, convolve

{picture.code}
x = torch.from_numpy(picture).unsqueeze(0)  # [1, {picture.edge}, {picture.edge}]
kernel = torch.tensor([{rows}], dtype=torch.float32){turned}
settings = dict(stride={settings.stride}, padding={settings.padding}, padding_mode="{settings.mode}", \
dilation={settings.dilation})

output = convolve(x, kernel[None, None], **settings)  # torch.nn.functional.conv2d
step = convolution_step(x, kernel[None], position=({position[0]}, {position[1]}), **settings)
print(step.patch, step.products, step.total)
print(tuple(output.shape[1:]), output.min(), output.max())
"""
