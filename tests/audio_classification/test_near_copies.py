"""Louder, softer and newly encoded copies stay on one side of a split and are counted; other recordings do not."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification import copies
from audio_classification.copies import nearly_same, same_samples
from audio_classification.data import to_int16
from audio_classification.folder import OwnSounds, load_own
from audio_classification.reading import read_sound

RATE = 8000


def recording(number: int) -> np.ndarray:
    """Half a second of eight tones that come and go, drawn by `number`."""
    drawn = np.random.default_rng(number)
    t = np.arange(RATE // 2) / RATE
    tones = [
        np.sin(2 * np.pi * drawn.uniform(150, 3000) * t + drawn.uniform(0, 6)) * np.exp(-(((t - at) / 0.1) ** 2))
        for at in drawn.uniform(0, 0.5, 8)
    ]
    return 0.8 * sum(tones) / np.abs(sum(tones)).max()


def encoded(wave: np.ndarray, kind: str = "WAV", rate: int = RATE) -> np.ndarray:
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=kind)
    return to_int16(read_sound(stream.getvalue()).samples)


def pairs(*waves: np.ndarray) -> list[list[int]]:
    return nearly_same(waves, RATE, among=np.arange(len(waves))).tolist()


@pytest.mark.parametrize(
    "copy",
    [lambda w: encoded(0.9 * w), lambda w: encoded(0.2 * w), lambda w: encoded(-w), lambda w: encoded(w, "OGG"),
     lambda w: encoded(0.9 * w, "MP3"), lambda w: encoded(np.pad(w, (900, 3000)))],
    ids=["0.9", "0.2", "polarity", "ogg", "mp3", "padded"],
)  # fmt: skip
def test_a_changed_copy_is_found_among_other_recordings(copy: object) -> None:
    assert callable(copy)
    others = [encoded(recording(number)) for number in range(1, 6)]
    assert pairs(encoded(recording(0)), *others, copy(recording(0))) == [[0, 6]]


def test_samples_that_agree_to_95_percent_are_the_same_recording() -> None:
    t = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 500 * t), np.sin(2 * np.pi * 1300 * t)
    one = to_int16((0.5 * low).astype(np.float32))
    for share, same in ((0.30, True), (0.35, False)):  # correlation 1 / sqrt(1 + share ** 2): 0.958 and 0.944
        other = to_int16((0.5 * (low + share * high)).astype(np.float32))
        assert same_samples(one, other, RATE) is same
        assert same_samples(one, np.roll(other, 160), RATE) is same  # ten periods of the low tone later


def test_silence_is_no_copy_of_a_sound() -> None:
    assert pairs(np.zeros(4000, np.int16), np.ones(4001, np.int16), encoded(recording(0))) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten recordings of each of two classes, and of the first a softer one and an OGG."""
    for label, first in (("a", 0), ("b", 100)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(10):
            soundfile.write(tmp_path / "set" / label / f"{i}.wav", recording(first + i), RATE)
    soundfile.write(tmp_path / "set" / "a" / "soft.wav", 0.9 * recording(0), RATE)
    soundfile.write(tmp_path / "set" / "a" / "small.ogg", 0.9 * recording(0), RATE)
    return tmp_path / "set"


def sides(own: OwnSounds, *names: str) -> set[str]:
    return {part for part, index in own.parts.items() for i in index if own.whole.files[i] in names}


def test_near_copies_stay_on_one_side_and_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = load_own(folder, [])
    assert len(sides(own, "a/0.wav", "a/soft.wav", "a/small.ogg")) == 1
    said = "2 near copies among the sounds: a sound and its copies stay on one side of a split"
    assert said in own.summary.read
    monkeypatch.setattr(copies, "MOST_COMPARED", 21)
    said = "near copies are not looked for among 22 sounds, more than 21; exact ones are"
    assert said in load_own(folder, []).summary.read


def test_near_copies_across_given_splits_are_a_warning(folder: Path) -> None:
    for label in ("a", "b"):
        (folder / "train").mkdir(exist_ok=True)
        (folder / label).rename(folder / "train" / label)
        (folder / "test" / label).mkdir(parents=True)
    (folder / "train" / "a" / "soft.wav").rename(folder / "test" / "a" / "soft.wav")
    soundfile.write(folder / "test" / "b" / "new.wav", recording(200), RATE)
    warnings = " ".join(load_own(folder, []).summary.warnings)
    assert "1 of the 2 test sounds are copies of training sounds" in warnings
