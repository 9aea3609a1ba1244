"""Predictions and metrics of every classifier: labels with probabilities, confusion matrix, worst mistakes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Self

import torch
from torch import Tensor

from cnn_core.answers import NONE_OF_THESE
from cnn_core.data.summary import more_classes
from cnn_core.errors import CnnError, DataError, unknown_name
from cnn_core.metrics import classification_metrics, confusion_matrix
from cnn_core.notebook import bar, table
from cnn_core.weights import WeightsCard

MISTAKES = 50  # in a report
SHOWN_CLASSES = 20  # at the end of a training
SHOWN_CONFUSIONS = 5
CALIBRATION_BINS = 15
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
    known: bool = True  # False: it is like nothing that was learned, none of the classes

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        probabilities = [round(p, 6) for p in self.probabilities]
        item: dict[str, Any] = {"input": self.input, "labels": self.labels, "probabilities": probabilities}
        item |= {} if self.known else {"none_of_these": True}
        item |= {"note": self.note} if self.note else {}
        return item if self.warnings is None else {**item, "warnings": list(self.warnings)}

    def _repr_html_(self) -> str:
        if self.error is not None:
            return table([[self.error]], title=self.input)
        pairs = zip(self.labels, self.probabilities, strict=True)
        rows = [(label, f"{probability:.1%}", bar(probability)) for label, probability in pairs]
        said = self.input if self.known else f"{self.input}: {NONE_OF_THESE}, nearest"
        return table(rows, title=said) + "".join(
            f"<p>{escape(text)}</p>" for text in (self.note, *(self.warnings or ()))
        )

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.input}: {self.error}"
        pairs = zip(self.labels, self.probabilities, strict=True)
        answer = ", ".join(f"{label} {probability:.1%}" for label, probability in pairs)
        answer = answer if self.known else f"{NONE_OF_THESE}; nearest: {answer}"
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
class ClassFigures:
    """What was measured of one class; precision, recall and F1 are None where nothing was there to divide by."""

    label: str
    n: int  # items of the class
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Calibration:
    """How often answers are right, by their probability, in `CALIBRATION_BINS` equal bins from 0 to 1.

    Args:
        error: expected calibration error (Guo et al. 2017, arXiv:1706.04599, equation 3): the mean distance between
            probability and accuracy over the bins, weighted by their items.
        bins: per bin the number of answers, their mean probability and their accuracy; empty ones are 0, 0, 0.
    """

    error: float
    bins: list[tuple[int, float, float]]


@dataclass(frozen=True)
class Refusals:
    """How many answers stay answers, and how many become "none of these", where every item is of the classes.

    Args:
        right: answers, as if none were refused.
        kept: of these, those that stay.
        wrong: answers, likewise.
        refused: of these, those that do not stay.
    """

    right: int
    kept: int
    wrong: int
    refused: int

    def __str__(self) -> str:
        return (
            f'kept of {self.right:,} right answers: {_share(self.kept, self.right)}; refused as "{NONE_OF_THESE}" of '
            f"{self.wrong:,} wrong ones: {_share(self.refused, self.wrong)}"
        )


@dataclass(frozen=True)
class Report:
    """What was measured on a labelled set.

    Args:
        n: items.
        metrics: accuracy; top5 (only for more than five classes); macro_f1, the mean over the classes that occur.
        labels: K names.
        confusion: K x K counts, row: truth, column: prediction.
        mistakes: those with the highest probabilities first; None: left out when the weights were downloaded.
        calibration: None in reports of before it was measured.
        refusals: of weights that know what is none of their classes; None: they do not, or it was not measured.
    """

    n: int
    metrics: dict[str, float]
    labels: list[str]
    confusion: list[list[int]] = field(repr=False)
    mistakes: list[Mistake] | None = field(repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    refusals: Refusals | None = None

    @property
    def classes(self) -> list[ClassFigures]:
        """The figures of every class, from the confusion matrix."""
        answered = [sum(row[k] for row in self.confusion) for k in range(len(self.labels))]
        figures = []
        for k, (label, row) in enumerate(zip(self.labels, self.confusion, strict=True)):
            n, right = sum(row), row[k]
            figures.append(ClassFigures(
                label, n, right / answered[k] if answered[k] else None, right / n if n else None,
                2 * right / (n + answered[k]) if n + answered[k] else None,
            ))  # fmt: skip
        return figures

    @property
    def lines(self) -> list[str]:
        """What a training ends with: the figures of every class, what was mistaken for what, and the calibration."""
        width = max(map(len, self.labels))
        lines = [f"{'':{width}}  items  precision  recall     F1"]
        for entry in self.classes[:SHOWN_CLASSES]:
            values = [_figure(value) for value in (entry.precision, entry.recall, entry.f1)]
            lines.append(f"{entry.label:{width}} {entry.n:6,}     {values[0]:>6}  {values[1]:>6} {values[2]:>6}")
        if len(self.labels) > SHOWN_CLASSES:
            lines.append(f"and {more_classes(len(self.labels) - SHOWN_CLASSES)}, see report.json")
        if pairs := self.confusions:
            lines.append("most often mistaken: " + ", ".join(f"{a} for {b} ({n})" for a, b, n in pairs))
        if self.calibration:
            lines.append(f"calibration error {self.calibration.error:.4f} (0: of answers with 80 %, 80 % are right)")
        if self.refusals:
            lines.append(str(self.refusals))
        return lines

    @property
    def confusions(self) -> list[tuple[str, str, int]]:
        """The most frequent confusions: (truth, answer, how often)."""
        pairs = [
            (self.labels[i], self.labels[j], n)
            for i, row in enumerate(self.confusion) for j, n in enumerate(row) if i != j and n
        ]  # fmt: skip
        return sorted(pairs, key=lambda pair: -pair[2])[:SHOWN_CONFUSIONS]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            **vars(self),
            "mistakes": self.mistakes and [vars(mistake) for mistake in self.mistakes],
            "calibration": self.calibration and vars(self.calibration),
            "refusals": self.refusals and vars(self.refusals),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a report that `to_json` made."""
        mistakes, calibration, refusals = values["mistakes"], values.get("calibration"), values.get("refusals")
        restored = {
            "mistakes": mistakes and [Mistake(**entry) for entry in mistakes],
            "calibration": calibration and Calibration(calibration["error"], [tuple(b) for b in calibration["bins"]]),
            "refusals": refusals and Refusals(**refusals),
        }
        return cls(**{**values, **restored})


