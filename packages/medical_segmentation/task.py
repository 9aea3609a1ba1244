"""The segmentation Task; the Task in `nodule_task` classifies nodules."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext
from cnn_core.errors import ConfigError, DataError
from cnn_core.models.unet import UNet
from cnn_core.train.task import Evaluation, Pairs
from medical_segmentation.body import resize_labels, see_body
from medical_segmentation.calibration import voxel_temperature
from medical_segmentation.cases import some
from medical_segmentation.checker import Volume
from medical_segmentation.contract import VolumeContract
from medical_segmentation.data import SegmentationSet, load_set
from medical_segmentation.evaluate import CONFIDENCE, NAMES, measure_case, summarise
from medical_segmentation.fingerprint import PlanSettings, network_options, plan, with_usual
from medical_segmentation.losses import dice_cross_entropy
from medical_segmentation.metrics import mean_dice
from medical_segmentation.model import check_output, create_network
from medical_segmentation.patches import PatchBatches
from medical_segmentation.recipe import DISCLAIMER, Recipe, no_effect
from medical_segmentation.resample import resample
from medical_segmentation.segmenter import Segmenter, cut_centre

if TYPE_CHECKING:
    from cnn_core.weights import WeightsCard

STEP = 16  # patch edges are multiples of it
SIDED = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])", re.IGNORECASE)  # names of labels


class SegmentationTask(Pairs):
    """Label every voxel: Dice and cross-entropy on random patches, mean Dice of whole scans on the validation split."""

    metric = "dice"
    set: SegmentationSet  # of build_data

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def build_data(self, device: torch.device) -> None:
        """Check the set and derive what is not given; the contract of starting weights is kept.

        Raises:
            ConfigError: settings that would have no effect; all are listed.
            DataError: the set cannot be used, or holds no case to validate on.
        """
        data, patches = self.recipe.data, self.recipe.patches
        card = self._starting_card()
        start = self._starting_contract(card)
        self.set = load_set(data.data, fold=data.fold, test=data.test, by_patient=data.by_patient)
        self.device = device
        if data.validation and not self.set.splits["val"]:
            raise DataError(
                f"{self.set.name}: no case is left to validate on; train with --no-validation or at least 4 cases"
            )
        facts = [self.set.checked.facts[name] for name in self.set.splits[self.training_split]]
        if start is not None and card is not None:
            self.contract, self.chosen = with_usual(start, facts), [f"as {card.name} has it"]
        else:
            requested = PlanSettings(
                data.dims, data.spacing, data.window, patches.patch, centred=data.centred, own_scale=data.own_scale,
                keep=data.keep, flips=data.mirror, body_pixels=data.body_pixels, plausible_ml=data.plausible_ml,
            )  # fmt: skip
            modality = self.set.checked.source.modality
            self.contract, self.chosen = plan(facts, requested, modality=modality, step=STEP)
            if data.window is not None and self.contract.own_scale:
                self.chosen.append(
                    f"the window {data.window} is not used: each scan is scaled by its own intensities, since they are "
                    f"{modality} and not CT; with own_scale = false it is"
                )
        values = self.set.checked.source.values
        numbers = values if values != tuple(range(len(values))) else ()
        self.contract = replace(self.contract, label_numbers=numbers)
        self.further = self._further_sets()
        self.options, notes = self._options(card)
        self.augment = self._augment(notes)
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        self.summary = self.set.summary(splits, read=[*self.chosen, *notes])
        if self.set.own:
            self.members = {split: self.set.contents(self.set.splits[split]) for split in splits}
        volumes, masks = self._training_blocks()
        size = self.recipe.loop.batch_size
        if patches.steps is None:
            size = min(size, len(volumes) * patches.patches)
        self._batches = PatchBatches(
            volumes, masks, patch=self.contract.patch, batch_size=size,
            steps=patches.steps or -(-len(volumes) * patches.patches // size), normalize=self.contract.inputs,
            augment=self.augment, foreground=0.0 if self.contract.centre else patches.foreground,
            margin=patches.margin,
        )  # fmt: skip

    @property
    def training_split(self) -> str:
        """The split to train on."""
        return "train" if self.recipe.data.validation else "train+val"

    def build_model(self) -> nn.Module:
        """Build the network, or load the starting weights and give them a head for these labels."""
        weights = self.recipe.model.weights
        if weights:
            from medical_segmentation.weights_io import load_segmenting

            trained, card = load_segmenting(weights)
            if tuple(card.labels) != self.set.labels:
                trained.reset_head(len(self.set.labels))
            return trained
        name, arguments, patch = self.recipe.model.model, self._arguments(), self.contract.patch
        model = create_network(name, **arguments, patch=patch)
        in_channels, num_classes = self.contract.in_channels, len(self.set.labels)
        check_output(model, name, in_channels=in_channels, num_classes=num_classes, patch=patch)
        if isinstance(model, UNet) and hasattr(model.encoder, "initialise"):
            x, _ = next(iter(self._batches.epoch(EpochContext(0, torch.Generator().manual_seed(0)))))
            model.initialise(x.cpu())
        return model

    def steps_per_epoch(self) -> int:
        return len(self._batches)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        return self._batches.epoch(context)

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return dice_cross_entropy(model(x), y, loss=self.recipe.patches.loss)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Measure whole scans on their own voxels: mean Dice; on the test split the distances of surfaces too."""
        if split == "val" and not self.recipe.data.validation:
            return None
        segmenter = Segmenter(model, self.contract)
        flips = () if split == "val" else None  # no mirror images in validation: they only cost time
        labels = {name: k for k, name in enumerate(self.set.labels) if k}
        rows, means = [], []
        if split == "test" and self.recipe.data.validation:
            self.contract = replace(self.contract, temperature=self._temperature(model))
            segmenter = Segmenter(model, self.contract)
        for name in self.set.splits[split]:
            volume = self.set.checked.volume(name)
            if split == "val":
                mask = segmenter(volume.voxels, volume.spacing, flips=flips).mask
                means.append(mean_dice(mask, volume.mask, len(self.set.labels)))
            else:
                rows.append(measure_case(segmenter(volume.voxels, volume.spacing, maps=CONFIDENCE), volume, labels))
        if split == "val":
            found = [value for value in means if value is not None]
            return Evaluation(
                len(means), {"dice": float(np.mean(found)) if found else 1.0}
            )  # nothing there, none found
        numbers = self.contract.numbers_of(len(self.set.labels))
        report = summarise(rows, {name: numbers[k] for name, k in labels.items()})
        return Evaluation(report.n, {k: v for k, v in report.metrics.items() if k in NAMES}, report, report.counts)

    def fingerprint(self) -> str:
        """Return a fingerprint of the labels and the cases of all splits."""
        return cache_key(self.set.labels, self.set.splits)

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain fills in."""
        card = self._starting_card()
        return {
            "model": card.model if card else self.recipe.model.model,
            "arguments": {**self._arguments(), "input_size": None},
            "input": {**self.contract.to_json(), "goal": "segment"},
            "labels": list(self.set.labels),
            "licence": self.recipe.licence,
            "limits": [DISCLAIMER, *self.recipe.limits, *self._limits()],
        }

    def _limits(self) -> list[str]:
        limits = [f"Chosen from the data: {note}." for note in self.chosen]
        if self.set.own:
            count = len(self.set.splits[self.training_split])
            limits.insert(0, f"Learned from {count} scans of one set; those of other scanners and patients may differ.")
        return limits

    def _augment(self, notes: list[str]) -> AugmentConfig:
        """Return the augmentation, without mirror images where labels have sides: the left would be the right."""
        augment, sided = self.recipe.augment, [name for name in self.set.labels if SIDED.search(name)]
        if not sided or (augment.flip == "none" and not self.contract.flips):
            return augment
        self.contract = replace(self.contract, flips=())
        notes.append(f"no mirror images, since labels have sides ({some(sided)})")
        return replace(augment, flip="none")

    def _options(self, card: "WeightsCard | None") -> tuple[dict[str, Any], list[str]]:
        if card is not None:
            return dict(card.arguments["options"]), []
        model = self.recipe.model
        return network_options(self.contract.patch, name=model.model, given=model.options)

    def _arguments(self) -> dict[str, Any]:
        return {
            "spatial_dims": self.contract.dims,
            "in_channels": self.contract.in_channels,
            "num_classes": len(self.set.labels),
            "options": self.options,
        }

    def _starting_card(self) -> "WeightsCard | None":
        if not self.recipe.model.weights:
            return None
        from medical_segmentation.weights_io import starting_card

        return starting_card(self.recipe.model.weights, goal="segment")

    def _starting_contract(self, card: "WeightsCard | None") -> VolumeContract | None:
        """Return the contract of the starting weights, None without; ConfigError if it leaves settings no effect."""
        from medical_segmentation.weights_io import volume_contract_of

        start = None if card is None else volume_contract_of(card)
        found = no_effect(self.recipe, start)
        if found:
            raise ConfigError("settings", found)
        return start

    def _training_blocks(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return what patches are cut from: intensities float16 [1, *S] on the unit scale, and labels uint8 [*S]."""
        volumes, masks = [], []
        shown = self.contract
        if not self.recipe.data.learn_prepared:
            shown = replace(shown, body_pixels=None, keep="all")
        sources = [(self.set, self.training_split, 1), *((found, "train", times) for found, times in self.further)]
        for source, split, times in sources:
            for name in source.splits[split]:
                for block, labels in training_blocks(source.checked.volume(name), shown):
                    volumes += [block.to(self.device)] * times
                    masks += [labels.to(self.device)] * times
        return volumes, masks

    def _temperature(self, model: nn.Module) -> float:
        """Return the temperature that suits the validation split, see `calibration`."""
        cases = (self.set.checked.volume(name) for name in self.set.splits["val"])
        blocks = (block for volume in cases for block in training_blocks(volume, self.contract))
        return voxel_temperature(model, blocks, self.contract, self.device)

    def _further_sets(self) -> list[tuple[SegmentationSet, int]]:
        """Return the sets whose training parts are learned from too, and how often each of their cases counts."""
        found = []
        for name, times in self.recipe.data.further.items():
            further = load_set(name)
            if further.labels != self.set.labels:
                raise DataError(
                    f"further: {name} has the labels {', '.join(further.labels)}, {self.set.name} has "
                    f"{', '.join(self.set.labels)}; expected the same"
                )
            found.append((further, times))
        return found


