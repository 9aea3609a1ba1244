"""Measuring captions of a set: overlap with its references, and truth where the pictures' contents are known."""

from collections.abc import Sequence

from image_captioning.data import CaptionSet
from image_captioning.grammar import is_true, share_named
from image_captioning.metrics import caption_metrics


def measure(captions: Sequence[Sequence[str]], truth: CaptionSet) -> dict[str, float]:
    """Return the metrics of one caption (as words) per picture of a set, the most telling one first.

    truth_rate: share of captions that can be parsed and hold in the picture; named: things that a caption names per
    thing in the picture; bleu1..bleu4, cider, rouge_l: see `metrics`.

    Raises:
        DataError: there is not one caption per picture.
    """
    overlap = caption_metrics(captions, truth.captions)
    order = ("bleu4", "cider", "bleu1", "bleu2", "bleu3", "rouge_l")
    metrics = {name: overlap[name] for name in order}
    if not truth.scenes:
        return metrics
    pairs = list(zip(captions, truth.scenes, strict=True))
    true = sum(is_true(caption, scene) for caption, scene in pairs) / len(pairs)
    named = sum(share_named(caption, scene) for caption, scene in pairs) / len(pairs)
    return {"truth_rate": true, "named": named, **metrics}
