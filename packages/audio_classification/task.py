"""The sound recipe and its Task."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from audio_classification.augment import (
    SoundAugmentConfig,
    change_waves,
    filter_mels,
    mask_spectrograms,
    mixed,
    stretch_mels,
)  # fmt: skip
from audio_classification.contract import DOMAIN_NAME, NEPER, SoundContract, View
from audio_classification.data import DATA_SETS, load_sets, summary_of
from audio_classification.folder import load_own
from audio_classification.sound_set import SoundSet, Windows
from cnn_core.classification import Report, measure_classes
from cnn_core.confidence import Network, drawn
from cnn_core.data.cache import cache_key
from cnn_core.data.classes.division import SplitOptions
from cnn_core.data.memory import EpochContext, take_share
from cnn_core.data.sets import find_set
from cnn_core.data.summary import DataSummary
from cnn_core.metrics import classification_metrics
from cnn_core.models import as_backbone, create_model
from cnn_core.models.imagenet import load_imagenet
from cnn_core.nn.dims import channels_last
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.train.task import Evaluation, Pairs, say_unused
from cnn_core.validation import Count, Positive, Settings, Text
from cnn_core.weights import WeightsCard, find_weights, load_card, load_model

log = logging.getLogger(__name__)

EVALUATION_BATCH = 64  # windows
HOP = 0.016  # seconds
PICTURE = 400  # frames that short sounds are drawn in at least for a network of photos, as far as the hop allows
IMAGENET = "imagenet"  # weights
STATISTICS = 512  # training windows that mean and deviation are taken from


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which sounds, and how the network hears them."""

    data: Text = "drawn_sounds"  # a name of `cnn list data`, or a folder (or zip) of class folders or with a table
    validation: bool = True  # hold out a tenth of the training set to choose the best epoch; False: train on all of it
    fold: Annotated[int, Field(ge=0)] | None = None  # which speaker or fold is tested; None: the official split
    view: View = "log-mel"  # "wave" for 1-D networks, "log-mel" for 2-D ones
    seconds: Positive | None = None  # of an input; None: what nineteen of twenty training sounds fit into, at most 5
    rate: Annotated[int, Field(ge=1000, le=192_000)] | None = None  # samples per second; None: the set's own
    mels: Annotated[int, Field(ge=4, le=512)] = 64  # bands of the spectrogram
    frame: Positive = 0.064  # seconds of a frame
    # seconds from frame to frame; None: a hundredth and a half, of short sounds that start from photos less
    hop: Positive | None = None
    dynamic_range: Positive | None = None  # dB below its loudest cell at which a spectrogram ends; None: not cut
    level: bool = True  # the loudest sample of every input becomes 1
    # of your own sounds: a folder of test sounds, a text file of their names, or how many of each class are for the
    # test, as a share or a number; None: a fifth, unless the folder has test sounds
    test: str | None = None
    # of your own sounds, what stays on one side of a split (a speaker, a place): subfolders of the class folders, where
    # every class has enough of them or in any case; copies of a sound always do
    groups: Literal["auto", "folder", "none"] = "auto"
    group_column: str | None = None  # of a table of labels: sounds of equal values stay on one side of a split
    label_column: str | None = None  # of a table of labels; None: guessed


@dataclass(frozen=True)
class SoundModelConfig(ModelConfig):
    """Which network, and what it starts from."""

    model: Text = "resnet20"  # any name of `cnn list models` of the view's dimensions
    # "imagenet", the photos that efficientnet_lite0 has learned; shipped weights or a run folder of sounds; none: fresh
    weights: str | None = None


@dataclass(frozen=True)
class TransferConfig(Settings):
    """What is trained when training starts from `weights`."""

    # all of it, or its head alone, on features that are computed once
    transfer: Literal["fine-tune", "bottleneck"] = "fine-tune"
    views: Count = 4  # of every training sound that those features are computed of: itself, and augmented ones


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    model: SoundModelConfig = field(default_factory=SoundModelConfig)
    augment: SoundAugmentConfig = field(default_factory=SoundAugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)


