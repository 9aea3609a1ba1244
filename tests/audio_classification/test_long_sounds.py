"""Hours of sound, files that lie, and odd samples: bounded memory, one sentence each."""

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification.reading import read_blocks, read_sound

RATE = 8000


def sparse_wav(path: Path, seconds: int) -> Path:
    """A WAV of silence, 16 bits, that takes no room on the disk, with a click in its last second."""
    size = 2 * RATE * seconds
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16,
                       b"data", size)  # fmt: skip
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        file.seek(len(head) + size - 2 * 100)
        file.write(struct.pack("<h", 30_000))
    return path


def test_four_hours_are_read_in_the_memory_of_half_a_minute(tmp_path: Path) -> None:
    path = sparse_wav(tmp_path / "night.wav", 4 * 3600)
    tracemalloc.start()
    seconds, loudest = 0.0, 0.0
    for block in read_blocks(path):
        seconds, loudest = seconds + block.seconds, max(loudest, float(np.abs(block.samples).max()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds == 4 * 3600
    assert loudest == pytest.approx(30_000 / 32_768, abs=1e-4)
    assert peak < 10 * 2**20  # a block is 1 MB as float32


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (192_000, 1), (8000, 6)])
def test_odd_rates_and_channels_are_read(rate: int, channels: int) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.full((rate * 2, channels), 0.25), rate, format="WAV", subtype="FLOAT")
    sound = read_sound(stream.getvalue())
    assert (sound.rate, sound.seconds) == (rate, 2)
    assert np.all(sound.samples == 0.25)


def test_a_float_file_without_a_scale_keeps_its_shape() -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.array([0.0, 300.0, -600.0]), RATE, format="WAV", subtype="FLOAT")
    assert read_sound(stream.getvalue()).samples == pytest.approx([0, 0.5, -1])


def test_a_header_with_a_rate_of_zero_is_refused_or_read_never_hangs(tmp_path: Path) -> None:
    path = sparse_wav(tmp_path / "x.wav", 1)
    data = bytearray(path.read_bytes())
    data[24:28] = (0).to_bytes(4, "little")
    path.write_bytes(data)
    from cnn_core.errors import DataError

    with pytest.raises(DataError, match=r"x\.wav"):
        read_sound(path)
