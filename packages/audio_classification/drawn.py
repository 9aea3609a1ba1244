"""Drawn sounds: eight kinds with random pitch, length, loudness and noise, computed anew from a seed; no download."""

from collections.abc import Callable

import numpy as np

RATE, SECONDS = 8000, 1.0
LABELS = ("clicks", "falling chirp", "falling melody", "hiss", "rising chirp", "rising melody", "rumble", "tone")
COUNTS = {"train": 800, "val": 160, "test": 400}
SEEDS = {"train": 1, "val": 2, "test": 3}
LOW, HIGH = 200.0, 1600.0  # Hz of the fundamental
STEPS = (0, 4, 7, 12)  # half tones of a melody


def drawn_sounds(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sounds of "train", "val" or "test": int16 [N, T], int64 [N], as many of each kind."""
    random = np.random.RandomState(SEEDS[split])
    targets = np.arange(COUNTS[split]) % len(LABELS)
    waves = np.stack([_draw(LABELS[target], random) for target in targets])
    return np.rint(waves * 32767).astype(np.int16), targets.astype(np.int64)


def _draw(label: str, random: np.random.RandomState) -> np.ndarray:
    """Return one sound, float [T] from -1 to 1: somewhere in silence, with noise 10 to 40 dB below it."""
    total = int(RATE * SECONDS)
    length = random.randint(total // 3, int(total * 0.9))
    pitch = float(np.exp(random.uniform(np.log(LOW), np.log(HIGH))))
    sound = _MAKERS[label](np.arange(length) / RATE, pitch, random)
    sound = sound / max(1e-9, float(np.abs(sound).max())) * _envelope(length)
    start = random.randint(0, total - length)
    wave = np.zeros(total)
    wave[start : start + length] = sound
    noise = random.normal(size=total) * 10 ** (-random.uniform(10, 40) / 20) * np.sqrt(np.mean(sound**2))
    loudness = 10 ** (-random.uniform(0, 20) / 20)
    return np.clip((wave + noise) / 1.5 * loudness, -1, 1)


def _envelope(length: int) -> np.ndarray:
    """Return a soft beginning and end of 10 ms."""
    ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.01 * RATE)
    return np.minimum(1.0, ramp)


def _tone(t: np.ndarray, pitch: float, random: np.random.RandomState) -> np.ndarray:
    overtones = random.uniform(0, 0.6, 3)
    return sum(
        (volume * np.sin(2 * np.pi * pitch * order * t) for order, volume in enumerate((1.0, *overtones), start=1)),
        np.zeros_like(t),
    )


def _chirp(direction: int) -> Callable[..., np.ndarray]:
    def make(t: np.ndarray, pitch: float, random: np.random.RandomState) -> np.ndarray:
        octaves = direction * random.uniform(0.8, 2.0)
        start = pitch if direction > 0 else min(pitch * 2**-octaves, 3500.0)
        phase = 2 * np.pi * start * np.cumsum(2 ** (octaves * t / t[-1])) / RATE
        return np.sin(phase)

    return make


def _melody(direction: int) -> Callable[..., np.ndarray]:
    def make(t: np.ndarray, pitch: float, random: np.random.RandomState) -> np.ndarray:
        notes = np.array(STEPS[::direction])[np.minimum((t / t[-1] * len(STEPS)).astype(int), len(STEPS) - 1)]
        phase = 2 * np.pi * np.cumsum(pitch * 2 ** (notes / 12)) / RATE
        return np.sin(phase) + random.uniform(0, 0.5) * np.sin(2 * phase)

    return make


def _clicks(t: np.ndarray, _: float, random: np.random.RandomState) -> np.ndarray:
    wave = np.zeros_like(t)
    for place in np.arange(random.randint(0, 200), len(t), random.randint(400, 1600)):
        wave[place : place + 24] = (
            random.normal(size=24)[: len(t) - place] * np.exp(-np.arange(24) / 6)[: len(t) - place]
        )
    return wave


def _noise(brown: bool) -> Callable[..., np.ndarray]:
    def make(t: np.ndarray, _: float, random: np.random.RandomState) -> np.ndarray:
        white = random.normal(size=len(t))
        if not brown:
            return white
        low = np.cumsum(white - white.mean())
        return low - np.linspace(low[0], low[-1], len(low))

    return make


_MAKERS: dict[str, Callable[..., np.ndarray]] = {
    "tone": _tone, "rising chirp": _chirp(1), "falling chirp": _chirp(-1), "rising melody": _melody(1),
    "falling melody": _melody(-1), "clicks": _clicks, "hiss": _noise(brown=False), "rumble": _noise(brown=True),
}  # fmt: skip
