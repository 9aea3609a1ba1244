"""The small blocks: shapes in every dimension, and what the head is made of."""

import pytest
import torch
from torch import nn

from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.dims import dims

DIMS = pytest.mark.parametrize("spatial_dims", [1, 2, 3])


@DIMS
@pytest.mark.parametrize(("kernel_size", "stride", "expected"), [(3, 1, 9), (3, 2, 5), (1, 1, 9), (7, 2, 5)])
def test_conv_norm_act_keeps_or_halves_the_size(
    spatial_dims: int, kernel_size: int, stride: int, expected: int
) -> None:
    block = ConvNormAct(2, 5, spatial_dims=spatial_dims, kernel_size=kernel_size, stride=stride)
    out = block(torch.randn(2, 2, *[9] * spatial_dims))
    assert out.shape == (2, 5, *[expected] * spatial_dims)
    assert (out >= 0).all()
    assert block.conv.bias is None


def test_a_convolution_without_normalisation_has_a_bias() -> None:
    block = ConvNormAct(2, 5, spatial_dims=2, norm=False, act=None)
    assert [type(layer) for layer in block] == [nn.Conv2d]
    assert block.conv.bias is not None


@DIMS
def test_the_head_pools_to_its_grid(spatial_dims: int) -> None:
    head = Head(3, 4, spatial_dims=spatial_dims, grid=2, hidden=(5,))
    assert head.dense0.in_features == 3 * 2**spatial_dims
    assert head(torch.randn(2, 3, *[7] * spatial_dims)).shape == (2, 4)


def test_the_head_of_grid_one_is_a_mean_and_a_dense_layer() -> None:
    head = Head(3, 4, spatial_dims=2)
    x = torch.randn(2, 3, 5, 6)
    expected = x.mean((2, 3)) @ head.classifier.weight.T + head.classifier.bias
    torch.testing.assert_close(head(x), expected)


def test_one_dropout_probability_per_dense_layer() -> None:
    head = Head(3, 4, spatial_dims=2, hidden=(5, 6), dropout=(0.0, 0.25, 0.5))
    assert [(name, m.p) for name, m in head.named_children() if isinstance(m, nn.Dropout)] == [
        ("dropout1", 0.25),
        ("dropout2", 0.5),
    ]
    everywhere = Head(3, 4, spatial_dims=2, hidden=(5, 6), dropout=0.1)
    assert [m.p for m in everywhere if isinstance(m, nn.Dropout)] == [0.1, 0.1, 0.1]
    with pytest.raises(ValueError, match="dropout needs 3 numbers"):
        Head(3, 4, spatial_dims=2, hidden=(5, 6), dropout=(0.1, 0.2))


def test_reset_keeps_dtype() -> None:
    head = Head(3, 4, spatial_dims=2).double()
    head.reset(9)
    assert head.classifier.weight.shape == (9, 3)
    assert head.classifier.weight.dtype == torch.float64


@pytest.mark.parametrize("spatial_dims", [0, 4, "2"])
def test_other_dimensions_are_refused(spatial_dims: object) -> None:
    with pytest.raises(ValueError, match="1, 2 or 3"):
        dims(spatial_dims)
