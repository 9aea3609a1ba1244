"""A deep network that reads characters, one-hot, without knowing of words.

Zhang, Zhao, LeCun 2015, "Character-level Convolutional Networks for Text Classification", arXiv:1509.01626 (tables 1
and 2, the small form with 256 frames and 1024 dense units; the large one has 1024 and 2048).
Differs from the paper: He's initial weights for Gaussian ones of a fixed size; text is read forwards.
"""

from math import prod

from torch import nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he

KERNELS = (7, 7, 3, 3, 3, 3)
POOLED = (0, 1, 5)  # layers that pooling over three cells follows


def _length(edge: int) -> int:
    """Return the cells that the last map has along an axis of `edge` cells; 0 or less if there are none."""
    for i, kernel in enumerate(KERNELS):
        edge = edge - kernel + 1
        edge = edge // 3 if i in POOLED else edge
    return edge


SMALLEST = next(edge for edge in range(1, 1000) if _length(edge) >= 1)


@register_model(
    paper="Zhang, Zhao, LeCun 2015, Character-level Convolutional Networks for Text Classification",
    url="https://arxiv.org/abs/1509.01626",
    year=2015,
    input_shape=(70, 1014),
    spatial_dims=(1, 2),  # the smallest cube it takes has 123 cells along every edge: volumes that small do not occur
)
def char_cnn(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    input_size: tuple[int, ...],
    base_channels: int = 256,
    dense: int = 1024,
    dropout: float = 0.5,
) -> Backbone:
    """Six convolutions, three of them pooled, and three dense layers.

    Args:
        in_channels: size of the alphabet.
        num_classes: K.
        spatial_dims: 1 or 2.
        input_size: characters that are read, along each axis; at least 123.
        base_channels: frames of every convolution.
        dense: units of the two hidden dense layers.
        dropout: before the second and the third dense layer.

    Raises:
        CnnError: the input is too short.
    """
    cells = [_length(edge) for edge in input_size]
    if min(cells) < 1:
        raise CnnError(f"char_cnn needs at least {SMALLEST} characters along every axis, got {tuple(input_size)}")
    d = dims(spatial_dims)
    stages: dict[str, nn.Module] = {}
    info: list[FeatureInfo] = []
    stride = 1
    for i, kernel in enumerate(KERNELS):
        conv = ConvNormAct(
            in_channels if i == 0 else base_channels, base_channels,
            spatial_dims=spatial_dims, kernel_size=kernel, padding=0, norm=False,
        )  # fmt: skip
        stages[f"conv{i + 1}"] = nn.Sequential(conv, d.max_pool(3)) if i in POOLED else conv
        stride *= 3 if i in POOLED else 1
        info.append(FeatureInfo(f"conv{i + 1}", base_channels, stride))
    head = Head(
        base_channels,
        num_classes,
        spatial_dims=spatial_dims,
        grid=None,
        hidden=(dense, dense),
        dropout=(0.0, dropout, dropout),
        fixed_cells=prod(cells),
    )
    model = Backbone(
        stages,
        info,
        head=head,
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        minimum_size=SMALLEST,
        input_size=tuple(input_size),
    )
    init_he(model, dense=True)
    return model
