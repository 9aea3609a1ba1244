"""The metrics of captions, and the captions that agree least and most with what people wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from image_captioning.data import CaptionSet
from image_captioning.grammar import is_true, share_named
from image_captioning.metrics import caption_metrics, cider_d

EXAMPLES = 25  # of the best and of the worst captions


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

    The captions are None where they were left out when the weights were downloaded.
    """

    n: int
    metrics: dict[str, float]
    worst: list[Example] | None = field(repr=False)
    best: list[Example] | None = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        examples = {name: getattr(self, name) for name in ("worst", "best")}
        return {**vars(self), **{name: entries and list(map(vars, entries)) for name, entries in examples.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a report that `to_json` made."""
        examples = {name: values[name] for name in ("worst", "best")}
        restored = {name: entries and [Example(**entry) for entry in entries] for name, entries in examples.items()}
        return cls(**{**values, **restored})


def measure(captions: Sequence[Sequence[str]], truth: CaptionSet) -> dict[str, float]:
    """Return the metrics of one caption (as words) per picture of a set, the main one first.

    truth_rate: share of captions that can be parsed and hold in the picture; named: things that a caption names per
    thing in the picture, both where the scenes are known; bleu1..bleu4, cider, rouge_l: see `metrics`.

    Raises:
        DataError: there is not one caption per picture.
    """
    overlap = caption_metrics(captions, truth.captions)
    metrics = {name: overlap[name] for name in ("bleu4", "cider", "bleu1", "bleu2", "bleu3", "rouge_l")}
    if not truth.scenes:
        return metrics
    pairs = list(zip(captions, truth.scenes, strict=True))
    true = sum(is_true(caption, scene) for caption, scene in pairs) / len(pairs)
    named = sum(share_named(caption, scene) for caption, scene in pairs) / len(pairs)
    return {"truth_rate": true, "named": named, **metrics}


def report_on(captions: Sequence[Sequence[str]], truth: CaptionSet) -> Report:
    """Return the report of one caption (as words) per picture of a set."""
    scores = torch.tensor(cider_d(captions, truth.captions))
    order = scores.argsort(stable=True).tolist()

    def example(i: int) -> Example:
        references = [" ".join(words) for words in truth.captions[i]]
        true = is_true(captions[i], truth.scenes[i]) if truth.scenes else None
        return Example(truth.item_name(i), " ".join(captions[i]), references, round(float(scores[i]), 4), true)

    worst, best = [example(i) for i in order[:EXAMPLES]], [example(i) for i in order[::-1][:EXAMPLES]]
    return Report(len(captions), measure(captions, truth), worst, best)
