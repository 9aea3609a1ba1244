"""Batched augmentation on tensors: every sample of the batch gets its own change, in a handful of tensor operations.

What is drawn (`draw`) is kept apart from what is done with it (`apply`): several processes that share a batch draw the
same numbers, and a page can show a change together with its parameters.

Signs, for pictures with y pointing down: a positive angle turns what is seen counter-clockwise, a positive shift moves
it to higher indices (right, down), a positive slope moves the rows below the centre to the left.

A mask that belongs to the picture moves with it (`apply_with_mask`), to the nearest label; light, noise and cutout
leave it alone.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.elastic import displacement, draw_points


@dataclass(frozen=True)
class Draws:
    """The random parameters of one batch; the first axis of every tensor is B, None where nothing is changed.

    `matrix` and `offset` read the input: what is shown at distance o from the centre of the output lies at distance
    `matrix @ o + offset` from the centre of the input, in pixels, axes reversed (x first).
    """

    flip: Tensor | None = None  # [B] bool: mirrored along the last axis
    matrix: Tensor | None = None  # [B, n, n]
    offset: Tensor | None = None  # [B, n]: where a random crop lies
    shift: Tensor | None = None  # [B, n] whole pixels, axes in order
    brightness: Tensor | None = None  # [B] added, in units of the input's range
    contrast: Tensor | None = None  # [B] factor about the sample's mean
    cutout: Tensor | None = None  # [B, n] first corner of the blanked square, axes in order; may lie outside
    flips: Tensor | None = None  # [B, n] bool: mirrored along each axis, axes in order
    elastic: Tensor | None = None  # [B, n, *control points] pixels by which the place that is read moves, x first
    coarse: Tensor | None = None  # [B] resolution that is left, 0 to 1
    noise: Tensor | None = None  # [B] standard deviation
    noise_seed: Tensor | None = None  # [B] int64: source of each sample's noise, drawn where the sample is

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
    uniform = _Uniform(count, generator)
    flip = None
    if config.flip == "random":
        flip = uniform(low=0, high=1) < 0.5
    elif config.flip == "alternate":
        if indices is None:
            raise ValueError('flip = "alternate" needs the indices of the samples')
        flip = ((indices * 2654435761 >> 16) + epoch) % 2 == 0  # a fixed hash decides the side in epoch 0
    matrix, offset = _draw_matrix(config, size, uniform)
    shift = cutout = brightness = contrast = None
    if config.shift:
        shift = torch.randint(-config.shift, config.shift + 1, (count, n), generator=generator)
    if config.light:
        brightness = uniform(low=-config.light, high=config.light)
        contrast = uniform(low=1 - config.light, high=1 + config.light)
    if config.cutout:
        centre = (uniform(n, low=0, high=1) * torch.tensor(size)).long()  # anywhere inside, the square may stick out
        cutout = centre - config.cutout // 2
    flips = elastic = coarse = noise = noise_seed = None
    if config.flip == "all":
        flips = uniform(n, low=0, high=1) < 0.5
    if config.elastic:
        elastic = draw_points(config.elastic, count=count, spatial_dims=n, generator=generator)
    if config.coarse:
        coarse = uniform(low=1 - config.coarse, high=1 + config.coarse).clamp(max=1)
    if config.noise:
        noise = uniform(low=0, high=config.noise)
        noise_seed = torch.randint(2**62, (count,), generator=generator)
    return Draws(
        flip, matrix, offset, shift, brightness, contrast, cutout,
        flips=flips, elastic=elastic, coarse=coarse, noise=noise, noise_seed=noise_seed,
    )  # fmt: skip


def apply(x: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    """Change `x` [B, C, *S] (float, range 0 to 1) as drawn; the result has the same shape, device and dtype."""
    return _recolour(_move(x, draws, config, grid=_grid(x, draws)), draws, config)


def apply_with_mask(x: Tensor, mask: Tensor, draws: Draws, config: AugmentConfig) -> tuple[Tensor, Tensor]:
    """Change `x` [B, C, *S] (float, range 0 to 1), and move `mask` [B, *S] (whole numbers) alike, to the nearest label.

    Both keep shape, device and dtype. What moves in from outside has label 0, or with border = "reflect" the mirrored
    one.

    Raises:
        ValueError: the mask is not as large as the input.
    """
    if mask.shape != (len(x), *x.shape[2:]):
        raise ValueError(
            f"expected a mask {[len(x), *x.shape[2:]]} for an input {list(x.shape)}, got {list(mask.shape)}"
        )
    grid = _grid(x, draws)
    labels = mask.unsqueeze(1).to(torch.float32)  # exact up to 2 ** 24
    labels = _move(labels, draws, config, grid=grid, mode="nearest").squeeze(1).to(mask.dtype)
    return _recolour(_move(x, draws, config, grid=grid), draws, config), labels


def _move(x: Tensor, draws: Draws, config: AugmentConfig, *, grid: Tensor | None, mode: str = "bilinear") -> Tensor:
    """Do what changes places: mirror, resample at `grid`, shift."""
    if draws.flip is not None:
        x = torch.where(_per_sample(draws.flip.to(x.device), x), x.flip(-1), x)
    if draws.flips is not None and len(x):
        x = torch.stack(
            [
                one.flip([1 + axis for axis in row.nonzero().flatten().tolist()])
                for one, row in zip(x, draws.flips, strict=True)
            ]
        )
    if grid is not None:
        x = _warp(x, grid, border=config.border, mode=mode)
    if draws.shift is not None:
        x = _shift(x, draws.shift, border=config.border)
    return x


def _recolour(x: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    """Do what changes values: light, noise, cutout."""
    if draws.contrast is not None and draws.brightness is not None:
        mean = x.flatten(1).mean(1)
        x = (x - _per_sample(mean, x)) * _per_sample(draws.contrast.to(x), x)
        x = (x + _per_sample(mean + draws.brightness.to(x), x)).clamp(0, 1)
    if draws.coarse is not None:
        x = _coarsen(x, draws.coarse)
    if draws.noise is not None and draws.noise_seed is not None:
        x = _noise(x, draws.noise, draws.noise_seed)
    if draws.cutout is not None:
        x = _cutout(x, draws.cutout, edge=config.cutout)
    return x


@dataclass(frozen=True)
class _Uniform:
    """Uniform numbers for each of `count` samples."""

    count: int
    generator: torch.Generator

    def __call__(self, *shape: int, low: float, high: float) -> Tensor:
        return torch.rand(self.count, *shape, generator=self.generator) * (high - low) + low


def _draw_matrix(
    config: AugmentConfig, size: tuple[int, ...], uniform: _Uniform
) -> tuple[Tensor | None, Tensor | None]:
    """Compose rotation, shear and size change into one matrix per sample; a crop also has a place (`Draws`)."""
    if not (config.rotate or config.shear or config.scale or config.zoom or config.crop < 1):
        return None, None
    n = len(size)
    matrix = torch.eye(n).expand(uniform.count, n, n)
    for i, j in combinations(range(n), 2):
        if config.rotate:
            angle = uniform(low=-config.rotate, high=config.rotate) * math.pi / 180
            matrix = matrix @ _rotation(angle, n, i, j)
        if config.shear:
            slope = (uniform(low=-config.shear, high=config.shear) * math.pi / 180).tan()
            matrix = matrix @ _lean(slope, n, i, j)
    factor, offset = torch.ones(uniform.count, 1), None
    if config.scale:
        factor = factor * uniform(1, low=1 - config.scale, high=1 + config.scale)
    if config.zoom:
        factor = factor * uniform(n, low=1 - config.zoom, high=1 + config.zoom)
    if config.crop < 1:
        kept = uniform(1, low=config.crop, high=1.0) ** (1 / n)  # fraction of each edge
        factor = factor / kept
        offset = uniform(n, low=-0.5, high=0.5) * (1 - kept) * torch.tensor(size[::-1])
    return matrix / factor.unsqueeze(1), offset  # a larger picture reads a smaller part of the input


def _rotation(angle: Tensor, n: int, i: int, j: int) -> Tensor:
    """Return matrices [B, n, n] that turn by `angle` [B] (radians) in the plane of the axes i and j."""
    matrix = torch.eye(n).expand(len(angle), n, n).clone()
    matrix[:, i, i] = matrix[:, j, j] = angle.cos()
    matrix[:, i, j], matrix[:, j, i] = -angle.sin(), angle.sin()
    return matrix


def _lean(slope: Tensor, n: int, i: int, j: int) -> Tensor:
    """Return matrices [B, n, n] that add `slope` [B] times the position along axis j to the position along axis i."""
    matrix = torch.eye(n).expand(len(slope), n, n).clone()
    matrix[:, i, j] = slope
    return matrix


def _grid(x: Tensor, draws: Draws) -> Tensor | None:
    """Return where each pixel of the result is read, as grid_sample has it; None if pixels stay where they are."""
    if (draws.matrix is None and draws.elastic is None) or not x.numel():
        return None  # the share of a process that got no sample of this batch has no pixels
    n = x.ndim - 2
    flat = _as_picture(x)
    size = flat.shape[2:]
    edges = torch.tensor([*reversed(size)], dtype=torch.float32)  # x first
    full = torch.eye(len(size)).expand(len(x), -1, -1).clone()
    if draws.matrix is not None:
        full[:, :n, :n] = draws.matrix
    theta = full * edges.view(1, 1, -1) / edges.view(1, -1, 1)  # from pixels to grid_sample's -1 .. 1
    theta = F.pad(theta, (0, 1))
    if draws.offset is not None:
        theta[:, :n, -1] = 2 * draws.offset / edges[:n]
    grid = F.affine_grid(theta.to(flat), list(flat.shape), align_corners=False)
    if draws.elastic is not None:
        moved = displacement(draws.elastic.to(flat), x.shape[2:]).movedim(1, -1)  # [B, *S, n]
        grid[..., :n] += (2 * moved / edges[:n].to(flat)).reshape(*grid.shape[:-1], n)
    return grid


def _warp(x: Tensor, grid: Tensor, *, border: str, mode: str) -> Tensor:
    """Resample `x` [B, C, *S] at `grid`."""
    flat = _as_picture(x)
    outside = "reflection" if border == "reflect" else "zeros"
    moved = F.grid_sample(flat, grid.to(flat), mode=mode, padding_mode=outside, align_corners=False)
    return moved.reshape(x.shape).to(x.dtype)


def _as_picture(x: Tensor) -> Tensor:
    """Give a signal a second axis, since grid_sample knows 2-D and 3-D, and half precision enough digits for places."""
    x = x.unsqueeze(2) if x.ndim == 3 else x
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _coarsen(x: Tensor, resolution: Tensor) -> Tensor:
    """Show each sample with fewer cells: averaged over larger ones, and interpolated to the old size."""
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.ndim - 2]
    done = []
    for one, left in zip(x, resolution.tolist(), strict=True):
        size = [max(1, round(edge * left)) for edge in one.shape[1:]]
        if size != [*one.shape[1:]]:
            small = F.interpolate(one[None].float(), size, mode="area")
            one = F.interpolate(small, one.shape[1:], mode=mode, align_corners=False)[0].to(x.dtype)
        done.append(one)
    return torch.stack(done) if done else x


def _noise(x: Tensor, deviation: Tensor, seeds: Tensor) -> Tensor:
    """Add Gaussian noise to each sample, the same for one seed on one kind of device."""
    if not len(x):
        return x
    fields = [
        torch.randn(x.shape[1:], generator=torch.Generator(x.device).manual_seed(seed), device=x.device)
        for seed in seeds.tolist()
    ]
    return (x + (torch.stack(fields) * _per_sample(deviation.to(x.device), x)).to(x.dtype)).clamp(0, 1)


def _shift(x: Tensor, shift: Tensor, *, border: str) -> Tensor:
    """Move each sample by whole pixels; what moves in is zero, or the mirror image at the edge pixel."""
    n, size = x.ndim - 2, x.shape[2:]
    batch = torch.arange(len(x)).view(-1, *[1] * n)
    index: list[Tensor] = []
    inside = torch.ones(1, dtype=torch.bool)
    for axis, edge in enumerate(size):
        source = _along(torch.arange(edge) - shift[:, axis : axis + 1].cpu(), axis, n)  # [B, 1.., edge, ..1]
        inside = inside & (source >= 0) & (source < edge)
        index.append(_mirror(source, edge) if border == "reflect" else source.clamp(0, edge - 1))
    index = [positions.to(x.device, non_blocking=True) for positions in (batch, *index)]
    moved = x.movedim(1, -1)[tuple(index)].movedim(-1, 1)  # [B, C, *S], channels last in memory
    return moved if border == "reflect" else moved.masked_fill_(~inside.to(x.device).unsqueeze(1), 0)


def _mirror(position: Tensor, edge: int) -> Tensor:
    """Fold positions outside 0 .. edge - 1 back in, the edge pixel itself not repeated: -1 -> 1, edge -> edge - 2."""
    if edge == 1:
        return torch.zeros_like(position)
    position = position.remainder(2 * (edge - 1))
    return torch.minimum(position, 2 * (edge - 1) - position)


def _cutout(x: Tensor, corner: Tensor, *, edge: int) -> Tensor:
    """Blank one square (cube, stretch) per sample with the sample's mean (DeVries, Taylor 2017, arXiv:1708.04552)."""
    n = x.ndim - 2
    hidden = torch.ones(1, dtype=torch.bool, device=x.device)
    for axis, length in enumerate(x.shape[2:]):
        position = torch.arange(length, device=x.device)
        first = corner[:, axis : axis + 1].to(x.device)
        hidden = hidden & _along((position >= first) & (position < first + edge), axis, n)
    mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
    return torch.where(hidden.unsqueeze(1), mean, x)


def _per_sample(values: Tensor, x: Tensor) -> Tensor:
    """[B] -> [B, 1, 1 ...] with the axes of `x`."""
    return values.reshape(-1, *[1] * (x.ndim - 1))


def _along(values: Tensor, axis: int, n: int) -> Tensor:
    """[B, length] -> [B, 1 .. length .. 1] with `n` axes behind the first, `length` at `axis`."""
    return values.view(len(values), *[values.shape[1] if a == axis else 1 for a in range(n)])
