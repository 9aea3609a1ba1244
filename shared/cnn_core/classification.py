"""Predictions and metrics of every classifier: labels with probabilities, confusion matrix, worst mistakes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from cnn_core.errors import CnnError, DataError, unknown_name
from cnn_core.metrics import classification_metrics, confusion_matrix
from cnn_core.weights import WeightsCard

MISTAKES = 50  # in a report
NOT_A_NUMBER = "the network's output is not a number; its weights do not suit this input"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one input, the most probable label first; or why there is none."""

    input: str
    labels: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    note: str = ""  # what the user should know, such as: the text was cut
    error: str | None = None
    warnings: tuple[str, ...] | None = None  # likewise, of predictions that mostly have some

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        item = {"input": self.input, "labels": self.labels, "probabilities": [round(p, 6) for p in self.probabilities]}
        item |= {"note": self.note} if self.note else {}
        return item if self.warnings is None else {**item, "warnings": list(self.warnings)}

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.input}: {self.error}"
        pairs = zip(self.labels, self.probabilities, strict=True)
        answer = ", ".join(f"{label} {probability:.1%}" for label, probability in pairs)
        return "; ".join([f"{self.input}: {answer}", *(self.warnings or ())])


def labels_of(card: WeightsCard) -> list[str]:
    """Return the K class names of a card, "class 0" ... where it has none."""
    return list(card.labels) or [f"class {k}" for k in range(card.arguments["num_classes"])]


def class_index(target: int | str | None, labels: Sequence[str]) -> int | None:
    """Return the number of a class given by number or label; None stays None.

    Raises:
        UnknownNameError: no such label.
        CnnError: no such class.
    """
    if isinstance(target, str):
        if target not in labels:
            raise unknown_name("label", target, labels)
        return list(labels).index(target)
    if target is not None and not 0 <= target < len(labels):
        raise CnnError(f"target must be a label or in 0..{len(labels) - 1}, got {target}")
    return target


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: the input, its label, the predicted label, and the predicted probability."""

    index: int
    input: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Report:
    """What was measured on a labelled set.

    Args:
        n: items.
        metrics: accuracy; top5 (only for more than five classes); macro_f1, the mean over the classes that occur.
        labels: K names.
        confusion: K x K counts, row: truth, column: prediction.
        mistakes: those with the highest probabilities first; None: left out when the weights were downloaded.
    """

    n: int
    metrics: dict[str, float]
    labels: list[str]
    confusion: list[list[int]] = field(repr=False)
    mistakes: list[Mistake] | None = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**vars(self), "mistakes": self.mistakes and [vars(mistake) for mistake in self.mistakes]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a report that `to_json` made."""
        return cls(**{**values, "mistakes": values["mistakes"] and [Mistake(**entry) for entry in values["mistakes"]]})


def measure_classes(
    probabilities: Tensor, targets: Tensor, *, labels: Sequence[str], item_name: Callable[[int], str], source: str
) -> dict[str, Any]:
    """Return the fields of a `Report`.

    Args:
        probabilities: [N, K], on the CPU.
        targets: int64 [N].
        labels: K names.
        item_name: the name of item i.
        source: what was measured on, for messages.

    Raises:
        DataError: there is nothing to measure on, or the number of classes differs.
    """
    if not len(targets):
        raise DataError(f"{source} holds nothing to measure on")
    if len(labels) != probabilities.shape[1]:
        raise DataError(f"{source} has {len(labels)} classes, the network knows {probabilities.shape[1]}")
    highest, answers = probabilities.max(1)
    wrong = (answers != targets).nonzero()[:, 0]
    wrong = wrong[highest[wrong].argsort(descending=True, stable=True)][:MISTAKES]
    return {
        "n": len(targets),
        "metrics": classification_metrics(probabilities, targets),
        "labels": list(labels),
        "confusion": confusion_matrix(probabilities, targets).tolist(),
        "mistakes": [
            Mistake(i, item_name(i), labels[int(targets[i])], labels[int(answers[i])], float(highest[i]))
            for i in wrong.tolist()
        ],
    }  # fmt: skip
