"""How far an answer can be trusted: calibrated probabilities, and inputs that are like nothing that was learned.

Temperature (Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599): the class scores are
divided by a number that is fitted on validation data, so that of answers with 80 % about 80 % are right. It goes into
the last layer's weights, so pages, commands and exported files all answer alike.

Familiarity (Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", arXiv:2204.06507): the cosine
similarity of an input's features to the nearest of the training data's. Below a threshold, which most right answers on
validation data exceed, an input is none of the classes. Differs from the paper: the nearest neighbour instead of the
k-th, of a part of the training data; beside what the last layer reads, the mean of the stage before the last; and the
roots of all features (as Fisher vectors have them, Perronnin et al. 2010), which lets many weak ones count. Of photos
of clothes, a network for CIFAR-10 rejected 0.79 with 0.96 of its right answers kept, by the last layer alone 0.59.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnn_core.classification import calibrate
from cnn_core.models.backbone import Backbone
from cnn_core.nn.folding import folded
from cnn_core.weights.card import Confidence

REFERENCES = 4000  # training items that an input is compared with
KEPT = 0.98  # share of the right answers on validation data that stay answers
LEAST_RIGHT = 40  # right answers on validation data, below which no threshold can be chosen
LEAST_ITEMS = 20  # validation items, below which no temperature is fitted
COLDEST, HOTTEST = 0.1, 10.0
LAST_WEIGHT = 2.0  # of what the last layer reads, beside the map before the last
SCALE = 127  # unit vectors are kept as int8; the cosine does not see the scale

Network = Callable[[Tensor], Tensor]


@runtime_checkable
class ScoringTask(Protocol):
    """A Task of a classifier, whose confidence can be learned."""

    training_split: str
    open_set: bool  # its inputs may be of no class at all, which is found out

    def network(self, model: nn.Module) -> nn.Module:
        """Return the whole network of a model that is trained."""

    def scored(self, network: Network, split: str, most: int | None = None) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers to a split as predictions are made, [N, ...], and the targets, int64 [N].

        At most `most` items are answered, see `drawn`; None: all. None is returned where there is no such split.
        """


@runtime_checkable
class ThresholdTask(Protocol):
    """A Task whose answers begin at a score, which is chosen on validation data and stands in the card's `input`."""

    def choose_threshold(self, model: nn.Module) -> None:
        """Choose it for finished weights; nothing changes where the recipe gives one, or holds nothing out."""


def backbone_of(network: nn.Module) -> Backbone | None:
    """Return the classifier in a network, None where there is none."""
    found = (module for module in network.modules() if isinstance(module, Backbone))
    return next((backbone for backbone in found if hasattr(backbone.head, "classifier")), None)


