"""Copies among pictures: the same pixels, or nearly the same (saved again, made smaller, somewhat lighter).

A near copy agrees in three ways: the difference hash (Krawetz 2013: is each of 8 x 8 places lighter than the one on its
left?) in all but `HASH_DISTANCE` of its 64 bits, a view of 16 x 16 pixels, and the details that are finer than 8 x 8.
The hash alone takes different drawings, digits and clothes on one background for copies, so pictures of fewer than
`LEAST_EDGE` pixels and those that are flat in many of the 64 places have no near copies here, exact ones only. On
photos at 64 pixels it found 98 % of copies with JPEG quality 40, a third of the size, or 15 % more light, none cropped
by 5 %; among 6,000 pictures of CIFAR-10 and 3,800 photos of clothes it joined one pair, among 4,000 of
Fashion-MNIST four.
"""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_EDGE = 32  # pixels
MOST_COMPARED = 60_000  # pictures; every pair is looked at
HASH_DISTANCE = 6  # bits of 64
MOST_FLAT = 16  # of the 64 places
SAME_VIEW = 0.98  # correlation of the views of 16 x 16 pixels
SAME_DETAIL = 0.95  # correlation of what is finer than 8 x 8
CHUNK = 256


def same_pixels(images: Tensor) -> np.ndarray:
    """Return of each picture of `uint8 [N, C, H, W]` the number of the first one with the same pixels: int64 [N]."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(image.numpy().tobytes(), i) for i, image in enumerate(images)], dtype=np.int64)


def nearly_same(images: Tensor) -> np.ndarray:
    """Return the pairs of near copies in `uint8 [N, C, H, W]`: int64 [P, 2], the smaller number first."""
    if min(images.shape[2:]) < LEAST_EDGE or not 1 < len(images) <= MOST_COMPARED:
        return np.empty((0, 2), dtype=np.int64)
    hash_parts, rich_parts, views, details = zip(*(_features(part) for part in images.split(1000)), strict=True)
    hashes, rich = np.concatenate(hash_parts), np.concatenate(rich_parts)
    view, detail = torch.cat(views), torch.cat(details)
    compared = np.flatnonzero(rich)
    pairs = compared[np.concatenate([np.empty((0, 2), dtype=np.int64), *_close(hashes[compared])])]
    same = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), CHUNK):
        a, b = torch.from_numpy(pairs[start : start + CHUNK]).T
        alike = ((view[a] * view[b]).sum(1) > SAME_VIEW) & ((detail[a] * detail[b]).sum(1) > SAME_DETAIL)
        same[start : start + CHUNK] = alike.numpy()
    return pairs[same]


def _features(images: Tensor) -> tuple[np.ndarray, np.ndarray, Tensor, Tensor]:
    """Return of each picture its hash, whether it is rich enough, its view and its details, both of length 1."""
    x = images.float()
    places = F.adaptive_avg_pool2d(x.mean(1, keepdim=True), (8, 9))[:, 0]
    steps = places[:, :, 1:] - places[:, :, :-1]  # [N, 8, 8]
    hashes = np.packbits((steps > 0).flatten(1).numpy(), axis=1).view(np.uint64)[:, 0]
    rich = ((steps.abs() < 1).flatten(1).sum(1) <= MOST_FLAT).numpy()
    view = F.adaptive_avg_pool2d(x, (16, 16)).flatten(1)
    fine = F.adaptive_avg_pool2d(x, (LEAST_EDGE, LEAST_EDGE))
    coarse = F.interpolate(F.adaptive_avg_pool2d(x, (8, 8)), size=fine.shape[2:], mode="bilinear")
    return hashes, rich, F.normalize(view - view.mean(1, keepdim=True)), F.normalize((fine - coarse).flatten(1))


def _close(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the pairs of hashes that differ in at most `HASH_DISTANCE` bits."""
    for start in range(0, len(hashes), CHUNK):
        rest = hashes[start:]
        a, b = np.nonzero(np.bitwise_count(rest[:CHUNK, None] ^ rest[None]) <= HASH_DISTANCE)
        later = b > a
        yield np.stack([a[later], b[later]], axis=1) + start


def together(count: int, pairs: np.ndarray, *values: Sequence[Hashable | None]) -> np.ndarray:
    """Return the unit of each of `count` items: those that are paired or share a value are in one, int64 [count].

    Args:
        count: N.
        pairs: int64 [P, 2].
        values: of N each; None: the item shares nothing.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = [pairs]
    for column in values:
        first: dict[Hashable, int] = {}
        edges.append(
            np.array([(first.setdefault(v, i), i) for i, v in enumerate(column) if v is not None]).reshape(-1, 2)
        )
    a, b = np.concatenate(edges).T
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