def training_blocks(volume: Volume, contract: VolumeContract) -> Iterable[tuple[Tensor, Tensor]]:
    """Yield the blocks of one case that patches are cut from: the scan, its slices, or the patch around the centre."""
    voxels, mask = volume.voxels, volume.mask
    if contract.body_pixels is not None:
        seen = see_body(voxels, volume.spacing, contract.body_pixels)
        if seen.voxels is None:
            return
        voxels, mask = seen.voxels, resize_labels(mask[seen.box], seen.voxels.shape[:2])
    wanted = contract.working_spacing(volume.spacing, voxels.shape)
    if wanted is not None:
        voxels, _ = resample(voxels, volume.spacing, wanted)
        mask, _ = resample(mask, volume.spacing, wanted, order="nearest")
    if contract.centre is not None:
        voxels, mask = cut_centre(voxels, contract)[0], cut_centre(mask, contract)[0]
    x = torch.from_numpy(np.ascontiguousarray(voxels))
    x = contract.unit(x, contract.ends(x)).to(torch.float16)
    y = torch.from_numpy(np.ascontiguousarray(mask))
    if contract.dims == 3:
        yield x[None], y
        return
    for k in range(x.shape[2]):
        yield x[None, :, :, k].contiguous(), y[:, :, k].contiguous()