class SoundTask(Pairs):
    """Classify sounds: cross-entropy on augmented batches, accuracy on the validation split."""

    metric = "accuracy"
    open_set = True
    summary: DataSummary
    members: Mapping[str, np.ndarray]

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.sets: dict[str, SoundSet] = {}
        self.members = {}

    @property
    def training_split(self) -> Literal["train", "train+val"]:
        """The split to train on."""
        return "train" if self.recipe.data.validation else "train+val"

    def build_data(self, device: torch.device) -> None:
        """Load the splits, fix the input contract (the starting weights' one if there are any), and cut windows."""
        data, card = self.recipe.data, self.starting_card()
        base = SoundContract.from_json(card.input) if card else None
        if card:
            say_unused(log, str(self.recipe.model.weights), [("model", self.recipe.model.model, card.model)])
        rate = base.rate if base else data.rate
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        if find_set(DATA_SETS, data.data) is None:
            options = SplitOptions(data.groups, data.group_column, data.label_column, data.test)
            own = load_own(data.data, [*DATA_SETS], rate=rate, options=options, validation=data.validation)
            self.sets = {split: own.split(split) for split in splits}
            self.summary, self.members = own.summary, {part: own.hashes[index] for part, index in own.parts.items()}
        else:
            self.sets = load_sets(data.data, splits=splits, fold=data.fold, rate=rate)
            tested = "the official split" if data.fold is None else f"fold {data.fold} is the test set"
            self.summary = summary_of(self.sets, divided=tested)
        train = self.sets[self.training_split]
        self.device, self.contract = device, base or self._contract(train)
        self.windows = {name: Windows(part, self.contract) for name, part in self.sets.items()}
        self._say_of_windows()
        self.targets = {name: part.targets.to(device) for name, part in self.sets.items()}
        if base:
            return
        windows = self.windows[self.training_split]
        some = torch.linspace(0, len(windows) - 1, min(len(windows), STATISTICS)).long()
        seen = torch.cat([self.contract.seen(windows.rows(part)) for part in some.split(EVALUATION_BATCH)])
        spread = 2 if self.from_photos else 1  # photos fill -1 to 1
        statistics = {
            "mean": round(float(seen.mean()), 5), "std": max(round(spread * float(seen.std()), 5), 1e-3)
        }  # fmt: skip
        self.contract = SoundContract.from_json({**self.contract.to_json(), **statistics})

    def _say_of_windows(self) -> None:
        """Add to what the user is told of the data that long sounds are heard in windows."""
        sounds, windows = len(self.sets[self.training_split]), len(self.windows[self.training_split])
        if windows > sounds:
            length = self.contract.samples / self.contract.rate
            said = f"the {sounds:,} training sounds are heard in {windows:,} windows of {length:.2f} s"
            self.summary = replace(self.summary, read=(*self.summary.read, said))
        for name, of_split in self.windows.items():
            silent = tuple(f"{name}: {said}" for said in of_split.silent_said())
            self.summary = replace(self.summary, read=(*self.summary.read, *silent))

    def build_model(self) -> nn.Module:
        """Build the network, or load the starting weights and give them a head for these classes.

        Raises:
            CnnError: ImageNet weights are asked for another network, or their package is not installed.
        """
        config, labels = self.recipe.model, self.sets[self.training_split].labels
        card = self.starting_card()
        if card:
            model, _ = load_model(str(config.weights), domain=DOMAIN_NAME)
            if tuple(card.labels) != labels:
                model.reset_head(len(labels))
            return model
        model = create_model(config.model, **self._arguments())
        if self.from_photos:
            load_imagenet(as_backbone(model), head=False)
        return model

    @property
    def from_photos(self) -> bool:
        """Whether the network starts from what it has learned of photos."""
        return self.recipe.model.weights == IMAGENET

    @property
    def pretrained(self) -> bool:
        """Whether training starts from weights."""
        return self.recipe.model.weights not in (None, "none")

    def starting_card(self) -> WeightsCard | None:
        """Return the card of the weights of sounds that training starts from; None: there are none."""
        if not self.pretrained or self.from_photos:
            return None
        return load_card(find_weights(str(self.recipe.model.weights), domain=DOMAIN_NAME))

    def steps_per_epoch(self) -> int:
        return max(1, len(self.windows[self.training_split]) // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield inputs [B, C, *S] and the share of every class in them [B, K]."""
        windows, targets = self.windows[self.training_split], self.targets[self.training_split]
        classes, config = len(self.sets[self.training_split].labels), self.recipe.augment
        order = torch.randperm(len(windows), generator=context.generator)
        for step in range(self.steps_per_epoch()):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            x = self.augmented(windows.rows(batch).to(self.device), context.generator)
            x, y = mixed(x, targets[windows.owner[batch].to(targets.device)], classes, config, context.generator)
            share = take_share(len(batch), context)
            yield channels_last(x[share]), y[share]

    def augmented(self, waves: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed inputs of the network: `[B, samples] -> [B, C, *S]`."""
        config = self.recipe.augment
        x = self.contract.normalize(change_waves(waves, config, generator))
        if self.contract.view == "wave":
            return x
        x = stretch_mels(x, config, generator, rate=self.contract.rate)
        if config.filters:
            x = filter_mels(x, config.filters * NEPER / self.contract.std, generator)
        return mask_spectrograms(x, config, generator)

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x), y, label_smoothing=self.recipe.optimizer.label_smoothing)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        found = self.scored(model, split)
        if found is None:
            return None
        scores, targets = found
        if split != "test":
            return Evaluation(len(scores), classification_metrics(scores, targets))
        tested = self.sets[split]
        report = Report(**measure_classes(
            scores.softmax(1).cpu(), tested.targets, labels=tested.labels, item_name=tested.item_name,
            source=f"{tested.name}: the test split",
        ))  # fmt: skip
        return Evaluation(report.n, report.metrics, report)

    def network(self, model: nn.Module) -> nn.Module:
        return model

    def scored(self, network: Network, split: str, most: int | None = None) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers to every sound of a split, as the logarithm of its windows' mean probability.

        What stands behind the K scores of a window, such as features, is averaged as it is.
        """
        if split not in self.sets:
            return None
        sounds, windows, targets = self.sets[split], self.windows[split], self.targets[split]
        if most is not None:
            items = drawn(len(sounds), most)
            sounds, targets = sounds.subset(items.numpy(), split), targets[items.to(self.device)]
            windows = Windows(sounds, self.contract)
        answered = torch.cat([
            network(channels_last(self.contract.normalize(windows.rows(part).to(self.device)))).float()
            for part in torch.arange(len(windows)).split(EVALUATION_BATCH)
        ])  # fmt: skip
        classes = len(sounds.labels)
        probabilities = windows.mean_of_each(answered[:, :classes].softmax(1))
        return torch.cat([probabilities.log(), windows.mean_of_each(answered[:, classes:])], 1), targets

    def fingerprint(self) -> str:
        """Return a fingerprint of the labels, the samples and the targets of all splits."""
        return cache_key(*((name, s.labels, s.files, s.targets.tolist()) for name, s in self.sets.items()))

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

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, max(1, len(self.windows[self.training_split])))

    def _arguments(self) -> dict[str, Any]:
        card = self.starting_card()
        return {
            "spatial_dims": self.contract.spatial_dims,
            "in_channels": self.contract.channels,
            "num_classes": len(self.sets[self.training_split].labels),
            "input_size": list(self.contract.input_size),
            "options": card.arguments["options"] if card else self.recipe.model.options,
        }

    def _contract(self, train: SoundSet) -> SoundContract:
        data = self.recipe.data
        seconds = data.seconds or min(5.0, max(0.1, float(np.quantile(train.seconds, 0.95))))
        n_fft = 2 ** max(4, round(np.log2(data.frame * train.rate)))
        hop = data.hop or (min(HOP, max(HOP / 4, seconds / PICTURE)) if self.from_photos else HOP)
        return SoundContract(
            train.rate, max(round(seconds * train.rate), n_fft), view=data.view, n_fft=n_fft,
            hop=max(1, round(hop * train.rate)), mels=data.mels, level=data.level, dynamic_range=data.dynamic_range,
            channels=3 if self.from_photos else 1,
        )  # fmt: skip
