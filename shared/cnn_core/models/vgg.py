"""VGG: nothing but 3-wide convolutions, in five stages with pooling between them.

Simonyan, Zisserman 2014, "Very deep convolutional networks for large-scale image recognition", arXiv:1409.1556;
configurations A (11), B (13), D (16), E (19). Same networks as torchvision's `vgg*` and `vgg*_bn`.
Differs from the paper: He's initialisation, so that all depths train from scratch; adaptive pooling before the dense
layers, so that any size from 32 pixels goes in; the `_bn` forms normalise after each convolution (Ioffe, Szegedy 2015).
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # per stage
DENSE_GRID = {1: 7, 2: 7, 3: 2}  # 7 cells in 3-D would give the first dense layer 719 million weights


def _stage(in_channels: int, channels: int, *, spatial_dims: int, depth: int, norm: bool, pool: bool) -> nn.Sequential:
    d = dims(spatial_dims)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if pool:
        layers["pool"] = d.max_pool(2)
    for i in range(1, depth + 1):
        # With a bias even before normalisation: useless, but the weights that the world shares have it.
        layers[f"conv{i}"] = d.conv(in_channels if i == 1 else channels, channels, 3, padding=1)
        if norm:
            layers[f"norm{i}"] = d.batch_norm(channels)
        layers[f"act{i}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _register(depth: int, *, norm: bool) -> Callable[..., Backbone]:
    """Enter the network with `depth` layers of weights as `vgg<depth>` or `vgg<depth>_bn`."""

    def build(
        in_channels: int,
        num_classes: int,
        *,
        spatial_dims: int,
        base_channels: int = 64,
        grid: int | None = None,
        hidden: Sequence[int] = (4096, 4096),
        dropout: float = 0.5,
    ) -> Backbone:
        """Build VGG: `[B, in_channels, *S] -> [B, K]`, each edge of S at least 32 pixels.

        Args:
            in_channels: channels of the input.
            num_classes: K.
            spatial_dims: 1, 2 or 3.
            base_channels: channels of the first stage; the stages have 1, 2, 4, 8, 8 times as many.
            grid: cells along each axis that the dense layers see; None takes 7, and in 3-D 2.
            hidden: widths of the dense layers before the last.
            dropout: probability of dropping a unit after each dense layer but the last.
        """
        widths = [base_channels * ratio for ratio in (1, 2, 4, 8, 8)]
        stages: dict[str, nn.Module] = {
            f"stage{i + 1}": _stage(
                fan_in, width, spatial_dims=spatial_dims, depth=CONVOLUTIONS[depth][i], norm=norm, pool=i > 0
            )
            for i, (fan_in, width) in enumerate(zip([in_channels, *widths], widths, strict=False))
        }
        stages["pool"] = dims(spatial_dims).max_pool(2)
        infos = [
            FeatureInfo(name, width, 2**i)
            for i, (name, width) in enumerate(zip(stages, [*widths, widths[-1]], strict=True))
        ]
        head = Head(
            widths[-1], num_classes, spatial_dims=spatial_dims, hidden=hidden,
            grid=DENSE_GRID[spatial_dims] if grid is None else grid,
            dropout=[0.0, *[dropout] * len(hidden)],
        )  # fmt: skip
        network = Backbone(
            stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels, minimum_size=32
        )
        init_he(network, dense=True)
        return network

    build.__name__ = build.__qualname__ = f"vgg{depth}_bn" if norm else f"vgg{depth}"
    enter = register_model(
        paper="Simonyan, Zisserman 2014: Very deep convolutional networks for large-scale image recognition",
        url="https://arxiv.org/abs/1409.1556",
        year=2014,
        input_shape=(3, 224, 224),
        torchvision=True,
    )
    return enter(build)


vgg11, vgg13, vgg16, vgg19 = (_register(depth, norm=False) for depth in CONVOLUTIONS)
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (_register(depth, norm=True) for depth in CONVOLUTIONS)
