"""What a channel wants to see: the pictures that move it most, and the input that gradient ascent finds for it.

Erhan, Bengio, Courville, Vincent 2009, "Visualizing higher-layer features of a deep network"; the ascent in frequencies
weighed as natural pictures have them, and the jitter, follow Olah, Mordvintsev, Schubert 2017, "Feature visualization",
doi:10.23915/distill.00007.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.errors import CnnError
from cnn_core.explain.session import evaluating
from cnn_core.models.backbone import Backbone

BATCH = 250  # pictures at a time
JITTER = 2  # pixels to either side between steps of the ascent
LIMIT = 2.5  # standard deviations of the training pictures that an input reaches


@dataclass(frozen=True)
class Best:
    """For each channel the inputs that move one of its cells most, strongest first, each input once."""

    index: Tensor  # [channels, count] number of the input
    position: Tensor  # [channels, count, spatial_dims] cell of the map
    value: Tensor  # [channels, count]


def best_inputs(model: Backbone, x: Tensor, *, stage: int, channels: Sequence[int], count: int) -> Best:
    """Search inputs `x` [N, C, *S] for those that move channels of a stage most.

    Raises:
        CnnError: fewer inputs than wanted, or no such stage or channel.
    """
    if len(x) < count:
        raise CnnError(f"expected at least {count} inputs to choose from, got {len(x)}")
    _check(model, stage, channels)
    values, places, shape = [], [], torch.Size()
    with torch.no_grad(), evaluating(model):
        for part in x.split(BATCH):
            maps = model.forward_features(part)[stage][:, list(channels)]
            shape = maps.shape[2:]
            highest, where = maps.flatten(2).max(2)  # [B, channels]
            values.append(highest)
            places.append(where)
    value, index = torch.cat(values).topk(count, dim=0)
    flat = torch.cat(places).gather(0, index)
    position = torch.stack(torch.unravel_index(flat, shape), -1)
    return Best(index.T, position.transpose(0, 1), value.T)


def preferred_inputs(
    model: Backbone, size: Sequence[int], *, stage: int, channels: Sequence[int], steps: int = 96, seed: int = 0
) -> Tensor:
    """Find by gradient ascent an input [C, *S] for each channel that moves the middle of its map: [channels, C, *S].

    Adam on the input's Fourier coefficients, divided by their frequency as in natural pictures: without that the ascent
    ends in fine noise. It begins with faint noise, and the input is shifted by a few pixels before every step.

    Args:
        model: any backbone; it is used in evaluation mode and its weights get no gradient.
        size: spatial size of the inputs.
        stage: number of the stage.
        channels: of the stage's map.
        steps: of the ascent.
        seed: of the noise.

    Raises:
        CnnError: no such stage or channel.
    """
    _check(model, stage, channels)
    generator = torch.Generator().manual_seed(seed)
    axes = tuple(range(2, 2 + len(size)))
    falloff = 1 / _frequencies(size).clamp_min(1 / max(size))  # [*S, of half the last axis]
    shape = (model.in_channels, *falloff.shape, 2)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed + channel)) for channel in channels]
    spectrum = (0.01 * torch.stack(noise)).requires_grad_(
        True
    )  # a channel's noise does not depend on the other channels

    def drawn() -> Tensor:
        waves = torch.fft.irfftn(torch.view_as_complex(spectrum) * falloff, s=tuple(size), dim=axes, norm="ortho")
        return LIMIT * torch.tanh(waves / LIMIT)

    rows = torch.arange(len(channels))
    optimizer = torch.optim.Adam([spectrum], lr=0.05)
    with evaluating(model), torch.enable_grad():
        for _ in range(steps):
            jitter = torch.randint(-JITTER, JITTER + 1, (len(axes),), generator=generator).tolist()
            maps = model.forward_features(drawn().roll(jitter, axes))[stage][rows, list(channels)]
            middle = maps
            for edge in reversed(maps.shape[1:]):
                middle = middle[..., edge // 2]
            (spectrum.grad,) = torch.autograd.grad(-middle.sum(), spectrum)
            optimizer.step()
    return drawn().detach()


def _frequencies(size: Sequence[int]) -> Tensor:
    """Return how often each wave of a real Fourier transform repeats per pixel: [*S, of half the last axis]."""
    steps = [torch.fft.fftfreq(n) for n in size[:-1]] + [torch.fft.rfftfreq(size[-1])]
    return torch.stack(torch.meshgrid(*steps, indexing="ij")).square().sum(0).sqrt()


def _check(model: Backbone, stage: int, channels: Sequence[int]) -> None:
    if not 0 <= stage < len(model.feature_info):
        raise CnnError(f"expected a stage from 0 to {len(model.feature_info) - 1}, got {stage}")
    most = model.feature_info[stage].channels
    if not channels or any(not 0 <= channel < most for channel in channels):
        raise CnnError(f"expected channels from 0 to {most - 1}, got {list(channels)}")
