"""The Task that classifies nodules: benign or malignant, from slices or cubes, scored per nodule."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor, nn

from cnn_core.data.augment import apply, draw
from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext, take_share
from cnn_core.data.summary import DataSummary, class_counts, class_warnings
from cnn_core.errors import ConfigError
from cnn_core.models import create_model
from cnn_core.nn.dims import channels_last
from cnn_core.train.task import Evaluation, Pairs
from cnn_core.weights import WeightsCard
from medical_segmentation.cases import FOLDS
from medical_segmentation.data import is_own
from medical_segmentation.metrics import auc, bootstrap, calibration_error
from medical_segmentation.nodules import HU, LABELS, NoduleContract, NoduleSet, load_nodules
from medical_segmentation.recipe import DISCLAIMER, Recipe, kept_by_weights
from medical_segmentation.weights_io import load_classifier, nodule_contract_of, starting_card

SIZE = {2: (40, 40), 3: (40, 40, 40)}  # pixels around the middle, unless the recipe says otherwise
EVALUATION_BATCH = 256
STEADY = 1e-2  # pulls the calibration towards no change where the validation split says little


class NoduleTask(Pairs):
    """Classify nodules: cross-entropy on pictures of random nodules, area under the ROC curve per nodule."""

    metric = "auc"

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.sets: dict[str, NoduleSet] = {}

    def build_data(self, device: torch.device) -> None:
        """Load the splits and fix the input contract (the starting weights' one if there are any).

        Raises:
            ConfigError: settings that differ from those of the starting weights, or have no effect.
        """
        data = self.recipe.data
        idle = {"test": data.test, "steps": self.recipe.patches.steps}
        if problems := [f"{name}: is for segmentation, leave it out" for name, given in idle.items() if given]:
            raise ConfigError("settings", problems)
        self.device = device
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        if self.recipe.model.weights:
            self.contract = start = nodule_contract_of(starting_card(self.recipe.model.weights, goal="malignancy"))
            given = {"dims": (data.dims, start.dims), "patch": (self.recipe.patches.patch, start.size),
                     "window": (data.window, (start.low, start.high))}  # fmt: skip
            if problems := kept_by_weights(given):
                raise ConfigError("settings", problems)
        else:
            dims = data.dims or (3 if data.data.replace("-", "_") == "lidc_nodule" else 2)
            size = tuple(self.recipe.patches.patch or SIZE[dims])
            low, high = data.window or (HU if dims == 3 else (0, 255))
            self.contract = NoduleContract(dims, size, float(low), float(high), 0.0, 1.0, mirror=data.mirror)
        self.sets = load_nodules(data.data, self.contract, splits=splits, fold=data.fold)
        if not self.recipe.model.weights:
            unit = self.sets[self.training_split].pictures.float() / 255
            mean, std = round(float(unit.mean()), 4), round(max(float(unit.std()), 1e-3), 4)
            self.contract = replace(self.contract, mean=mean, std=std)
        self.summary = self._summary()
        if is_own(data.data):
            self.members = {split: found.contents for split, found in self.sets.items()}
        train = self.sets[self.training_split]
        self._pictures = train.pictures.to(device)
        self._targets = torch.from_numpy(train.targets[train.nodule]).to(device)
        self._of_nodule = [np.flatnonzero(train.nodule == k) for k in range(len(train))]

    def _summary(self) -> DataSummary:
        data, sets = self.recipe.data, self.sets
        sizes = {split: len(found) for split, found in sets.items()}
        classes = class_counts(LABELS, {split: found.targets.tolist() for split, found in sets.items()})
        divided = "as given in the table" if data.fold is None else f"fold {data.fold} of {FOLDS} is the test set"
        exams = len({exam for found in sets.values() for exam in found.exams})
        read = [f"they are of {exams} exams, each in one split"]
        learned = {split: {*found.contents.tolist()} for split, found in sets.items()}
        before = set().union(*(hashes for split, hashes in learned.items() if split != "test"))
        warnings = class_warnings(classes)
        if copies := len(learned["test"] & before):
            warnings.append(f"{copies} test nodules are copies of nodules that are learned from, which flatters")
        return DataSummary(data.data, "nodules", sizes, classes, divided, tuple(read), (), tuple(warnings))

    @property
    def training_split(self) -> str:
        """The split to train on."""
        return "train" if self.recipe.data.validation else "train+val"

    def build_model(self) -> nn.Module:
        if self.recipe.model.weights:
            return load_classifier(self.recipe.model.weights)[0]
        model = create_model(self.recipe.model.model, **self._arguments())
        initialise = getattr(model, "initialise", None)
        if initialise is not None:
            initialise(self.contract.inputs(self._pictures[:4096].cpu().float() / 255))
        return model

    def steps_per_epoch(self) -> int:
        return -(-self._samples // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield batches of the same number of random pictures of every nodule, so that large ones do not count more."""
        augment = self.recipe.augment
        order = torch.randperm(self._samples, generator=context.generator).numpy() % len(self._of_nodule)
        picks = torch.rand(self._samples, generator=context.generator).numpy()
        chosen = [own[int(p * len(own))] for own, p in zip((self._of_nodule[k] for k in order), picks, strict=True)]
        indices = torch.tensor(chosen)
        for begin in range(0, self._samples, self._batch_size):
            part = indices[begin : begin + self._batch_size]
            draws = draw(
                augment,
                self.contract.size,
                count=len(part),
                generator=context.generator,
                indices=part,
                epoch=context.epoch,
            )
            share = take_share(len(part), context)
            mine = part[share].to(self.device)
            x = apply(self._pictures[mine].float().div_(255), draws[share], augment)
            yield channels_last(self.contract.inputs(x)), self._targets[mine]

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x), y, label_smoothing=self.recipe.optimizer.label_smoothing)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Measure per nodule; in the test the probabilities are calibrated on the validation split."""
        if split not in self.sets:
            return None
        nodules = self.sets[split]
        scores = nodule_scores(model, nodules, self.contract, self.device)
        if split == "val":
            return Evaluation(len(nodules), {"auc": auc(scores, nodules.targets)})
        probabilities = probability(scores, self._calibrated(model))
        return Evaluation(
            len(nodules), nodule_metrics(scores, probabilities, nodules.targets, nodules.sizes, nodules.exams)
        )

    def fingerprint(self) -> str:
        """Return a fingerprint of the nodules of all splits and their ratings."""
        return cache_key(*(part for name, s in self.sets.items() for part in (name, s.names, s.targets)))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain knows."""
        card = self._card()
        return {
            "model": card.model if card else self.recipe.model.model,
            "arguments": {**self._arguments(), "input_size": list(self.contract.size)},
            "input": {**self._calibrated(model).to_json(), "goal": "malignancy"},
            "labels": list(LABELS),
            "licence": self.recipe.licence,
            "limits": [DISCLAIMER, *self.recipe.limits],
        }

    def _calibrated(self, model: nn.Module) -> NoduleContract:
        """Return the contract with the calibration that suits the validation split, if there is one."""
        if "val" not in self.sets:
            return self.contract
        val = self.sets["val"]
        slope, offset = calibrate(nodule_scores(model, val, self.contract, self.device), val.targets)
        return replace(self.contract, slope=slope, offset=offset)

    @property
    def _samples(self) -> int:
        return len(self._of_nodule) * self.recipe.patches.patches

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, self._samples)

    def _card(self) -> WeightsCard | None:
        weights = self.recipe.model.weights
        return starting_card(weights, goal="malignancy") if weights else None

    def _arguments(self) -> dict[str, Any]:
        card = self._card()
        options = card.arguments["options"] if card else self.recipe.model.options
        return {
            "spatial_dims": self.contract.dims,
            "in_channels": 1,
            "num_classes": len(LABELS),
            "input_size": list(self.contract.size),
            "options": options,
        }


