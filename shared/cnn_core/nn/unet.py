"""Parts of U-Nets besides convolutions: decoder blocks that join the skips, and the head; 1-D, 2-D, 3-D."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.nn.blocks import ConvNormAct
from cnn_core.nn.dims import Conv, ConvTranspose, dims, last_axes

Norm = Literal["batch", "instance", "none"]
Activation = Literal["relu", "leaky_relu"]
Merge = Literal["concat", "add"]


class InstanceNorm(nn.GroupNorm):
    """Each channel of each sample to mean 0 and variance 1, then scale and shift (Ulyanov et al. 2016).

    `[B, C, *S] -> [B, C, *S]`. Written as one group per channel, whose kernels keep channels-last memory on the CPU
    (torch's InstanceNorm copies the map there and back, which makes it several times slower). A map of one cell
    becomes the shift.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)  # F's refuses maps of one cell


NORMS: dict[str, bool | Callable[[int], nn.Module]] = {"batch": True, "instance": InstanceNorm, "none": False}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),  # the slope of nnU-Net
}


class Block(Protocol):
    """Makes the convolutions of one level: `[B, in_channels, *S] -> [B, out_channels, *S / stride]`."""

    def __call__(self, in_channels: int, out_channels: int, *, depth: int, stride: int = 1) -> nn.Module: ...


def plain_block(*, spatial_dims: int, norm: Norm, activation: Activation) -> Block:
    """Return a maker of `depth` 3-wide convolutions, each with normalisation and activation; the first one strides."""

    def make(in_channels: int, out_channels: int, *, depth: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(
            *(
                ConvNormAct(
                    in_channels if i == 0 else out_channels, out_channels, spatial_dims=spatial_dims,
                    stride=stride if i == 0 else 1, norm=NORMS[norm], act=ACTIVATIONS[activation],
                )
                for i in range(depth)
            )
        )  # fmt: skip

    return make


class UpBlock(nn.Module):
    """Enlarge the coarse map, join the skip, convolve: `[B, C, *S / ratio], [B, skip, *S] -> [B, out_channels, *S]`.

    Args:
        in_channels: channels of the coarse map.
        skip_channels: channels of the skip.
        out_channels: channels of the result.
        spatial_dims: 1, 2 or 3.
        ratio: how many times finer the skip is.
        block: joined channels, `out_channels` -> the convolutions.
        merge: "concat" as Ronneberger et al., or "add" as LinkNet (Chaurasia, Culurciello 2017, arXiv:1707.03718),
            which halves the work of the convolution after it.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        *,
        out_channels: int,
        spatial_dims: int,
        ratio: int,
        block: Callable[[int, int], nn.Module],
        merge: Merge = "concat",
    ) -> None:
        super().__init__()
        self.merge, self.slack = merge, ratio - 1
        enlarged = skip_channels if merge == "add" else out_channels
        self.up = dims(spatial_dims).conv_transpose(in_channels, enlarged, ratio, ratio, bias=False)
        self.block = block(enlarged if merge == "add" else enlarged + skip_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = fit_size(self.up(x), skip.shape[2:], slack=self.slack)
        return self.block(x + skip if self.merge == "add" else torch.cat([x, skip], dim=1))


class SegmentationHead(nn.Module):
    """Class scores for each input cell from the finest map: `[B, channels, *S] -> [B, K, *S * stride]`.

    A map `stride` times coarser than the input gets K scores for each of its `stride ** spatial_dims` sub-cells: an
    up-convolution whose kernel is as wide as its step (the sub-pixel convolution of Shi et al. 2016, arXiv:1609.05158),
    initialised alike everywhere so that there is no checkerboard (Aitken et al. 2017, arXiv:1707.02937).
    """

    def __init__(self, channels: int, num_classes: int, *, spatial_dims: int, stride: int = 1) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride
        d = dims(spatial_dims)
        self.conv: Conv | ConvTranspose
        if stride == 1:
            self.conv = d.conv(channels, num_classes, 1)
        else:
            self.conv = d.conv_transpose(channels, num_classes, stride, stride)
        if not self.conv.weight.is_meta:  # without memory there is nothing to set
            first = self.conv.weight[last_axes([slice(1)] * spatial_dims)].detach()
            self.conv.weight.data.copy_(first.normal_(std=channels**-0.5))
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def fit_size(x: Tensor, size: Sequence[int], *, slack: int) -> Tensor:
    """Bring a map to `size`: `[B, C, *S] -> [B, C, *size]`.

    Up to `slack` cells too many are cut off at the end, as many missing ones repeat the last (that is what rounding of
    odd sizes leaves); anything else comes from convolutions without padding and is resampled linearly.
    """
    missing = [wanted - edge for edge, wanted in zip(x.shape[2:], size, strict=True)]
    if not any(missing):
        return x
    if max(map(abs, missing)) > slack:
        return F.interpolate(x, size=tuple(size), mode=dims(x.ndim - 2).interpolation)
    x = x[last_axes(slice(wanted) for wanted in size)]
    if max(missing) <= 0:
        return x
    pad = [amount for edge in reversed(missing) for amount in (0, max(0, edge))]
    return F.pad(x, pad, mode="replicate")
