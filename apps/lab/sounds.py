"""A sound on its way into a network: a frame of the wave, its spectrum, the mel bands, and kernels in one dimension."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from audio_classification.drawn import LABELS, RATE, drawn_sounds
from audio_classification.spectrogram import log_mel
from cnn_core.errors import unknown_name

FLOOR = 1e-6  # of a magnitude, before the logarithm


@dataclass(frozen=True)
class WaveKernel:
    """A kernel of one dimension, written as it slides."""

    name: str
    title: str
    weights: Callable[[], Tensor]  # [K]
    does: str  # one sentence


def _mean() -> Tensor:
    return torch.full((16,), 1 / 16)


def _difference() -> Tensor:
    return torch.tensor([-1.0, 1.0])


def _band() -> Tensor:
    """Waves of 1,000 Hz under a window of 10 ms: what a network on raw waves learns in its first layer."""
    count = RATE // 100
    time = torch.arange(count) / RATE
    kernel = torch.hann_window(count, periodic=False) * torch.cos(2 * torch.pi * 1000 * time)
    return kernel / kernel.square().sum().sqrt() / 4


def _echo() -> Tensor:
    kernel = torch.zeros(RATE // 5)  # 0.2 s
    kernel[-1], kernel[0] = 1.0, 0.6
    return kernel


WAVE_KERNELS = (
    WaveKernel("mean", "Mean of 16", _mean, "High tones vanish: within 16 samples, 2 ms, they add up to nothing."),
    WaveKernel("difference", "Difference", _difference, "Each sample minus the one before: low tones become quiet, "
               "hiss becomes loud."),
    WaveKernel("band", "1,000 Hz", _band, "A short wave: it answers where the sound moves like it, at about 1,000 Hz."),
    WaveKernel("echo", "Echo", _echo, "1,600 weights, of which two are not zero: the sound, and 0.2 s later again."),
)  # fmt: skip


def find_wave_kernel(name: str) -> WaveKernel:
    """Return a kernel by its name, or raise UnknownNameError with the nearest names."""
    for kernel in WAVE_KERNELS:
        if kernel.name == name:
            return kernel
    raise unknown_name("kernel", name, [kernel.name for kernel in WAVE_KERNELS])


def drawn_wave(kind: str) -> Tensor:
    """Return a drawn sound of one second: float32 [T] from -1 to 1, at `RATE`."""
    return torch.from_numpy(drawn_sounds("test")[0][LABELS.index(kind)]).float() / 32768


def slide(wave: Tensor, kernel: Tensor, *, stride: int = 1) -> Tensor:
    """Slide a kernel over a wave: `[T], [K] -> [ceil(T / stride)]`; silence comes before the first sample.

    Output i is the sum of `kernel[k] * wave[i * stride + k - K + 1]`: no sample is used before it is heard.
    """
    padded = F.pad(wave, (len(kernel) - 1, 0))
    return F.conv1d(padded[None, None], kernel[None, None], stride=stride)[0, 0]


def frame_at(wave: Tensor, start: int, size: int) -> tuple[Tensor, Tensor]:
    """Return `size` samples from `start` on, and the same under a Hann window, which fades both ends: [size] each."""
    frame = F.pad(wave, (0, size))[start : start + size]
    return frame, frame * torch.hann_window(size)


def spectrum(frame: Tensor) -> tuple[Tensor, Tensor]:
    """Return the frequencies in Hz and how loud each is, in decibels: `[size] -> [size // 2 + 1]` twice."""
    magnitude = torch.fft.rfft(frame).abs()
    return torch.fft.rfftfreq(len(frame), 1 / RATE), 20 * magnitude.clamp_min(FLOOR).log10()


def picture(wave: Tensor, size: int) -> Tensor:
    """Return the log-mel spectrogram that networks see, with frames of `size` samples: `[T] -> [64, frames]`."""
    return log_mel(wave[None], rate=RATE, n_fft=size, hop=RATE // 100, mels=64)[0]
