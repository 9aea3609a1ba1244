"""Classes that are mirror images of each other, such as turn left and turn right: there a flip changes the label.

A linear classifier on histograms of oriented gradients (Dalal, Triggs 2005) answers for pictures that it was not fitted
to, as they are and mirrored. Two classes are mirror images if mirroring moves the answers of each to the other.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

EDGE = 32  # pixels of the view that is looked at
CELLS, DIRECTIONS = 6, 12
PER_CLASS = 60  # pictures that are looked at
LEAST = 8  # pictures of a class, below which nothing is said of it
MOVED = 0.35  # share of a class whose answer moves to the other class when they are mirrored


def mirrored_classes(images: Tensor, targets: np.ndarray, *, seed: int = 0) -> list[tuple[int, int]]:
    """Return the pairs of classes that are mirror images: of `uint8 [N, C, H, W]` and int64 [N]."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedKFold

    random = np.random.RandomState(seed)
    classes = [label for label in np.unique(targets) if (targets == label).sum() >= LEAST]
    if len(classes) < 2:
        return []
    chosen = [random.permutation(np.flatnonzero(targets == label))[:PER_CLASS] for label in classes]
    index = torch.from_numpy(np.concatenate(chosen))
    truth, pictures = targets[index.numpy()], images[index]
    plain, mirrored = oriented_gradients(pictures), oriented_gradients(pictures.flip(-1))
    before, after = np.empty_like(truth), np.empty_like(truth)
    for fitted, held in StratifiedKFold(4, shuffle=True, random_state=seed).split(plain, truth):
        classifier = RidgeClassifier(alpha=1.0).fit(plain[fitted], truth[fitted])
        before[held], after[held] = classifier.predict(plain[held]), classifier.predict(mirrored[held])
    return [
        (int(a), int(b))
        for place, a in enumerate(classes)
        for b in classes[place + 1 :]
        if min(_moved(before, after, truth, a, b), _moved(before, after, truth, b, a)) >= MOVED
    ]


def _moved(before: np.ndarray, after: np.ndarray, truth: np.ndarray, a: int, b: int) -> float:
    """Return how much the share of `b` among the answers for class `a` grows, and that of `a` falls, by mirroring."""
    own = truth == a
    gained = float((after[own] == b).mean() - (before[own] == b).mean())
    lost = float((before[own] == a).mean() - (after[own] == a).mean())
    return min(gained, lost)


def oriented_gradients(images: Tensor) -> np.ndarray:
    """Return histograms of the directions of edges, from dark to bright, in `CELLS` x `CELLS` cells: float32 [N, D]."""
    grey = F.interpolate(images.float().mean(1, keepdim=True), size=(EDGE, EDGE), mode="bilinear", antialias=True)
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    dx, dy = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2], padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    strength, angle = torch.hypot(dx, dy), torch.atan2(dy, dx)
    place = ((angle / (2 * torch.pi)).remainder(1) * DIRECTIONS).long().clamp_max(DIRECTIONS - 1)[:, 0]
    by_direction = F.one_hot(place, DIRECTIONS).permute(0, 3, 1, 2) * strength  # [N, directions, EDGE, EDGE]
    cells = F.adaptive_avg_pool2d(by_direction, (CELLS, CELLS)).flatten(1)
    return F.normalize(cells).sqrt().numpy()


def said_of(pairs: Sequence[tuple[int, int]], labels: Sequence[str]) -> str:
    """Return the sentence that says why pictures are not mirrored."""
    shown = ", ".join(f"{labels[a]} and {labels[b]}" for a, b in pairs[:3]) + (", ..." if len(pairs) > 3 else "")
    return f"mirrored, pictures of these classes look like each other, so pictures are not flipped: {shown}"