def calibrate(probabilities: Tensor, targets: Tensor) -> Calibration:
    """Compare the probabilities of the answers with how often they are right: [N, K], int64 [N]."""
    highest, answers = probabilities.double().max(1)
    right = (answers == targets).double()
    # Bin b holds (b / B, (b + 1) / B], as Guo et al. define it.
    place = ((highest * CALIBRATION_BINS).ceil().long() - 1).clamp(0, CALIBRATION_BINS - 1)
    counts = place.bincount(minlength=CALIBRATION_BINS)
    sums = torch.stack([place.bincount(values, CALIBRATION_BINS) for values in (highest, right)])
    means = sums / counts.clamp_min(1)
    error = float((counts * (means[0] - means[1]).abs()).sum() / len(targets))
    bins = [(n, round(p, 6), round(a, 6)) for n, p, a in zip(counts.tolist(), *means.tolist(), strict=True)]
    return Calibration(round(error, 6), bins)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else "-"


def measure_classes(
    probabilities: Tensor, targets: Tensor, *, labels: Sequence[str], item_name: Callable[[int], str], source: str,
    known: Tensor | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the fields of a `Report`.

    Args:
        probabilities: [N, K], on the CPU.
        targets: int64 [N].
        labels: K names.
        item_name: the name of item i.
        source: what was measured on, for messages.
        known: which answers are not "none of these", bool [N]; None: it cannot be told.

    Raises:
        DataError: there is nothing to measure on, or the number of classes differs.
    """
    if not len(targets):
        raise DataError(f"{source} holds nothing to measure on")
    if len(labels) != probabilities.shape[1]:
        raise DataError(f"{source} has {len(labels)} classes, the network knows {probabilities.shape[1]}")
    highest, answers = probabilities.max(1)
    right = answers == targets
    refusals = None
    if known is not None:
        kept, refused = int((right & known).sum()), int((~right & ~known).sum())
        refusals = Refusals(int(right.sum()), kept, int((~right).sum()), refused)
    wrong = (~right).nonzero()[:, 0]
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
        "calibration": calibrate(probabilities, targets),
        "refusals": refusals,
    }  # fmt: skip
