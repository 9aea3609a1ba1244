"""The image recipe and its Task."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.classification import Report, measure_classes
from cnn_core.confidence import Network, drawn
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.cache import cache_key
from cnn_core.data.classes.division import SplitOptions
from cnn_core.data.memory import EpochContext, MemoryBatches
from cnn_core.errors import CnnError, DataError
from cnn_core.metrics import classification_metrics
from cnn_core.models import as_backbone, create_model, model_spec
from cnn_core.nn.dims import channels_last
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.train.task import Evaluation, Pairs, say_unused
from cnn_core.validation import Count, Edge, Natural, Settings, Text
from image_classification.data import ImageSet, few_of_each, load_data
from image_classification.image_set import Channels, Fit
from image_classification.preprocess import InputContract, tta_logits

if TYPE_CHECKING:
    from cnn_core.weights import WeightsCard

log = logging.getLogger(__name__)

INITIALISE_SAMPLES = 5000  # pictures that data-dependent initialisation looks at
EVALUATION_BATCH, EVALUATION_EDGE = 500, 32  # pictures of a forward pass where nothing is learned, of that edge
LEAST_STEPS = 10  # of an epoch of a user's own pictures: of a few dozen, one pass is a step or two and teaches nothing

Tta = Literal["none", "flip", "shift", "flip-shift"]


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which pictures, and how they are preprocessed."""

    data: Text = "digits"  # a name of `cnn list data`, or a folder (or zip) of class folders
    validation: bool = True  # hold out a tenth of the training set to choose the best epoch; False: train on all of it
    size: Edge | None = None  # edge in pixels; None: the set's own, for a folder 64, with `weights` theirs
    channels: Channels | None = None  # 1 grey, 3 colour; None: the set's own, of a folder 3, with `weights` theirs
    fit: Fit = "crop"  # how pictures of another size are fitted
    per_class: Count | None = None  # train on this many pictures per class, which the seed chooses; None: on all
    tta: Tta = "none"  # views that a prediction is averaged over
    # of your own pictures: a folder of test pictures, a text file of their names, or how many of each class are for the
    # test, as a share or a number; None: a fifth, unless the folder has test pictures
    test: str | None = None
    # of your own pictures, what stays on one side of a split: subfolders of the class folders, where every class has
    # enough of them or in any case; copies of a picture always do
    groups: Literal["auto", "folder", "none"] = "auto"
    group_column: str | None = None  # of a table of labels: pictures of equal values stay on one side of a split
    label_column: str | None = None  # of a table of labels; None: guessed


@dataclass(frozen=True)
class TransferConfig(Settings):
    """What is trained when training starts from `weights`."""

    # With `weights`: train all of it, its late stages and head, or its head only; scratch: the same network from fresh
    # weights, with pictures preprocessed in the same way; linear-probe: solve for its last layer, see `probe`.
    transfer: Literal["fine-tune", "freeze", "bottleneck", "linear-probe", "scratch"] = "fine-tune"
    frozen_stages: Natural | None = None  # for "freeze": how many stages stay as they are; None: half of them


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)


