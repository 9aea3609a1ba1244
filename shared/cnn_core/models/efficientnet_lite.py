"""EfficientNet-Lite: inverted residual blocks, scaled for phones; ImageNet accuracy in 4.7 million parameters.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946: table 1,
4,652,008 parameters with 1,000 classes. The blocks are those of Sandler et al. 2018 (MobileNetV2, arXiv:1801.04381).
Differs from the paper: Lite0, which its authors released in 2020, has no squeeze-and-excitation, ReLU6 for swish, and
stem and head that are not scaled. As in the released weights, the padding is TensorFlow's "same", and batch
normalisation has epsilon 0.001 and momentum 0.01.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.pooled import PooledStages
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head, SamePad
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he

# Per stage: blocks, kernel, stride of the first, expansion of the channels inside, output channels.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
STEM, TOP = 32, 1280  # channels of the first and the last convolution
EPSILON, MOMENTUM = 1e-3, 0.01  # of batch normalisation


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow without activation; plus the input where the shape stays the same.

    `[B, in_channels, *S] -> [B, out_channels, *S']`, Sandler et al. 2018, figure 4.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        spatial_dims: 1, 2 or 3.
        kernel_size: of the depthwise convolution.
        stride: of the depthwise convolution.
        expansion: channels inside, in multiples of `in_channels`; 1: the input is not widened.
        drop_path: probability that a training sample skips the block (Huang et al. 2016, arXiv:1603.09382), where it
            has the input to fall back on.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, spatial_dims: int, kernel_size: int, stride: int, expansion: int,
        drop_path: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        inside = in_channels * expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            layers["expand"] = _conv_norm(in_channels, inside, 1, 1, spatial_dims=spatial_dims)
        layers["depthwise"] = _conv_norm(inside, inside, kernel_size, stride, spatial_dims=spatial_dims, groups=inside)
        layers["project"] = _conv_norm(inside, out_channels, 1, 1, spatial_dims=spatial_dims, act=False)
        self.path = nn.Sequential(layers)
        self.residual = stride == 1 and in_channels == out_channels
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        out = self.path(x)
        if not self.residual:
            return out
        if self.training and self.drop_path:
            kept = 1 - self.drop_path
            out = out * torch.bernoulli(out.new_full((len(out), *[1] * (out.ndim - 1)), kept)) / kept
        return out + x


@register_model(
    paper="Tan and Le 2019: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    url="https://arxiv.org/abs/1905.11946",
    year=2019,
    input_shape=(3, 224, 224),
)
def efficientnet_lite0(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    width: float = 1.0,
    dropout: float = 0.2,
    drop_path: float = 0.2,
    taps: Sequence[str] = (),
) -> Backbone:
    """Build EfficientNet-Lite0 for inputs of any size, made for 224 pixels: `[B, in_channels, *S] -> [B, K]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        width: channels of the stages in multiples of Lite0's, rounded to eights as the authors do.
        dropout: probability of dropping a feature before the dense layer.
        drop_path: probability of skipping the last block in training; it grows with the depth from 0.
        taps: stages that the head sees, see `PooledStages`; none: the last one, averaged.
    """
    stages: dict[str, nn.Module] = {"stem": _conv_norm(in_channels, STEM, 3, 2, spatial_dims=spatial_dims)}
    infos = [FeatureInfo("stem", STEM, 2)]
    channels, total, block = STEM, 2, 0
    blocks = sum(count for count, *_ in STAGES)
    for number, (count, kernel, stride, expansion, full) in enumerate(STAGES, start=1):
        wide, parts = _rounded(full * width), list[nn.Module]()
        for step in (stride, *[1] * (count - 1)):
            parts.append(InvertedResidual(
                channels, wide, spatial_dims=spatial_dims, kernel_size=kernel, stride=step, expansion=expansion,
                drop_path=drop_path * block / blocks,
            ))  # fmt: skip
            channels, block = wide, block + 1
        total *= stride
        stages[f"stage{number}"] = nn.Sequential(*parts)
        infos.append(FeatureInfo(f"stage{number}", wide, total))
    stages["top"] = _conv_norm(channels, TOP, 1, 1, spatial_dims=spatial_dims)
    infos.append(FeatureInfo("top", TOP, total))
    head = Head(TOP, num_classes, spatial_dims=spatial_dims, dropout=dropout)
    network = Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels)
    if taps:
        network = PooledStages(network, taps, num_classes, dropout=dropout)
    init_he(network)
    return network


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8, at least 8, and not below nine tenths of `channels`."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


def _conv_norm(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, *, spatial_dims: int, groups: int = 1,
    act: bool = True,
) -> nn.Sequential:  # fmt: skip
    """Convolution with TensorFlow's "same" padding, batch normalisation, ReLU6."""
    d = dims(spatial_dims)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if stride > 1:
        layers["pad"] = SamePad(kernel_size, stride)
    padding = kernel_size // 2 if stride == 1 else 0
    layers["conv"] = d.conv(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
    layers["norm"] = d.batch_norm(out_channels, eps=EPSILON, momentum=MOMENTUM)
    if act:
        layers["act"] = nn.ReLU6(inplace=True)
    return nn.Sequential(layers)
