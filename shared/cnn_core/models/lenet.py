"""LeNet-5: two convolutions with pooling, then dense layers.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition",
doi:10.1109/5.726791.
Differs from the paper: ReLU for the scaled tanh; maximum pooling for subsampling with trained weights; C3 sees all six
maps of S2; class scores and cross-entropy for radial basis units. 61,706 parameters for one channel and 10 classes.
Layer C5, a 5x5 convolution on a 5x5 map, is written as the dense layer that it is.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he

FIELD = 32  # edge of the paper's input: 28x28 digits are centred in a 32x32 field, so that corners are seen


class PadToField(nn.Module):
    """Put a smaller input into the middle of a field of zeros: `[B, C, *S] -> [B, C, max(S, field)]`."""

    def __init__(self, field: int) -> None:
        super().__init__()
        self.field = field

    def forward(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for size in reversed(x.shape[2:]):
            missing = max(0, self.field - size)
            pad += [missing // 2, missing - missing // 2]
        return F.pad(x, pad) if any(pad) else x


@register_model(
    paper="LeCun, Bottou, Bengio, Haffner 1998: Gradient-based learning applied to document recognition",
    url="https://doi.org/10.1109/5.726791",
    year=1998,
    input_shape=(1, 32, 32),
)
def lenet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    channels: tuple[int, int] = (6, 16),
    hidden: Sequence[int] = (120, 84),
    dropout: float = 0.0,
) -> Backbone:
    """Build LeNet-5 for inputs of any size: `[B, in_channels, *S] -> [B, K]`.

    Inputs below 32 pixels are padded to 32 with zeros; above, the last map is averaged to the paper's 5 cells.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        channels: maps of the two convolutions (C1, C3).
        hidden: widths of the dense layers before the last (C5, F6).
        dropout: probability of dropping a unit before each dense layer; the paper has none.
    """
    d = dims(spatial_dims)
    first, second = channels
    stages = {
        "conv1": nn.Sequential(OrderedDict(
            field=PadToField(FIELD), conv=d.conv(in_channels, first, 5), act=nn.ReLU(inplace=True), pool=d.max_pool(2),
        )),
        "conv2": nn.Sequential(OrderedDict(
            conv=d.conv(first, second, 5), act=nn.ReLU(inplace=True), pool=d.max_pool(2),
        )),
    }  # fmt: skip
    infos = [FeatureInfo("conv1", first, 2), FeatureInfo("conv2", second, 4)]
    head = Head(second, num_classes, spatial_dims=spatial_dims, grid=5, hidden=hidden, dropout=dropout)
    network = Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels)
    init_he(network)
    return network
