"""Transfer: the head alone is trained, on what a network of photos or of other sounds makes of the spectrograms."""

import logging
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from audio_classification.ridge import choose, solve
from audio_classification.task import EVALUATION_BATCH, Recipe, SoundTask
from cnn_core.data.cache import cache_key, cached_array
from cnn_core.data.memory import EpochContext, take_share
from cnn_core.errors import ConfigError
from cnn_core.metrics import classification_metrics
from cnn_core.models.pooled import PooledStages
from cnn_core.nn.dims import channels_last
from cnn_core.train.task import Evaluation, OfHead
from cnn_core.weights import round_weights

log = logging.getLogger(__name__)


def make_task(recipe: Recipe) -> "SoundTask | HeadTask":
    """Return the Task of a recipe: with weights to start from and the transfer "bottleneck", the head alone learns."""
    inner = SoundTask(recipe)
    return HeadTask(inner) if inner.pretrained and recipe.transfer.transfer == "bottleneck" else inner


class HeadTask(OfHead):
    """Train the head of a `SoundTask`'s network on features that are computed once and cached on disk.

    Every training window gives several: its own, and those of augmented copies. `card_fields` hands over the whole
    network, so that the run folder holds ordinary weights.
    """

    inner: SoundTask
    whole: PooledStages

    def build_data(self, device: torch.device) -> None:
        self.inner.build_data(device)
        self.device = device
        self.summary, self.members = self.inner.summary, self.inner.members

    def build_model(self) -> nn.Module:
        """Compute the features, and return the head that was solved on them.

        Raises:
            ConfigError: the network has no pooled stages that a head could be trained on.
        """
        network = self.inner.build_model().to(self.device).eval()
        if not isinstance(network, PooledStages):
            problem = "transfer: 'bottleneck' needs a network with taps (--option taps=stage5,stage6), or 'fine-tune'"
            raise ConfigError("recipe", [problem])
        self.whole = network
        round_weights(network.stages, self.recipe.model.store)  # train the head on what will be loaded
        split = self.inner.training_split
        self.train = [self._features(split, view=view) for view in range(self.recipe.transfer.views)]
        self.val = self._features("val", view=0) if "val" in self.inner.sets else None
        self.targets = self.inner.targets[split][self.inner.windows[split].owner.to(self.device)]  # [W]
        self._solve()
        return self.whole.head.cpu()

    def _solve(self) -> None:
        """Solve the head: it knows the mean and spread of its features, and its weights are those of `ridge`.

        Strength and scale are chosen on the sounds as they are, the mean of its windows for a long one: of augmented
        copies, leaving one out would say that everything is known.
        """
        classes, whole = len(self.inner.sets[self.inner.training_split].labels), torch.cat(self.train).cpu()
        mean, spread = whole.mean(0), whole.std(0, correction=0).clamp_min(1e-3)
        split = self.inner.training_split
        sounds = self.inner.windows[split].mean_of_each((self.train[0].cpu() - mean) / spread)
        chosen = choose(sounds, self.inner.sets[split].targets, classes)
        targets = self.targets.cpu().repeat(len(self.train))
        solved = solve((whole - mean) / spread, targets, classes, chosen=chosen, copies=len(self.train))
        head = self.whole.head.cpu()
        head.load_state_dict({
            "norm.running_mean": mean, "norm.running_var": spread.square(),
            "norm.num_batches_tracked": torch.tensor(1), "classifier.weight": solved.weight,
            "classifier.bias": solved.bias,
        })  # fmt: skip
        log.info(
            "a head on features of %s answers %.1f %% of the training sounds rightly that it was solved without "
            "(strength %.3g)", self.recipe.model.weights, 100 * chosen.accuracy, chosen.strength,
        )  # fmt: skip

    def steps_per_epoch(self) -> int:
        return max(1, self._count // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield features [B, F] and classes [B]: an epoch goes through all views."""
        whole, count = torch.cat(self.train), len(self.targets)
        order = torch.randperm(len(whole), generator=context.generator)
        for step in range(self.steps_per_epoch()):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            mine = batch[take_share(len(batch), context)].to(self.targets.device)
            yield whole[mine], self.targets[mine % count]

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        model.get_submodule("norm").eval()  # what it knows is better than the statistics of a batch
        return self.inner.training_step(model, batch)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Measure the head on the cached features; on "test" the whole network."""
        if split == "test":
            return self.inner.evaluate(self.network(model), split)
        if self.val is None:
            return None
        probabilities = self.inner.windows[split].mean_of_each(model(self.val).softmax(1))
        targets = self.inner.targets[split]
        return Evaluation(len(targets), classification_metrics(probabilities.log(), targets))

    @property
    def _count(self) -> int:
        """Of training windows and their augmented copies."""
        return self.recipe.transfer.views * len(self.inner.windows[self.inner.training_split])

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, self._count)

    def _features(self, split: str, *, view: int) -> Tensor:
        """Return features [W, F] of the windows of a split, view 0 unchanged, from the cache if they are there."""
        windows, contract = self.inner.windows[split], self.inner.contract
        known = (contract.to_json(), self.recipe.augment, self.recipe.loop.seed, split, view)
        weights = (tensor.cpu().numpy() for tensor in self.whole.stages.state_dict().values())
        key = cache_key(self.inner.fingerprint(), *self.inner.sets[split].waves, *known, *weights)
        generator = torch.Generator().manual_seed(self.recipe.loop.seed + view)

        def rows() -> Iterable[Any]:
            for part in torch.arange(len(windows)).split(EVALUATION_BATCH):
                waves = windows.rows(part).to(self.device)
                x = self.inner.augmented(waves, generator) if view else contract.normalize(waves)
                with torch.inference_mode():
                    yield self.whole.pooled(channels_last(x)).float().cpu().numpy()

        width = self.whole.head.classifier.in_features
        features = cached_array(key, rows(), shape=(len(windows), width), dtype="float32")
        return torch.from_numpy(features).to(self.device)
