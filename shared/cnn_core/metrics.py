"""Metrics of answers to a labelled set, the same in training, evaluation and cards."""

import torch
from torch import Tensor


def classification_metrics(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """Return accuracy, top5 (only for more than five classes) and macro_f1 of `scores` [N, K] for `targets` [N]."""
    classes = scores.shape[1]
    confusion = confusion_matrix(scores, targets)
    metrics = {"accuracy": confusion.diagonal().sum().item() / len(targets)}
    if classes > 5:
        metrics["top5"] = (scores.topk(5).indices == targets[:, None]).any(1).cpu().double().mean().item()
    metrics["macro_f1"] = macro_f1(confusion)
    return metrics


def confusion_matrix(scores: Tensor, targets: Tensor) -> Tensor:
    """Count answers: `[N, K], [N] -> int64 [K, K]`, row: truth, column: answer."""
    classes = scores.shape[1]
    return torch.bincount(targets * classes + scores.argmax(1), minlength=classes**2).view(classes, classes)


def macro_f1(confusion: Tensor) -> float:
    """Return the mean over the classes of `2 TP / (2 TP + FP + FN)`; classes that occur nowhere are left out."""
    confusion = confusion.cpu()  # not every device has float64
    right = confusion.diagonal().double()
    either = (confusion.sum(0) + confusion.sum(1)).double()  # 2 TP + FP + FN
    return float((2 * right / either)[either > 0].mean())
