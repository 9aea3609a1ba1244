"""Dice and cross-entropy together.

"dice" is equal to MONAI's `DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)`, tested
against it, and written here since MONAI's computes it for each process separately. "log-dice" takes the negative
logarithm of the soft Dice in place of one minus it (Wong et al. 2018, arXiv:1809.00076): its gradient grows as the Dice
falls, so that a small label that cross-entropy suppressed early can recover.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.train.parallel import sum_over_processes
from medical_segmentation.metrics import IGNORED

Loss = Literal["dice", "log-dice"]
SMOOTH = 1e-5  # keeps empty against empty at 1


def dice_cross_entropy(scores: Tensor | list[Tensor], target: Tensor, *, loss: Loss = "dice") -> Tensor:
    """Return the loss of `scores` [B, K, *S] for labels `target` [B, *S] int64; those that are `IGNORED` do not count.

    Of a list, as under deep supervision, it is the sum with the weights 1, 1/2, 1/4 ...; smaller scores are compared
    with every second label, every fourth and so on, as MONAI's `DeepSupervisionLoss` does.
    """
    if isinstance(scores, list):
        labels = [F.interpolate(target[:, None].float(), part.shape[2:], mode="nearest-exact")[:, 0] for part in scores]
        pairs = enumerate(zip(scores, labels, strict=True))
        parts = (0.5**i * dice_cross_entropy(part, label.long(), loss=loss) for i, (part, label) in pairs)
        return sum(parts, target.new_zeros((), dtype=torch.float32))
    dice = soft_dice(scores, target)
    cross_entropy = F.cross_entropy(scores, target, ignore_index=IGNORED)
    cross_entropy = torch.where((target != IGNORED).any(), cross_entropy, 0.0)  # NaN where there is no label at all
    return cross_entropy + (1 - dice if loss == "dice" else -dice.log()).mean()


def soft_dice(scores: Tensor, target: Tensor) -> Tensor:
    """Return the soft Dice of each label above 0 over the batch of all processes: [K - 1], above 0, at most 1."""
    probabilities = scores.float().softmax(1)[:, 1:]
    axes = [0, *range(2, scores.ndim)]
    labels = torch.arange(1, scores.shape[1], device=scores.device).view(1, -1, *[1] * (scores.ndim - 2))
    truth = (target[:, None] == labels).to(probabilities.dtype)
    ignored = target == IGNORED
    if ignored.any():
        probabilities = probabilities.masked_fill(ignored[:, None], 0)
    shared = sum_over_processes((probabilities * truth).sum(axes))
    total = sum_over_processes(probabilities.sum(axes) + truth.sum(axes))
    return (2 * shared + SMOOTH) / (total + SMOOTH)
