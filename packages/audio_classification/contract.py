"""The preprocessing from any sound to the network's input, as written in the weights card."""

from math import log
from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from audio_classification.reading import SILENT, Sound, heard_in, resample
from audio_classification.spectrogram import log_mel
from cnn_core.validation import Count, Positive
from cnn_core.weights.card import Contract, contract

DOMAIN_NAME = "audio_classification"
LONGEST = 30  # seconds of an input
BRIEF = 0.01  # of a window: silence at the ends that is no longer makes no difference
NEPER = log(10) / 10  # of a logarithm of power in a decibel

View = Literal["wave", "log-mel"]


@contract
class SoundContract(Contract):
    """What a network expects of its sounds; stored as `input` in the weights card.

    Args:
        rate: samples per second that sounds are brought to, of all channels' mean.
        samples: of an input; shorter sounds get silence on both sides, longer ones are heard in windows, which begin
            and end with what is to be heard.
        view: "wave", the samples themselves for 1-D networks, or "log-mel", their spectrogram for 2-D ones.
        mean: of the view over the training set, subtracted.
        std: likewise, divided by.
        channels: of the input; 3 for networks of photos, which get the spectrogram three times.
        n_fft: samples of a frame, of the view "log-mel", as are the next.
        hop: samples from frame to frame.
        mels: bands.
        level: the loudest sample of every input becomes 1; without it, loudness is a feature.
        dynamic_range: dB below its loudest cell at which a spectrogram ends: what is quieter, background and digital
            silence, is the same to the network; None: it is not cut.
    """

    rate: Annotated[int, Field(ge=1000, le=192_000)]
    samples: Count
    view: View = "log-mel"
    mean: float = 0.0
    std: Positive = 1.0
    channels: Literal[1, 3] = 1
    n_fft: Annotated[int, Field(ge=16, le=16_384)] = 512
    hop: Count = 128
    mels: Annotated[int, Field(ge=4, le=512)] = 64
    level: bool = True
    dynamic_range: Positive | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.samples > LONGEST * self.rate:
            raise ValueError(f"samples: expected at most {LONGEST} seconds, got {self.samples / self.rate:.1f}")
        if self.view == "log-mel" and self.samples <= self.n_fft // 2:
            raise ValueError(f"samples: expected more than half a frame of {self.n_fft}, got {self.samples}")
        return self

    @property
    def spatial_dims(self) -> int:
        """Of the network."""
        return 1 if self.view == "wave" else 2

    @property
    def input_size(self) -> tuple[int, ...]:
        """S of the network's input [B, channels, *S]."""
        return (self.samples,) if self.view == "wave" else (self.mels, 1 + self.samples // self.hop)

    def wave(self, sound: Sound) -> Tensor:
        """Return a sound at this rate, one channel: float32 [T]."""
        return torch.from_numpy(resample(sound, self.rate))

    def windows(self, wave: Tensor, *, overlap: float = 0.5) -> tuple[Tensor, list[int]]:
        """Return the inputs that a wave [T] is heard in, [W, samples], and where each begins in it (negative: before).

        Args:
            wave: at this rate.
            overlap: share of a window that the next one hears again.
        """
        starts = self.starts(len(wave), heard_in(wave.numpy()), overlap=overlap)
        return torch.stack([self.cut(wave, start) for start in starts]), starts

    def starts(self, length: int, heard: tuple[int, int] | None = None, *, overlap: float = 0.5) -> list[int]:
        """Return where the windows of a wave of `length` samples begin in it, see `windows`.

        Args:
            length: of the wave.
            heard: where what is to be heard begins and ends in it; None: everywhere. Silence at the ends has windows
                of its own, so that a sound is cut as it is without them.
            overlap: as of `windows`.
        """
        if length <= self.samples:
            return [-((self.samples - length) // 2)]
        step = max(1, round(self.samples * (1 - overlap)))
        first, last = heard or (0, length)
        first = first if first > BRIEF * self.samples else 0
        last = last if length - last > BRIEF * self.samples else length
        end = last - self.samples
        middle = [*range(first, end, step), end] if end > first else [(first + end) // 2]
        before, after = range(0, first - self.samples + 1, step), range(last, length - self.samples + 1, step)
        return [*before, *middle, *after]

    def cut(self, wave: Tensor, start: int) -> Tensor:
        """Return the window [samples] of a wave [T] from `start` on, which is negative where silence comes first."""
        part = wave[max(0, start) : start + self.samples]
        before = max(0, -start)
        return F.pad(part, (before, self.samples - before - len(part)))

    def normalize(self, waves: Tensor) -> Tensor:
        """Bring windows to the network's input: `[B, samples] -> float32 [B, channels, *input_size]`."""
        return ((self.seen(waves) - self.mean) / self.std).expand(-1, self.channels, *self.input_size)

    def seen(self, waves: Tensor) -> Tensor:
        """Return the view before normalisation: `[B, samples] -> float32 [B, 1, *input_size]`."""
        waves = waves.float()
        if self.level:
            waves = waves / waves.abs().amax(1, keepdim=True).clamp_min(1e-4)
        if self.view == "wave":
            return waves[:, None]
        seen = log_mel(waves, rate=self.rate, n_fft=self.n_fft, hop=self.hop, mels=self.mels)
        if self.dynamic_range is not None:
            seen = (seen - seen.amax((1, 2), keepdim=True)).clamp_min(-self.dynamic_range * NEPER)
        return seen[:, None]


def silent_in(windows: Tensor) -> Tensor:
    """Return in which windows nothing is to be heard: `[W, samples] -> bool [W]`."""
    return windows.abs().amax(1) < SILENT
