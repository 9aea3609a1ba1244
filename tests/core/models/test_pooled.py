"""A head on several stages: what it sees, worked by hand, and that it is a backbone like any other."""

import pytest
import torch
from torch import nn

from cnn_core.errors import UnknownNameError
from cnn_core.models import create_model, imagenet
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.imagenet import load_imagenet
from cnn_core.models.pooled import PooledStages
from cnn_core.nn.blocks import Head


def plain() -> Backbone:
    """Two stages that change nothing and one that doubles."""
    stages = {"one": nn.Identity(), "two": nn.Identity(), "three": nn.Upsample(scale_factor=1)}
    infos = [FeatureInfo(name, 1, 1) for name in stages]
    return Backbone(stages, infos, head=Head(1, 2, spatial_dims=2), spatial_dims=2, in_channels=1)


def test_rows_are_averaged_and_the_largest_is_kept() -> None:
    network = PooledStages(plain(), ["two"], 3)
    x = torch.arange(16.0).reshape(1, 1, 8, 2)  # rows 0 1, 2 3, ..., 14 15
    assert network.pooled(x).tolist() == [[1.5, 5.5, 9.5, 13.5, 15]]
    assert list(network.stages) == ["one", "two"]  # nothing after the last tap is computed
    both = PooledStages(plain(), ["three", "one"], 3)
    assert both.pooled(x).shape == (1, 10) and both.head.classifier.in_features == 10


def test_it_standardises_and_can_be_given_other_classes() -> None:
    network = PooledStages(plain(), ["one"], 3).eval()
    norm = network.head.get_submodule("norm")
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0)
    x = torch.full((1, 1, 4, 4), 6.0)  # (6 - 2) / 2 = 2
    with torch.no_grad():
        network.head.classifier.weight.fill_(1.0)
        network.head.classifier.bias.zero_()
    assert network(x).tolist()[0] == pytest.approx([10, 10, 10], abs=1e-4)
    network.reset_head(5)
    assert network(x).shape == (1, 5)
    with pytest.raises(UnknownNameError, match="stage 'top'"):
        PooledStages(plain(), ["top"], 3)


@pytest.mark.parametrize(("dims", "size"), [(1, (64,)), (2, (64, 48)), (3, (32, 32, 32))])
def test_efficientnet_pools_in_every_dimension(dims: int, size: tuple[int, ...]) -> None:
    model = create_model(
        "efficientnet_lite0", spatial_dims=dims, in_channels=2, num_classes=4,
        options={"taps": ["stage2", "stage3"], "width": 0.25},
    )  # fmt: skip
    scores = model(torch.rand(2, 2, *size))
    assert scores.shape == (2, 4)
    scores.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.skipif(not imagenet.is_installed(), reason="the package of the ImageNet weights is not installed")
def test_early_stages_have_the_weights_of_photos() -> None:
    whole, part = create_model("efficientnet_lite0"), create_model(
        "efficientnet_lite0", num_classes=3, options={"taps": ["stage2"]}
    )  # fmt: skip
    load_imagenet(whole)
    load_imagenet(part, head=False)
    x = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    with torch.inference_mode():
        expected = whole.eval().forward_features(x)[2]
        assert torch.equal(part.eval().forward_features(x)[-1], expected)
