"""A linear classifier solved at once: ridge regression to the classes, its strength chosen by leaving one out.

Of a few sounds per class and thousands of features, 47 drawn kinds of 6 sounds each, it answered 0.91 of the others,
logistic regression 0.83 to 0.88, whatever its strength, and a head trained by gradient 0.87 to 0.88.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRENGTHS = tuple(10.0**power for power in (-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1))  # per feature
SCALES = tuple(5.0 * 1.3**power for power in range(12))  # of the scores before softmax


@dataclass(frozen=True)
class Ridge:
    """Scores of features x are `x @ weight.T + bias`: [K, F] and [K]."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Chosen:
    """What leaving one out says is best: strength per feature and row, factor of the scores, accuracy with them."""

    strength: float
    scale: float
    accuracy: float


def choose(features: Tensor, targets: Tensor, classes: int) -> Chosen:
    """Choose by leaving each of N rows out, in closed form (Allen 1974, doi:10.1080/00401706.1974.10489157).

    Args:
        features: [N, F], standardised.
        targets: int64 [N].
        classes: K.
    """
    x, y, basis, power = _parts(features, targets, classes)
    best, lowest = Chosen(1.0, 1.0, 0.0), float("inf")
    for strength in STRENGTHS:
        kept = power / (power + strength * x.shape[1])
        leverage = (basis.square() * kept).sum(1) + 1 / len(x)  # the mean is one more feature
        fitted = basis @ (kept[:, None] * (basis.T @ y))
        left_out = y - (y - fitted) / (1 - leverage).clamp_min(1e-6)[:, None]  # what the others say of each row
        accuracy = float((left_out.argmax(1) == targets).double().mean())
        for scale in SCALES:
            loss = float(F.cross_entropy(scale * left_out, targets))
            if loss < lowest:
                best, lowest = Chosen(strength, scale, accuracy), loss
    return best


def solve(features: Tensor, targets: Tensor, classes: int, *, chosen: Chosen, copies: int = 1) -> Ridge:
    """Return the classifier; arguments as in `choose`, where rows come in `copies`, which count as one."""
    x, y, basis, power = _parts(features, targets, classes)
    weight = x.T @ (basis @ ((basis.T @ y) / (power + chosen.strength * copies * x.shape[1])[:, None]))  # [F, K]
    bias = F.one_hot(targets, classes).double().mean(0) - features.double().mean(0) @ weight
    return Ridge((chosen.scale * weight.T).float(), (chosen.scale * bias).float())


def _parts(features: Tensor, targets: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return centred x [N, F] and y [N, K], and the singular directions [N, R] of x with their squared values [R]."""
    x, y = features.double(), F.one_hot(targets, classes).double()
    x, y = x - x.mean(0), y - y.mean(0)
    if len(x) <= x.shape[1]:
        power, basis = torch.linalg.eigh(x @ x.T)
    else:
        power, directions = torch.linalg.eigh(x.T @ x)
        basis = x @ directions / power.clamp_min(1e-9).sqrt()
    kept = power > 1e-9 * power.max()
    return x, y, basis[:, kept], power[kept]
