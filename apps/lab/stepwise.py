"""Convolution one position at a time, so that a page can show every number that is multiplied and added.

Slow on purpose and complete: over all positions the results are those of `torch.nn.functional`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from cnn_core.anatomy.sizes import output_size
from cnn_core.errors import CnnError

MODES = {"zeros": "constant", "replicate": "replicate", "reflect": "reflect"}  # as `torch.nn.functional.pad` has them


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
    x: Tensor, kernel_size: Sequence[int], *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[int, ...]:
    """Return the spatial size that a convolution of `x` [C, *S] puts out: the range of `position`."""
    return tuple(
        output_size(size, k, stride=stride, padding=padding, dilation=dilation)
        for size, k in zip(x.shape[1:], kernel_size, strict=True)
    )


def convolve(
    x: Tensor,
    kernels: Tensor,
    *,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    padding_mode: str = "zeros",
    dilation: int = 1,
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
    output_shape(x, kernels.shape[2:], stride=stride, padding=padding, dilation=dilation)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[x.ndim - 1]
    wide = padded(x, padding, padding_mode)
    return function(wide.unsqueeze(0), kernels, bias, stride=stride, dilation=dilation).squeeze(0)


def padded(x: Tensor, padding: int, mode: str = "zeros") -> Tensor:
    """Return `x` [C, *S] with `padding` cells added on each side, filled with zeros, the border or the mirror image.

    Raises:
        CnnError: an unknown mode, or more to mirror than there is.
    """
    if mode not in MODES:
        raise CnnError(f"padding_mode must be zeros, replicate or reflect, got {mode!r}")
    if mode == "reflect" and padding >= min(x.shape[1:]):
        raise CnnError(f"an input of {tuple(x.shape[1:])} can be mirrored by less than its own size, got {padding}")
    return F.pad(x, (padding,) * 2 * (x.ndim - 1), mode=MODES[mode])


def convolution_step(
    x: Tensor,
    kernel: Tensor,
    *,
    position: Sequence[int],
    bias: float = 0.0,
    stride: int = 1,
    padding: int = 0,
    padding_mode: str = "zeros",
    dilation: int = 1,
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
    edges = kernel.shape[1:]
    sizes = output_shape(x, edges, stride=stride, padding=padding, dilation=dilation)
    if len(position) != len(sizes) or any(not 0 <= i < size for i, size in zip(position, sizes, strict=True)):
        raise CnnError(f"expected a position inside the output {sizes}, got {tuple(position)}")
    under = (slice(i * stride, i * stride + dilation * k, dilation) for i, k in zip(position, edges, strict=True))
    patch = padded(x, padding, padding_mode)[(slice(None), *under)]
    products = patch * kernel
    start = tuple(i * stride - padding for i in position)
    return ConvolutionStep(patch, kernel, products, bias, float(products.sum()) + bias, start)
