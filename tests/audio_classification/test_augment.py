"""Drawn sounds, and the random changes of sounds in training."""

import numpy as np
import pytest
import torch

from audio_classification.augment import (
    SoundAugmentConfig,
    change_waves,
    filter_mels,
    mask_spectrograms,
    mixed,
    stretch_mels,
)  # fmt: skip
from audio_classification.drawn import LABELS, drawn_sounds
from audio_classification.spectrogram import log_mel

RATE = 8000


def tone(pitch: float, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_drawn_sounds_are_the_same_every_time_and_differ_between_splits() -> None:
    waves, targets = drawn_sounds("val")
    again, _ = drawn_sounds("val")
    assert waves.dtype == np.int16 and waves.shape[1] == RATE
    assert np.array_equal(waves, again)
    assert np.bincount(targets).tolist() == [20] * len(LABELS)
    assert not np.array_equal(waves[:100], drawn_sounds("test")[0][:100])


def test_a_shift_moves_and_speed_changes_the_pitch() -> None:
    wave = torch.from_numpy(tone(500, 1.0))[None].repeat(16, 1)
    generator = torch.Generator().manual_seed(0)
    moved = change_waves(wave, SoundAugmentConfig(speed=0.2), generator)
    peaks = torch.fft.rfft(moved).abs().argmax(1)
    assert peaks.min() >= 395 and peaks.max() <= 605 and len(set(peaks.tolist())) > 5
    one = torch.zeros(8, 1000)
    one[:, 500] = 1
    places = change_waves(one, SoundAugmentConfig(shift=0.2), generator).argmax(1)
    assert places.min() >= 290 and places.max() <= 710 and len(set(places.tolist())) > 4
    assert torch.equal(change_waves(wave, SoundAugmentConfig(), generator), wave)


def test_noise_keeps_its_distance() -> None:
    wave = torch.from_numpy(tone(500, 1.0))[None].repeat(64, 1)
    noise = change_waves(wave, SoundAugmentConfig(noise=20.0), torch.Generator().manual_seed(0)) - wave
    distance = 10 * torch.log10(wave.square().mean(1) / noise.square().mean(1).clamp_min(1e-12))
    noisy = distance < 100
    assert 20 < noisy.sum() < 44  # about half
    assert distance[noisy].min() > 19 and distance[noisy].max() < 51


def test_masks_blank_whole_stripes() -> None:
    x = mask_spectrograms(torch.ones(32, 1, 20, 40), SoundAugmentConfig(time_masks=1), torch.Generator().manual_seed(0))
    assert all(column.min() == column.max() for column in x[:, 0].transpose(1, 2).reshape(-1, 20))
    blank = (x[:, 0, 0] == 0).sum(1)
    assert blank.max() <= 8 and len(set(blank.tolist())) > 3
    bands = mask_spectrograms(
        torch.ones(8, 1, 20, 40), SoundAugmentConfig(mel_masks=2), torch.Generator().manual_seed(0)
    )
    assert all(row.min() == row.max() for row in bands[:, 0].reshape(-1, 40))


def test_mixed_sounds_have_mixed_labels() -> None:
    x, y = torch.eye(4)[:, None, None], torch.arange(4)
    found, labels = mixed(x, y, 4, SoundAugmentConfig(mixup=0.5), torch.Generator().manual_seed(0))
    assert torch.allclose(found[:, 0, 0], labels)  # the inputs are their own labels here
    assert torch.allclose(labels.sum(1), torch.ones(4))
    plain, labels = mixed(x, y, 4, SoundAugmentConfig(), torch.Generator())
    assert torch.equal(plain, x) and torch.equal(labels, torch.eye(4))


def test_another_vocal_tract_moves_every_tone_by_the_same_factor() -> None:
    """The network hears at band b what was at the frequency of b times a factor: a tone moves by its inverse."""
    waves = torch.from_numpy(np.stack([tone(1000, 0.5)] * 64))
    seen = log_mel(waves, rate=RATE, n_fft=512, hop=128, mels=64)[:, None]
    moved = stretch_mels(seen, SoundAugmentConfig(tract=0.2), torch.Generator().manual_seed(0), rate=RATE)
    places = moved[:, 0].mean(2).argmax(1)
    low, high = (
        int(log_mel(torch.from_numpy(tone(f, 0.5))[None], rate=RATE, n_fft=512, hop=128, mels=64)[0].mean(1).argmax())
        for f in (1000 / 1.2, 1000 / 0.8)
    )
    assert low <= places.min() <= low + 2 and high - 2 <= places.max() <= high
    same = stretch_mels(seen, SoundAugmentConfig(), torch.Generator(), rate=RATE)
    assert torch.equal(same, seen)


def test_a_filter_is_one_smooth_curve_for_all_frames() -> None:
    x = torch.zeros(50, 1, 40, 6)
    curve = filter_mels(x, 2.0, torch.Generator().manual_seed(0))
    assert torch.equal(curve[..., 0], curve[..., 5])
    assert float(curve[:, 0, 0, 0].std()) == pytest.approx(2, rel=0.3)
    steps = curve[:, 0, :, 0].diff(dim=1)
    assert steps.diff(dim=1).abs().gt(1e-5).sum(1).max() <= 8  # straight between its six knots
