"""The metrics of captions, and the captions that agree least and most with what people wrote."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any, Self

import torch

from image_captioning.data import CaptionSet
from image_captioning.grammar import is_true, share_named
from image_captioning.metrics import caption_metrics, cider_d

EXAMPLES = 25  # of the best and of the worst captions
SHOWN, SHOWN_CHARACTERS = 3, 80  # of the worst at the end of a training


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

    Args:
        n: pictures.
        metrics: see `measure`.
        worst: None where they were left out when the weights were downloaded.
        best: likewise.
        different: how many different captions were written; None in reports of before this was counted.
        known: share of the words of the references that the network knows; likewise.
    """

    n: int
    metrics: dict[str, float]
    worst: list[Example] | None = field(repr=False)
    best: list[Example] | None = field(repr=False)
    different: int | None = None
    known: float | None = None

    @property
    def lines(self) -> list[str]:
        """What a training ends with: how much of the language is used, and the worst captions beside the references."""
        lines = []
        if self.different is not None:
            lines.append(f"{self.different:,} different captions for {self.n:,} pictures")
        if self.known is not None:
            lines.append(f"{self.known:.1%} of the words that people wrote are in the vocabulary")
        for example in (self.worst or [])[:SHOWN]:
            more = f" and {len(example.references) - 1} more" if len(example.references) > 1 else ""
            written, people = (shorten(text, SHOWN_CHARACTERS) for text in (example.caption, example.references[0]))
            lines.append(f"CIDEr-D {example.cider:.2f}  {example.input}: {written!r}; people wrote {people!r}{more}")
        return lines

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


def report_on(
    captions: Sequence[Sequence[str]], truth: CaptionSet, vocabulary: Collection[str] | None = None
) -> Report:
    """Return the report of one caption (as words) per picture of a set.

    Args:
        captions: N.
        truth: the pictures.
        vocabulary: the words that the network knows.
    """
    scores = torch.tensor(cider_d(captions, truth.captions))
    order = scores.argsort(stable=True).tolist()

    def example(i: int) -> Example:
        references = [truth.sentence(words) for words in truth.captions[i]]
        true = is_true(captions[i], truth.scenes[i]) if truth.scenes else None
        return Example(truth.item_name(i), truth.sentence(captions[i]), references, round(float(scores[i]), 4), true)

    worst, best = [example(i) for i in order[:EXAMPLES]], [example(i) for i in order[::-1][:EXAMPLES]]
    words = Counter(word for several in truth.captions for caption in several for word in caption)
    known = None
    if vocabulary is not None:
        known = round(sum(n for word, n in words.items() if word in vocabulary) / max(1, words.total()), 6)
    different = len({tuple(caption) for caption in captions})
    return Report(len(captions), measure(captions, truth), worst, best, different, known)
