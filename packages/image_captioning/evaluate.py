"""How good a predictor is on a set: metrics, and the captions that agree least and most with what people wrote.

The report of the test set is written beside the weights (`report.json`), so that pages can show it without the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cnn_core.errors import DataError
from cnn_core.weights import reports
from image_captioning.data import CaptionSet
from image_captioning.grammar import is_true
from image_captioning.measure import measure
from image_captioning.metrics import CiderD
from image_captioning.predict import Predictor
from image_captioning.search import beam_search

REPORT_LIMIT = 8 << 20  # bytes
EXTREMES = ("worst", "best")
EXAMPLES = 25  # of the best and of the worst captions
BATCH_SIZE = 64


@dataclass(frozen=True)
class Example:
    """A caption that was written, and those of the set."""

    input: str
    caption: str
    references: list[str]
    cider: float
    true: bool | None = None  # None: not known


@dataclass(frozen=True)
class Report:
    """What was measured: pictures, metrics, and the captions with the lowest and the highest CIDEr-D.

    The captions are None where they were left out when the weights were taken away.
    """

    n: int
    metrics: dict[str, float]
    worst: list[Example] | None = field(repr=False)
    best: list[Example] | None = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        lists = {name: entries and list(map(vars, entries)) for name, entries in vars(self).items() if name in EXTREMES}
        return {**vars(self), **lists}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """Restore a report that `to_json` made."""
        lists = {name: values[name] and [Example(**entry) for entry in values[name]] for name in EXTREMES}
        return cls(**{**values, **lists})


def evaluate(predictor: Predictor, truth: CaptionSet, *, beams: int | None = None) -> Report:
    """Measure a predictor on a set, through the same preprocessing as every prediction.

    Raises:
        DataError: the set is empty, or its pictures have another size than the network's.
    """
    size = tuple(truth.images.shape[2:])
    if not len(truth) or size != predictor.contract.size:
        raise DataError(f"{truth.name}: expected pictures of {predictor.contract.size}, got {len(truth)} of {size}")
    captions = []
    for images in truth.images.split(BATCH_SIZE):
        found = beam_search(
            predictor.model.decoder, predictor.remember(images), beams=beams or predictor.beams,
            longest=predictor.contract.longest, length_power=predictor.length_power,
        )  # fmt: skip
        captions += [predictor.contract.decode(best[0].words) for best in found]
    scores = torch.tensor(CiderD(truth.captions).scores(captions, range(len(captions))))
    order = scores.argsort(stable=True).tolist()

    def example(i: int) -> Example:
        references = [" ".join(words) for words in truth.captions[i]]
        true = is_true(captions[i], truth.scenes[i]) if truth.scenes else None
        return Example(truth.item_name(i), " ".join(captions[i]), references, round(float(scores[i]), 4), true)

    worst, best = [example(i) for i in order[:EXAMPLES]], [example(i) for i in order[::-1][:EXAMPLES]]
    return Report(len(captions), measure(captions, truth), worst, best)


def read_report(folder: Path) -> Report | None:
    """Return the report beside weights, or None if there is none; DataError if it cannot be read."""
    return reports.read_report(folder, Report.from_json, limit=REPORT_LIMIT)
