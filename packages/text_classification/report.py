"""Metrics of a predictor on a labelled set, and the n-grams that its filters look for.

The report of the test set is written beside the weights (`report.json`), so that pages can show it without the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core import classification
from cnn_core.classification import measure_classes
from cnn_core.errors import DataError
from cnn_core.weights import reports
from text_classification.data import TextSet
from text_classification.ngrams import strongest_windows, window_indices, word_products
from text_classification.predict import Predictor

REPORT_LIMIT = 8 << 20  # bytes
SHOWN = 300  # characters of a text in a report
NGRAMS = 8  # per filter
BATCH_SIZE = 256


@dataclass(frozen=True)
class FilterNgrams:
    """What one filter looks for."""

    filter: int  # counted through all widths
    width: int
    label: str  # the class that the filter supports most
    weight: float  # what it adds to that class' centred score per unit of activation
    ngrams: list[tuple[str, float]]  # the n-grams that fire it most, each once, with the activation


@dataclass(frozen=True)
class Report(classification.Report):
    """What was measured.

    Args:
        ngrams: per filter, the n-grams of the training set that fire it most; None: left out with the mistakes.
    """

    ngrams: list[FilterNgrams] | None = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**super().to_json(), "ngrams": self.ngrams and [vars(entry) for entry in self.ngrams]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a report that `to_json` made."""
        ngrams = values["ngrams"] and [FilterNgrams(**entry) for entry in values["ngrams"]]
        return super().from_json({**upgraded(values), "ngrams": ngrams})


def upgraded(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a report in the current form: older mistakes have no number, and call their input "text"."""
    mistakes = values["mistakes"]
    if mistakes and "text" in mistakes[0]:
        mistakes = [{"index": -1, "input": entry.pop("text"), **entry} for entry in map(dict, mistakes)]
    return {**values, "mistakes": mistakes}


def read_report(folder: Path) -> Report | None:
    """Return the report beside weights, or None if there is none; DataError if it cannot be read."""
    return reports.read_report(folder, Report.from_json, limit=REPORT_LIMIT)


def evaluate(predictor: Predictor, texts: TextSet, *, training: TextSet | None = None) -> Report:
    """Measure a predictor on a set.

    Args:
        predictor: the predictor to measure.
        texts: the set.
        training: the set to search for the filters' n-grams; None: none.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    source = f"{texts.name}: the {texts.split} split"
    if not len(texts):
        raise DataError(f"{source} holds nothing to measure on")
    measured = measure_classes(
        predictor.scores(texts.texts).softmax(1),
        texts.targets,
        labels=texts.labels,
        item_name=lambda i: texts.texts[i][:SHOWN],
        source=source,
    )
    return Report(**measured, ngrams=filter_ngrams(predictor, training.texts) if training is not None else [])


def filter_ngrams(predictor: Predictor, texts: Sequence[str], *, count: int = NGRAMS) -> list[FilterNgrams]:
    """Return for every filter the n-grams of `texts` that fire it most; nothing for networks of another kind."""
    stage = predictor.model.ngrams
    if stage is None:
        return []
    encoded = predictor.contract.encode_all(texts)
    order = encoded.lengths.argsort(kind="stable")
    strongest: list[dict[tuple[int, ...], float]] = []  # per filter, window -> activation
    with torch.inference_mode():
        vectors = predictor.model.word_vectors()
        batches = [encoded.batch(order[i : i + BATCH_SIZE]) for i in range(0, len(order), BATCH_SIZE)]
        for weight, bias in stage.filters():
            width, products = weight.shape[2], word_products(vectors, weight)
            kept: list[dict[tuple[int, ...], float]] = [{} for _ in weight]
            for ids in batches:
                ids = ids.to(predictor.device)
                values, best = strongest_windows(products, window_indices(ids, width))  # [B, F] each
                windows = F.pad(ids, (width - 1, width)).unfold(1, width, 1)  # [B, T, h]
                for f, windows_of_filter in enumerate(kept):
                    _keep_best(windows_of_filter, values[:, f] + bias[f], windows, best[:, f], count)
            strongest += kept
        classifier = predictor.model.backbone.head.classifier.weight
        centred = (classifier - classifier.mean(0)).cpu()  # [K, filters]
    words = ["·", "?", *predictor.contract.vocabulary]
    widths = [weight.shape[2] for weight, _ in stage.filters() for _ in weight]
    entries = []
    for f, (windows_of_filter, width) in enumerate(zip(strongest, widths, strict=True)):
        label = int(centred[:, f].argmax())
        top = sorted(windows_of_filter.items(), key=lambda pair: -pair[1])[:count]
        ngrams = [(" ".join(words[i] for i in window), round(value, 4)) for window, value in top if value > 0]
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
