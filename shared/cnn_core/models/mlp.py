"""The dense baseline: every pixel connected to every unit, no sharing of weights.

Rumelhart, Hinton, Williams 1986, "Learning representations by back-propagating errors", doi:10.1038/323533a0.
Differs from the paper: ReLU for the logistic function, class scores and softmax for logistic outputs, dropout; two
layers of 512 units, as the introductions to MNIST have them (669,706 parameters for 28x28 and 10 classes).
"""

from collections.abc import Sequence
from math import prod

from torch import nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head


@register_model(
    paper="Rumelhart, Hinton, Williams 1986: Learning representations by back-propagating errors",
    url="https://doi.org/10.1038/323533a0",
    year=1986,
    input_shape=(1, 28, 28),
)
def mlp(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    input_size: tuple[int, ...],
    hidden: Sequence[int] = (512, 512),
    dropout: float = 0.2,
) -> Backbone:
    """Build dense layers on the raw pixels: `[B, in_channels, *input_size] -> [B, K]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        input_size: the only spatial size the network takes.
        hidden: widths of the hidden layers; none gives softmax regression.
        dropout: probability of dropping a hidden unit.
    """
    stages: dict[str, nn.Module] = {}
    infos = []
    units = in_channels * prod(input_size)
    for i, width in enumerate(hidden, 1):
        # Each layer is shown as a map of one cell that has seen the whole input, so that explorers can draw it.
        stages[f"hidden{i}"] = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout if i > 1 else 0.0),
            nn.Linear(units, width),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (width, *[1] * spatial_dims)),
        )
        infos.append(FeatureInfo(f"hidden{i}", width, max(input_size)))
        units = width
    head = Head(
        units, num_classes, spatial_dims=spatial_dims, grid=None, fixed_cells=1, dropout=dropout if stages else 0.0
    )
    return Backbone(
        stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels, input_size=tuple(input_size)
    )
