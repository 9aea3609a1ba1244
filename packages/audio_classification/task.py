"""The sound recipe and its Task."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from audio_classification.augment import SoundAugmentConfig, change_waves, mask_spectrograms, mixed
from audio_classification.contract import SoundContract, View
from audio_classification.data import DATA_SETS, load_sets, summary_of
from audio_classification.folder import load_own
from audio_classification.sound_set import SoundSet
from cnn_core.classification import Report, measure_classes
from cnn_core.confidence import Network
from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext, channels_last, take_share
from cnn_core.data.summary import DataSummary
from cnn_core.domain import find_set
from cnn_core.metrics import classification_metrics
from cnn_core.models import create_model
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.train.task import Evaluation, Pairs
from cnn_core.validation import Positive, Settings, Text

EVALUATION_BATCH = 128
STATISTICS = 512  # training sounds that mean and deviation are taken from


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which sounds, and how the network hears them."""

    data: Text = "drawn_sounds"  # a name of `cnn list data`, or a folder (or zip) with one folder per class
    validation: bool = True  # hold out a tenth of the training set to choose the best epoch; False: train on all of it
    fold: Annotated[int, Field(ge=0)] | None = None  # which speaker or fold is tested; None: the official split
    view: View = "log-mel"  # "wave" for 1-D networks, "log-mel" for 2-D ones
    seconds: Positive | None = None  # of an input; None: what nineteen of twenty training sounds fit into, at most 5
    rate: Annotated[int, Field(ge=1000, le=192_000)] | None = None  # samples per second; None: the set's own
    mels: Annotated[int, Field(ge=4, le=512)] = 64  # bands of the spectrogram
    frame: Positive = 0.064  # seconds of a frame
    hop: Positive = 0.016  # seconds from frame to frame
    level: bool = True  # the loudest sample of every input becomes 1


@dataclass(frozen=True)
class SoundModelConfig(ModelConfig):
    """Which network."""

    model: Text = "resnet20"  # any name of `cnn list models` of the view's dimensions


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
        """Load the splits, fix the input contract, and lay every sound into an input of one length."""
        data = self.recipe.data
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        if find_set(DATA_SETS, data.data) is None:
            own = load_own(data.data, [*DATA_SETS], rate=data.rate)
            self.sets = {split: own.split(split) for split in splits}
            self.summary, self.members = own.summary, {part: own.hashes[index] for part, index in own.parts.items()}
        else:
            self.sets = load_sets(data.data, splits=splits, fold=data.fold, rate=data.rate)
            tested = "the official split" if data.fold is None else f"fold {data.fold} is the test set"
            self.summary = summary_of(self.sets, divided=tested)
        train = self.sets[self.training_split]
        self.device, self.contract = device, self._contract(train)
        self.waves = {name: centred(part, self.contract.samples) for name, part in self.sets.items()}
        self.targets = {name: part.targets.to(device) for name, part in self.sets.items()}
        some = torch.linspace(0, len(train) - 1, min(len(train), STATISTICS)).long()
        seen = self.contract.seen(self.waves[self.training_split][some].float() / 32768)
        statistics = {"mean": round(float(seen.mean()), 5), "std": max(round(float(seen.std()), 5), 1e-3)}
        self.contract = SoundContract.from_json({**self.contract.to_json(), **statistics})

    def build_model(self) -> nn.Module:
        return create_model(self.recipe.model.model, **self._arguments())

    def steps_per_epoch(self) -> int:
        return max(1, len(self.sets[self.training_split]) // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield inputs [B, C, *S] and the share of every class in them [B, K]."""
        waves, targets = self.waves[self.training_split], self.targets[self.training_split]
        classes, config = len(self.sets[self.training_split].labels), self.recipe.augment
        order = torch.randperm(len(waves), generator=context.generator)
        for step in range(self.steps_per_epoch()):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            x = waves[batch].to(self.device).float() / 32768
            x = self.contract.normalize(change_waves(x, config, context.generator))
            if self.contract.view == "log-mel":
                x = mask_spectrograms(x, config, context.generator)
            x, y = mixed(x, targets[batch.to(targets.device)], classes, config, context.generator)
            share = take_share(len(batch), context)
            yield channels_last(x[share]), y[share]

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

    def scored(self, network: Network, split: str, items: np.ndarray | None = None) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers to the middle of every sound of a split."""
        if split not in self.sets:
            return None
        index = torch.arange(len(self.waves[split])) if items is None else torch.from_numpy(items)
        parts = self.waves[split][index].split(EVALUATION_BATCH)
        scores = [
            network(channels_last(self.contract.normalize(part.to(self.device).float() / 32768))) for part in parts
        ]
        return torch.cat(scores).float(), self.targets[split][index.to(self.device)]

    def fingerprint(self) -> str:
        """Return a fingerprint of the labels, the samples and the targets of all splits."""
        return cache_key(*((name, s.labels, s.files, s.targets.tolist()) for name, s in self.sets.items()))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain fills in."""
        return {
            "model": self.recipe.model.model,
            "arguments": self._arguments(),
            "input": self.contract.to_json(),
            "labels": list(self.sets[self.training_split].labels),
            "licence": self.recipe.licence,
            "limits": self.recipe.limits,
        }

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, max(1, len(self.sets[self.training_split])))

    def _arguments(self) -> dict[str, Any]:
        return {
            "spatial_dims": self.contract.spatial_dims,
            "in_channels": self.contract.channels,
            "num_classes": len(self.sets[self.training_split].labels),
            "input_size": list(self.contract.input_size),
            "options": self.recipe.model.options,
        }

    def _contract(self, train: SoundSet) -> SoundContract:
        data = self.recipe.data
        seconds = data.seconds or min(5.0, max(0.1, float(np.quantile(train.seconds, 0.95))))
        n_fft = 2 ** max(4, round(np.log2(data.frame * train.rate)))
        return SoundContract(
            train.rate, max(round(seconds * train.rate), n_fft), view=data.view, n_fft=n_fft,
            hop=max(1, round(data.hop * train.rate)), mels=data.mels, level=data.level,
        )  # fmt: skip


def centred(sounds: SoundSet, samples: int) -> Tensor:
    """Return all sounds in the middle of silence, or the middle of them: int16 [N, samples]."""
    table = torch.zeros(len(sounds), samples, dtype=torch.int16)
    for row, wave in zip(table, sounds.waves, strict=True):
        cut = (len(wave) - samples) // 2
        part = torch.from_numpy(np.ascontiguousarray(wave[max(0, cut) : max(0, cut) + samples]))
        begin = max(0, -cut)
        row[begin : begin + len(part)] = part
    return table
