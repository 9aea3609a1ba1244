"""The Inception block against the counts of the paper's table 1."""

import pytest
import torch

from cnn_core.nn.inception import AuxiliaryHead, InceptionBlock, InceptionWidths

WIDTHS = InceptionWidths(64, 96, 128, 16, 32, 32)  # block 3a


def test_widths_of_block_3a() -> None:
    assert WIDTHS.out_channels == 256
    assert WIDTHS.scaled(0.5) == InceptionWidths(32, 48, 64, 8, 16, 16)
    assert min(WIDTHS.scaled(0.001).out_channels, 4) == 4


def test_the_papers_block_3a_has_its_weights() -> None:
    block = InceptionBlock(192, WIDTHS, spatial_dims=2, large_kernel=5)
    convolutions = sum(p.numel() for p in block.parameters() if p.ndim == 4)
    # 192 * 64 + 192 * 96 + 96 * 128 * 9 + 192 * 16 + 16 * 32 * 25 + 192 * 32; the paper's table rounds to 159K.
    assert convolutions == 163_328


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("large_kernel", [3, 5])
def test_branches_keep_the_size_and_are_concatenated_in_order(spatial_dims: int, large_kernel: int) -> None:
    block = InceptionBlock(2, InceptionWidths(1, 2, 3, 4, 5, 6), spatial_dims=spatial_dims, large_kernel=large_kernel)
    x = torch.randn(2, 2, *[6] * spatial_dims)
    out = block.eval()(x)
    assert out.shape == (2, 15, *[6] * spatial_dims)
    for branch, part in zip((block.branch1, block.branch2, block.branch3, block.branch4), out.split([1, 3, 5, 6], 1),
                            strict=True):  # fmt: skip
        assert torch.equal(branch(x), part)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_the_auxiliary_head_takes_any_size(spatial_dims: int) -> None:
    head = AuxiliaryHead(3, 5, spatial_dims=spatial_dims, channels=2, hidden_units=7)
    assert head.head.dense0.in_features == 2 * 4**spatial_dims
    assert head(torch.randn(2, 3, *[6] * spatial_dims)).shape == (2, 5)
    head.reset(9)
    assert head(torch.randn(2, 3, *[3] * spatial_dims)).shape == (2, 9)
