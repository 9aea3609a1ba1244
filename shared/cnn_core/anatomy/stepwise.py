"""Convolution and pooling one position at a time, so that a page can show every number that is multiplied and added.

Slow on purpose and complete: over all positions the results are those of `torch.nn.functional`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.anatomy.sizes import output_size
from cnn_core.errors import CnnError

PaddingMode = Literal["zeros", "replicate", "reflect"]
Setting = int | Sequence[int]  # one number for all spatial axes, or one per axis


@dataclass(frozen=True)
class ConvolutionStep:
    """One output number of a convolution (cross-correlation, as all frameworks compute it) and what it is made of."""

    patch: Tensor  # [C, *K] what lies under the kernel, padding included
    kernel: Tensor  # [C, *K]
    products: Tensor  # [C, *K] patch times kernel
    bias: float
    total: float  # sum of the products plus the bias
    start: tuple[int, ...]  # first input cell under the kernel along each axis; negative in the padding


@dataclass(frozen=True)
class PoolingStep:
    """One output cell of a pooling: for every channel the window and its maximum or mean."""

    patch: Tensor  # [C, *K] the window; padding is -inf for "max" and 0 for "mean"
    values: Tensor  # [C]
    winners: Tensor | None  # [C, spatial_dims] input cell of the maximum; None for "mean"
    start: tuple[int, ...]  # first input cell of the window along each axis; negative in the padding


def output_shape(
    x: Tensor, kernel_size: Setting, *, stride: Setting = 1, padding: Setting = 0, dilation: Setting = 1
) -> tuple[int, ...]:
    """Return the spatial size that a convolution or pooling of `x` [C, *S] puts out: the range of `position`."""
    n = x.ndim - 1
    settings = zip(
        *(_per_axis(name, v, n) for name, v in (
            ("kernel_size", kernel_size), ("stride", stride), ("padding", padding), ("dilation", dilation),
        )),
        strict=True,
    )  # fmt: skip
    return tuple(
        output_size(size, k, stride=s, padding=p, dilation=d)
        for size, (k, s, p, d) in zip(x.shape[1:], settings, strict=True)
    )


def convolve(
    x: Tensor,
    kernels: Tensor,
    *,
    bias: Tensor | None = None,
    stride: Setting = 1,
    padding: Setting = 0,
    padding_mode: PaddingMode = "zeros",
    dilation: Setting = 1,
) -> Tensor:
    """Compute the whole output [C_out, *S'] at once: cell by cell what `convolution_step` computes for each kernel.

    Args:
        x: input [C, *S].
        kernels: weights [C_out, C, *K].
        bias: [C_out], added to the sums.
        stride, padding, padding_mode, dilation: as in `convolution_step`.

    Raises:
        CnnError: shapes or settings that do not go together.
    """
    if kernels.ndim != x.ndim + 1 or kernels.shape[1] != x.shape[0]:
        raise CnnError(f"expected kernels with {x.shape[0]} channels for {list(x.shape)}, got {list(kernels.shape)}")
    output_shape(x, tuple(kernels.shape[2:]), stride=stride, padding=padding, dilation=dilation)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[x.ndim - 1]
    wide = padded(x, padding, padding_mode)
    return function(wide.unsqueeze(0), kernels, bias, stride=stride, dilation=dilation).squeeze(0)


def padded(x: Tensor, padding: Setting, mode: PaddingMode = "zeros") -> Tensor:
    """Return `x` [C, *S] with `padding` cells added on each side, filled with zeros, the border or the mirror image.

    Raises:
        CnnError: an unknown mode, or more to mirror than there is.
    """
    return _pad(x, _per_axis("padding", padding, x.ndim - 1), mode)


def convolution_step(
    x: Tensor,
    kernel: Tensor,
    *,
    position: Sequence[int],
    bias: float = 0.0,
    stride: Setting = 1,
    padding: Setting = 0,
    padding_mode: PaddingMode = "zeros",
    dilation: Setting = 1,
) -> ConvolutionStep:
    """Compute one number of the output map of one kernel.

    Args:
        x: input [C, *S].
        kernel: weights of one output channel [C, *K].
        position: cell of the output map, one index per spatial axis.
        bias: added to the sum.
        stride: step of the kernel.
        padding: cells added on each side.
        padding_mode: what the added cells hold: zeros, the border repeated, or the input mirrored.
        dilation: distance between the kernel's cells.

    Raises:
        CnnError: shapes, position or settings that do not go together.
    """
    if kernel.ndim != x.ndim or kernel.shape[0] != x.shape[0]:
        raise CnnError(f"expected a kernel with {x.shape[0]} channels for {list(x.shape)}, got {list(kernel.shape)}")
    patch, start = _patch(
        x, tuple(kernel.shape[1:]), position=position, stride=stride, padding=padding, dilation=dilation,
        mode=padding_mode,
    )  # fmt: skip
    products = patch * kernel
    return ConvolutionStep(patch, kernel, products, bias, float(products.sum()) + bias, start)


def pooling_step(
    x: Tensor,
    kernel_size: Setting,
    *,
    position: Sequence[int],
    stride: Setting | None = None,
    padding: Setting = 0,
    dilation: Setting = 1,
    reduce: Literal["max", "mean"] = "max",
) -> PoolingStep:
    """Compute one cell of the output of a pooling, all channels at once.

    Args:
        x: input [C, *S].
        kernel_size: edge of the window.
        position: cell of the output map, one index per spatial axis.
        stride: step of the window; None takes `kernel_size`, so that the windows tile the input.
        padding: cells added on each side, at most half the window: -inf for "max", 0 for "mean" (and counted).
        dilation: distance between the window's cells, 1 for "mean".
        reduce: "max" or "mean".

    Raises:
        CnnError: shapes, position or settings that do not go together.
    """
    n = x.ndim - 1
    edges = _per_axis("kernel_size", kernel_size, n)
    if reduce not in ("max", "mean"):
        raise CnnError(f"reduce must be max or mean, got {reduce!r}")
    if any(2 * p > k for p, k in zip(_per_axis("padding", padding, n), edges, strict=True)):
        raise CnnError(f"padding of a pooling must be at most half the window {edges}, got {padding}")
    if reduce == "mean" and any(d != 1 for d in _per_axis("dilation", dilation, n)):
        raise CnnError(f"dilation of a mean must be 1, got {dilation}")
    stride = edges if stride is None else stride
    patch, start = _patch(
        x, edges, position=position, stride=stride, padding=padding, dilation=dilation,
        mode="lowest" if reduce == "max" else "zeros",
    )  # fmt: skip
    flat = patch.flatten(1)  # [C, prod(K)]
    if reduce == "mean":
        return PoolingStep(patch, flat.mean(1), None, start)
    values, places = flat.max(1)
    steps = torch.tensor(_per_axis("dilation", dilation, n))
    inside = torch.stack(torch.unravel_index(places, edges), dim=1)  # [C, spatial_dims]
    return PoolingStep(patch, values, inside * steps + torch.tensor(start), start)


def _patch(
    x: Tensor,
    edges: tuple[int, ...],
    *,
    position: Sequence[int],
    stride: Setting,
    padding: Setting,
    dilation: Setting,
    mode: PaddingMode | Literal["lowest"],
) -> tuple[Tensor, tuple[int, ...]]:
    """Return the cells [C, *edges] under a kernel at `position`, and the first of them in input coordinates."""
    n = x.ndim - 1
    sizes = output_shape(x, edges, stride=stride, padding=padding, dilation=dilation)
    if len(position) != n or any(not 0 <= i < size for i, size in zip(position, sizes, strict=True)):
        raise CnnError(f"expected a position inside the output {sizes}, got {tuple(position)}")
    pads = _per_axis("padding", padding, n)
    padded = _pad(x, pads, mode)
    start = tuple(i * s - p for i, s, p in zip(position, _per_axis("stride", stride, n), pads, strict=True))
    window = padded
    for axis, (first, p, k, d) in enumerate(zip(start, pads, edges, _per_axis("dilation", dilation, n), strict=True)):
        window = window.narrow(1 + axis, first + p, d * (k - 1) + 1)
        window = window[(slice(None),) * (1 + axis) + (slice(None, None, d),)]
    return window, start


def _pad(x: Tensor, pads: tuple[int, ...], mode: str) -> Tensor:
    if mode not in ("zeros", "lowest", "replicate", "reflect"):
        raise CnnError(f"padding_mode must be zeros, replicate or reflect, got {mode!r}")
    flat = [cells for p in reversed(pads) for cells in (p, p)]
    if not any(flat):
        return x
    if mode == "zeros":
        return F.pad(x, flat)
    if mode == "lowest":
        return F.pad(x, flat, value=-torch.inf)
    if mode == "reflect" and any(p >= size for p, size in zip(pads, x.shape[1:], strict=True)):
        raise CnnError(f"an input of {tuple(x.shape[1:])} can be mirrored by less than its own size, got {pads}")
    return F.pad(x, flat, mode=mode)


def _per_axis(name: str, value: Setting, axes: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * axes
    if len(value) != axes:
        raise CnnError(f"{name} needs one number or {axes}, got {tuple(value)}")
    return tuple(value)
