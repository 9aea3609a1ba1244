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
    """Two windows of silence, one of sound and one of silence, which is 3, 1 and 1 of them by half steps."""
    length = predictor.contract.samples
    samples = np.zeros(4 * length, np.float32)
    samples[2 * length : 3 * length] = loudness
    return Sound(samples, predictor.contract.rate)


def test_silent_windows_have_no_vote(predictor: Predictor) -> None:
    length = predictor.contract.samples
    samples = np.zeros(4 * length, np.float32)
    samples[:length] = samples[3 * length :] = 0.5  # by half steps 7 windows, 3 of them silent
    (answer,) = predictor.predict(Sound(samples, predictor.contract.rate), top_k=2)
    assert answer.labels == [predictor.labels[0], predictor.labels[1]]
    assert answer.probabilities == pytest.approx([0.75, 0.25])  # (0.9 + 0.6 + 0.6 + 0.9) / 4; with silence 3 / 7
    assert answer.known  # 3 of 4 windows are; 3 of all 7
    seconds = 4 * length / predictor.contract.rate
    said = f"the mean of 4 windows over {seconds:.1f} s (3 of 7 windows are silent and do not count)"
    assert answer.note == said


@pytest.mark.parametrize("share", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("before", [0.0, 0.8, 3.3])  # windows of silence
def test_silence_at_the_ends_changes_nothing(share: float, before: float, predictor: Predictor) -> None:
    length = predictor.contract.samples
    sound = np.full(round(share * length), 0.5, np.float32)
    silence = [np.zeros(round(windows * length), np.float32) for windows in (before, 1.4)]
    alone, ended = (
        predictor.predict(Sound(samples, predictor.contract.rate), top_k=2)[0]
        for samples in (sound, np.concatenate([silence[0], sound, silence[1]]))
    )
    assert (ended.labels, ended.probabilities) == (alone.labels, pytest.approx(alone.probabilities))
    assert "silent" in ended.note


def test_windows_begin_and_end_with_what_is_heard() -> None:
    contract = SoundContract(8000, 4000, n_fft=512, hop=128, mels=32)
    assert contract.starts(10_000) == [0, 2000, 4000, 6000]
    assert contract.starts(10_000, (500, 9000)) == [500, 2500, 4500, 5000]
    assert contract.starts(20_000, (7000, 9000)) == [0, 2000, 6000, 9000, 11_000, 13_000, 15_000]  # in the middle
    assert contract.starts(5000, (0, 1000)) == [-1500, 1000]  # as it is alone


def test_a_timeline_says_which_windows_are_silent(predictor: Predictor) -> None:
    silent = [stretch.silent for stretch in predictor.timeline(padded(predictor))]
    assert silent == [True, True, True, False, True]


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
    assert windows.heard.tolist() == [False, False, True, *[True] * 4, True]  # of silence alone, all
    values = torch.tensor([[1.0], [2.0], [6.0], [1.0], [2.0], [3.0], [6.0], [7.0]])
    assert windows.mean_of_each(values).tolist() == [[6.0], [3.0], [7.0]]
    assert windows.silent_said() == ("2 of 8 windows are silent and do not count in the mean of a sound",)