@contextmanager
def _watched(backbone: Backbone) -> Iterator[dict[str, Tensor]]:
    """Keep what the last layer reads and the map before the last, of this thread: others may use the same network."""
    thread, kept = threading.get_ident(), dict[str, Tensor]()
    stages = list(backbone.stages.values())

    def keep_last(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if threading.get_ident() == thread:
            kept["last"] = inputs[0]

    def keep_map(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        if threading.get_ident() == thread:
            kept["map"] = output

    hooks = [backbone.head.classifier.register_forward_pre_hook(keep_last)]
    hooks += [stages[-2].register_forward_hook(keep_map)] if len(stages) > 1 else []
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def with_features(network: Network, backbone: Backbone) -> Network:
    """Return `network` with features of length 1 behind its scores: `-> [B, K + D]`."""

    def answer(x: Tensor) -> Tensor:
        with _watched(backbone) as kept:
            scores = network(x)
        parts = [LAST_WEIGHT * rooted(kept["last"])]
        if "map" in kept:
            parts.append(rooted(kept["map"].flatten(2).mean(2)))
        return torch.cat([scores.float(), F.normalize(torch.cat(parts, 1), dim=1)], 1)

    return answer


def rooted(features: Tensor) -> Tensor:
    """Return the roots of features, with their signs, at length 1: [B, D]."""
    features = features.float()
    return F.normalize(features.sign() * features.abs().sqrt(), dim=1)


def with_familiarity(network: Network, backbone: Backbone) -> Network:
    """Return `network` with the familiarity of each input as a last column: `-> [B, K + 1]`.

    Averages over views of an input, of scores as of familiarity, stay what they mean.
    """
    if backbone.head.references is None:
        raise ValueError("the head has no references to compare with")
    known = as_units(backbone.head.references)  # once for all views and batches
    featured = with_features(network, backbone)

    def answer(x: Tensor) -> Tensor:
        both = featured(x)
        classes = both.shape[1] - known.shape[1]
        return torch.cat([both[:, :classes], nearest_reference(both[:, classes:], known)[:, None]], 1)

    return answer


def answering(model: nn.Module) -> Network:
    """Return what answers inputs: a model, folded, with their familiarity where its head has references."""
    quick = folded(model)
    backbone = backbone_of(quick)
    return quick if backbone is None or backbone.head.references is None else with_familiarity(quick, backbone)


def split_answers(answered: Tensor, classes: int, confidence: Confidence | None) -> tuple[Tensor, Tensor]:
    """Return the scores, float32 [B, K], and which inputs are of the classes, bool [B], of what `answering` returned.

    Without a threshold, or a familiarity, all inputs are taken to be of the classes.
    """
    scores = answered[:, :classes].float()
    threshold = confidence["threshold"] if confidence else None
    if threshold is None or answered.shape[1] == classes:
        return scores, torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    return scores, answered[:, classes] >= threshold


def fit_temperature(scores: Tensor, targets: Tensor) -> float:
    """Return the temperature T for which softmax(scores / T) is likeliest: of [N, K], int64 [N].

    A few items decide little: log T has a normal prior of mean 0 and deviation 1, which outweighs one item or two.
    """
    scores, targets = scores.double().cpu(), targets.cpu()
    low, high = np.log(COLDEST), np.log(HOTTEST)
    ratio = (5**0.5 - 1) / 2

    def cost(log_t: float) -> float:
        return float(F.cross_entropy(scores / np.exp(log_t), targets, reduction="sum")) + log_t**2 / 2

    while high - low > 1e-3:  # golden section: the cost has one minimum
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if cost(a) < cost(b) else (a, high)
    return round(float(np.exp((low + high) / 2)), 4)


def learn_confidence(task: Any, model: nn.Module) -> Confidence | None:
    """Put temperature and references into a trained classifier's head, and return what its card says of them.

    Nothing is learned where there is no classifier, or no validation data that it has not learned from.
    """
    if not isinstance(task, ScoringTask):
        return None
    network = task.network(model)
    backbone = backbone_of(network)
    if backbone:
        backbone.head.references = None  # of the weights that training began with
    with torch.inference_mode():
        found = task.scored(network, "val") if backbone else None
    if backbone is None or found is None or len(found[1]) < LEAST_ITEMS:
        return None
    scores, targets = found[0].float().cpu(), found[1].cpu()
    temperature = fit_temperature(scores, targets)
    errors = [calibrate((scores / t).softmax(1), targets).error for t in (1.0, temperature)]
    backbone.head.scale(1 / temperature)
    said = Confidence(
        temperature=temperature, n=len(targets), data="the validation split", error_before=errors[0],
        error_after=errors[1], threshold=None,
    )  # fmt: skip
    right = scores.argmax(1) == targets
    if not task.open_set or int(right.sum()) < LEAST_RIGHT:
        return said
    backbone.head.references = references_of(task, network, backbone)
    with torch.inference_mode():
        answered, _ = _need(task.scored(with_familiarity(network, backbone), "val"))
    familiar = answered[right, -1].cpu().double()
    return {**said, "threshold": math.floor(float(familiar.quantile(1 - KEPT)) * 1e4) / 1e4}


def references_of(task: ScoringTask, network: nn.Module, backbone: Backbone) -> Tensor:
    """Return the features of training items, drawn by a fixed seed: int8 [M, D]."""
    with torch.inference_mode():
        both, _ = _need(task.scored(with_features(network, backbone), task.training_split, REFERENCES))
    return as_references(both[:, backbone.head.classifier.out_features :].float())


def drawn(count: int, most: int) -> Tensor:
    """Return the places of at most `most` of `count` items, drawn by a fixed seed, in their order: int64."""
    return torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:most]))


def as_references(features: Tensor) -> Tensor:
    """Return features [M, D] as they are kept, at 127 of their largest number each: int8 [M, D]."""
    return (features / features.abs().amax(1, keepdim=True).clamp_min(1e-12) * SCALE).round().to(torch.int8)


def as_units(references: Tensor) -> Tensor:
    """Return references [M, D] at length 1: float32."""
    return F.normalize(references.float(), dim=1)


def nearest_reference(features: Tensor, units: Tensor) -> Tensor:
    """Return the cosine of features [B, D] of length 1 to the nearest of references, `as_units` [M, D]: [B]."""
    return (features @ units.T).amax(1)


def among_references(references: Tensor) -> Tensor:
    """Return the cosine of each of references [M, D] to the nearest of the others: float32 [M]."""
    units = as_units(references)
    return (units @ units.T).fill_diagonal_(-1).amax(1)


def _need(found: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    if found is None:
        raise ValueError("the task has no such split")
    return found
