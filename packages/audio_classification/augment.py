"""Random changes of sounds in training, on whole batches: time, pitch, noise, loudness, masks of the spectrogram.

SpecAugment: Park et al. 2019, arXiv:1904.08779, without warping; mixup: Zhang et al. 2018, arXiv:1710.09412.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from cnn_core.validation import Natural, NonNegative, Settings, Share

Half = Annotated[float, Field(ge=0, le=0.5)]


@dataclass(frozen=True)
class SoundAugmentConfig(Settings):
    """Random changes of the training sounds; 0 switches one off."""

    shift: Share = 0.0  # of the input's length, in time, to either side
    speed: Half = 0.0  # speed and pitch change by at most this fraction
    noise: NonNegative = 0.0  # white noise in up to half of the sounds: smallest distance to the sound in dB
    time_masks: Natural = 0  # stripes of the spectrogram that are blanked, each of at most a fifth of its length
    mel_masks: Natural = 0  # likewise of its bands
    mixup: NonNegative = 0.0  # alpha of the Beta distribution by which two sounds and their labels are mixed


def change_waves(waves: Tensor, config: SoundAugmentConfig, generator: torch.Generator) -> Tensor:
    """Shift, stretch and add noise: `[B, T] -> [B, T]`; every sound by its own draw."""
    count, length = waves.shape
    if config.shift or config.speed:
        speed = 1 + config.speed * (2 * torch.rand(count, generator=generator) - 1)
        shift = 2 * config.shift * (2 * torch.rand(count, generator=generator) - 1)  # of the grid, -1 to 1
        place = torch.linspace(-1, 1, length)[None] * speed[:, None] + shift[:, None]  # [B, T]
        grid = torch.stack([place, torch.zeros_like(place)], -1)[:, None].to(waves.device)  # [B, 1, T, 2]
        waves = F.grid_sample(waves[:, None, None], grid, align_corners=True)[:, 0, 0]
    if config.noise:
        loud = waves.square().mean(1, keepdim=True).sqrt()
        distance = config.noise + 30 * torch.rand(count, 1, generator=generator)
        wanted = (torch.rand(count, 1, generator=generator) < 0.5).float() * 10 ** (-distance / 20)
        white = torch.randn(count, length, generator=generator)
        waves = waves + white.to(waves.device) * wanted.to(waves.device) * loud
    return waves


def mask_spectrograms(x: Tensor, config: SoundAugmentConfig, generator: torch.Generator) -> Tensor:
    """Blank stripes of time and of bands: `[B, C, mels, frames] -> same`, the blank being the mean, 0."""
    for axis, stripes in ((3, config.time_masks), (2, config.mel_masks)):
        edge = x.shape[axis]
        for _ in range(stripes):
            width = (torch.rand(len(x), generator=generator) * edge / 5).long()
            start = (torch.rand(len(x), generator=generator) * (edge - width)).long()
            cells = torch.arange(edge)
            blank = (cells >= start[:, None]) & (cells < (start + width)[:, None])  # [B, edge]
            shape = [len(x), 1, 1, 1]
            shape[axis] = edge
            x = x.masked_fill(blank.view(shape).to(x.device), 0.0)
    return x


def mixed(
    x: Tensor, y: Tensor, classes: int, config: SoundAugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix every sound with another one of the batch: `[B, ...], [B] -> [B, ...], float [B, K]`."""
    labels = F.one_hot(y, classes).float()
    if not config.mixup:
        return x, labels
    # A Beta draw from two Gammas, which take the generator.
    gammas = torch._standard_gamma(torch.full((2, len(x)), config.mixup), generator=generator)
    share = (gammas[0] / gammas.sum(0)).to(x.device)
    other = torch.randperm(len(x), generator=generator).to(x.device)
    wide = share.view(-1, *[1] * (x.ndim - 1))
    return wide * x + (1 - wide) * x[other], share[:, None] * labels + (1 - share[:, None]) * labels[other]
