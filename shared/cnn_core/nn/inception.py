"""The Inception block and its auxiliary head (Szegedy et al. 2014, arXiv:1409.4842), for 1-D, 2-D and 3-D data."""

from dataclasses import astuple, dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.dims import dims


@dataclass(frozen=True)
class InceptionWidths:
    """Channels of the four branches, in the column order of the paper's table 1."""

    pointwise: int  # #1x1
    reduce3: int  # #3x3 reduce
    conv3: int  # #3x3
    reduce5: int  # #5x5 reduce
    conv5: int  # #5x5
    pooled: int  # pool proj

    @property
    def out_channels(self) -> int:
        """Channels of the concatenated output."""
        return self.pointwise + self.conv3 + self.conv5 + self.pooled

    def scaled(self, factor: float) -> "InceptionWidths":
        """Return the same block `factor` times as wide, each branch with at least one channel."""
        return InceptionWidths(*(max(1, round(width * factor)) for width in astuple(self)))


def conv_unit(
    in_channels: int, out_channels: int, *, spatial_dims: int, kernel_size: int, stride: int = 1
) -> nn.Module:
    """Return convolution, batch normalisation, ReLU, with the epsilon of 0.001 that torchvision's GoogLeNet has."""
    return ConvNormAct(
        in_channels, out_channels, spatial_dims=spatial_dims, kernel_size=kernel_size, stride=stride,
        norm=partial(dims(spatial_dims).batch_norm, eps=0.001),
    )  # fmt: skip


class InceptionBlock(nn.Module):
    """Four branches side by side, concatenated: `[B, in_channels, *S] -> [B, widths.out_channels, *S]`.

    Args:
        in_channels: channels of the input.
        widths: channels of the branches.
        spatial_dims: 1, 2 or 3.
        large_kernel: edge of the wide branch's kernel; the paper has 5, torchvision's weights were made with 3.
    """

    def __init__(self, in_channels: int, widths: InceptionWidths, *, spatial_dims: int, large_kernel: int = 3) -> None:
        super().__init__()

        def unit(fan_in: int, fan_out: int, kernel_size: int) -> nn.Module:
            return conv_unit(fan_in, fan_out, spatial_dims=spatial_dims, kernel_size=kernel_size)

        w = widths
        self.branch1 = unit(in_channels, w.pointwise, 1)
        self.branch2 = nn.Sequential(unit(in_channels, w.reduce3, 1), unit(w.reduce3, w.conv3, 3))
        self.branch3 = nn.Sequential(unit(in_channels, w.reduce5, 1), unit(w.reduce5, w.conv5, large_kernel))
        self.branch4 = nn.Sequential(
            dims(spatial_dims).max_pool(3, stride=1, padding=1), unit(in_channels, w.pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class AuxiliaryHead(nn.Sequential):
    """Classifier on a map in the middle of the network, for training only: `[B, in_channels, *S] -> [B, K]`.

    Args:
        in_channels: channels of the map.
        num_classes: K.
        spatial_dims: 1, 2 or 3; the map is pooled to 4 cells along every axis.
        channels: channels of the 1-wide convolution.
        hidden_units: width of the dense layer.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        spatial_dims: int,
        channels: int = 128,
        hidden_units: int = 1024,
    ) -> None:
        super().__init__()
        self.pool = dims(spatial_dims).adaptive_avg_pool(4)
        self.conv = conv_unit(in_channels, channels, spatial_dims=spatial_dims, kernel_size=1)
        self.head = Head(
            channels, num_classes, spatial_dims=spatial_dims, grid=None, fixed_cells=4**spatial_dims,
            hidden=[hidden_units], dropout=[0.0, 0.7],
        )  # fmt: skip

    def reset(self, num_classes: int) -> None:
        """Replace the last dense layer by a fresh one with `num_classes` outputs."""
        self.head.reset(num_classes)
