"""What the first layer of a 1-D network listens to: the frequency response of each of its kernels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from audio_classification.spectrogram import to_hertz, to_mel
from cnn_core.errors import CnnError

if TYPE_CHECKING:
    from audio_classification.predict import Predictor

POINTS = 256  # frequencies at which a response is computed


@dataclass(frozen=True, eq=False)
class FilterResponses:
    """The frequency responses of F kernels, by the tone that they answer loudest.

    Args:
        hertz: float32 [N], from 0 to half the rate.
        decibels: float32 [F, N], relative to each kernel's own loudest tone, so at most 0.
        peaks: float32 [F], Hz, ascending: where each is loudest.
        numbers: int64 [F], the places of the kernels in the layer.
        mel_centres: float32 [F], Hz: the centres of as many mel bands up to half the rate.
    """

    hertz: Tensor
    decibels: Tensor
    peaks: Tensor
    numbers: Tensor
    mel_centres: Tensor


@torch.no_grad()
def filter_responses(predictor: "Predictor") -> FilterResponses:
    """Return the responses of a network's first kernels: the size of their discrete Fourier transform.

    Raises:
        CnnError: the network takes spectrograms, not waves.
    """
    contract = predictor.contract
    if contract.view != "wave":
        raise CnnError(f"filters of sounds: expected a network of raw waves, got one of the view {contract.view!r}")
    first = next(module for module in predictor.model.modules() if isinstance(module, nn.Conv1d))
    kernels = first.weight.float().cpu().mean(1)  # [F, width]
    hertz, decibels = responses_of(kernels, contract.rate)
    loudest = hertz[decibels.argmax(1)]
    order = loudest.argsort(stable=True)
    ends = to_mel(torch.tensor([0.0, contract.rate / 2], dtype=torch.float64))
    centres = torch.linspace(float(ends[0]), float(ends[1]), len(kernels) + 2, dtype=torch.float64)[1:-1]
    return FilterResponses(hertz, decibels[order], loudest[order], order, to_hertz(centres).float())


def responses_of(kernels: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Return frequencies in Hz [N] and the responses of kernels [F, width] there, in decibels below their loudest."""
    count = max(POINTS, kernels.shape[1] // 2 + 1)
    size = torch.fft.rfft(kernels, n=2 * (count - 1)).abs()
    relative = size / size.amax(1, keepdim=True).clamp_min(1e-12)
    return torch.linspace(0, rate / 2, count), 20 * relative.clamp_min(1e-4).log10()
