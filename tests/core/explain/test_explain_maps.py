"""Feature maps and the filters of the first convolution."""

import pytest
import torch
from torch import nn

from cnn_core.errors import CnnError
from cnn_core.explain import feature_maps, filters, first_conv


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_feature_maps_are_those_of_the_backbone(tiny, spatial_dims):
    model = tiny(spatial_dims).eval()
    x = torch.randn(2, 2, *[9] * spatial_dims)
    maps = feature_maps(model, x)
    assert list(maps) == ["first", "second"]
    assert maps["second"].shape == (2, 6, *[5] * spatial_dims)
    for ours, expected in zip(maps.values(), model.forward_features(x), strict=True):
        torch.testing.assert_close(ours, expected.detach())


def test_feature_maps_are_taken_in_evaluation_mode(tiny):
    model = tiny().train()
    x = torch.randn(2, 2, 8, 8)
    torch.testing.assert_close(feature_maps(model, x), feature_maps(model.eval(), x))


def test_feature_maps_need_a_backbone_and_an_input_of_it(tiny):
    with pytest.raises(CnnError, match="names no stages"):
        feature_maps(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 4))
    with pytest.raises(CnnError, match=r"expected an input \[B, 2, H, W\], got \[1, 1, 4, 4\]"):
        feature_maps(tiny(), torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_first_conv_is_the_one_on_the_input(tiny, spatial_dims):
    model = tiny(spatial_dims)
    assert first_conv(model) is model.stages["first"].conv
    assert filters(model).shape == (4, 2, *[3] * spatial_dims)


def test_filters_worked_by_hand():
    conv = nn.Conv1d(2, 3, 2)
    conv.weight.data = torch.tensor([[[1.0, -2.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[-3.0, 0.0], [1.5, 0.75]]])
    # Filter 0 by 4: 0.5 + 0.5 * [0.25, -0.5, 0, 1]; filter 1 is zero, so mid-grey; filter 2 by |-3|.
    expected = [[[0.625, 0.25], [0.5, 1.0]], [[0.5, 0.5], [0.5, 0.5]], [[0.0, 0.5], [0.75, 0.625]]]
    assert filters(nn.Sequential(nn.Flatten(2), conv)).tolist() == expected


def test_a_network_without_convolution_or_with_damaged_weights_says_so(tiny):
    with pytest.raises(CnnError, match="has no convolution"):
        filters(nn.Linear(2, 2))
    model = tiny()
    first_conv(model).weight.data[0, 0, 0, 0] = torch.inf
    with pytest.raises(CnnError, match="NaN or infinite"):
        filters(model)
