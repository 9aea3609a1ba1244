"""Files that were cut short are heard as far as they go, with a note; streams of unknown length are read whole."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification.folder import load_own
from audio_classification.reading import read_sound
from cnn_core.errors import DataError

RATE = 8000


def encoded(kind: str, *, seconds: float = 8.0, subtype: str | None = None, channels: int = 1) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, (round(seconds * RATE), channels))
    soundfile.write(stream, noise, RATE, format=kind, subtype=subtype)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "head"), [("WAV", 44), ("AIFF", 54), ("AU", 24), ("RF64", 104)]
)  # 16 bits: 2 bytes a sample after the header
def test_half_of_a_file_says_how_much_is_missing(kind: str, head: int) -> None:
    whole = encoded(kind, subtype="PCM_16")
    assert len(whole) == head + 2 * 8 * RATE
    assert read_sound(whole).notes == ()
    sound = read_sound(whole[: head + 2 * 3 * RATE])
    assert sound.seconds == 3 and sound.notes == ("the file ends early: 3.00 of 8.00 s",)


def test_the_missing_part_is_worked_out_by_bytes_of_all_channels() -> None:
    whole = encoded("WAV", subtype="PCM_24", channels=2, seconds=4)
    sound = read_sound(whole[: len(whole) - 6 * RATE])
    assert (sound.seconds, sound.notes) == (3, ("the file ends early: 3.00 of 4.00 s",))
    assert read_sound(whole, longest=2.0).notes == ()
    assert read_sound(whole[: len(whole) - 6 * RATE], longest=2.0).notes == ()  # what is wanted is there


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_compressed_files_that_state_their_length_say_it_too(kind: str) -> None:
    whole = encoded(kind)
    assert read_sound(whole).notes == ()
    sound = read_sound(whole[: len(whole) // 2])
    assert 3 < sound.seconds < 5
    assert sound.notes == (f"the file ends early: {sound.seconds:.2f} of 8.00 s",)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_without_its_last_page_ends_early(subtype: str) -> None:
    whole = encoded("OGG", subtype=subtype, seconds=20)
    assert read_sound(whole).notes == ()
    sound = read_sound(whole[: len(whole) // 2])
    assert 5 < sound.seconds < 15
    assert sound.notes == (f"the file ends early: {sound.seconds:.2f} s, its last page is missing",)


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_streams_that_declare_no_length_are_read_to_their_end(declared: int, tmp_path: Path) -> None:
    data = bytearray(encoded("WAV", subtype="PCM_16", seconds=2))
    expected = read_sound(bytes(data)).samples
    data[40:44] = declared.to_bytes(4, "little")
    (tmp_path / "stream.wav").write_bytes(data)
    for source in (bytes(data), tmp_path / "stream.wav"):
        sound = read_sound(source)
        assert sound.notes == () and np.array_equal(sound.samples, expected)


def test_no_samples_before_other_chunks_are_none() -> None:
    data = encoded("WAV", seconds=0) + b"LIST\x04\x00\x00\x00INFO"
    with pytest.raises(DataError, match="holds no samples"):
        read_sound(data)


def test_training_counts_the_sounds_that_end_early(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(4):
            data = encoded("WAV", subtype="PCM_16", seconds=1 + i / 10 + (label == "b"))
            (tmp_path / label / f"{i}.wav").write_bytes(data[: len(data) - RATE] if i < 1 else data)
    said = load_own(tmp_path, []).summary.read
    assert "2 sounds end early: their files are cut short, and what is there is used" in said
