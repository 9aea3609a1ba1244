"""How good a predictor is on a labelled set: metrics, confusion matrix, and its worst mistakes."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cnn_core.errors import DataError
from cnn_core.metrics import classification_metrics, confusion_matrix
from image_classification.data import ImageSet
from image_classification.predict import Predictor

BATCH_SIZE = 500
MISTAKES = 50


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: which picture, what it is, what was said, and how surely."""

    index: int
    input: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Report:
    """What was measured.

    Args:
        n: pictures.
        metrics: accuracy; top5 (only for more than five classes); macro_f1, the mean over the classes that occur.
        confusion: int64 [K, K], row: truth, column: answer.
        mistakes: the surest first.
    """

    n: int
    metrics: dict[str, float]
    labels: tuple[str, ...]
    confusion: Tensor = field(repr=False)
    mistakes: list[Mistake] = field(repr=False)


def evaluate(predictor: Predictor, image_set: ImageSet, *, batch_size: int = BATCH_SIZE) -> Report:
    """Measure a predictor on a set, through the same preprocessing and test-time views as every prediction.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    classes = len(predictor.labels)
    if not len(image_set):
        raise DataError(f"{image_set.name}: the {image_set.split} split holds no pictures to measure on")
    if image_set.num_classes != classes:
        raise DataError(f"{image_set.name} has {image_set.num_classes} classes, the network knows {classes}")
    contract = predictor.contract
    parts = []
    for images in image_set.images.split(batch_size):
        if (image_set.channels, image_set.size) != (contract.channels, contract.size):
            images = torch.stack([contract.to_uint8(image) for image in images])
        parts.append(predictor.probabilities(contract.normalize(images)))
    chances, targets = torch.cat(parts), image_set.targets  # [N, K], [N]
    sureness, answers = chances.max(1)
    confusion, metrics = confusion_matrix(chances, targets), classification_metrics(chances, targets)
    return Report(len(targets), metrics, image_set.labels, confusion, _mistakes(image_set, answers, sureness))


def _mistakes(image_set: ImageSet, answers: Tensor, sureness: Tensor) -> list[Mistake]:
    wrong = (answers != image_set.targets).nonzero()[:, 0]
    wrong = wrong[sureness[wrong].argsort(descending=True, stable=True)][:MISTAKES]
    labels = image_set.labels
    return [
        Mistake(i, image_set.item_name(i), labels[image_set.targets[i]], labels[answers[i]], float(sureness[i]))
        for i in wrong.tolist()
    ]
