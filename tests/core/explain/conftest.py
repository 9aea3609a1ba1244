"""Tiny networks whose behaviour is known by construction."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.dims import dims


class Window(nn.Module):
    """Lets channel k see only the cells of `regions[k]`."""

    def __init__(self, size: tuple[int, ...], regions: list[tuple[slice, ...]]) -> None:
        super().__init__()
        mask = torch.zeros(1, len(regions), *size)
        for k, region in enumerate(regions):
            mask[(0, k, *region)] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask


def _region(size: tuple[int, ...], k: int) -> tuple[slice, ...]:
    """Class 0 looks at a box at the start of every axis, class 1 at its end; a gap of a quarter lies between."""
    extents = [n * part // 8 for n, part in zip(size, (3, 4, 4)[: len(size)], strict=True)]
    return tuple(slice(0, e) if k == 0 else slice(n - e, n) for n, e in zip(size, extents, strict=True))


@pytest.fixture
def region() -> Callable[[tuple[int, ...], int], tuple[slice, ...]]:
    """The box that logit k of a `looker` depends on."""
    return _region


@pytest.fixture
def looker() -> Callable[[tuple[int, ...]], Backbone]:
    """Builds a network (1 channel, 2 classes) whose logit k depends on `region(size, k)` and nothing else."""

    def build(size: tuple[int, ...]) -> Backbone:
        d = dims(len(size))
        conv = d.conv(1, 2, 1)
        nn.init.ones_(conv.weight)
        nn.init.zeros_(conv.bias)
        look = nn.Sequential(conv, Window(size, [_region(size, k) for k in (0, 1)]), nn.ReLU(inplace=True))
        head = Head(2, 2, spatial_dims=len(size))
        head.classifier.weight.data = torch.eye(2)
        stages = {"look": look, "pool": d.max_pool(2)}
        info = [FeatureInfo("look", 2, 1), FeatureInfo("pool", 2, 2)]
        return Backbone(stages, info, head=head, spatial_dims=len(size), in_channels=1)

    return build


@pytest.fixture
def tiny() -> Callable[..., Backbone]:
    """Builds a random network of two stages, 2 channels in, 3 classes, in training mode as after construction."""

    def build(spatial_dims: int = 2, *, seed: int = 0, minimum_size: int = 2) -> Backbone:
        torch.manual_seed(seed)
        stages = {
            "first": ConvNormAct(2, 4, spatial_dims=spatial_dims),
            "second": ConvNormAct(4, 6, spatial_dims=spatial_dims, stride=2),
        }
        info = [FeatureInfo("first", 4, 1), FeatureInfo("second", 6, 2)]
        head = Head(6, 3, spatial_dims=spatial_dims)
        return Backbone(stages, info, head=head, spatial_dims=spatial_dims, in_channels=2, minimum_size=minimum_size)

    return build


@pytest.fixture
def by_hand() -> Backbone:
    """Maps A0 = x and A1 = -x on 2 x 2 cells; logit 0 = A0 . [1, 2, 3, 6] + A1 . [0, -4, 0, 0], logit 1 = 0."""
    conv = nn.Conv2d(1, 2, 1, bias=False)
    conv.weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
    head = Head(2, 2, spatial_dims=2, grid=2)
    head.classifier.weight.data = torch.tensor([[1.0, 2, 3, 6, 0, -4, 0, 0], [0.0] * 8])
    head.classifier.bias.data.zero_()
    return Backbone({"only": conv}, [FeatureInfo("only", 2, 1)], head=head, spatial_dims=2, in_channels=1)
