"""The preprocessing from any sound to the network's input, as written in the weights card."""

from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from audio_classification.reading import Sound, resample
from audio_classification.spectrogram import log_mel
from cnn_core.validation import Count, Positive
from cnn_core.weights.card import Contract, contract

DOMAIN_NAME = "audio_classification"
LONGEST = 30  # seconds of an input

View = Literal["wave", "log-mel"]


@contract
class SoundContract(Contract):
    """What a network expects of its sounds; stored as `input` in the weights card.

    Args:
        rate: samples per second that sounds are brought to, of all channels' mean.
        samples: of an input; shorter sounds get silence on both sides, longer ones are heard in windows.
        view: "wave", the samples themselves for 1-D networks, or "log-mel", their spectrogram for 2-D ones.
        mean: of the view over the training set, subtracted.
        std: likewise, divided by.
        channels: of the input; 3 for networks of photos, which get the spectrogram three times.
        n_fft: samples of a frame, of the view "log-mel", as are the next.
        hop: samples from frame to frame.
        mels: bands.
        level: the loudest sample of every input becomes 1; without it, loudness is a feature.
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
        length = len(wave)
        if length <= self.samples:
            before = (self.samples - length) // 2
            return F.pad(wave, (before, self.samples - length - before))[None], [-before]
        step = max(1, round(self.samples * (1 - overlap)))
        starts = [*range(0, length - self.samples, step), length - self.samples]
        return torch.stack([wave[start : start + self.samples] for start in starts]), starts

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
        return log_mel(waves, rate=self.rate, n_fft=self.n_fft, hop=self.hop, mels=self.mels)[:, None]
