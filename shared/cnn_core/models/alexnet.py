"""AlexNet: five convolutions and three dense layers.

Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997: the one-column form
of Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks",
doi:10.1145/3065386. Same network as torchvision's `alexnet`: 61,100,840 parameters.
Differs from the paper: 256 channels, not 384, in the fourth convolution; adaptive pooling before the dense layers, so
that any size from 63 pixels goes in; torch's own initialisation. Differs from 2012: no local response
normalisation, no split over two devices, 64-192-384-256-256 channels.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims

DENSE_GRID = {1: 6, 2: 6, 3: 2}  # 6 cells in 3-D would give the first dense layer 226 million weights


@register_model(
    paper="Krizhevsky 2014: One weird trick for parallelizing convolutional neural networks",
    url="https://arxiv.org/abs/1404.5997",
    year=2014,
    input_shape=(3, 224, 224),
    torchvision=True,
)
def alexnet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    base_channels: int = 64,
    grid: int | None = None,
    hidden: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
) -> Backbone:
    """Build AlexNet: `[B, in_channels, *S] -> [B, K]`, each edge of S at least 63 pixels.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        base_channels: channels of the first convolution; the others keep their ratio to it.
        grid: cells along each axis that the dense layers see; None takes 6, and in 3-D 2.
        hidden: widths of the dense layers before the last.
        dropout: probability of dropping a unit before each dense layer but the last.
    """
    d = dims(spatial_dims)
    grid = DENSE_GRID[spatial_dims] if grid is None else grid
    w = [base_channels * ratio for ratio in (1, 3, 6, 4, 4)]

    def stage(*layers: nn.Module, pool: bool = False) -> nn.Sequential:
        named = OrderedDict(pool=d.max_pool(3, stride=2)) if pool else OrderedDict()
        named.update(zip(("conv", "act"), layers, strict=True))
        return nn.Sequential(named)

    stages = {
        "conv1": stage(d.conv(in_channels, w[0], 11, stride=4, padding=2), nn.ReLU(inplace=True)),
        "conv2": stage(d.conv(w[0], w[1], 5, padding=2), nn.ReLU(inplace=True), pool=True),
        "conv3": stage(d.conv(w[1], w[2], 3, padding=1), nn.ReLU(inplace=True), pool=True),
        "conv4": stage(d.conv(w[2], w[3], 3, padding=1), nn.ReLU(inplace=True)),
        "conv5": stage(d.conv(w[3], w[4], 3, padding=1), nn.ReLU(inplace=True)),
        "pool": d.max_pool(3, stride=2),
    }
    infos = [
        FeatureInfo(name, channels, stride)
        for name, channels, stride in zip(stages, [*w, w[4]], (4, 8, 16, 16, 16, 32), strict=True)
    ]
    head = Head(
        w[4], num_classes, spatial_dims=spatial_dims, grid=grid, hidden=hidden,
        dropout=[*[dropout] * len(hidden), 0.0],
    )  # fmt: skip
    return Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels, minimum_size=63)
