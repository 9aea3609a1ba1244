"""A linear probe: logistic regression on the pooled features of a frozen network, for a user's own pictures.

The encoder runs once over every picture, and over its mirror image where the classes allow it; what it puts out is
cached on disk, block by block, so that a run that was stopped, or a second one, goes on with what is there. Weights are
found by L-BFGS, not by steps: the problem is convex and has one solution for each strength of regularisation. Alain and
Bengio 2016, arXiv:1610.01644.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.confidence import Network
from cnn_core.data.cache import cache_key, cached_array
from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError
from cnn_core.metrics import classification_metrics
from cnn_core.models import as_backbone
from cnn_core.nn.dims import channels_last
from cnn_core.nn.folding import folded
from cnn_core.train.config import OptimizerConfig
from cnn_core.train.task import Evaluation, Pairs
from cnn_core.weights import round_weights
from image_classification.task import ImageTask

log = logging.getLogger("image_classification.task")  # whose level the command line shows

STRENGTHS = (0.03, 0.1, 0.01, 0.003, 0.001)  # of the regularisation; the first is taken where nothing chooses
BLOCK = 128  # pictures that are cached together
FORWARD = 8  # pictures of a forward pass: more at once fall out of the processor's cache and take twice as long
ITERATIONS = 100
LEAST_DEVIATION = 1e-3  # of a feature that hardly changes: its noise is not blown up


class ProbeTask(Pairs):
    """Fit the last layer of an `ImageTask`'s network on features that are computed once.

    The loop sees one epoch, whose steps are the blocks; with the last one the layer is solved for every strength, and
    the one that is best on the validation split is kept. No optimiser moves the weights. After training, `card_fields`
    hands over the whole network, so that the run folder holds ordinary weights.
    """

    metric = "accuracy"
    open_set = True

    def __init__(self, inner: ImageTask) -> None:
        recipe = inner.recipe
        loop = replace(recipe.loop, epochs=1, micro_batch=0, minutes=0.0)
        self.inner = inner
        self.recipe = replace(recipe, loop=loop, optimizer=OptimizerConfig("sgd", momentum=0.0, weight_decay=0.0))
        self.said = ""

    def build_data(self, device: torch.device) -> None:
        from cnn_core.weights import load_model

        weights = str(self.recipe.model.weights)
        try:
            load_model(weights, domain="image_classification")  # before the pictures are read
        except CnnError as error:
            if type(error) is not CnnError:  # anything but a package that is not installed
                raise
            raise CnnError(f"{error}; or learn from the pictures alone (--weights none)") from error
        self.inner.build_data(device)
        self.summary, self.members, self.device = self.inner.summary, self.inner.members, device
        self.views = (False, True) if self.inner.augment.flip != "none" else (False,)

    def fingerprint(self) -> str:
        return self.inner.fingerprint()

    def build_model(self) -> nn.Module:
        """Return the last layer alone."""
        self.whole = as_backbone(self.inner.build_model())
        round_weights(self.whole.stages, self.recipe.model.store)  # solve for what will be loaded
        self.folded = folded(self.whole).to(self.device)
        self.folded.head = self.whole.head.eval()
        return self.whole.head.classifier

    @property
    def training_split(self) -> str:
        return self.inner.training_split

    def network(self, model: nn.Module) -> nn.Module:
        """Return the network with this last layer, as `folded` makes it: for answers, in half the time."""
        self.whole.head.classifier = model  # type: ignore[assignment]  # a Linear, as `build_model` returns it
        self.whole.head.to(self.device)
        return self.folded

    def scored(self, network: Network, split: str, most: int | None = None) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers; to the items that others are compared with, without mirrored views."""
        return self.inner.scored(network, split, most, tta="none" if most is not None else None)

    def steps_per_epoch(self) -> int:
        return len(self.views) * len(self._blocks(self.inner.training_split))

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield the features of one block after the other, and with the last step those of all."""
        split = self.inner.training_split
        whole = []
        for flip in self.views:
            for number, _ in enumerate(self._blocks(split)):
                whole.append(self._features(split, number, flip=flip))
                if len(whole) < self.steps_per_epoch():
                    yield whole[-1]
        yield _joined(whole)

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Solve for the weights once the batch holds everything; the loss has no gradient."""
        weight, bias = model.parameters()
        x, y = batch
        if len(x) == len(self.views) * len(self.inner.sets[self.inner.training_split]):
            self._solve(weight, bias, x, y)
        with torch.no_grad():
            loss = F.cross_entropy(F.linear(x, weight, bias), y)
        return loss + 0 * (weight.sum() + bias.sum())

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Measure the layer on the features; on "test" the whole network, with the contract's test-time views."""
        if split == "test":
            return self.inner.evaluate(self.network(model), split)
        if split not in self.inner.sets:
            return None
        x, y = self._of_split(split)
        return Evaluation(len(y), classification_metrics(model(x), y))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        fields, start = self.inner.card_fields(model), self.inner.starting_card()
        whose = f"features of {self.recipe.model.weights}: {start.licence}" if start else ""
        return {
            **fields, "model_module": self.whole, "licence": f"{fields['licence']}; {whose}",
            "limits": [*fields["limits"], self.said],
        }  # fmt: skip

    def _solve(self, weight: Tensor, bias: Tensor, x: Tensor, y: Tensor) -> None:
        """Put the solution for the strength that is best on the validation split into `weight` and `bias`.

        The best is that of the lowest cross-entropy: of a few hundred pictures, accuracies differ by one or two.
        """
        held = self._of_split("val") if "val" in self.inner.sets else None
        scale = (x.mean(0), x.std(0, correction=0).clamp_min(LEAST_DEVIATION))
        tried: list[tuple[float, float, Tensor, Tensor]] = []
        for strength in STRENGTHS if held else STRENGTHS[:1]:
            w, b = solve(x, y, classes=len(bias), strength=strength, scale=scale)
            tried.append((float(F.cross_entropy(F.linear(held[0], w, b), held[1])) if held else 0.0, strength, w, b))
        _, chosen, w, b = min(tried, key=lambda entry: entry[0])
        with torch.no_grad():
            weight.copy_(w)
            bias.copy_(b)
        count = len(self.inner.sets[self.inner.training_split])
        how = ", as they are and mirrored" if len(self.views) > 1 else ""
        losses = ", ".join(f"{strength}: {loss:.4f}" for loss, strength, *_ in tried)
        why = f", by the loss on {len(held[1]):,} validation pictures ({losses})" if held else ""
        self.said = (
            f"A linear layer on the frozen features of {self.recipe.model.weights}, fitted to {count:,} pictures{how}; "
            f"strength of regularisation {chosen}{why}."
        )
        log.info(self.said)

    def _of_split(self, split: str) -> tuple[Tensor, Tensor]:
        """Return all features of a split, the mean over its test-time views as far as they are mirror images."""
        views = (False, True) if "flip" in self.inner.contract.tta else (False,)
        blocks = range(len(self._blocks(split)))
        seen = [_joined([self._features(split, number, flip=flip) for number in blocks]) for flip in views]
        return torch.stack([x for x, _ in seen]).mean(0), seen[0][1]  # the layer is linear

    def _blocks(self, split: str) -> Sequence[Tensor]:
        return self.inner.device_sets[split][0].split(BLOCK)

    def _features(self, split: str, number: int, *, flip: bool) -> tuple[Tensor, Tensor]:
        """Return the pooled features [N, F] of a block of pictures, from the cache if they are there, and targets."""
        images, targets = self._blocks(split)[number], self.inner.device_sets[split][1].split(BLOCK)[number]
        start = self.inner.starting_card()
        options, contract = self.inner.options(), self.inner.contract.to_json()
        key = cache_key("pooled", images.cpu().numpy(), start and start.sha256, options, contract, flip,
                        self.recipe.model.store)  # fmt: skip
        parts = (self._encode(part.flip(-1) if flip else part).cpu().numpy() for part in images.split(FORWARD))
        width = self.whole.head.classifier.in_features
        kept = cached_array(key, parts, shape=(len(images), width), dtype="float32")
        return torch.from_numpy(kept).to(targets.device), targets

    @torch.inference_mode()
    def _encode(self, images: Tensor) -> Tensor:
        x = channels_last(self.inner.contract.normalize(images))
        for stage in self.folded.stages.values():
            x = stage(x)
        *before, _ = self.folded.head.children()  # all but the last layer
        return nn.Sequential(*before)(x)


def solve(
    x: Tensor, y: Tensor, *, classes: int, strength: float, scale: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Minimise the mean cross-entropy plus `strength` x the squares of the weights of standardised features.

    Args:
        x: features [N, F].
        y: classes [N].
        classes: K.
        strength: of the regularisation.
        scale: mean and standard deviation of every feature, [F] each.

    Returns:
        Weights [K, F] and biases [K] for features as they come, not standardised.
    """
    mean, deviation = scale
    w = torch.zeros(classes, x.shape[1], device=x.device, requires_grad=True)
    b = torch.zeros(classes, device=x.device, requires_grad=True)
    solver = torch.optim.LBFGS([w, b], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

    def plain() -> tuple[Tensor, Tensor]:
        return w / deviation, b - (w / deviation) @ mean

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(x, *plain()), y) + strength * w.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        solver.step(closure)
    with torch.no_grad():
        return plain()


def _joined(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
