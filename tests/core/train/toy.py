"""A small learning problem for tests of the loop: which half of a 1-D signal is louder. Also run by torchrun."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.memory import EpochContext, MemoryBatches
from cnn_core.errors import CnnError
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.train.loop import fit
from cnn_core.train.task import Evaluation, Pairs


@dataclass(frozen=True)
class ToyRecipe:
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=0.01))
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=3, batch_size=32, device="cpu"))


class ToyTask(Pairs):
    metric = "accuracy"

    def __init__(
        self, recipe: ToyRecipe, *, dropout: float = 0.2, val_accuracy: list[float] | None = None, count: int = 256
    ) -> None:
        self.recipe = recipe
        self.count = count  # signals in the set
        self.dropout = dropout
        self.scripted = val_accuracy  # what `evaluate` reports, epoch by epoch

    def build_data(self, device: torch.device) -> None:
        x = torch.randint(0, 256, (self.count, 1, 16), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
        y = (x[:, 0, :8].float().mean(1) > x[:, 0, 8:].float().mean(1)).long()
        self.x, self.y = x.to(device), y.to(device)
        self._batches = MemoryBatches(
            self.x,
            self.y,
            batch_size=self.recipe.loop.batch_size,
            normalize=lambda x: x - 0.5,
            augment=AugmentConfig(shift=1, light=0.1),
        )

    def build_model(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv1d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(self.dropout), nn.Linear(128, 2)
        )

    def steps_per_epoch(self) -> int:
        return len(self._batches)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        return self._batches.epoch(context)

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x), y)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        if self.scripted is not None:
            return Evaluation(1, {"accuracy": self.scripted.pop(0)})
        right = model(self.x.float() / 255 - 0.5).argmax(1) == self.y
        return Evaluation(len(self.y), {"accuracy": right.double().mean().item()})

    def fingerprint(self) -> str:
        return str(self.count)

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        return {}


class Slope(ToyTask):
    """One weight that is the loss, so that its gradient is always 1; takes down what happens to it."""

    def build_model(self) -> nn.Module:
        self.moments: list[float] = []  # the weight before every step
        self.modes: list[bool] = []  # whether the network was in training mode, at steps and evaluations
        self.sources: list[int] = []  # the seed of every epoch
        return nn.Linear(1, 1, bias=False)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        self.sources.append(context.generator.initial_seed())
        return super().batches(context)

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        weight = next(model.parameters())
        self.moments.append(weight.item())
        self.modes.append(model.training)
        return weight.sum()

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        self.modes.append(model.training)
        return Evaluation(1, {"accuracy": len(self.moments) / 4})


def main() -> None:
    """`torchrun --nproc-per-node 2 toy.py FOLDER`: train on the processes that torchrun started.

    With the word "stopped", say stop in the middle of the first epoch. With another one, try what two processes cannot
    share, and write down what each process hears.
    """
    torch.set_num_threads(1)
    loop = LoopConfig(epochs=2, batch_size=32, device="cpu", devices=2, strategy="ddp", precision="32-true")
    if sys.argv[2:] == ["stopped"]:
        run = fit(ToyTask(ToyRecipe(loop=loop)), Path(sys.argv[1], "run"), observe=lambda p: p.step != 3)
        if run.main:
            said = {"epochs_done": run.epochs_done, "stopped": run.stopped}
            Path(sys.argv[1], "stopped.json").write_text(json.dumps(said))
        return
    if len(sys.argv) > 2:
        try:
            fit(ToyTask(ToyRecipe(loop=replace(loop, batch_size=1))), Path(sys.argv[1], "batch"))
        except CnnError as error:
            Path(sys.argv[1], f"batch-{os.environ['RANK']}.txt").write_text(str(error))
        return
    run = fit(ToyTask(ToyRecipe(loop=loop), dropout=0.0), Path(sys.argv[1]))
    weights = {name: value.tolist() for name, value in run.model.state_dict().items()}
    Path(sys.argv[1], "weights.json").write_text(json.dumps(weights))


if __name__ == "__main__":
    main()
