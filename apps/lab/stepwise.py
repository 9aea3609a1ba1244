"""Convolution and pooling one position at a time, so that a page can show every number that is multiplied and added.

Slow on purpose and complete: over all positions the results are those of `torch.nn.functional`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from cnn_core.anatomy.sizes import output_size
from cnn_core.errors import CnnError

PaddingMode = Literal["zeros", "replicate", "reflect"]
Setting = int | Sequence[int]  # one number for all spatial axes, or one per axis


@dataclass(frozen=True)
class ConvolutionStep:
    """One output number of a convolution (cross-correlation, as all frameworks compute it) and what it is made of."""

    patch: Tensor  # [C, *K] the cells under the kernel, padding included
    kernel: Tensor  # [C, *K]
    products: Tensor  # [C, *K] patch times kernel
    bias: float
    total: float  # sum of the products plus the bias
    start: tuple[int, ...]  # first input cell under the kernel along each axis; negative in the padding


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


def _patch(
    x: Tensor,
    edges: tuple[int, ...],
    *,
    position: Sequence[int],
    stride: Setting,
    padding: Setting,
    dilation: Setting,
    mode: PaddingMode,
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
    if mode not in ("zeros", "replicate", "reflect"):
        raise CnnError(f"padding_mode must be zeros, replicate or reflect, got {mode!r}")
    flat = [cells for p in reversed(pads) for cells in (p, p)]
    if not any(flat):
        return x
    if mode == "zeros":
        return F.pad(x, flat)
    if mode == "reflect" and any(p >= size for p, size in zip(pads, x.shape[1:], strict=True)):
        raise CnnError(f"an input of {tuple(x.shape[1:])} can be mirrored by less than its own size, got {pads}")
    return F.pad(x, flat, mode=mode)


def _per_axis(name: str, value: Setting, axes: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * axes
    if len(value) != axes:
        raise CnnError(f"{name} needs one number or {axes}, got {tuple(value)}")
    return tuple(value)
