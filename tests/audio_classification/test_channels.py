"""Channels that cancel each other in their mean are not silence: the loudest one is heard, and that is said."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification.folder import load_own
from audio_classification.reading import OPPOSED, read_sound

RATE = 8000


def tone(pitch: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)).astype(np.float32)


def written(*channels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.stack(channels, 1), RATE, format="WAV", subtype="FLOAT")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("share", "cancels"),  # the mean's energy, (1 - s)^2 / 4, is below 1 % of that of unrelated ones, (1 + s^2) / 4
    [(1.0, True), (0.9, True), (0.87, True), (0.86, False), (0.5, False), (0.0, False), (-1.0, False)],
)
def test_opposed_channels_are_heard_by_the_loudest(share: float, cancels: bool) -> None:
    sound = read_sound(written(-share * tone(440), tone(440)))
    loudest = -tone(440) if share == 1 else tone(440)  # of equal ones the first
    expected = loudest if cancels else tone(440) * (1 - share) / 2
    assert sound.samples == pytest.approx(expected, abs=1e-6)
    assert (OPPOSED in sound.notes) is cancels
    assert not sound.silent


def test_one_sounding_channel_of_many_and_silence_are_averaged() -> None:
    silence = np.zeros(RATE, np.float32)
    sound = read_sound(written(*[silence] * 15, tone(440)))  # 1 / 256 of its energy, as of unrelated channels
    assert sound.samples == pytest.approx(tone(440) / 16, abs=1e-6)
    assert sound.notes == ("the mean of 16 channels",)
    assert read_sound(written(silence, silence)).notes == ()


def test_training_counts_sounds_whose_channels_cancel(tmp_path: Path) -> None:
    for label, pitch in (("a", 300), ("b", 900)):
        (tmp_path / label).mkdir()
        for i in range(3):
            wave = tone(pitch + 20 * i)
            (tmp_path / label / f"{i}.wav").write_bytes(written(wave, -wave if i == 0 else wave))
    own = load_own(tmp_path, [])
    assert "of 2 sounds whose channels cancel each other the loudest channel is used" in own.summary.read
    assert all(np.abs(wave).max() > 16_000 for wave in own.whole.waves)
