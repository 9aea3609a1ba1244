"""The recipe of detectors and its Task."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from cnn_core.data.augment import apply, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext, as_unit, take_share
from cnn_core.data.sets import find_set
from cnn_core.data.summary import DataSummary, counted
from cnn_core.errors import CnnError
from cnn_core.models import imagenet
from cnn_core.models.fastnet import WhitenedStem
from cnn_core.nn.dims import channels_last
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.train.task import Evaluation, Pairs
from cnn_core.validation import Edge, Settings, Share, Text
from object_detection.augment import move_boxes
from object_detection.box_set import BoxSet, as_batch, check_memory
from object_detection.contract import BoxContract
from object_detection.data import DATA_SETS, load_sets
from object_detection.finding import Found, boxes_in
from object_detection.folder import load_own
from object_detection.losses import detection_loss
from object_detection.metrics import best_threshold, measure_boxes
from object_detection.model import build_detector, locations

EVALUATION_BATCH = 16
WHITENED = 16  # pictures that a stem of FastNet is set from


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which pictures, and how the network sees them."""

    data: Text = "streets"  # a name of `cnn list data`, or a folder (or zip) of pictures with boxes
    validation: bool = True  # hold out pictures to choose the best epoch and the threshold; False: train on all of them
    height: Edge = 320  # of the input, in pixels: a multiple of the largest stride, as is the width
    width: Edge = 320
    threshold: Share | None = None  # the score from which boxes are shown; None: the best one on the validation split
    overlap: Share = 0.6  # IoU from which on the weaker of two boxes of a class is dropped


