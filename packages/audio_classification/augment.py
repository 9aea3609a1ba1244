"""Random changes of sounds in training, on whole batches: time, pitch, noise, loudness, masks of the spectrogram.

SpecAugment: Park et al. 2019, arXiv:1904.08779, without warping in time; vocal tract length perturbation: Jaitly and
Hinton 2013, ICML workshop on deep learning for audio; mixup: Zhang et al. 2018, arXiv:1710.09412.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from audio_classification.spectrogram import to_hertz, to_mel
from cnn_core.validation import Natural, NonNegative, Settings, Share

KNOTS = 6  # of the curve of a filter

Half = Annotated[float, Field(ge=0, le=0.5)]


@dataclass(frozen=True)
class SoundAugmentConfig(Settings):
    """Random changes of the training sounds; 0 switches one off."""

    shift: Share = 0.0  # of the input's length, in time, to either side
    speed: Half = 0.0  # speed and pitch change by at most this fraction
    noise: NonNegative = 0.0  # white noise in up to half of the sounds: smallest distance to the sound in dB
    time_masks: Natural = 0  # stripes of the spectrogram that are blanked, each of at most a fifth of its length
    mel_masks: Natural = 0  # likewise of its bands
    tract: Half = 0.0  # frequencies are stretched by at most this fraction, as other lengths of the vocal tract do
    filters: NonNegative = 0.0  # standard deviation in dB of a smooth random curve over the bands: rooms, microphones
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


def stretch_mels(x: Tensor, config: SoundAugmentConfig, generator: torch.Generator, *, rate: int) -> Tensor:
    """Stretch frequencies: `[B, C, mels, frames] -> same`, every sound by its own draw.

    Args:
        x: log-mel spectrograms, as they are or normalised.
        config: how much.
        generator: of the draws.
        rate: samples per second of the sounds.
    """
    if config.tract:
        mels = x.shape[2]
        top = to_mel(torch.tensor([rate / 2], dtype=torch.float64)).item()
        centres = to_hertz(torch.linspace(0, top, mels + 2, dtype=torch.float64)[1:-1])
        factor = 1 + config.tract * (2 * torch.rand(len(x), 1, generator=generator).double() - 1)
        heard = to_mel((centres * factor).clamp(max=rate / 2)) / top * (mels + 1) - 1  # bands, [B, mels]
        heard = heard.clamp(0, mels - 1).to(x.device, x.dtype)
        low = heard.floor().long().clamp(max=mels - 2)
        share = (heard - low)[:, None, :, None]
        place = low[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3])
        x = x.gather(2, place) * (1 - share) + x.gather(2, place + 1) * share
    return x


def filter_mels(x: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """Add a smooth random curve over the bands: `[B, C, mels, frames] -> same`; `spread` in the units of `x`."""
    knots = spread * torch.randn(len(x), 1, KNOTS, generator=generator)
    curve = F.interpolate(knots, size=x.shape[2], mode="linear", align_corners=True)  # [B, 1, mels]
    return x + curve[..., None].to(x.device, x.dtype)


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
