"""Which words decided: an exact account of the n-grams that won, attributions of any network, the smallest deletion.

The score that is explained is the class' score less the mean of all classes' scores: softmax does not notice what is
added to all of them, and a word that speaks for every class alike speaks for none.

"ngrams" is exact for networks of parallel filters (Kim 2014): each filter's maximum comes from one window, the last
layer adds the maxima up, and each maximum is a sum over the words of its window, so every word's part can be named:

    score = bias of the last layer + sum over filters of W[class, filter] * (bias + sum over its window's words)

"integrated-gradients" (Sundararajan et al. 2017, arXiv:1703.01365) and "occlusion" hold for every network.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnn_core.errors import CnnError, DataError, unknown_name
from cnn_core.explain import explain
from cnn_core.models.kim_cnn import ParallelConvs
from text_classification.contract import PADDING
from text_classification.ngrams import strongest_windows, window_indices, word_products

if TYPE_CHECKING:
    from text_classification.predict import Predictor

METHODS = ("ngrams", "integrated-gradients", "occlusion", "gradient")
EXHAUSTIVE = 3000  # deletions of one size that are all tried
BEAM = 40  # partial deletions that are extended where not all can be tried
LARGEST_DELETION = 6  # words
MOST_OCCLUDED = 600  # tokens of a text that are covered one by one
BATCH_SIZE = 256


@dataclass(frozen=True)
class Vote:
    """A filter, the n-gram that fired it most in this text, and what that added to the score."""

    filter: int  # counted through all widths
    start: int  # token where its window begins; below 0: it reaches out of the text
    width: int  # tokens
    ngram: str  # the window's tokens; "·" for places outside the text
    activation: float  # after ReLU
    contribution: float  # to the centred class score


@dataclass(frozen=True)
class TextExplanation:
    """What each token adds to the score of a class."""

    input: str
    tokens: list[str]
    weights: list[float]  # one per token, in units of the score; negative ones are evidence against the label
    label: str
    probability: float
    method: str
    score: float  # the centred class score of the text
    rest: float  # the part of the score that no token has: biases, or the score of an empty text
    votes: list[Vote] = field(default_factory=list, repr=False)  # "ngrams" only; the largest contribution first

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**vars(self), "votes": [vars(vote) for vote in self.votes]}

    def _repr_html_(self) -> str:
        from text_classification.render import to_html

        return to_html(self, whole=False)

    def save(self, path: Path | str) -> str:
        """Write the coloured text as .html, .png or .json; return a sentence that says what it shows.

        Raises:
            CnnError: the name ends otherwise.
            StorageError: the file cannot be written.
        """
        from text_classification.render import save_explanation

        save_explanation(self, Path(path))
        return f"{path}: what speaks for {self.label} ({self.probability:.1%}) in {self.input[:60]!r}, by {self.method}"


def explain_text(
    predictor: "Predictor",
    text: str,
    *,
    method: str = "ngrams",
    target: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> TextExplanation:
    """Compute what each token of a text adds to the score of a class.

    Args:
        predictor: whose prediction is explained.
        text: its input.
        method: one of `METHODS`; "ngrams" becomes "integrated-gradients" for networks that it is not exact for.
        target: the class; None: the predicted one.
        options: of integrated gradients and gradient, see `cnn_core.explain`.

    Raises:
        UnknownNameError: no such method.
        DataError: the text is empty.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    contract, model = predictor.contract, predictor.model
    tokens = contract.tokens(text)
    if not tokens:
        raise DataError("the text is empty; there is nothing to explain")
    ids = contract.encode_all([text]).batch(np.zeros(1, dtype=np.int64)).to(predictor.device)
    with torch.inference_mode():
        logits = model(ids)[0].float()
    index = int(logits.argmax()) if target is None else target
    score = float(logits[index] - logits.mean())
    stage = model.ngrams
    if method == "ngrams" and stage is None:
        method = "integrated-gradients"
    votes: list[Vote] = []
    if method == "ngrams" and stage is not None:
        weights, votes = _decompose(predictor, stage, ids, tokens, index)
    elif method == "occlusion":
        weights = _occlude(predictor, tokens, index, score)
    else:
        weights = _attribute(predictor, ids, index, method, options)[: len(tokens)]
    return TextExplanation(
        text,
        tokens,
        weights.tolist(),
        predictor.labels[index],
        float(logits.softmax(0)[index]),
        method,
        score,
        score - float(weights.double().sum()),
        votes,
    )


