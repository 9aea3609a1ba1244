"""ResNet: blocks that learn the difference to their input.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385. resnet18, 34 and 50 are the
ImageNet forms (table 1), the same networks as torchvision's; resnet20, 32, 44 and 56 are the CIFAR-10 forms of
section 4.2 for 32-pixel images, with shortcuts without parameters.
Differs from the paper: the 50-layer form strides in the 3-wide convolution ("v1.5"), which torchvision's weights need.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he
from cnn_core.nn.residual import BasicBlock, Bottleneck

PAPER = "He, Zhang, Ren, Sun 2015: Deep residual learning for image recognition"
URL = "https://arxiv.org/abs/1512.03385"


def _layer(
    block: type[BasicBlock | Bottleneck], in_channels: int, channels: int, *, spatial_dims: int, depth: int,
    stride: int, padded_shortcut: bool = False,
) -> OrderedDict[str, nn.Module]:  # fmt: skip
    """Return `depth` blocks named "0", "1", ...; the first one changes channels and size."""
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(depth):
        blocks[str(i)] = block(
            in_channels, channels, spatial_dims=spatial_dims, stride=stride if i == 0 else 1,
            padded_shortcut=padded_shortcut,
        )  # fmt: skip
        in_channels = channels * block.expansion
    return blocks


def _register_imagenet(
    name: str, block: type[BasicBlock | Bottleneck], depths: tuple[int, ...]
) -> Callable[..., Backbone]:
    """Enter the ImageNet form with `depths` blocks in its four layers."""

    def build(
        in_channels: int, num_classes: int, *, spatial_dims: int, base_channels: int = 64, dropout: float = 0.0
    ) -> Backbone:
        """Build a ResNet for inputs of any size, made for 224 pixels: `[B, in_channels, *S] -> [B, K]`.

        Args:
            in_channels: channels of the input.
            num_classes: K.
            spatial_dims: 1, 2 or 3.
            base_channels: channels of the first convolution; the layers have 1, 2, 4, 8 times as many inside.
            dropout: probability of dropping a feature before the dense layer; the paper has none.
        """
        stages: dict[str, nn.Module] = {
            "stem": ConvNormAct(in_channels, base_channels, spatial_dims=spatial_dims, kernel_size=7, stride=2)
        }
        infos = [FeatureInfo("stem", base_channels, 2)]
        channels = base_channels
        for i, depth in enumerate(depths):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if i == 0:
                layers["pool"] = dims(spatial_dims).max_pool(3, stride=2, padding=1)
            width = base_channels * 2**i
            layers.update(
                _layer(block, channels, width, spatial_dims=spatial_dims, depth=depth, stride=1 if i == 0 else 2)
            )
            channels = width * block.expansion
            stages[f"layer{i + 1}"] = nn.Sequential(layers)
            infos.append(FeatureInfo(f"layer{i + 1}", channels, 4 * 2**i))
        head = Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
        network = Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels)
        init_he(network)
        return network

    build.__name__ = build.__qualname__ = name
    return register_model(paper=PAPER, url=URL, year=2015, input_shape=(3, 224, 224), torchvision=True)(build)


def _register_cifar(name: str, depth: int) -> Callable[..., Backbone]:
    """Enter the CIFAR form with `depth` basic blocks in each of its three layers."""

    def build(
        in_channels: int, num_classes: int, *, spatial_dims: int, base_channels: int = 16, dropout: float = 0.0
    ) -> Backbone:
        """Build a ResNet for inputs of any size, made for 32 pixels: `[B, in_channels, *S] -> [B, K]`.

        Args:
            in_channels: channels of the input.
            num_classes: K.
            spatial_dims: 1, 2 or 3.
            base_channels: channels of the first layer; the other two have 2 and 4 times as many.
            dropout: probability of dropping a feature before the dense layer; the paper has none.
        """
        stages: dict[str, nn.Module] = {"stem": ConvNormAct(in_channels, base_channels, spatial_dims=spatial_dims)}
        infos = [FeatureInfo("stem", base_channels, 1)]
        channels = base_channels
        for i in range(3):
            width = base_channels * 2**i
            blocks = _layer(
                BasicBlock, channels, width, spatial_dims=spatial_dims, depth=depth, stride=1 if i == 0 else 2,
                padded_shortcut=True,
            )  # fmt: skip
            channels = width
            stages[f"layer{i + 1}"] = nn.Sequential(blocks)
            infos.append(FeatureInfo(f"layer{i + 1}", width, 2**i))
        head = Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
        network = Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels)
        init_he(network)
        return network

    build.__name__ = build.__qualname__ = name
    return register_model(paper=PAPER, url=URL, year=2015, input_shape=(3, 32, 32))(build)


resnet18 = _register_imagenet("resnet18", BasicBlock, (2, 2, 2, 2))
resnet34 = _register_imagenet("resnet34", BasicBlock, (3, 4, 6, 3))
resnet50 = _register_imagenet("resnet50", Bottleneck, (3, 4, 6, 3))
resnet20, resnet32, resnet44, resnet56 = (_register_cifar(f"resnet{6 * n + 2}", n) for n in (3, 5, 7, 9))
