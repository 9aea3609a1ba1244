"""PilotNet: steers a car from the picture of one camera; five convolutions and four dense layers.

Bojarski, Del Testa, Dworakowski, Firner, Flepp, Goyal, Jackel, Monfort, Muller, Zhang, Zhang, Zhao, Zieba 2016, "End to
End Learning for Self-Driving Cars", arXiv:1604.07316: figure 4, made for 3 x 66 x 200 pixels (YUV), one output, the
inverse turning radius in 1/m. 252,219 parameters; the paper says about 250 thousand.
Differs from the paper: the figure writes 1,164 flattened numbers, but its layers leave 64 x 1 x 18 = 1,152; the fixed
normalisation in front is left to the preprocessing; ReLU and He's initial weights, of which the paper says nothing.
Without padding, an input has to have at least 61 pixels along every axis.
"""

from math import prod

from torch import nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.init import init_he

LAYERS = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))  # figure 4: channels, kernel, stride
HIDDEN = (100, 50, 10)
SMALLEST = 61


def _cells(edge: int) -> int:
    """Return the cells that the last map has along an axis of `edge` pixels; 0 or less if there are none."""
    for _, kernel, stride in LAYERS:
        edge = (edge - kernel) // stride + 1
    return edge


@register_model(
    paper="Bojarski et al. 2016: End to End Learning for Self-Driving Cars",
    url="https://arxiv.org/abs/1604.07316",
    year=2016,
    input_shape=(3, 66, 200),
)
def pilotnet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    input_size: tuple[int, ...],
    base_channels: int = 24,
    dropout: float = 0.0,
) -> Backbone:
    """Build PilotNet: `[B, in_channels, *S] -> [B, K]`, for steering with K = 1.

    Args:
        in_channels: channels of the input.
        num_classes: K, numbers put out.
        spatial_dims: 1, 2 or 3.
        input_size: pixels along each axis, at least 61.
        base_channels: channels of the first convolution; the others keep their ratio to it.
        dropout: probability of dropping a unit before each dense layer but the last; the paper has none.

    Raises:
        CnnError: the input is too small.
    """
    cells = [_cells(edge) for edge in input_size]
    if min(cells) < 1:
        raise CnnError(f"pilotnet needs at least {SMALLEST} pixels along every axis, got {tuple(input_size)}")
    stages: dict[str, nn.Module] = {}
    infos: list[FeatureInfo] = []
    channels, step = in_channels, 1
    for number, (width, kernel, stride) in enumerate(LAYERS, start=1):
        wide = width * base_channels // LAYERS[0][0]
        stages[f"conv{number}"] = ConvNormAct(
            channels, wide, spatial_dims=spatial_dims, kernel_size=kernel, stride=stride, padding=0, norm=False
        )
        channels, step = wide, step * stride
        infos.append(FeatureInfo(f"conv{number}", channels, step))
    head = Head(
        channels, num_classes, spatial_dims=spatial_dims, grid=None, hidden=HIDDEN,
        dropout=[*[dropout] * len(HIDDEN), 0.0], fixed_cells=prod(cells),
    )  # fmt: skip
    network = Backbone(
        stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels, minimum_size=SMALLEST,
        input_size=tuple(input_size),
    )  # fmt: skip
    init_he(network, dense=True)
    return network
