"""How good a predictor is on a labelled set: metrics, confusion matrix, its worst mistakes, and what its filters found.

The report of the test set is written beside the weights (`report.json`), so that pages can show it without the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnn_core.errors import DataError
from cnn_core.metrics import classification_metrics, confusion_matrix
from cnn_core.weights import reports
from text_classification.data import TextSet
from text_classification.ngrams import strongest_windows, window_rows, word_products
from text_classification.predict import Predictor

REPORT_LIMIT = 8 << 20  # bytes
MISTAKES = 50
SHOWN = 300  # characters of a text in a report
NGRAMS = 8  # per filter
BATCH_SIZE = 256


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: the text, what it is, what was said, and how surely."""

    text: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Report:
    """What was measured.

    Args:
        n: texts.
        metrics: accuracy; top5 (only for more than five classes); macro_f1, the mean over the classes that occur.
        confusion: K x K counts, row: truth, column: answer.
        mistakes: the surest first; None: left out when the weights were taken away.
        ngrams: per filter, the n-grams of the training set that fire it most; None: left out as well.
    """

    n: int
    metrics: dict[str, float]
    labels: list[str]
    confusion: list[list[int]] = field(repr=False)
    mistakes: list[Mistake] | None = field(repr=False)
    ngrams: list["FilterNgrams"] | None = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            **vars(self),
            "mistakes": self.mistakes and [vars(mistake) for mistake in self.mistakes],
            "ngrams": self.ngrams and [vars(entry) for entry in self.ngrams],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """Restore a report that `to_json` made."""
        mistakes = values["mistakes"] and [Mistake(**entry) for entry in values["mistakes"]]
        ngrams = values["ngrams"] and [FilterNgrams(**entry) for entry in values["ngrams"]]
        return cls(**{**values, "mistakes": mistakes, "ngrams": ngrams})


@dataclass(frozen=True)
class FilterNgrams:
    """What one filter looks for."""

    filter: int  # counted through all widths
    width: int
    label: str  # the class that the filter speaks for most
    weight: float  # what it adds to that class' centred score per unit of activation
    ngrams: list[tuple[str, float]]  # the n-grams that fire it most, each once, with the activation


def evaluate(predictor: Predictor, texts: TextSet, *, training: TextSet | None = None) -> Report:
    """Measure a predictor on a set.

    Args:
        predictor: whose answers are measured.
        texts: the set.
        training: where the filters' n-grams are looked for; None: nowhere.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    if not len(texts):
        raise DataError(f"{texts.name}: the {texts.split} split holds no texts to measure on")
    if texts.num_classes != len(predictor.labels):
        raise DataError(f"{texts.name} has {texts.num_classes} classes, the network knows {len(predictor.labels)}")
    scores = predictor.scores(texts.texts)
    chances, targets = scores.softmax(1), texts.targets
    return Report(
        len(targets),
        classification_metrics(scores, targets),
        list(texts.labels),
        confusion_matrix(scores, targets).tolist(),
        _mistakes(texts, chances),
        filter_ngrams(predictor, training.texts) if training is not None else [],
    )


def _mistakes(texts: TextSet, chances: Tensor) -> list[Mistake]:
    sureness, answers = chances.max(1)
    wrong = (answers != texts.targets).nonzero()[:, 0]
    wrong = wrong[sureness[wrong].argsort(descending=True, stable=True)][:MISTAKES]
    return [
        Mistake(
            texts.texts[i][:SHOWN],
            texts.labels[int(texts.targets[i])],
            texts.labels[int(answers[i])],
            round(float(sureness[i]), 6),
        )
        for i in wrong.tolist()
    ]


def filter_ngrams(predictor: Predictor, texts: list[str], *, count: int = NGRAMS) -> list[FilterNgrams]:
    """Return for every filter the n-grams of `texts` that fire it most; nothing for networks of another kind."""
    stage = predictor.model.ngrams
    if stage is None:
        return []
    encoded = predictor.contract.encode_all(texts)
    found: list[dict[tuple[int, ...], float]] = [{} for conv in stage.convs for _ in range(conv.out_channels)]
    with torch.inference_mode():
        rows = predictor.model.rows()
        products = [word_products(rows, conv.weight) for conv in stage.convs]
        order = encoded.lengths.argsort(kind="stable")
        for begin in range(0, len(order), BATCH_SIZE):
            ids = encoded.batch(order[begin : begin + BATCH_SIZE]).to(predictor.device)
            first = 0
            for conv, table in zip(stage.convs, products, strict=True):
                width = conv.kernel_size[0]
                values, best = strongest_windows(table, window_rows(ids, width))
                windows = torch.nn.functional.pad(ids, (width - 1, width)).unfold(1, width, 1)  # [B, T, h]
                for f in range(conv.out_channels):
                    _keep_best(found[first + f], values[:, f] + conv.bias[f], windows, best[:, f], count)
                first += conv.out_channels
        classifier = predictor.model.backbone.head.classifier.weight
        centred = (classifier - classifier.mean(0)).cpu()  # [K, filters]
    names = ["·", "?", *predictor.contract.vocabulary]
    entries = []
    for f, kept in enumerate(found):
        label = int(centred[:, f].argmax())
        strongest = sorted(kept.items(), key=lambda pair: -pair[1])[:count]
        ngrams = [(" ".join(names[i] for i in window), round(value, 4)) for window, value in strongest if value > 0]
        width = len(next(iter(kept))) if kept else 0
        entries.append(FilterNgrams(f, width, predictor.labels[label], round(float(centred[label, f]), 4), ngrams))
    return entries


def _keep_best(kept: dict[tuple[int, ...], float], values: Tensor, windows: Tensor, best: Tensor, count: int) -> None:
    """Add the batch's strongest windows of one filter; each different window counts once."""
    strongest, texts = values.topk(min(count, len(values)))
    for value, text in zip(strongest.tolist(), texts.tolist(), strict=True):
        window = tuple(windows[text, best[text]].tolist())
        kept[window] = max(value, kept.get(window, value))
    if len(kept) > 8 * count:
        for window, _ in sorted(kept.items(), key=lambda pair: -pair[1])[count:]:
            del kept[window]


def read_report(folder: Path) -> Report | None:
    """Return the report beside weights, or None if there is none; DataError if it cannot be read."""
    return reports.read_report(folder, Report.from_json, limit=REPORT_LIMIT)
