"""What a domain supplies to the epoch loop: a Task."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from cnn_core.confidence import Network
from cnn_core.data.memory import EpochContext
from cnn_core.train.config import LoopConfig, OptimizerConfig

if TYPE_CHECKING:
    from cnn_core.weights.reports import Writable


def say_unused(log: logging.Logger, weights: str, settings: Iterable[tuple[str, Any, Any]]) -> None:
    """Warn of settings that starting weights decide otherwise.

    Args:
        log: the domain's.
        weights: their name or folder.
        settings: of each its name, what the recipe says (None: nothing), and what the weights keep.
    """
    for name, ours, theirs in settings:
        if ours is not None and ours != theirs:
            log.warning("%s %r is not used: the weights %s keep theirs, %r", name, ours, weights, theirs)


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, the number of items they were measured on, and of a test split what else there is to say.

    Args:
        n: items.
        metrics: by name.
        report: of a test split.
        counts: metric -> its own number of items, where it is defined for some of them only.
    """

    n: int
    metrics: dict[str, float]
    report: "Writable | None" = None
    counts: Mapping[str, int] = field(default_factory=dict)


class TrainingRecipe(Protocol):
    """The sections that the loop reads; a domain's recipe has more."""

    @property
    def model(self) -> object: ...
    @property
    def optimizer(self) -> OptimizerConfig: ...
    @property
    def loop(self) -> LoopConfig: ...


class Pairs:
    """The part of a Task whose batches are pairs (inputs [B, ...], targets [B, ...])."""

    def samples(self, batch: tuple[Tensor, Tensor]) -> int:
        """Return B."""
        return len(batch[0])

    def weight(self, batch: tuple[Tensor, Tensor]) -> float:
        """Return B: the loss is a mean over samples."""
        return len(batch[0])

    def parts(self, batch: tuple[Tensor, Tensor], count: int) -> list[Any]:
        """Cut a batch into parts that differ by one sample at most: statistics of a small remainder would mislead."""
        return list(zip(*(side.tensor_split(count) for side in batch), strict=True))


class OfHead(Pairs):
    """The part of a Task that trains the head alone of another Task's network, its `inner`; `whole` is that network.

    The whole network is answered with, measured and saved, so that the run folder holds ordinary weights.
    """

    metric = "accuracy"
    open_set = True
    whole: nn.Module

    def __init__(self, inner: Any) -> None:
        self.inner, self.recipe = inner, inner.recipe

    @property
    def training_split(self) -> str:
        return str(self.inner.training_split)

    def fingerprint(self) -> str:
        return str(self.inner.fingerprint())

    def network(self, model: nn.Module) -> nn.Module:
        """Return the encoder with this head."""
        self.whole.add_module("head", model)
        return self.whole

    def scored(self, network: Network, split: str, most: int | None = None) -> tuple[Tensor, Tensor] | None:
        found: tuple[Tensor, Tensor] | None = self.inner.scored(network, split, most)
        return found

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        return {**self.inner.card_fields(model), "model_module": self.network(model)}


class Task(Protocol):
    """A learning problem: data, network, loss, measure. Everything else is the loop's.

    Attributes:
        recipe: the settings.
        metric: the validation metric that chooses the best epoch; greater is better.
        summary: what `build_data` understood of the data, for the user; may be missing.
        members: content hashes of a user's own items by split (`cnn_core.weights.members`); may be missing.
    """

    @property
    def recipe(self) -> TrainingRecipe: ...
    @property
    def metric(self) -> str: ...

    def build_data(self, device: torch.device) -> None:
        """Load the data sets; called once, before everything else."""

    def fingerprint(self) -> str:
        """Return a hash of labels, items and splits: a run can only be resumed on the same data."""

    def build_model(self) -> nn.Module:
        """Build the network with its starting weights, on the CPU."""

    def steps_per_epoch(self) -> int:
        """Return the number of batches that `batches` yields."""

    def batches(self, context: EpochContext) -> Iterable[Any]:
        """Yield this process' share of the training batches of one epoch, already on the device."""

    def samples(self, batch: Any) -> int:
        """Return how many samples a batch holds."""

    def weight(self, batch: Any) -> float:
        """Return over how much the loss of a batch is a mean: its samples, or words where it is one over words."""

    def parts(self, batch: Any, count: int) -> list[Any]:
        """Cut a batch into `count` parts, from 2 to its number of samples."""

    def training_step(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the loss averaged over what `weight` counts in `batch`."""

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Measure on "val" or "test", or return None if there is no such split; `model` is in evaluation mode."""

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the domain's part of the weights card: model, arguments, input, labels, licence, limits."""
