"""Transfer learning: bottleneck features, and the three modes side by side.

With bottleneck features the encoder runs once over the pictures and only the head is trained on its output. The
other modes, frozen early stages and fine-tuning, are `ImageTask` itself.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from cnn_core.data.cache import cache_key, cached_array
from cnn_core.data.memory import EpochContext, take_share
from cnn_core.metrics import classification_metrics
from cnn_core.models import Backbone, as_backbone
from cnn_core.train.config import LoopConfig
from cnn_core.train.task import Evaluation, OfHead
from cnn_core.weights import round_weights
from image_classification.task import ImageTask, evaluation_batch

# For a few dozen pictures per class: smaller where more pretrained weights are trained.
LEARNING_RATES = {"bottleneck": 3e-3, "freeze": 1e-3, "fine-tune": 5e-4, "scratch": 3e-3}
COMPARED = LoopConfig(epochs=15, batch_size=16)  # of a few dozen pictures an epoch has `LEAST_STEPS`


class HeadTask(OfHead):
    """Train the head of an `ImageTask`'s network on features that are computed once and cached on disk.

    No augmentation: a changed picture would need the encoder again. After training, `card_fields` hands over the whole
    network, so that the run folder holds ordinary weights.
    """

    inner: ImageTask
    whole: Backbone

    def build_data(self, device: torch.device) -> None:
        self.inner.build_data(device)
        self.summary, self.members = self.inner.summary, self.inner.members
        self.whole = as_backbone(self.inner.build_model()).to(device).eval()
        round_weights(self.whole.stages, self.recipe.model.store)  # train the head on what will be loaded
        self.features = {split: self._features(split) for split in self.inner.sets if split != "test"}

    def build_model(self) -> nn.Module:
        return self.whole.head.cpu()

    def steps_per_epoch(self) -> int:
        return self.inner.steps_per_epoch()

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        features, targets = self.features[self.inner.training_split]
        size = min(self.recipe.loop.batch_size, len(targets))
        for _ in range(self.inner.passes):
            order = torch.randperm(len(targets), generator=context.generator)
            for step in range(len(targets) // size):
                batch = order[step * size : (step + 1) * size]
                mine = batch[take_share(len(batch), context)].to(targets.device)
                yield features[mine], targets[mine]

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self.inner.training_step(model, batch)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Measure the head on the cached features; on "test" the whole network, with the contract's test-time views."""
        if split == "test":
            return self.inner.evaluate(self.network(model), split)
        if split not in self.features:
            return None
        features, targets = self.features[split]
        return Evaluation(len(targets), classification_metrics(model(features), targets))

    def _features(self, split: str) -> tuple[Tensor, Tensor]:
        """Return the last maps [N, C', H', W'] of a split and its targets, from the cache if they are there."""
        images, targets = self.inner.device_sets[split]
        parts = images.split(evaluation_batch(images.shape[2:]))
        shape = self._maps(images[:1]).shape[1:]
        card = self.inner.starting_card()
        key = cache_key(images.cpu().numpy(), card and card.sha256, self.recipe.model.store)
        maps = (self._maps(part).cpu().numpy() for part in parts)
        features = cached_array(key, maps, shape=(len(images), *shape), dtype="float32")
        return torch.from_numpy(features).to(targets.device), targets

    @torch.inference_mode()
    def _maps(self, images: Tensor) -> Tensor:
        """Return the last maps of uint8 pictures: `[B, C, H, W] -> [B, C', H', W']`."""
        return self.whole.forward_features(self.inner.contract.normalize(images))[-1]
