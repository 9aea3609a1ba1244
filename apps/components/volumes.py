"""Scans made small for a browser: as whole numbers, in slabs, and as an overview in which no label vanishes."""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

SLAB = 4_000_000  # voxels fetched at a time, 8 MB
LEVELS = 4095  # of intensities that are no whole numbers


@dataclass(frozen=True, eq=False)
class Slabs:
    """An array [X, Y, Z] in gzips of `depth` slices each, one after the other; `ends` are where they end in `data`.

    A gzip holds the low bytes of its voxels, x running first, and then the high ones, if they have two.
    """

    data: bytes
    ends: Sequence[int]
    depth: int
    digest: str  # SHA-256 of the data


def slabs(array: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> Slabs:
    """Return an array, converted slab after slab: of all of it no converted copy is made."""
    depth = max(1, SLAB // (array.shape[0] * array.shape[1]))
    with ThreadPoolExecutor(2) as pool:  # zlib works beside Python
        parts = list(pool.map(lambda k: _squeeze(convert(array[..., k : k + depth])), range(0, array.shape[2], depth)))
    data = b"".join(parts)
    return Slabs(data, np.cumsum([len(part) for part in parts]).tolist(), depth, hashlib.sha256(data).hexdigest())


def _squeeze(slab: np.ndarray) -> bytes:
    # Noise sits in the low bytes, and the high ones repeat: looking for runs alone is twice as fast as the quickest
    # level that looks for repeats (160 MB/s against 76), and makes a noisy CT smaller (38 % against 48 %).
    flat = np.frombuffer(slab.tobytes(order="F"), np.uint8).reshape(-1, slab.dtype.itemsize)
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)
    return squeezer.compress(flat.T.tobytes()) + squeezer.flush()


def pooled(mask: np.ndarray, step: int) -> np.ndarray:
    """Return uint8 with one voxel for each block of `step` x `step` x `step`, labelled wherever the block is.

    Of several labels in one block the one with the fewest voxels in the scan stays.
    """
    if step == 1:
        return mask.astype(np.uint8)
    layers = [mask[..., k : k + step].astype(np.uint8, copy=False) for k in range(0, mask.shape[2], step)]
    counts = np.sum([np.bincount(layer.ravel(order="K"), minlength=256) for layer in layers], axis=0)
    counts[0] = mask.size  # never before a label
    order = np.argsort(-counts, kind="stable").astype(np.uint8)  # no label, the most frequent one, ..., the rarest
    rank = np.argsort(order).astype(np.uint8)
    return np.stack([order[strongest(rank[layer], step)] for layer in layers], 2)


def strongest(layer: np.ndarray, step: int) -> np.ndarray:
    """Return the largest value of each block of a layer of at most `step` slices: [X, Y, Z] -> [X / step, Y / step]."""
    flat = layer.max(2)
    for axis in (0, 1):
        flat = np.maximum.reduceat(flat, np.arange(0, flat.shape[axis], step), axis)
    return flat


def shades(heat: np.ndarray) -> np.ndarray:
    """Return 0 to 1 as 0 to 255."""
    return (heat.astype(np.float32, copy=False).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def middle(mask: np.ndarray) -> tuple[int, int, int]:
    """Return a labelled voxel in the middle of what is labelled; the middle of the scan if nothing is.

    The slice with most labelled voxels is taken, and in it the labelled voxel nearest to their mean.
    """
    counts = np.array([np.count_nonzero(mask[:, :, k]) for k in range(mask.shape[2])])
    if not counts.any():
        x, y, z = (edge // 2 for edge in mask.shape)
        return x, y, z
    k = int(counts.argmax())
    cells = np.argwhere(mask[:, :, k])
    x, y = cells[((cells - cells.mean(0)) ** 2).sum(1).argmin()]
    return int(x), int(y), k


@dataclass(frozen=True)
class WholeNumbers:
    """How intensities become int16; `number * factor + offset` is an intensity again."""

    factor: float
    offset: float
    range: tuple[int, int]  # of the numbers; at least 2 apart

    def convert(self, voxels: np.ndarray) -> np.ndarray:
        """Return the numbers."""
        if (self.factor, self.offset) != (1, 0):
            voxels = (voxels.astype(np.float64) - self.offset) / self.factor
        return np.rint(voxels.clip(-32768, 32767)).astype("<i2")


def whole_numbers(voxels: np.ndarray, *, in_hu: bool) -> WholeNumbers:
    """Return how a scan becomes int16; HU stay HU."""
    low, high = float(voxels.min()), float(voxels.max())
    if in_hu or (low >= -32768 and high <= 32767 and (voxels.dtype.kind in "iu" or high - low >= LEVELS / 4)):
        return WholeNumbers(1.0, 0.0, (round(low), max(round(high), round(low) + 2)))
    factor = max(high - low, 1e-12) / LEVELS
    return WholeNumbers(factor, low, (0, max(2, round((high - low) / factor))))


def own_window(values: np.ndarray) -> list[float]:
    """Return centre and width of what all but the outermost 1 % lie in."""
    low, high = np.percentile(values, [0.5, 99.5])
    return [round(float(low + high) / 2), max(2, round(float(high - low)))]