class ImageTask(Pairs):
    """Classify pictures: cross-entropy on augmented batches, accuracy on the validation split."""

    metric = "accuracy"
    open_set = True

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.sets: dict[str, ImageSet] = {}

    def build_data(self, device: torch.device) -> None:
        """Load the splits to the device and fix the input contract (the starting weights' one if there are any).

        Raises:
            DataError: there are too few pictures for a split.
        """
        data = self.recipe.data
        card, weights = self.starting_card(), self.recipe.model.weights
        base = InputContract.from_json(card.input) if card else None
        if card and weights and not self.probed:  # the recipe of a probe has a network for the case without weights
            say_unused(log, weights, [("model", self.recipe.model.model, card.model)])
        size = data.size or (base.size if base else None)
        channels = base.channels if base else data.channels
        if base and data.channels not in (None, base.channels):
            raise CnnError(
                f"{self.recipe.model.weights} takes {base.channels} channels, the recipe asks for {data.channels}"
            )
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        options = SplitOptions(data.groups, data.group_column, data.label_column, data.test)
        fit = base or data.fit
        loaded = load_data(data.data, splits=splits, size=size, channels=channels, fit=fit, options=options)
        self.sets, self.summary, self.members = loaded.sets, loaded.summary, loaded.members
        if card and set(card.labels) == set(self.sets["test"].labels):
            self.sets = {split: part.with_labels(card.labels) for split, part in self.sets.items()}
        _check_filled(data.data, self.sets)
        train = self.sets[self.training_split]
        if data.per_class is not None:
            chosen = few_of_each(train.targets.numpy(), data.per_class, seed=self.recipe.loop.seed)
            train = self.sets[self.training_split] = train.subset(chosen)
        self.augment, tta = self._flips(train)
        if base:
            self.contract = replace(base, size=train.size, tta=tta)
        else:
            mean, std = _statistics(train.images)
            self.contract = InputContract(train.channels, train.size, mean=mean, std=std, fit=data.fit, tta=tta)
        if not weights and self.recipe.transfer.transfer == "linear-probe":
            self._say("there are no starting weights: the network learns from these pictures alone")
        self.device_sets = {name: (s.images.to(device), s.targets.to(device)) for name, s in self.sets.items()}
        images, targets = self.device_sets[self.training_split]
        self._batches = MemoryBatches(
            images,
            targets,
            batch_size=self.recipe.loop.batch_size,
            normalize=self._normalize,
            augment=self.augment,
        )
        steps = len(self._batches)
        few = self.members and steps < LEAST_STEPS and not self.probed
        self.passes = -(-LEAST_STEPS // max(1, steps)) if few else 1
        if self.passes > 1:
            epoch = f"an epoch goes through the {len(train):,} training pictures {self.passes} times, in "
            self._say(f"{epoch}{self.passes * steps} steps")

    def _flips(self, train: ImageSet) -> tuple[AugmentConfig, Tta]:
        """Return augmentation and test-time views, without flips where a user's classes are mirror images."""
        augment, tta = self.recipe.augment, self.recipe.data.tta
        if not self.members or (augment.flip == "none" and tta in ("none", "shift")):
            return augment, tta
        from image_classification.mirrored import mirrored_classes, said_of

        pairs = mirrored_classes(train.images, train.targets.numpy())
        if not pairs:
            return augment, tta
        self._say(said_of(pairs, train.labels))
        return replace(augment, flip="none"), "shift" if tta == "flip-shift" else "none"

    def _say(self, sentence: str) -> None:
        """Add to what the user is told of the data."""
        self.summary = replace(self.summary, read=(*self.summary.read, sentence))

    @property
    def training_split(self) -> str:
        """The split to train on."""
        return "train" if self.recipe.data.validation else "train+val"

    @property
    def probed(self) -> bool:
        """Whether only a last layer is solved for, on top of starting weights."""
        return bool(self.recipe.model.weights) and self.recipe.transfer.transfer == "linear-probe"

    def build_model(self) -> nn.Module:
        """Build the network, or load the starting weights and give them a head for these classes."""
        config, train = self.recipe.model, self.sets[self.training_split]
        if config.weights and self.recipe.transfer.transfer != "scratch":
            from cnn_core.weights import load_model

            model, start = load_model(config.weights, domain="image_classification")
            if start.arguments["options"] != self.options():  # another head
                fresh = as_backbone(create_model(start.model, **self._arguments()))
                fresh.stages.load_state_dict(model.stages.state_dict())
                return fresh.eval()
            if tuple(start.labels) != train.labels:
                model.reset_head(train.num_classes)
            self._freeze(model)
            return model
        card = self.starting_card()
        name = card.model if card else config.model
        model = create_model(name, **self._arguments())
        least = getattr(model, "minimum_size", 1)
        if min(train.size) < least:
            raise CnnError(
                f"{name} takes pictures from {least} pixels on, those of {self.recipe.data.data} have "
                f"{min(train.size)}; ask for larger ones (--size {least}) or for another --model"
            )
        initialise = getattr(model, "initialise", None)
        if initialise is not None:
            sample = torch.randperm(len(train.images))[:INITIALISE_SAMPLES]
            initialise(self.contract.normalize(train.images[sample]))
        return model

    def steps_per_epoch(self) -> int:
        return self.passes * len(self._batches)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        for number in range(self.passes):
            yield from self._batches.epoch(replace(context, epoch=self.passes * context.epoch + number))

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the mean cross-entropy of pictures [B, C, H, W] and their classes [B].

        Raises:
            CnnError: a single picture that the network shrinks to one cell: batch normalisation has no statistics.
        """
        x, y = batch
        try:
            scores = model(x)
        except ValueError as error:
            if len(x) > 1 or isinstance(error, CnnError):  # of one picture, batch normalisation alone raises
                raise
            raise CnnError(
                f"at {x.shape[3]} x {x.shape[2]} pixels this network learns from at least 2 pictures at once, got 1; "
                "use a larger --batch-size or --micro-batch (0: whole batches), or larger pictures (--size)"
            ) from error
        return F.cross_entropy(scores, y, label_smoothing=self.recipe.optimizer.label_smoothing)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        found = self.scored(model, split)
        if found is None:
            return None
        scores, targets = found
        if split != "test":
            return Evaluation(len(targets), classification_metrics(scores.float(), targets))
        tested = self.sets[split]
        report = Report(**measure_classes(
            scores.float().softmax(1).cpu(), tested.targets, labels=tested.labels, item_name=tested.item_name,
            source=f"{tested.name}: the test split",
        ))  # fmt: skip
        return Evaluation(report.n, report.metrics, report)

    def network(self, model: nn.Module) -> nn.Module:
        return model

    def scored(
        self, network: Network, split: str, most: int | None = None, *, tta: Tta | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers to a split, with the contract's test-time views unless others are named."""
        if split not in self.sets:
            return None
        images, targets = self.device_sets[split]
        if most is not None:
            index = drawn(len(images), most).to(images.device)
            images, targets = images[index], targets[index]
        scores = [
            tta_logits(network, channels_last(self.contract.normalize(part)), tta=tta or self.contract.tta)
            for part in images.split(evaluation_batch(self.contract.size))
        ]
        return torch.cat(scores), targets

    def fingerprint(self) -> str:
        """Return a fingerprint of the labels and the targets of all splits."""
        sets = self.sets.items()
        return cache_key(*(part for name, s in sets for part in (name, s.labels, s.files, s.targets.numpy())))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain fills in."""
        card = self.starting_card()
        return {
            "model": card.model if card else self.recipe.model.model,
            "arguments": self._arguments(),
            "input": self.contract.to_json(),
            "labels": list(self.sets[self.training_split].labels),
            "licence": self.recipe.licence,
            "limits": self.recipe.limits,
        }

    def _arguments(self) -> dict[str, Any]:
        train = self.sets[self.training_split]
        return {
            "spatial_dims": 2,
            "in_channels": train.channels,
            "num_classes": train.num_classes,
            "input_size": list(train.size),
            "options": self.options(),
        }

    def options(self) -> dict[str, Any]:
        """Return the network's own settings: the starting weights' ones, with the largest values too for a probe."""
        card = self.starting_card()
        if card is None:
            return self.recipe.model.options
        kept: dict[str, Any] = card.arguments["options"]
        return {**kept, "pool": "mean-max"} if self.probed and "pool" in model_spec(card.model).options else kept

    def starting_card(self) -> "WeightsCard | None":
        """Return the card of the weights that training starts from, None for fresh ones."""
        if not self.recipe.model.weights:
            return None
        from cnn_core.weights import find_weights, load_card

        return load_card(find_weights(self.recipe.model.weights, domain="image_classification"))

    def _freeze(self, model: nn.Module) -> None:
        if self.recipe.transfer.transfer != "freeze":
            return
        stages = list(as_backbone(model).stages.values())
        count = self.recipe.transfer.frozen_stages
        for stage in stages[: (len(stages) + 1) // 2 if count is None else count]:
            freeze(stage)

    def _normalize(self, x: Tensor) -> Tensor:
        """Like the contract's `normalize`, for augmented pictures, which are floats of range 0 to 1 already."""
        mean = torch.tensor(self.contract.mean, device=x.device).view(1, -1, 1, 1)
        std = torch.tensor(self.contract.std, device=x.device).view(1, -1, 1, 1)
        return (x - mean) / std


def freeze(module: nn.Module) -> None:
    """Keep `module` as it is: no gradients, and dropout and normalisation stay in evaluation mode.

    `model.train()` on a parent would switch its batch normalisation back to the statistics of the small new set, so
    the module's own `train` is replaced by one that does nothing.
    """
    module.requires_grad_(False)
    module.eval()
    module.train = MethodType(lambda self, mode=True: self, module)  # type: ignore[method-assign]  # of this module alone


def evaluation_batch(size: Sequence[int]) -> int:
    """Return how many pictures of `size` (H, W) one forward pass takes where nothing is learned; the more, the larger
    the memory, and beyond the processor's cache the slower."""
    height, width = size
    return max(8, EVALUATION_BATCH * EVALUATION_EDGE**2 // max(EVALUATION_EDGE**2, height * width))


def _check_filled(data: str, sets: Mapping[str, ImageSet]) -> None:
    """Raise DataError if a split has no picture to train on or to measure on."""
    empty = [split for split, pictures in sets.items() if not len(pictures.targets)]
    if empty:
        raise DataError(
            f"{data}: too few pictures, none is left for {' and '.join(empty)}; training needs at least three of each "
            "class, two with --no-validation"
        )


def _statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel of `uint8 [N, C, H, W]` on the scale 0 to 1, 4 decimals."""
    counts = torch.stack([torch.bincount(images[:, c].flatten(), minlength=256) for c in range(images.shape[1])])
    share = counts.double() / counts.sum(1, keepdim=True)  # [C, 256]
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level
    std = (share @ level**2 - mean**2).clamp_min(1e-6).sqrt()
    return tuple(round(v, 4) for v in mean.tolist()), tuple(round(v, 4) for v in std.tolist())