@dataclass(frozen=True)
class DetectorConfig(ModelConfig):
    """Which network."""

    model: Text = "efficientnet_lite0"  # the backbone: any name of `cnn list models`
    pretrained: Literal["none", "imagenet"] = "none"  # what the backbone starts from
    strides: Annotated[list[int], Field(min_length=1, max_length=6)] = field(default_factory=lambda: [8, 16, 32])
    channels: Annotated[int, Field(ge=4, le=1024)] = 64  # of the pyramid
    depth: Annotated[int, Field(ge=0, le=8)] = 2  # convolutions of the tower


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    model: DetectorConfig = field(default_factory=DetectorConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class BoxTask(Pairs):
    """Find things: focal loss, generalised IoU and quality on augmented batches; AP50 on the validation split."""

    metric = "map50"
    summary: DataSummary
    members: Mapping[str, np.ndarray]

    def __init__(self, recipe: Recipe) -> None:
        if recipe.augment.elastic or recipe.augment.border != "zeros":
            raise CnnError('augment: boxes do not follow elastic changes or border = "reflect"; leave them out')
        self.recipe = recipe
        self.sets: dict[str, BoxSet] = {}
        self.members = {}

    @property
    def training_split(self) -> Literal["train", "train+val"]:
        """The split to train on."""
        return "train" if self.recipe.data.validation else "train+val"

    def build_data(self, device: torch.device) -> None:
        """Load the splits and bring every picture to the size of the input."""
        data, model = self.recipe.data, self.recipe.model
        self.device = device
        if model.pretrained == "imagenet" and model.model != "efficientnet_lite0":
            raise CnnError(f"pretrained: there are ImageNet weights of efficientnet_lite0 alone, not of {model.model}")
        self.contract = BoxContract(
            (data.height, data.width), tuple(model.strides), overlap=data.overlap,
            threshold=BoxContract.threshold if data.threshold is None else data.threshold,
        )  # fmt: skip
        self.places, self.steps = locations(self.contract.size, self.contract.strides)
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        if find_set(DATA_SETS, data.data) is None:
            own = load_own(data.data, [*DATA_SETS])
            self.sets = {split: own.split(split) for split in splits}
            self.summary, self.members = own.summary, {part: own.hashes[index] for part, index in own.parts.items()}
        else:
            self.sets, self.summary = load_sets(data.data, splits=splits)
        check_memory(self.sets, self.contract.size)
        self.views = {name: part.inputs(self.contract) for name, part in self.sets.items()}
        train = self.training_split
        self.boxes, self.classes = as_batch(self.sets[train].truths, self.views[train][1])

    def build_model(self) -> nn.Module:
        model = build_detector(self.recipe.model.model, len(self.labels), options=self._options())
        if self.recipe.model.pretrained == "imagenet":
            own = model.state_dict()
            state = imagenet.imagenet_state()
            model.load_state_dict(own | {name: value for name, value in state.items() if name in own})
        for stage in model.stages.values():
            if isinstance(stage, WhitenedStem):
                some = self.views[self.training_split][0][:WHITENED]
                stage.whiten(self.contract.normalize(as_unit(some)))
        return model

    @property
    def labels(self) -> tuple[str, ...]:
        """The K class names."""
        return self.sets[self.training_split].labels

    def steps_per_epoch(self) -> int:
        return max(1, len(self.sets[self.training_split]) // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
        """Yield inputs [B, 3, H, W], boxes [B, M, 4] and classes [B, M]."""
        views, _, _ = self.views[self.training_split]
        config, size = self.recipe.augment, self.contract.size
        order = torch.randperm(len(views), generator=context.generator)
        for step in range(self.steps_per_epoch()):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            draws = draw(config, size, count=len(batch), generator=context.generator, indices=batch,
                         epoch=context.epoch)  # fmt: skip
            share = take_share(len(batch), context)
            mine, draws = batch[share], draws[share]
            x = self.contract.normalize(apply(as_unit(views[mine].to(self.device)), draws, config))
            boxes, classes = move_boxes(self.boxes[mine], self.classes[mine], draws, size)
            yield channels_last(x), boxes.to(self.device), classes.to(self.device)

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        x, boxes, classes = batch
        output = model(x)
        with torch.autocast(output.device.type, enabled=False):
            places, steps = self.places.to(output.device), self.steps.to(output.device)
            return detection_loss(output, boxes, classes, places, steps)

    def samples(self, batch: tuple[Tensor, ...]) -> int:
        return len(batch[0])

    def weight(self, batch: tuple[Tensor, ...]) -> float:
        return len(batch[0])

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        if split not in self.sets:
            return None
        found, part = self._found(model, split), self.sets[split]
        if split == "val":
            self._choose(found)
        report = measure_boxes(
            found, part.truths, labels=self.labels, threshold=self.contract.threshold, item_name=part.item_name,
            source=f"{part.name}: the {split} split",
        )  # fmt: skip
        return Evaluation(report.n, report.metrics, report if split == "test" else None)

    def choose_threshold(self, model: nn.Module) -> None:
        """Choose the score from which on boxes are shown: the best one on the validation split, where there is one."""
        if "val" in self.sets:
            self._choose(self._found(model, "val"))

    def _choose(self, found: Sequence[Found]) -> None:
        if self.recipe.data.threshold is not None:
            return
        threshold = best_threshold(found, self.sets["val"].truths, classes=len(self.labels))
        chosen_on = f"the validation split, {counted(len(found), 'pictures')}"
        self.contract = replace(self.contract, threshold=threshold, chosen_on=chosen_on)

    def fingerprint(self) -> str:
        """Return a fingerprint of the labels, the pictures' names and the boxes of all splits."""
        return cache_key(*(
            (name, part.labels, part.files, [t.boxes.tolist() for t in part.truths]) for name, part in self.sets.items()
        ))  # fmt: skip

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain fills in."""
        return {
            "model": self.recipe.model.model,
            "arguments": {
                "spatial_dims": 2, "in_channels": 3, "num_classes": len(self.labels),
                "input_size": list(self.contract.size), "options": self._options(),
            },
            "input": self.contract.to_json(),
            "labels": list(self.labels),
            "licence": self.recipe.licence,
            "limits": self.recipe.limits,
        }  # fmt: skip

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, max(1, len(self.sets[self.training_split])))

    def _options(self) -> dict[str, Any]:
        model = self.recipe.model
        return {
            "backbone": dict(model.options), "strides": list(model.strides), "channels": model.channels,
            "depth": model.depth,
        }  # fmt: skip

    def _found(self, model: nn.Module, split: str) -> Sequence[Found]:
        views, placements, sizes = self.views[split]
        found: list[Found] = []
        for start in range(0, len(views), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            x = channels_last(self.contract.normalize(as_unit(views[part].to(self.device))))
            found += boxes_in(model(x), self.places, self.contract, placements[part], sizes[part])
        return found