def _decompose(
    predictor: "Predictor", stage: ParallelConvs, ids: Tensor, tokens: list[str], index: int
) -> tuple[Tensor, list[Vote]]:
    """Return what each token adds, float64 [L], and every filter's vote."""
    model = predictor.model
    classifier = model.backbone.head.classifier
    with torch.inference_mode():
        # float64 on the CPU: not every device has it (MPS), and there are only some hundred numbers.
        last = (classifier.weight[index] - classifier.weight.mean(0)).cpu().double()  # [filters of all widths]
        words, places = torch.unique(torch.cat([ids.new_zeros(1), ids.flatten()]), return_inverse=True)
        vectors, ids = model.word_vectors()[words], places[1:].view(1, -1)
        weights = torch.zeros(len(tokens), dtype=torch.float64)
        votes: list[Vote] = []
        shares = last.split([len(weight) for weight, _ in stage.filters()])
        for (weight, bias), share in zip(stage.filters(), shares, strict=True):
            width, filters = weight.shape[2], torch.arange(len(weight))
            products, windows = word_products(vectors, weight), window_indices(ids, width)
            strongest, best = (part[0] for part in strongest_windows(products, windows))  # [F] each
            activations = (strongest + bias).relu().cpu().double()
            parts = products[windows[0, best]].cpu()[filters, :, filters].double()  # [F, h]
            starts = best.cpu() - width + 1
            positions = starts[:, None] + torch.arange(width)  # [F, h]
            counted = (positions >= 0) & (positions < len(tokens)) & (activations > 0)[:, None]
            weights.index_add_(0, positions[counted], (share[:, None] * parts)[counted])
            for start, activation, added in zip(starts.tolist(), activations, share * activations, strict=True):
                ngram = " ".join(tokens[i] if 0 <= i < len(tokens) else "·" for i in range(start, start + width))
                votes.append(Vote(len(votes), start, width, ngram, float(activation), float(added)))
    votes.sort(key=lambda vote: -abs(vote.contribution))
    return weights, votes


def _attribute(
    predictor: "Predictor", ids: Tensor, index: int, method: str, options: Mapping[str, Any] | None
) -> Tensor:
    """Explain the network over the word vectors by a method of the core: float [L]."""

    def centred(logits: Tensor) -> Tensor:
        return logits[:, index] - logits.mean(1)

    with torch.no_grad():
        embedded = predictor.model.embed(ids)  # [1, E, L]
    attribution = explain(predictor.model.backbone, embedded, method=method, target=centred, options=options)
    return attribution.heat[0].cpu()


def _occlude(predictor: "Predictor", tokens: list[str], index: int, score: float) -> Tensor:
    """Return how far the score falls when each token is taken out, float [L]."""
    if len(tokens) > MOST_OCCLUDED:
        raise CnnError(
            f"occlusion covers every word once and takes texts of at most {MOST_OCCLUDED} words, this one has "
            f"{len(tokens)}; use 'ngrams' or 'integrated-gradients'"
        )
    logits = _scores_without(predictor, tokens, [(i,) for i in range(len(tokens))])
    return score - (logits[:, index] - logits.mean(1))


def _scores_without(predictor: "Predictor", tokens: list[str], choices: Sequence[Collection[int]]) -> Tensor:
    """Return the class scores of a text for each choice of tokens that are taken out of it: `-> [N, K]`."""
    numbers, columns = predictor.contract.encode(tokens), predictor.contract.length or len(tokens)
    rows = [[number for i, number in enumerate(numbers) if i not in taken] for taken in choices]
    ids = torch.tensor([row + [PADDING] * (columns - len(row)) for row in rows], device=predictor.device)
    with torch.inference_mode():
        return torch.cat([predictor.model(part) for part in ids.split(BATCH_SIZE)]).float().cpu()


@dataclass(frozen=True)
class Deletion:
    """The words whose removal changes the prediction."""

    positions: tuple[int, ...]  # of the tokens
    words: tuple[str, ...]
    text: str  # what is left, as tokens
    label: str  # the new prediction
    probability: float
    smallest: bool  # True: every smaller deletion was tried


def smallest_deletion(predictor: "Predictor", text: str, *, largest: int = LARGEST_DELETION) -> Deletion | None:
    """Return the fewest tokens whose removal changes the prediction, the most probable of equals; None: there are none.

    All deletions of one size are tried while there are at most `EXHAUSTIVE` of them; beyond that the most promising
    smaller ones are extended. If that finds nothing of one size, a larger deletion is not certain to be the smallest.

    Raises:
        DataError: the text is empty.
    """
    tokens = predictor.contract.tokens(text)
    if not tokens:
        raise DataError("the text is empty; nothing can be taken out of it")
    predicted = int(_scores_without(predictor, tokens, [()])[0].argmax())
    beam: list[tuple[int, ...]] = [()]
    certain = True  # that no smaller deletion changes the prediction
    for size in range(1, min(largest, len(tokens) - 1) + 1):
        every = math.comb(len(tokens), size) <= EXHAUSTIVE
        if every:
            tried = list(combinations(range(len(tokens)), size))
        else:
            tried = sorted({tuple(sorted((*kept, i))) for kept in beam for i in range(len(tokens)) if i not in kept})
        probabilities = _scores_without(predictor, tokens, tried).softmax(1)
        order = probabilities[:, predicted].argsort()
        changed = order[probabilities[order].argmax(1) != predicted]
        if len(changed):
            first = int(changed[0])  # the old label may be less probable elsewhere, and still be the prediction
            taken, label = tried[first], int(probabilities[first].argmax())
            rest = " ".join(token for i, token in enumerate(tokens) if i not in taken)
            words = tuple(tokens[i] for i in taken)
            probability = float(probabilities[first, label])
            return Deletion(taken, words, rest, predictor.labels[label], probability, certain)
        beam = [tried[i] for i in order[:BEAM].tolist()]
        certain = certain and every
    return None
