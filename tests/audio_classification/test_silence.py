"""Windows without a sound do not count: not in the probabilities, not in "none of these", not in an explanation."""

import numpy as np
import pytest
import torch
from torch import Tensor

from audio_classification import load
from audio_classification.contract import SoundContract
from audio_classification.predict import Predictor
from audio_classification.reading import SILENT, Sound
from audio_classification.sound_set import SoundSet, Windows


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """One that takes silence for class 1 and for nothing known, and half a window of sound for 60 % of class 0."""
    made = load("drawn-sounds", device="cpu")

    def answers(windows: Tensor) -> tuple[Tensor, Tensor]:
        filled = (windows.abs() > SILENT).float().mean(1)
        first = torch.where(filled > 0.9, 0.9, torch.where(filled > 0.1, 0.6, 0.0))
        rest = torch.zeros(len(windows), len(made.labels) - 2)
        begins_late = windows[:, 0].abs() < SILENT  # half a window at the end, or nothing
        return torch.cat([first[:, None], 1 - first[:, None], rest], 1), ~begins_late

    monkeypatch.setattr(made, "answers", answers)
    return made


def padded(predictor: Predictor, loudness: float = 0.5) -> Sound:
    """Two windows of silence, one of sound and one of silence: 7 windows by half steps, silent are 0, 1, 2 and 6."""
    length = predictor.contract.samples
    samples = np.zeros(4 * length, np.float32)
    samples[2 * length : 3 * length] = loudness
    return Sound(samples, predictor.contract.rate)


def test_silent_windows_have_no_vote(predictor: Predictor) -> None:
    (answer,) = predictor.predict(padded(predictor), top_k=2)
    assert answer.labels == [predictor.labels[0], predictor.labels[1]]
    assert answer.probabilities == pytest.approx([0.7, 0.3])  # (0.6 + 0.9 + 0.6) / 3; with silence 2.1 / 7
    assert answer.known  # 2 of 3 windows are; 2 of all 7
    seconds = 4 * predictor.contract.samples / predictor.contract.rate
    said = f"the mean of 3 windows over {seconds:.1f} s (4 of 7 windows are silent and do not count)"
    assert answer.note == said


def test_a_timeline_says_which_windows_are_silent(predictor: Predictor) -> None:
    silent = [stretch.silent for stretch in predictor.timeline(padded(predictor))]
    assert silent == [True, True, True, False, False, False, True]


@pytest.mark.parametrize("loudness", [0.0, 0.9 * SILENT])
def test_a_sound_of_silence_alone_is_an_error(predictor: Predictor, loudness: float) -> None:
    (answer,) = predictor.predict(padded(predictor, loudness))
    assert answer.error == "nothing is to be heard in it: it is silent"


def test_an_explanation_is_of_a_window_with_sound() -> None:
    predictor = load("drawn-sounds", device="cpu")
    sound = padded(predictor)
    for label in predictor.labels:  # whichever class silence resembles
        start = predictor.explain(sound, target=label).start * predictor.contract.rate / predictor.contract.samples
        assert 1.4 < start < 2.6


def test_a_sound_is_measured_by_the_mean_of_its_windows_with_sound() -> None:
    half = np.zeros(10_000, np.int16)
    half[6000:] = 4
    quiet = np.full(10_000, -3, np.int16)  # 3 of 32768 are below 1e-4, 4 are above
    sounds = SoundSet("x", "all", ("a",), 8000, [half, quiet, quiet[:1000]], torch.zeros(3).long())
    windows = Windows(sounds, SoundContract(8000, 4000, n_fft=512, hop=128, mels=32))
    assert windows.heard.tolist() == [False, False, True, True, *[True] * 4, True]  # of silence alone, all
    values = torch.tensor([[1.0], [2.0], [3.0], [6.0], [1.0], [2.0], [3.0], [6.0], [7.0]])
    assert windows.mean_of_each(values).tolist() == [[4.5], [3.0], [7.0]]
    assert windows.silent_said() == ("2 of 9 windows are silent and do not count in the mean of a sound",)
