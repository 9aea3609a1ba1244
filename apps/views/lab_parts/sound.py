"""A sound on its way into a network: what the page shows of it."""

import io
from dataclasses import dataclass

import numpy as np

from components.maps import Map

Line = list[tuple[float, float]]
SIZES = {"64": "8 ms", "128": "16 ms", "256": "32 ms", "512": "64 ms"}  # samples of a frame
POINTS = 400  # of a line at most


@dataclass(frozen=True)
class Heard:
    """A sound and its way, as lines (milliseconds or Hz, value), pictures and playable sounds."""

    sound: bytes  # WAV
    whole: Line  # loudness over the whole second
    frame: Line
    windowed: Line
    spectrum: Line
    loudest: float  # Hz
    picture: Map
    cell: tuple[int, int, int]  # of the frame in the picture


@dataclass(frozen=True)
class Slid:
    """What a kernel makes of a sound."""

    sound: bytes  # WAV
    does: str
    kernel: Line
    before: Line
    after: Line


def names() -> tuple[list[str], dict[str, str]]:
    """Return the kinds of sounds, and the kernels: name -> title."""
    from audio_classification.drawn import LABELS
    from lab.sounds import WAVE_KERNELS

    return list(LABELS), {kernel.name: kernel.title for kernel in WAVE_KERNELS}


def hear(kind: str, start: int, size: int) -> Heard:
    """Compute the way of the frame that begins `start` ms into a drawn sound and has `size` samples."""
    from audio_classification.drawn import RATE
    from lab.sounds import drawn_wave, frame_at, picture, spectrum

    wave = drawn_wave(kind)
    first = start * RATE // 1000
    frame, windowed = frame_at(wave, first, size)
    hertz, loud = spectrum(windowed)
    seen = picture(wave, size)
    middle = min(seen.shape[1] - 1, (first + size // 2) // (RATE // 100))
    pieces = np.array_split(wave.abs().numpy(), 200)
    return Heard(
        wav(wave.numpy()), [(5.0 * i, round(float(piece.max()), 4)) for i, piece in enumerate(pieces)],
        line(frame.numpy(), start), line(windowed.numpy(), start),
        [(round(float(f), 1), round(float(v), 2)) for f, v in zip(hertz, loud, strict=True)],
        float(hertz[loud.argmax()]),
        Map("Log-mel spectrogram", seen.flip(0).numpy(), limits=(float(seen.min()), float(seen.max())),
            says=f"{seen.shape[0]} bands × {seen.shape[1]} frames"),
        (0, seen.shape[0] - 1 - int(seen[:, middle].argmax()), middle),
    )  # fmt: skip


def slid(kind: str, kernel: str, start: int, size: int) -> Slid:
    """Slide a kernel over a drawn sound, and show what becomes of a frame."""
    from audio_classification.drawn import RATE
    from lab.sounds import drawn_wave, find_wave_kernel, slide

    found = find_wave_kernel(kernel)
    wave, weights = drawn_wave(kind), found.weights()
    out = slide(wave, weights)
    first = start * RATE // 1000
    return Slid(
        wav(out.numpy()), found.does, line(weights.numpy(), 0), line(wave[first : first + size].numpy(), start),
        line(out[first : first + size].numpy(), start),
    )  # fmt: skip


def line(samples: np.ndarray, start: float) -> Line:
    """Return samples with their place in milliseconds, at most `POINTS` of them."""
    from audio_classification.drawn import RATE

    step = max(1, -(-len(samples) // POINTS))
    return [
        (round(start + 1000 * i / RATE, 3), round(float(samples[i]), 4)) for i in range(0, len(samples), step)
    ]  # fmt: skip


def wav(samples: np.ndarray) -> bytes:
    """Return samples as a WAV file, as loud as it can be."""
    import soundfile

    from audio_classification.drawn import RATE

    stream = io.BytesIO()
    soundfile.write(stream, 0.9 * samples / max(1e-6, float(np.abs(samples).max())), RATE, format="WAV")
    return stream.getvalue()


def snippet(kind: str, start: int, size: int, kernel: str) -> str:
    """Return the code that computes the numbers of the page."""
    return f"""\
from audio_classification.drawn import RATE
from lab.sounds import drawn_wave, find_wave_kernel, frame_at, picture, slide, spectrum

wave = drawn_wave("{kind}")  # [8000], one second
frame, windowed = frame_at(wave, {start} * RATE // 1000, {size})
hertz, loud = spectrum(windowed)
print(hertz[loud.argmax()], loud.max())
seen = picture(wave, {size})  # what a 2-D network sees
out = slide(wave, find_wave_kernel("{kernel}").weights())  # what the first layer of a 1-D network does
print(seen.shape, out.abs().max())
"""