def picture_scores(model: nn.Module, pictures: Tensor, contract: NoduleContract, device: torch.device) -> np.ndarray:
    """Return how much more malignant than benign each picture looks: `uint8 [N, 1, *size] -> [N]`, in logits."""
    axes = range(2, 2 + contract.dims)
    views = [v for n in range(contract.dims + 1) for v in combinations(axes, n)] if contract.mirror else [()]
    parts = []
    with torch.inference_mode():
        for part in pictures.split(EVALUATION_BATCH):
            x = contract.inputs(part.to(device).float() / 255)
            scores = sum(model(channels_last(x.flip(v) if v else x)).float() for v in views) / len(views)
            parts.append((scores[:, 1] - scores[:, 0]).cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def nodule_scores(model: nn.Module, nodules: NoduleSet, contract: NoduleContract, device: torch.device) -> np.ndarray:
    """Return the mean score of each nodule's pictures: [M]."""
    scores = picture_scores(model, nodules.pictures, contract, device)
    return np.bincount(nodules.nodule, weights=scores) / np.bincount(nodules.nodule)


def probability(scores: np.ndarray, contract: NoduleContract) -> np.ndarray:
    """Return calibrated probabilities of "malignant"."""
    return 1 / (1 + np.exp(-np.clip(contract.slope * scores + contract.offset, -50, 50)))


def calibrate(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Fit slope and offset of a logistic curve (Platt 1999); the slope stays above 0, so the order is not changed."""

    def loss(parameters: np.ndarray) -> float:
        logits = np.exp(parameters[0]) * scores + parameters[1]
        return float(np.mean(np.logaddexp(0, logits) - truth * logits) + STEADY * (parameters**2).sum())

    slope, offset = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return round(float(np.exp(slope)), 4), round(float(offset), 4)


def nodule_metrics(
    scores: np.ndarray,
    probabilities: np.ndarray,
    truth: np.ndarray,
    sizes: np.ndarray,
    exams: Sequence[str],
    *,
    groups: np.ndarray | None = None,
) -> dict[str, float]:
    """Return AUC, that of the size alone, their difference with its 95 % interval by exam, accuracy and calibration.

    Args:
        scores: [M] by which the nodules are ranked.
        probabilities: [M] calibrated probabilities of "malignant".
        truth: [M] 1 malignant.
        sizes: [M] the size of each nodule, the baseline.
        exams: M texts: the exam (patient) of each nodule.
        groups: [M] only nodules of the same group are compared; None: all.
    """

    def area(ranked: np.ndarray, drawn: np.ndarray) -> float:
        return auc(ranked[drawn], truth[drawn], None if groups is None else groups[drawn])

    low, high = bootstrap(lambda drawn: area(scores, drawn), exams)
    gain_low, gain_high = bootstrap(lambda drawn: area(scores, drawn) - area(sizes, drawn), exams)
    everybody = np.arange(len(truth))
    own, alone = area(scores, everybody), area(sizes, everybody)
    return {
        "auc": own,
        "auc_low": low,
        "auc_high": high,
        "auc_size_alone": alone,
        "gain": own - alone,
        "gain_low": gain_low,
        "gain_high": gain_high,
        "accuracy": float(((probabilities >= 0.5) == (truth == 1)).mean()),
        "calibration_error": calibration_error(probabilities, truth),
    }
