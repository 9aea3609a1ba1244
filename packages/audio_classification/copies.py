"""Near copies among sounds: the same recording, louder or softer, encoded again, or with other silence around it.

Two sounds are near copies if they agree in two ways: in a coarse log-mel spectrogram of the whole recording, and in
their samples, at the delay where these correlate best. Speed, pitch, echo and cuts make another recording.

Measured on the 3,000 spoken digits of fsdd, 50 of every speaker and digit: of their 4.5 million pairs not one is joined
(the spectrograms of different recordings agree to 0.989 at most, the samples of the 3,000 closest pairs to 0.925). Of
copies of 200 of them it found all at 0.9 of the loudness or with half a second of silence on both sides, 198 at 0.1 of
the loudness, 196 as Ogg Vorbis, 197 as that and softer, 198 as Opus, 181 as MP3, and 112 with 8 bits (what is missed is
quiet recordings, whose noise changes); of halves of recordings 2.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from audio_classification.contract import NEPER
from audio_classification.reading import is_silent
from audio_classification.sound_set import FULL
from audio_classification.spectrogram import log_mel

MOST_COMPARED = 20_000  # sounds; every pair is looked at
CELLS = 24  # bands, and stretches of time, of the coarse spectrogram
FRAME = 0.064  # seconds
DYNAMIC_RANGE = 60.0  # dB below the loudest cell, where it ends
EDGE = 0.01  # of the loudest sample: what is never louder at the ends does not belong to the recording
SAME_VIEW = 0.95  # correlation of the coarse spectrograms
SAME_SAMPLES = 0.95  # correlation of the samples
COMPARED_RATE = 8000  # samples per second that are left, at least, for that
COMPARED = 16_000  # of these samples are compared, from the beginning on
CHUNK = 256


def nearly_same(waves: Sequence[np.ndarray], rate: int, *, among: np.ndarray) -> np.ndarray:
    """Return the pairs of near copies: int64 [P, 2], the smaller number first.

    Args:
        waves: N arrays, int16 [T_i].
        rate: samples per second of all.
        among: int64, ascending, the numbers of those that are compared; more than `MOST_COMPARED` are not.
    """
    nothing = np.empty((0, 2), dtype=np.int64)
    if not 1 < len(among) <= MOST_COMPARED:
        return nothing
    views = np.stack([_view(_trimmed(waves[i]), rate) for i in among])
    found = []
    for start in range(0, len(among), CHUNK):
        a, b = np.nonzero(views[start : start + CHUNK] @ views[start:].T > SAME_VIEW)
        found += [(among[start + i], among[start + j]) for i, j in zip(a, b, strict=True) if j > i]
    pairs = [pair for pair in found if same_samples(waves[pair[0]], waves[pair[1]], rate)]
    return np.array(pairs, dtype=np.int64) if pairs else nothing


def unsought(count: int) -> tuple[str, ...]:
    """Return a sentence if `count` different sounds are too many to look for near copies."""
    if count <= MOST_COMPARED:
        return ()
    return (f"near copies are not looked for among {count:,} sounds, more than {MOST_COMPARED:,}; exact ones are",)


def same_samples(one: np.ndarray, other: np.ndarray, rate: int) -> bool:
    """Tell whether the samples of two waves correlate, in either polarity, at the delay that suits them best."""
    a, b = (_thinned(_trimmed(wave), rate) for wave in (one, other))
    size = 1 << (len(a) + len(b)).bit_length()
    products = np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size).conj(), size)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return lengths > 0 and float(np.abs(products).max()) > SAME_SAMPLES * lengths


def _trimmed(wave: np.ndarray) -> np.ndarray:
    """Return a wave as float32 without the silence at its ends."""
    if is_silent(wave, full=FULL):
        return np.zeros(0, dtype=np.float32)
    samples = wave.astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) >= EDGE * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def _view(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the coarse spectrogram, float32 [CELLS * CELLS], of mean 0 and length 1; zeros of silence."""
    if not len(samples):
        return np.zeros(CELLS * CELLS, dtype=np.float32)
    n_fft = 1 << round(np.log2(FRAME * rate))
    wave = torch.from_numpy(samples / np.abs(samples).max())
    wave = F.pad(wave, (0, max(0, n_fft - len(wave))))
    seen = log_mel(wave[None], rate=rate, n_fft=n_fft, hop=n_fft // 4, mels=CELLS)[0]  # [CELLS, frames]
    seen = (seen - seen.max()).clamp_min(-DYNAMIC_RANGE * NEPER)
    view = F.adaptive_avg_pool1d(seen, CELLS).flatten()
    return F.normalize(view - view.mean(), dim=0).numpy()


def _thinned(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the beginning of a wave, the mean of as many samples as leave `COMPARED_RATE` in a second."""
    step = max(1, rate // COMPARED_RATE)
    beginning = samples[: COMPARED * step]
    return beginning[: len(beginning) // step * step].reshape(-1, step).mean(1)
