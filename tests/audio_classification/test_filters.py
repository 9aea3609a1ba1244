"""The frequency responses of first kernels, against tones of known pitch and a moving average worked by hand."""

import math

import pytest
import torch

from audio_classification import load
from audio_classification.filters import filter_responses, responses_of
from cnn_core.errors import CnnError


def test_a_kernel_that_is_a_tone_answers_that_tone_loudest() -> None:
    time = torch.arange(80) / 8000
    tones = torch.tensor([500.0, 1500.0, 3000.0])
    hertz, decibels = responses_of(torch.sin(2 * math.pi * tones[:, None] * time), 8000)
    assert hertz[0] == 0 and hertz[-1] == 4000
    assert (hertz[decibels.argmax(1)] - tones).abs().max() <= 4000 / (len(hertz) - 1)
    assert decibels.amax(1).tolist() == [0, 0, 0]


def test_a_mean_of_two_samples_is_a_cosine() -> None:
    """|1 + e^(-iw)| / 2 = cos(w / 2): at a quarter of the rate 1 / sqrt(2), 3.01 dB down; at half the rate nothing."""
    hertz, decibels = responses_of(torch.tensor([[0.5, 0.5]]), 8000)
    assert decibels[0, 0] == 0 and decibels[0, -1] == -80
    place = int((hertz - 2000).abs().argmin())
    w = 2 * math.pi * float(hertz[place]) / 8000
    assert float(decibels[0, place]) == pytest.approx(20 * math.log10(math.cos(w / 2)), abs=1e-3)


def test_the_filters_of_spoken_digits_are_sorted_and_lie_beside_mel_bands() -> None:
    predictor = load("fsdd-wave", device="cpu")
    found = filter_responses(predictor)
    assert found.peaks.equal(found.peaks.sort().values) and sorted(found.numbers.tolist()) == [*range(len(found.peaks))]
    assert found.decibels.amax(1).abs().max() == 0 and len(found.mel_centres) == len(found.peaks)
    # Slaney's scale: 8 kHz has its half at 4 kHz, of which the lower bands are a constant step apart.
    steps = found.mel_centres.diff()
    assert steps.min() > 0 and float(steps[-1]) > 2 * float(steps[0])


def test_a_network_of_spectrograms_has_no_filters_of_waves() -> None:
    with pytest.raises(CnnError, match="expected a network of raw waves, got one of the view 'log-mel'"):
        filter_responses(load("drawn-sounds", device="cpu"))
