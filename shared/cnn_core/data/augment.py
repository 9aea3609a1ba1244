"""Batched augmentation on tensors: every sample of the batch gets its own change, in a handful of tensor operations.

What is drawn (`draw`) is kept apart from what is done with it (`apply`): several processes that share a batch draw the
same numbers, and a page can show a change together with its parameters.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.train.config import AugmentConfig


@dataclass(frozen=True)
class Draws:
    """The random parameters of one batch; the first axis of every tensor is B, None where nothing is changed."""

    flip: Tensor | None = None  # [B] bool: mirrored along the last axis
    matrix: Tensor | None = None  # [B, n, n]: offset from the centre in the output -> offset in the input, pixels, axes reversed (x first)
    shift: Tensor | None = None  # [B, n] whole pixels, axes in order
    brightness: Tensor | None = None  # [B] added, in units of the input's range
    contrast: Tensor | None = None  # [B] factor about the sample's mean
    cutout: Tensor | None = None  # [B, n] first corner of the blanked square

    def __getitem__(self, part: slice) -> "Draws":
        """Return the draws of a part of the batch."""
        return Draws(**{k: v if v is None else v[part] for k, v in vars(self).items()})


def draw(
    config: AugmentConfig,
    size: tuple[int, ...],
    *,
    count: int,
    generator: torch.Generator,
    indices: Tensor | None = None,
    epoch: int = 0,
) -> Draws:
    """Draw the parameters of one batch, on the CPU.

    Args:
        config: how strong each change may be.
        size: spatial size of the inputs, *S.
        count: B.
        generator: the source of chance.
        indices: [B] positions in the data set, used by flip = "alternate": a sample is mirrored in every other epoch.
        epoch: the number of the epoch, for the same.
    """
    n = len(size)

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    flip = None
    if config.flip == "random":
        flip = torch.rand(count, generator=generator) < 0.5
    elif config.flip == "alternate":
        if indices is None:
            raise ValueError('flip = "alternate" needs the indices of the samples')
        flip = ((indices * 2654435761 >> 16) + epoch) % 2 == 0  # a fixed hash decides the side in epoch 0
    matrix = _draw_matrix(config, n, count, uniform)
    shift = cutout = brightness = contrast = None
    if config.shift:
        shift = torch.randint(-config.shift, config.shift + 1, (count, n), generator=generator)
    if config.light:
        brightness = uniform(low=-config.light, high=config.light)
        contrast = uniform(low=1 - config.light, high=1 + config.light)
    if config.cutout:
        reach = torch.tensor(size)
        cutout = (torch.rand(count, n, generator=generator) * reach).long() - config.cutout // 2  # centres anywhere
    return Draws(flip, matrix, shift, brightness, contrast, cutout)


def apply(x: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    """Change `x` [B, C, *S] (float, range 0 to 1) as drawn; the result has the same shape, device and dtype."""
    if draws.flip is not None:
        x = torch.where(_per_sample(draws.flip.to(x.device), x), x.flip(-1), x)
    if draws.matrix is not None:
        x = _warp(x, draws.matrix, config.border)
    if draws.shift is not None:
        x = _shift(x, draws.shift, config)
    if draws.contrast is not None:
        mean = x.flatten(1).mean(1)
        x = (x - _per_sample(mean, x)) * _per_sample(draws.contrast.to(x), x)
        x = (x + _per_sample(mean + draws.brightness.to(x), x)).clamp(0, 1)
    if draws.cutout is not None:
        x = _cutout(x, draws.cutout, config.cutout)
    return x


def _per_sample(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 1))


def _draw_matrix(config: AugmentConfig, n: int, count: int, uniform) -> Tensor | None:  # noqa: ANN001 - a local function
    """Compose rotation, shear and size change into one matrix per sample, in offsets from the centre, x first."""
    if not (config.rotate or config.shear or config.scale or config.zoom or config.crop < 1):
        return None
    matrix = torch.eye(n).expand(count, n, n).clone()
    for i, j in combinations(range(n), 2):
        if config.rotate:
            angle = uniform(low=-config.rotate, high=config.rotate) * math.pi / 180
            turn = torch.eye(n).expand(count, n, n).clone()
            turn[:, i, i] = turn[:, j, j] = angle.cos()
            turn[:, i, j], turn[:, j, i] = -angle.sin(), angle.sin()
            matrix = matrix @ turn
        if config.shear:
            slope = (uniform(low=-config.shear, high=config.shear) * math.pi / 180).tan()
            lean = torch.eye(n).expand(count, n, n).clone()
            lean[:, i, j] = slope
            matrix = matrix @ lean
    size = torch.ones(count, 1)
    if config.scale:
        size = size * uniform(1, low=1 - config.scale, high=1 + config.scale)
    if config.zoom:
        size = size * uniform(n, low=1 - config.zoom, high=1 + config.zoom)
    if config.crop < 1:
        size = size / uniform(1, low=config.crop, high=1.0) ** (1 / n)
    return matrix / size.unsqueeze(1)  # a larger picture reads a smaller part of the input


def _warp(x: Tensor, matrix: Tensor, border: str) -> Tensor:
    """Resample `x` linearly so that output offset o from the centre shows input offset `matrix @ o` (pixels)."""
    n = x.ndim - 2
    flat = x.unsqueeze(2) if n == 1 else x  # grid_sample knows 2-D and 3-D: a signal is a picture of one row
    size = flat.shape[2:]
    edges = torch.tensor([*reversed(size)], dtype=torch.float32)  # x first
    full = torch.eye(len(size)).expand(len(x), -1, -1).clone()
    full[:, :n, :n] = matrix
    theta = full * edges.view(1, 1, -1) / edges.view(1, -1, 1)  # from pixels to grid_sample's -1 .. 1
    theta = F.pad(theta, (0, 1)).to(x)
    grid = F.affine_grid(theta, list(flat.shape), align_corners=False)
    mode = "reflection" if border == "reflect" else "zeros"
    return F.grid_sample(flat, grid, mode="bilinear", padding_mode=mode, align_corners=False).reshape(x.shape)


def _shift(x: Tensor, shift: Tensor, config: AugmentConfig) -> Tensor:
    """Move each sample by whole pixels; positive moves towards higher indices."""
    n, size = x.ndim - 2, x.shape[2:]
    reach = config.shift
    mode = "reflect" if config.border == "reflect" and min(size) > reach else "constant"
    padded = F.pad(x, (reach,) * 2 * n, mode=mode)
    batch = torch.arange(len(x)).view(-1, *[1] * n)
    index = [
        (torch.arange(edge) + reach - shift[:, axis : axis + 1]).view(len(x), *[edge if a == axis else 1 for a in range(n)])
        for axis, edge in enumerate(size)
    ]
    moved = padded.movedim(1, -1)[(batch, *index)]  # [B, *S, C]
    return moved.movedim(-1, 1)


def _cutout(x: Tensor, corner: Tensor, edge: int) -> Tensor:
    """Blank one square (cube, stretch) per sample with the sample's mean (DeVries, Taylor 2017, arXiv:1708.04552)."""
    inside = torch.ones(len(x), *x.shape[2:], dtype=torch.bool, device=x.device)
    for axis, length in enumerate(x.shape[2:]):
        position = torch.arange(length, device=x.device)
        first = corner[:, axis : axis + 1].to(x.device)
        hit = (position >= first) & (position < first + edge)  # [B, length]
        inside &= hit.view(len(x), *[length if a == axis else 1 for a in range(x.ndim - 2)])
    mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
    return torch.where(inside.unsqueeze(1), mean, x)
