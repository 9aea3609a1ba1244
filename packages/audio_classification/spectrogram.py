"""Log-mel spectrograms, computed in torch: the numbers of librosa and torchaudio with the settings named here.

Frames are centred, with reflected edges, under a periodic Hann window; mel bands are triangles of equal area on
Slaney's scale (Slaney 1998, Auditory Toolbox; librosa's default), power becomes `log(power + 1e-6)`.
"""

from functools import lru_cache

import torch
from torch import Tensor

FLOOR = 1e-6  # added to the power before the logarithm
LINEAR_STEP, LINEAR_END = 200 / 3, 1000.0  # Hz per mel below 1 kHz
LOG_STEP = torch.log(torch.tensor(6.4, dtype=torch.float64)).item() / 27  # of the logarithmic part


def log_mel(waves: Tensor, *, rate: int, n_fft: int, hop: int, mels: int, low: float = 0.0) -> Tensor:
    """Return log-mel spectrograms: `[B, T] -> float32 [B, mels, 1 + T // hop]`.

    Args:
        waves: samples from -1 to 1, at least `n_fft // 2 + 1` of them.
        rate: samples per second.
        n_fft: samples of a frame.
        hop: samples from frame to frame.
        mels: bands from `low` Hz to half the rate.
        low: Hz.
    """
    window = torch.hann_window(n_fft, device=waves.device)
    spectrum = torch.stft(
        waves.float(), n_fft, hop, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    power = torch.view_as_real(spectrum).square().sum(-1)  # [B, n_fft // 2 + 1, frames]
    bands = mel_bands(rate=rate, n_fft=n_fft, mels=mels, low=low).to(waves.device)
    return (bands @ power + FLOOR).log()


@lru_cache(maxsize=16)
def mel_bands(*, rate: int, n_fft: int, mels: int, low: float = 0.0) -> Tensor:
    """Return the weights of every band: float32 [mels, n_fft // 2 + 1]."""
    frequencies = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    ends = to_mel(torch.tensor([low, rate / 2], dtype=torch.float64))
    corners = to_hertz(torch.linspace(ends[0].item(), ends[1].item(), mels + 2, dtype=torch.float64))
    widths = corners.diff()
    slopes = corners[:, None] - frequencies[None]  # [mels + 2, bins]
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    triangles = torch.minimum(rising, falling).clamp_min(0)
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).float()


def to_mel(hertz: Tensor) -> Tensor:
    """Return frequencies on Slaney's scale: linear below 1 kHz, logarithmic above."""
    above = LINEAR_END / LINEAR_STEP + (hertz.clamp_min(1e-9) / LINEAR_END).log() / LOG_STEP
    return torch.where(hertz < LINEAR_END, hertz / LINEAR_STEP, above)


def to_hertz(mel: Tensor) -> Tensor:
    """Return what `to_mel` was given."""
    start = LINEAR_END / LINEAR_STEP
    return torch.where(mel < start, mel * LINEAR_STEP, LINEAR_END * (LOG_STEP * (mel - start)).exp())
