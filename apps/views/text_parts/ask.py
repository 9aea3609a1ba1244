"""Asking a network about a text: its answer and its reasons, computed once for the same text and weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnn_core.errors import DataError
from components.coloured import Span
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.texts import spoken

ALL = 1000  # labels; every class gets its bar
FIRST = "ngrams"
FAINTEST = 0.02  # share of the strongest word below which a word is not coloured
GAMMA = 0.7  # lifts the colours of weaker words, which one strong word would leave unseen


@remembered(256)
def ask(network: Network, text: str) -> Any:
    """Return the `Prediction` with all classes.

    Raises:
        CnnError: the network cannot be loaded, or the text cannot be answered.
    """
    found = compute(predictor(network).predict, [text], top_k=ALL)[0]
    if found.error is not None:
        raise DataError(found.error)
    return found


def names(network: Network, labels: Sequence[str]) -> list[str]:
    """Return what pages call labels of a network."""
    return [spoken(label, network.card.labels) for label in labels]


@dataclass(frozen=True)
class Reasons:
    """What each word adds to the score of a class: the library's explanation, and where its tokens stand."""

    found: Any  # a text_classification.explain.TextExplanation
    label: str  # as pages call it
    spans: tuple[Span, ...]  # the coloured words, in the order of the text


@remembered(256)
def reasons(network: Network, text: str, method: str = FIRST, label: str | None = None) -> Reasons:
    """Return why a network would say `label` (one of the card's; None: its answer).

    Raises:
        CnnError: there is nothing to explain, or the method does not suit the text.
    """
    loaded = predictor(network)
    found = compute(loaded.explain, text, method=method, target=label)
    name = spoken(found.label, network.card.labels)
    known = [token in loaded.contract.numbers for token in found.tokens]
    words = zip(found.tokens, loaded.contract.places(text), found.weights, known, strict=True)
    return Reasons(found, name, tuple(spans(list(words), label=name)))


def spans(words: Sequence[tuple[str, tuple[int, int] | None, float, bool]], *, label: str) -> list[Span]:
    """Return the words of a text to colour, the strongest with strength 1 or -1.

    Strengths are not in proportion to the weights, see `GAMMA`; what is said of a word is its number.

    Args:
        words: each token, where it stands in the text, what it adds to the score of `label`, and whether the vocabulary
            has it.
        label: of the class.
    """
    largest = max((abs(weight) for _, _, weight, _ in words), default=0.0)
    made = []
    for token, place, weight, in_vocabulary in words:
        if place is None or not largest or abs(weight) < FAINTEST * largest:
            continue
        side = "for" if weight > 0 else "against"
        said = f"{token}: {signed(weight)}, {side} “{label}”"
        said += "" if in_vocabulary else "; the network does not know this word"
        strength = (abs(weight) / largest) ** GAMMA
        made.append(Span(*place, strength if weight > 0 else -strength, said))
    return made


def signed(number: float) -> str:
    """Return a number with its sign, a true minus: "+0.42", "−1.30", "0.00"."""
    written = f"{number:+.2f}"
    return "0.00" if float(written) == 0 else written.replace("-", "−")


def in_words(why: Reasons, *, most: int = 3) -> str:
    """Return what a screen reader says of the colours: the strongest words for and against the answer."""
    pairs = sorted(zip(why.found.weights, why.found.tokens, strict=True))
    against = [token for weight, token in pairs[:most] if weight < 0]
    speaking = [token for weight, token in reversed(pairs[-most:]) if weight > 0]
    parts = ((f"for {why.label}", speaking), ("against it", against))
    return "; ".join(f"{side}: {', '.join(words)}" for side, words in parts if words)
