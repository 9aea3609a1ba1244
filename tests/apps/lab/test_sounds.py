"""The way of a sound in the lab, against NumPy, SciPy and numbers worked by hand."""

import numpy as np
import pytest
import torch

from audio_classification.drawn import LABELS, RATE
from cnn_core.errors import UnknownNameError
from lab.sounds import WAVE_KERNELS, drawn_wave, find_wave_kernel, frame_at, picture, slide, spectrum


def test_a_kernel_slides_without_looking_ahead():
    wave = torch.tensor([1.0, 2.0, 4.0, 8.0])
    assert slide(wave, torch.tensor([-1.0, 1.0])).tolist() == [1, 1, 2, 4]
    assert slide(wave, torch.tensor([10.0, 1.0]), stride=2).tolist() == [1, 24]
    kernel = torch.randn(5, generator=torch.Generator().manual_seed(0))
    expected = np.convolve(drawn_wave("hiss").numpy(), kernel.numpy()[::-1])[:RATE]
    assert np.allclose(slide(drawn_wave("hiss"), kernel), expected, atol=1e-5)


def test_a_frame_fades_at_both_ends_and_its_spectrum_has_the_tone():
    wave = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    frame, windowed = frame_at(wave, 100, 256)
    assert torch.equal(frame, wave[100:356])
    assert windowed[0] == 0 and windowed[128] == frame[128]
    hertz, loud = spectrum(windowed)
    assert hertz[loud.argmax()] == 1000
    assert float(loud.max()) == pytest.approx(20 * np.log10(256 / 4), abs=0.01)  # half of the window's mean, times 256
    after_the_end, _ = frame_at(wave, RATE - 10, 256)
    assert len(after_the_end) == 256 and after_the_end[10:].abs().max() == 0


@pytest.mark.parametrize(
    ("name", "kept", "gone"), [("mean", 100, 2000), ("difference", 3500, 50), ("band", 1000, 3000)]
)
def test_kernels_do_what_they_say(name: str, kept: float, gone: float):
    loud = {}
    for pitch in (kept, gone):
        wave = torch.sin(2 * torch.pi * pitch * torch.arange(RATE) / RATE)
        loud[pitch] = float(slide(wave, find_wave_kernel(name).weights())[1000:].square().mean())
    assert loud[kept] > 100 * loud[gone]


def test_the_echo_comes_a_fifth_of_a_second_later():
    click = torch.zeros(4000)
    click[100] = 1
    out = slide(click, find_wave_kernel("echo").weights())
    assert out.nonzero().flatten().tolist() == [100, 100 + RATE // 5 - 1]
    assert out[100] == 1 and out[1699] == pytest.approx(0.6)


def test_every_sound_is_a_picture_of_64_bands():
    assert all(picture(drawn_wave(kind), 256).shape == (64, 101) for kind in LABELS)
    assert len({kernel.name for kernel in WAVE_KERNELS}) == len(WAVE_KERNELS)
    with pytest.raises(UnknownNameError, match="band"):
        find_wave_kernel("bend")
