"""MobileNet: depthwise separable convolutions, eight to nine times cheaper than full ones at nearly the same accuracy.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv:1704.04861, table 1: 4,231,976 parameters with 1,000 classes.
Differs from the paper: ReLU6 for ReLU and TensorFlow's "same" padding, as in the weights that the authors released.
"""

from collections import OrderedDict

from torch import nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import ConvNormAct, Head, SamePad
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he

# Table 1: the channels of each block as multiples of the first convolution's, and the stride of its depthwise step.
BLOCKS = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *[(16, 1)] * 5, (32, 2), (32, 1))
EPSILON = 1e-3  # of batch normalisation, as in the released weights


@register_model(
    paper="Howard et al. 2017: MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    url="https://arxiv.org/abs/1704.04861",
    year=2017,
    input_shape=(3, 224, 224),
)
def mobilenet(
    in_channels: int, num_classes: int, *, spatial_dims: int, base_channels: int = 32, dropout: float = 0.0
) -> Backbone:
    """Build MobileNet v1 for inputs of any size, made for 224 pixels: `[B, in_channels, *S] -> [B, K]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        base_channels: channels of the first convolution; 32 is the paper's width 1.0, 24 its 0.75, 16 its 0.5.
        dropout: probability of dropping a feature before the dense layer.

    Raises:
        CnnError: base_channels below 1.
    """
    if base_channels < 1:
        raise CnnError(f"mobilenet: expected base_channels of at least 1, got {base_channels}")
    d = dims(spatial_dims)

    def norm(channels: int) -> nn.Module:
        return d.batch_norm(channels, eps=EPSILON)

    def same(stride: int) -> OrderedDict[str, nn.Module]:
        return OrderedDict(pad=SamePad(3, stride)) if stride > 1 else OrderedDict()

    def first() -> nn.Sequential:
        layers = same(2)
        layers["conv"] = d.conv(in_channels, base_channels, 3, 2, bias=False)
        return nn.Sequential(OrderedDict(**layers, norm=norm(base_channels), act=nn.ReLU6(inplace=True)))

    def separable(wide_in: int, wide_out: int, stride: int) -> nn.Sequential:
        layers = same(stride)
        layers["depthwise"] = d.conv(wide_in, wide_in, 3, stride, int(stride == 1), groups=wide_in, bias=False)
        layers.update(norm=norm(wide_in), act=nn.ReLU6(inplace=True))
        layers["pointwise"] = ConvNormAct(
            wide_in, wide_out, spatial_dims=spatial_dims, kernel_size=1, norm=norm, act=lambda: nn.ReLU6(inplace=True)
        )
        return nn.Sequential(layers)

    stages: dict[str, nn.Module] = {"conv": first()}
    infos = [FeatureInfo("conv", base_channels, 2)]
    channels, total = base_channels, 2
    for i, (ratio, stride) in enumerate(BLOCKS, start=1):
        stages[f"block{i}"] = separable(channels, base_channels * ratio, stride)
        channels, total = base_channels * ratio, total * stride
        infos.append(FeatureInfo(f"block{i}", channels, total))
    head = Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
    network = Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels)
    init_he(network)
    return network
