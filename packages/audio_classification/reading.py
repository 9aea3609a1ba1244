"""Any sound file a user may bring, as float32 samples of one channel.

Read by libsndfile (package soundfile): WAV of any width, FLAC, OGG, MP3, AIFF and more, whatever the suffix. Channels
are averaged unless they cancel each other, NaN and infinite samples become 0 and are counted, a large constant offset
is taken away, and only as much as is wanted is decoded. Of a file that was cut short what is there is read, with a
note.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from audio_classification.extent import Declaring, Extent, extent_of, is_stated, lacks_last_page
from cnn_core.data.folders import is_left_behind, walk
from cnn_core.errors import DataError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64")
HIGHEST_RATE = 768_000
MOST_CHANNELS = 64
BLOCK = 30  # seconds that are decoded at once
PIECE = 8192  # samples, of which those before a damaged place are kept
CANCELLED = 0.01  # of the energy that the mean of unrelated channels has, below which they cancel each other
OPPOSED = "the channels cancel each other: the loudest one is heard"
# Of the standard deviation, from which on a constant offset is taken away: spoken digits with 0.3 of it were named
# rightly in 50 of 60 cases by a network of waves, with all of it in 13; without it in 60.
OFFSET = 0.25
FEW = 400  # samples, below which a mean says nothing of an offset
SHIFTED = "a constant offset was taken away"
EARLY = "the file ends early"  # begins the note of a file that was cut short
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
    opened: Any = source.open("rb") if isinstance(source, Path) else nullcontext(source)
    with opened as stream:
        extent = _extent(stream)
        unstated = extent if extent and extent.declared == 0 < extent.there else None
        try:
            file = soundfile.SoundFile(Declaring(stream, unstated) if unstated else stream)
        except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError) as error:
            raise DataError(f"{name}: {_why_not(source)} ({_reason(error)})") from error
        with file:
            yield from _blocks(file, name, longest, lambda heard: _ends_early(stream, file, extent, heard))


def _blocks(file: Any, name: str, longest: float | None, ends_early: Callable[[float], str | None]) -> Iterator[Sound]:
    """Yield the blocks of an open file; `ends_early` answers the seconds that were heard with a note, or None."""
    rate, channels = file.samplerate, file.channels
    if not 1 <= rate <= HIGHEST_RATE or not 1 <= channels <= MOST_CHANNELS:
        raise DataError(f"{name}: its header declares {channels} channels at {rate} Hz; make the file again")
    left = None if longest is None else max(1, round(longest * rate))
    said = (f"the mean of {channels} channels",) if channels > 2 else ()
    last, heard, error = None, 0, None
    while (left is None or left > 0) and error is None:
        wanted = BLOCK * rate if left is None else min(left, BLOCK * rate)
        block, error = _pieces(file, wanted)
        if error is not None and not len(block) and last is None:
            raise DataError(f"{name}: is damaged after {heard / rate:.1f} s ({_reason(error)})") from error
        if not len(block):
            break
        heard += len(block)
        left = None if left is None else left - len(block)
        if last is not None:
            yield last
        samples, notes = _cleaned(block)
        last = Sound(samples, rate, (*said, *notes))
    if last is None:
        raise DataError(f"{name}: holds no samples; record it again")
    early = None if left == 0 else ends_early(heard / rate)
    yield last if early is None else replace(last, notes=(*last.notes, early))


def _pieces(file: Any, wanted: int) -> tuple[np.ndarray, Exception | None]:
    """Return up to `wanted` samples [T, channels], and what went wrong behind them: decoded piece by piece."""
    import soundfile

    whole = np.empty((wanted, file.channels), dtype=np.float32)
    filled = 0
    while filled < wanted:
        try:
            piece = file.read(min(PIECE, wanted - filled), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            return whole[:filled], error
        if not len(piece):
            break
        whole[filled : filled + len(piece)] = piece
        filled += len(piece)
    return whole[:filled], None


def _extent(stream: BinaryIO) -> Extent | None:
    try:
        return extent_of(stream)
    except (OSError, ValueError):  # a stream that cannot be sought
        return None
    finally:
        with suppress(OSError, ValueError):
            stream.seek(0)


def _ends_early(stream: BinaryIO, file: Any, extent: Extent | None, heard: float) -> str | None:
    """Return a note if less was heard than the file declares; `heard` in seconds."""
    declared = heard
    if extent is not None:
        if not extent.streamed and 0 < extent.there < extent.declared:
            declared = heard * extent.declared / extent.there
    elif file.format == "FLAC" or (file.format == "MP3" and is_stated(stream)):
        declared = file.frames / file.samplerate
    elif file.format == "OGG" and lacks_last_page(stream):
        return f"{EARLY}: {heard:.2f} s, its last page is missing"
    if declared < heard or f"{heard:.2f}" == f"{declared:.2f}":
        return None
    return f"{EARLY}: {heard:.2f} of {declared:.2f} s"


def is_silent(samples: np.ndarray, *, full: float = 1.0) -> bool:
    """Tell whether nothing is to be heard in samples [T], of which `full` is full scale."""
    return not len(samples) or max(float(samples.max()), -float(samples.min())) < SILENT * full


def heard_in(samples: np.ndarray, *, full: float = 1.0) -> tuple[int, int]:
    """Return where what is to be heard begins and ends in samples [T]: all of them where it is nothing."""
    loud = np.flatnonzero((samples >= SILENT * full) | (samples <= -SILENT * full))
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(samples))


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
    if block.shape[1] > 1:
        energies = np.square(block, dtype=np.float64).sum(0)
        left = float(np.square(samples, dtype=np.float64).sum())
        if left < CANCELLED * float(energies.sum()) / block.shape[1] ** 2:
            samples, notes = block[:, energies.argmax()], (*notes, OPPOSED)
    mean = float(samples.mean(dtype=np.float64))
    if len(samples) >= FEW and abs(mean) > OFFSET * float(samples.std(dtype=np.float64)) > 0:
        samples, notes = samples - np.float32(mean), (*notes, *([SHIFTED] if abs(mean) >= SILENT else []))
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
