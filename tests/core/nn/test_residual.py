"""Residual blocks: the shortcut really is added, with and without parameters."""

import pytest
import torch
from torch import nn

from cnn_core.nn.residual import BasicBlock, Bottleneck, PaddedShortcut

DIMS = pytest.mark.parametrize("spatial_dims", [1, 2, 3])


def silence(block: nn.Module, norm: nn.BatchNorm2d) -> None:
    """Make the branch beside the shortcut put out zeros."""
    nn.init.zeros_(norm.weight)
    block.eval()


@DIMS
def test_a_padded_shortcut_takes_every_second_cell_and_adds_zero_channels(spatial_dims: int) -> None:
    x = torch.randn(2, 3, *[5] * spatial_dims)
    out = PaddedShortcut(3, 6, stride=2)(x)
    assert out.shape == (2, 6, *[3] * spatial_dims)
    kept = x[(..., *[slice(None, None, 2)] * spatial_dims)]
    assert torch.equal(out[:, 1:4], kept)  # 3 new channels: 1 before, 2 behind
    assert not out[:, 0].any()
    assert not out[:, 4:].any()


def test_a_padded_shortcut_cannot_drop_channels() -> None:
    with pytest.raises(ValueError, match="6 -> 3"):
        PaddedShortcut(6, 3, stride=2)


@DIMS
@pytest.mark.parametrize("block_type", [BasicBlock, Bottleneck])
def test_a_block_whose_branch_is_zero_is_the_relu_of_its_input(
    block_type: type[BasicBlock | Bottleneck], spatial_dims: int
) -> None:
    channels = 8
    block = block_type(channels, channels // block_type.expansion, spatial_dims=spatial_dims)
    silence(block, (block.conv3 if block_type is Bottleneck else block.conv2).norm)
    x = torch.randn(2, channels, *[5] * spatial_dims)
    before = x.clone()
    assert torch.equal(block(x), x.relu())
    assert torch.equal(x, before)  # the addition in place must not reach the input


@DIMS
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("block_type", [BasicBlock, Bottleneck])
def test_blocks_change_channels_and_halve_the_size(
    block_type: type[BasicBlock | Bottleneck], spatial_dims: int, padded: bool
) -> None:
    block = block_type(4, 6, spatial_dims=spatial_dims, stride=2, padded_shortcut=padded)
    out = block(torch.randn(2, 4, *[7] * spatial_dims))
    assert out.shape == (2, 6 * block_type.expansion, *[4] * spatial_dims)
    assert (len(list(block.shortcut.parameters())) == 0) == padded


def test_the_bottleneck_strides_in_its_3_wide_convolution() -> None:
    block = Bottleneck(4, 6, spatial_dims=2, stride=2)
    assert [c.conv.stride for c in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]
    assert [c.conv.kernel_size for c in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (3, 3), (1, 1)]
