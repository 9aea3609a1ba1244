"""Inception v1, the GoogLeNet: nine blocks of four branches each, no large dense layer.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich 2014, "Going deeper with convolutions",
arXiv:1409.4842. Same network as torchvision's `googlenet`: 6,624,904 parameters, 13,004,888 with the auxiliary heads.
Differs from the paper: batch normalisation for local response normalisation; the wide branch has 3-wide kernels, not
5-wide (`large_kernel=5` gives the paper's); dropout 0.2 for 0.4; the auxiliary heads average to 4 cells whatever the
size of the input.
"""

from collections import OrderedDict

from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims
from cnn_core.nn.inception import AuxiliaryHead, InceptionBlock, InceptionWidths, conv_unit

BLOCKS = {  # table 1 of the paper
    "3a": InceptionWidths(64, 96, 128, 16, 32, 32),
    "3b": InceptionWidths(128, 128, 192, 32, 96, 64),
    "4a": InceptionWidths(192, 96, 208, 16, 48, 64),
    "4b": InceptionWidths(160, 112, 224, 24, 64, 64),
    "4c": InceptionWidths(128, 128, 256, 24, 64, 64),
    "4d": InceptionWidths(112, 144, 288, 32, 64, 64),
    "4e": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5a": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5b": InceptionWidths(384, 192, 384, 48, 128, 128),
}
# Stages end where the auxiliary heads sit (4a and 4d). Stage name -> edge of the pooling before it, blocks, stride.
STAGES = {
    "inception3": (3, ("3a", "3b"), 8),
    "inception4a": (3, ("4a",), 16),
    "inception4d": (None, ("4b", "4c", "4d"), 16),
    "inception4e": (None, ("4e",), 16),
    "inception5": (2, ("5a", "5b"), 32),
}


class GoogLeNet(Backbone):
    """A backbone with classifiers on two maps in the middle, which are used in training only."""

    auxiliary: nn.ModuleDict

    def forward_auxiliary(self, x: Tensor) -> list[Tensor]:
        """Return class scores of the head and of each auxiliary head: `[B, in_channels, *S] -> list of [B, K]`.

        The paper adds the auxiliary losses with weight 0.3 each to that of the head.
        """
        maps = dict(zip(self.stages, self.forward_features(x), strict=True))
        return [self.head(maps["inception5"]), *(head(maps[name]) for name, head in self.auxiliary.items())]

    def reset_head(self, num_classes: int) -> None:
        """Give the head and the auxiliary heads fresh last layers for `num_classes` classes."""
        super().reset_head(num_classes)
        for head in self.auxiliary.values():
            if isinstance(head, AuxiliaryHead):
                head.reset(num_classes)


class Recentre(nn.Module):
    """From ImageNet's channel means and deviations to `(x - 0.5) / 0.5`: `[B, 3, *S] -> [B, 3, *S]`."""

    def forward(self, x: Tensor) -> Tensor:
        mean, deviation = x.new_tensor([0.485, 0.456, 0.406]), x.new_tensor([0.229, 0.224, 0.225])
        shape = (1, 3, *[1] * (x.ndim - 2))
        return x * (deviation / 0.5).view(shape) + ((mean - 0.5) / 0.5).view(shape)


@register_model(
    paper="Szegedy et al. 2014: Going deeper with convolutions",
    url="https://arxiv.org/abs/1409.4842",
    year=2014,
    input_shape=(3, 224, 224),
    torchvision=True,
    aliases=("googlenet",),
)
def inception(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    base_channels: int = 64,
    large_kernel: int = 3,
    aux_heads: bool = False,
    transform_input: bool = False,
    dropout: float = 0.2,
) -> GoogLeNet:
    """Build GoogLeNet: `[B, in_channels, *S] -> [B, K]`, each edge of S at least 15 pixels.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        base_channels: channels of the first convolution; all others keep their ratio to it.
        large_kernel: edge of the wide branch's kernels, 3 or 5.
        aux_heads: True adds the two auxiliary heads, see `forward_auxiliary`; `forward` does not use them.
        transform_input: True takes inputs normalised with ImageNet's statistics to the range that torchvision's
            ImageNet weights of this network were made for (its own option of this name); needs 3 channels.
        dropout: probability of dropping a feature before the dense layer.
    """
    if transform_input and in_channels != 3:
        raise CnnError(f"transform_input is defined for 3 channels (red, green, blue), got {in_channels}")
    if large_kernel % 2 == 0 or large_kernel < 1:
        raise CnnError(f"large_kernel must be odd, so that the branches keep their size, got {large_kernel}")
    d = dims(spatial_dims)
    factor = base_channels / 64
    middle = max(1, round(192 * factor))

    def unit(fan_in: int, fan_out: int, kernel_size: int, stride: int = 1) -> nn.Module:
        return conv_unit(fan_in, fan_out, spatial_dims=spatial_dims, kernel_size=kernel_size, stride=stride)

    first: OrderedDict[str, nn.Module] = OrderedDict(recentre=Recentre()) if transform_input else OrderedDict()
    first["conv1"] = unit(in_channels, base_channels, 7, stride=2)
    stages: dict[str, nn.Module] = {
        "conv1": nn.Sequential(first),
        "conv2": nn.Sequential(OrderedDict(
            pool=d.max_pool(3, stride=2, ceil_mode=True),
            conv2=unit(base_channels, base_channels, 1), conv3=unit(base_channels, middle, 3),
        )),
    }  # fmt: skip
    infos = [FeatureInfo("conv1", base_channels, 2), FeatureInfo("conv2", middle, 4)]
    channels = middle
    for name, (pool, blocks, stride) in STAGES.items():
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if pool is not None:
            layers["pool"] = d.max_pool(pool, stride=2, ceil_mode=True)
        for block in blocks:
            widths = BLOCKS[block].scaled(factor)
            layers[f"inception{block}"] = InceptionBlock(
                channels, widths, spatial_dims=spatial_dims, large_kernel=large_kernel
            )
            channels = widths.out_channels
        stages[name] = nn.Sequential(layers)
        infos.append(FeatureInfo(name, channels, stride))
    network = GoogLeNet(
        stages, infos, head=Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout),
        spatial_dims=spatial_dims, in_channels=in_channels, minimum_size=15,
    )  # fmt: skip
    after = {info.name: info.channels for info in infos}
    network.auxiliary = nn.ModuleDict({
        name: AuxiliaryHead(
            after[name], num_classes, spatial_dims=spatial_dims,
            channels=max(1, round(128 * factor)), hidden_units=max(1, round(1024 * factor)),
        )
        for name in ("inception4a", "inception4d") if aux_heads
    })  # fmt: skip
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
    return network
