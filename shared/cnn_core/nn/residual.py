"""Residual blocks of He et al. 2015 (arXiv:1512.03385), each for 1-D, 2-D and 3-D data."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.nn.blocks import ConvNormAct
from cnn_core.nn.dims import last_axes


class PaddedShortcut(nn.Module):
    """Shortcut without parameters: every `stride`-th cell, new channels zero (section 4.2, option A).

    `[B, in_channels, *S] -> [B, out_channels, *S']`, half of the new channels before and half after the old ones.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(f"the shortcut can only add channels, got {in_channels} -> {out_channels}")
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        spatial_dims = x.ndim - 2
        x = x[last_axes([slice(None, None, self.stride)] * spatial_dims)]
        return F.pad(x, (*[0, 0] * spatial_dims, self.before, self.after))


def _shortcut(
    in_channels: int,
    out_channels: int,
    *,
    spatial_dims: int,
    stride: int,
    padded: bool,
    norm: bool | Callable[[int], nn.Module] = True,
) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if padded:
        return PaddedShortcut(in_channels, out_channels, stride=stride)
    return ConvNormAct(
        in_channels, out_channels, spatial_dims=spatial_dims, kernel_size=1, stride=stride, norm=norm, act=None
    )


class BasicBlock(nn.Module):
    """Two 3-wide convolutions beside a shortcut: `[B, in_channels, *S] -> [B, channels, *S']`.

    Args:
        in_channels: channels of the input.
        channels: channels inside and of the output.
        spatial_dims: 1, 2 or 3.
        stride: step of the first convolution.
        padded_shortcut: True takes the shortcut without parameters where the shape changes, else a 1-wide convolution.
        norm: as in ConvNormAct.
        act: makes the activation.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        spatial_dims: int,
        stride: int = 1,
        padded_shortcut: bool = False,
        norm: bool | Callable[[int], nn.Module] = True,
        act: Callable[[], nn.Module] = lambda: nn.ReLU(inplace=True),
    ) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(in_channels, channels, spatial_dims=spatial_dims, stride=stride, norm=norm, act=act)
        self.conv2 = ConvNormAct(channels, channels, spatial_dims=spatial_dims, norm=norm, act=None)
        self.shortcut = _shortcut(
            in_channels, channels, spatial_dims=spatial_dims, stride=stride, padded=padded_shortcut, norm=norm
        )
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.conv1(x))
        out += self.shortcut(x)
        return self.act(out)


class Bottleneck(nn.Module):
    """1-wide, 3-wide, 1-wide convolution beside a shortcut: `[B, in_channels, *S] -> [B, 4 * channels, *S']`.

    The stride sits in the 3-wide convolution, which sees every cell, and not in the first one as in the paper
    ("ResNet v1.5", Goyal et al. 2017, arXiv:1706.02677, as torchvision has it). Arguments as in BasicBlock, `channels`
    being those of the inner two convolutions.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, *, spatial_dims: int, stride: int = 1, padded_shortcut: bool = False
    ) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = ConvNormAct(in_channels, channels, spatial_dims=spatial_dims, kernel_size=1)
        self.conv2 = ConvNormAct(channels, channels, spatial_dims=spatial_dims, stride=stride)
        self.conv3 = ConvNormAct(channels, out_channels, spatial_dims=spatial_dims, kernel_size=1, act=None)
        self.shortcut = _shortcut(
            in_channels, out_channels, spatial_dims=spatial_dims, stride=stride, padded=padded_shortcut
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv3(self.conv2(self.conv1(x)))
        out += self.shortcut(x)
        return self.act(out)
