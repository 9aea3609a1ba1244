"""Any sound file a user may bring, as float32 samples of one channel.

Read by libsndfile (package soundfile): WAV of any width, FLAC, OGG, MP3, AIFF and more, whatever the suffix. Channels
are averaged, NaN and infinite samples become 0 and are counted, and only as much as is wanted is decoded.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cnn_core.data.folders import is_left_behind, walk
from cnn_core.errors import DataError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64")
HIGHEST_RATE = 768_000
MOST_CHANNELS = 64
BLOCK = 30  # seconds that are decoded at once
LARGE = 1e30  # samples of any real recording are smaller
SILENT = 1e-4  # of full scale: what is never louder is silence

SoundSource = str | os.PathLike[str] | bytes | BinaryIO


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples of one channel, float32 [T] from -1 to 1, and how many there are in a second."""

    samples: np.ndarray
    rate: int
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / self.rate

    @property
    def silent(self) -> bool:
        """Whether nothing is to be heard."""
        return is_silent(self.samples)


def read_sound(source: SoundSource, *, name: str | None = None, longest: float | None = None) -> Sound:
    """Read a sound.

    Args:
        source: path, bytes, or an open binary file.
        name: what messages call it; None: the file name, or "the sound".
        longest: seconds that are read at most, from the beginning.

    Raises:
        DataError: it cannot be read as a sound, or has no samples; the message names it and says why.
    """
    parts = list(read_blocks(source, name=name, longest=longest))
    samples = np.concatenate([part.samples for part in parts])
    return Sound(samples, parts[0].rate, tuple(dict.fromkeys(note for part in parts for note in part.notes)))


def read_blocks(source: SoundSource, *, name: str | None = None, longest: float | None = None) -> Iterator[Sound]:
    """Yield a sound in blocks of `BLOCK` seconds: hours of it in the memory of one; see `read_sound`."""
    import soundfile

    name = name or sound_name(source)
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    elif not hasattr(source, "read"):
        source = _checked_path(source, name)
    try:
        file = soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError) as error:
        raise DataError(f"{name}: {_why_not(source)} ({_reason(error)})") from error
    with file:
        rate, channels = file.samplerate, file.channels
        if not 1 <= rate <= HIGHEST_RATE or not 1 <= channels <= MOST_CHANNELS:
            raise DataError(f"{name}: its header declares {channels} channels at {rate} Hz; make the file again")
        left = None if longest is None else max(1, round(longest * rate))
        said, any_samples = ((f"the mean of {channels} channels",) if channels > 2 else ()), False
        while left is None or left > 0:
            wanted = BLOCK * rate if left is None else min(left, BLOCK * rate)
            try:
                block = file.read(wanted, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise DataError(f"{name}: is damaged after {file.tell() / rate:.1f} s ({_reason(error)})") from error
            if not len(block):
                break
            left = None if left is None else left - len(block)
            any_samples = True
            samples, notes = _cleaned(block)
            yield Sound(samples, rate, (*said, *notes))
        if not any_samples:
            raise DataError(f"{name}: holds no samples; record it again")


def is_silent(samples: np.ndarray, *, full: float = 1.0) -> bool:
    """Tell whether nothing is to be heard in samples [T], of which `full` is full scale."""
    return not len(samples) or max(float(samples.max()), -float(samples.min())) < SILENT * full


def stated_rate(source: SoundSource) -> int | None:
    """Return the samples per second that a sound's header states; None: it cannot be read."""
    import soundfile

    try:
        return int(soundfile.info(source).samplerate)
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError):
        return None


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files in a folder and its subfolders by name, without hidden ones."""
    places = walk(folder, hidden=is_left_behind)
    return sorted(place / file for place, files in places for file in files if Path(file).suffix.lower() in SUFFIXES)


def sound_name(entry: object) -> str:
    """Return what an input is called."""
    if isinstance(entry, str | os.PathLike):
        return os.fspath(entry)
    name = getattr(entry, "name", None)
    return name if isinstance(name, str) and name else "the sound"


def resample(sound: Sound, rate: int) -> np.ndarray:
    """Return the samples at another rate, float32 [T']: by a polyphase filter, without what would be aliased."""
    if sound.rate == rate:
        return sound.samples
    from scipy.signal import resample_poly

    divisor = int(np.gcd(sound.rate, rate))
    return resample_poly(sound.samples, rate // divisor, sound.rate // divisor).astype(np.float32)


def _cleaned(block: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    bad = int((~np.isfinite(block)).sum())
    if bad:
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(np.abs(block).max())
    notes = (f"{bad:,} samples are not numbers and were taken for silence",) if bad else ()
    if highest > LARGE:  # of damaged float files: their sum over the channels would be infinite
        block = block / np.float32(highest)
    samples = block.mean(1, dtype=np.float32)
    loudest = float(np.abs(samples).max())
    if loudest > 1:  # float files without a scale
        samples = samples / np.float32(loudest)
    return samples, notes


def _checked_path(source: Any, name: str) -> Path:
    path = Path(source)
    try:
        if path.is_dir():
            raise DataError(f"{name} is a folder, expected a sound")
        if not path.is_file():
            raise DataError(f"{name}: there is no such file")
        if not path.stat().st_size:
            raise DataError(f"{name}: the file is empty (zero bytes)")
    except OSError as error:
        raise DataError(f"{name[:200]}: cannot be opened ({error.strerror})") from error
    return path


def _why_not(source: Any) -> str:
    head = b""
    try:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                head = stream.read(16)
        else:
            source.seek(0)
            head = source.read(16)
    except (OSError, ValueError):
        return "cannot be read"
    if head[4:8] == b"ftyp":
        return "is M4A/AAC, which is not read; save it as WAV, FLAC, OGG or MP3"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "is WebM/Matroska, which is not read; save it as WAV, FLAC, OGG or MP3"
    return "is not a sound of a known format, or its beginning is damaged; known are WAV, FLAC, OGG, MP3 and AIFF"


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2].rstrip(".") or type(error).__name__
