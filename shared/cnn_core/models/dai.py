"""Very deep convolutional networks on raw waveforms: a long first kernel, then small ones with pooling by 4.

Dai, Dai, Qu, Li, Das 2016, "Very Deep Convolutional Neural Networks for Raw Waveforms", arXiv:1610.00087: M5, M11 and
M18 of table 1, made for 32,000 samples (4 s at 8 kHz): 0.5, 1.8 and 3.7 million parameters.
Differs from the paper: no pooling between the last convolution and the mean over time, so that heat maps are four times
as fine; dropout before the dense layer on request. In 2-D and 3-D the kernels are squares and cubes.
"""

from collections.abc import Sequence

from torch import nn

from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he

PAPER = "Dai et al. 2016: Very Deep Convolutional Neural Networks for Raw Waveforms"
URL = "https://arxiv.org/abs/1610.00087"
FIRST_KERNEL, FIRST_STRIDE, POOL = 80, 4, 4  # table 1: 80 samples are 10 ms at 8 kHz


def _build(
    in_channels: int,
    num_classes: int,
    spatial_dims: int,
    layers: Sequence[tuple[int, int]],
    kernel: int,
    dropout: float,
) -> Backbone:
    """Build a network: `layers` are (channels, convolutions) of each stage, the first of which has the long kernel."""
    pool = dims(spatial_dims).max_pool
    stages: dict[str, nn.Module] = {}
    infos, channels, stride = [], in_channels, 1
    for number, (width, count) in enumerate(layers, start=1):
        parts: list[nn.Module] = []
        if number > 1:
            parts.append(pool(POOL, ceil_mode=True))
            stride *= POOL
        for _ in range(count):
            first = number == 1
            parts.append(ConvNormAct(
                channels, width, spatial_dims=spatial_dims, kernel_size=kernel if first else 3,
                stride=FIRST_STRIDE if first else 1, padding=max(0, kernel // 2 - FIRST_STRIDE // 2) if first else None,
            ))  # fmt: skip
            channels = width
        stride *= FIRST_STRIDE if number == 1 else 1
        stages[f"stage{number}"] = nn.Sequential(*parts)
        infos.append(FeatureInfo(f"stage{number}", channels, stride))
    head = Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
    network = Backbone(stages, infos, head=head, spatial_dims=spatial_dims, in_channels=in_channels, minimum_size=8)
    init_he(network)
    return network


@register_model(paper=PAPER, url=URL, year=2016, input_shape=(1, 32_000))
def m5(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    base_channels: int = 128,
    first_kernel: int = FIRST_KERNEL,
    dropout: float = 0.0,
) -> Backbone:
    """Build M5 for waves of any length: `[B, in_channels, T] -> [B, K]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        base_channels: channels of the first convolution, 128 in the paper; the others keep their ratio to it.
        first_kernel: samples of the first kernel.
        dropout: probability of dropping a feature before the dense layer.
    """
    b = base_channels
    layers = [(b, 1), (b, 1), (2 * b, 1), (4 * b, 1)]
    return _build(in_channels, num_classes, spatial_dims, layers, first_kernel, dropout)


@register_model(paper=PAPER, url=URL, year=2016, input_shape=(1, 32_000))
def m11(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    base_channels: int = 64,
    first_kernel: int = FIRST_KERNEL,
    dropout: float = 0.0,
) -> Backbone:
    """Build M11, likewise; `base_channels` is 64 in the paper."""
    b = base_channels
    layers = [(b, 1), (b, 2), (2 * b, 2), (4 * b, 3), (8 * b, 2)]
    return _build(in_channels, num_classes, spatial_dims, layers, first_kernel, dropout)


@register_model(paper=PAPER, url=URL, year=2016, input_shape=(1, 32_000))
def m18(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    base_channels: int = 64,
    first_kernel: int = FIRST_KERNEL,
    dropout: float = 0.0,
) -> Backbone:
    """Build M18, likewise; `base_channels` is 64 in the paper."""
    b = base_channels
    layers = [(b, 1), (b, 4), (2 * b, 4), (4 * b, 4), (8 * b, 4)]
    return _build(in_channels, num_classes, spatial_dims, layers, first_kernel, dropout)
