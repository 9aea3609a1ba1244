"""Sounds and labels as recorders and data sets leave them: offsets, silence, lists of splits, several labels."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification import load as load_weights
from audio_classification.folder import OwnSounds, load_own
from audio_classification.reading import SHIFTED, read_sound
from cnn_core.errors import CnnError, DataError

RATE = 8000


def noise(seed: int, *, offset: float = 0.0, loudness: float = 0.1) -> np.ndarray:
    """Half a second of white noise."""
    return (offset + loudness * np.random.default_rng(seed).standard_normal(RATE // 2)).clip(-1, 1)


def save(file: Path, samples: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, RATE, subtype="FLOAT")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six sounds."""
    for k in range(12):
        save(tmp_path / ("dog", "rain")[k % 2] / f"{k:02}.wav", noise(k))
    return tmp_path


def load(folder: Path) -> OwnSounds:
    return load_own(folder, [])


def test_a_large_constant_offset_is_taken_away_and_said(tmp_path: Path) -> None:
    for offset, expected in ((0.02, 0.02), (0.05, 0.0), (-0.4, 0.0)):  # of 0.1, the standard deviation
        save(tmp_path / "a.wav", noise(0, offset=offset))
        sound = read_sound(tmp_path / "a.wav")
        assert sound.samples.mean() == pytest.approx(expected, abs=0.005)
        assert (SHIFTED in sound.notes) == (expected == 0)
    save(tmp_path / "a.wav", np.array([0.0, 0.5, 0.5]))
    assert read_sound(tmp_path / "a.wav").samples.tolist() == [0, 0.5, 0.5]  # too few to tell


def test_offsets_and_silence_among_own_sounds_are_counted(folder: Path) -> None:
    save(folder / "dog" / "00.wav", noise(0, offset=0.3))
    save(folder / "rain" / "01.wav", np.zeros(RATE))
    own = load(folder)
    assert len(own.whole) == 11 and "rain/01.wav" not in own.whole.files
    assert [(entry.count, entry.examples) for entry in own.summary.left_out] == [(1, ("rain/01.wav",))]
    assert "is silent" in own.summary.left_out[0].reason
    assert "from 1 sounds a constant offset was taken away" in own.summary.read
    for k in range(1, 12, 2):
        save(folder / "rain" / f"{k:02}.wav", np.zeros(RATE))
    with pytest.raises(DataError, match=r"not one training sound can be read of rain: rain/01.wav \(is silent\)"):
        load(folder)


@pytest.mark.parametrize("inner", ["", "speech_commands"])
def test_the_lists_of_speech_commands_divide_its_sounds(inner: str, folder: Path, tmp_path: Path) -> None:
    if inner:
        (tmp_path / inner).mkdir()
        for name in ("dog", "rain"):
            (tmp_path / name).rename(tmp_path / inner / name)
    (folder / inner / "testing_list.txt").write_text("dog/00.wav\nrain/03.wav\n")
    (folder / inner / "validation_list.txt").write_text("dog/02.wav\n")
    own = load(folder)
    names = {part: [own.whole.files[k].removeprefix(f"{inner}/") for k in places] for part, places in own.parts.items()}
    assert names["test"] == ["dog/00.wav", "rain/03.wav"] and names["val"] == ["dog/02.wav"]
    assert len(names["train"]) == 9
    assert "divided as testing_list.txt and validation_list.txt say" in own.summary.read


def test_background_noise_is_no_class_and_said(folder: Path) -> None:
    for k in range(3):
        save(folder / "_background_noise_" / f"{k}.wav", noise(40 + k))
    assert load(folder).whole.labels == ("dog", "rain")
    (folder / "_background_noise_" / "README.md").write_text("Pink and white noise, and four recordings.")
    left = {entry.reason: entry.count for entry in load(folder).summary.left_out}
    why = "sounds in _background_noise_, which are there to be mixed into the others and are no class"
    assert left == {why: 3, "file that is no sound": 1}
    for k in range(1, 12, 2):
        (folder / "rain" / f"{k:02}.wav").unlink()
    (folder / "rain").rmdir()
    assert load(folder).whole.labels == ("_background_noise_", "dog")  # a detector of one word


def test_several_labels_in_a_cell_are_said(folder: Path) -> None:
    rows = [f"{('dog', 'rain')[k % 2]}/{k:02}.wav;{('dog', 'rain')[k % 2]}" for k in range(8)]
    rows += [f"{('dog', 'rain')[k % 2]}/{k:02}.wav;dog, rain" for k in range(8, 12)]
    (folder / "labels.csv").write_text("filename;label\n" + "\n".join(rows) + "\n")
    own = load(folder)
    assert own.whole.labels == ("dog", "dog, rain", "rain")
    said = "1 label seems to be several in one cell, learned as a class of its own (such as 'dog, rain')"
    assert any(said in warning for warning in own.summary.warnings)


def test_samples_without_their_rate_are_refused() -> None:
    predictor = load_weights("drawn-sounds", device="cpu")
    for wrong, came in ((np.zeros(RATE), "float64"), ([np.zeros(RATE)], "ndarray"), ([None], "NoneType")):
        with pytest.raises(CnnError, match=rf"an open file or Sound\(samples, rate\), got {came}"):
            predictor.predict(wrong)
