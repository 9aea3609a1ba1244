"""The domain of image classification: its tasks, how its weights are measured, and the modes of transfer learning."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cnn_core.classification import Prediction, Report, measure_classes
from cnn_core.data.paths import custom_path
from cnn_core.data.sets import find_set
from cnn_core.domain import Domain
from cnn_core.errors import ConfigError, DataError
from cnn_core.predictor import Measured, check_labels
from cnn_core.train.config import ModelConfig, OptimizerConfig
from cnn_core.weights import WeightsCard
from cnn_core.weights.members import choose_items, read_members
from image_classification.data import DATA_SETS, ImageSet, PictureSet, load_set
from image_classification.predict import DOMAIN_NAME, Predictor, load
from image_classification.preprocess import WithViews
from image_classification.probe import ProbeTask
from image_classification.task import ImageTask, Recipe, evaluation_batch
from image_classification.transfer import COMPARED, LEARNING_RATES, HeadTask


def make_task(recipe: Recipe) -> ImageTask | HeadTask | ProbeTask:
    """Return the Task of a recipe: for the last layer or the head on frozen features, or for the network.

    Raises:
        ConfigError: a mode of transfer without weights to transfer.
    """
    if not recipe.model.weights and recipe.transfer.transfer not in ("fine-tune", "linear-probe"):
        problem = f"transfer: {recipe.transfer.transfer!r} needs starting weights; choose some (--weights cifar10)"
        raise ConfigError("recipe", [problem])
    if recipe.model.weights and recipe.transfer.transfer == "linear-probe":
        return ProbeTask(ImageTask(recipe))
    if recipe.model.weights and recipe.transfer.transfer == "bottleneck":
        return HeadTask(ImageTask(recipe))
    return ImageTask(recipe)


def evaluate(predictor: Predictor, images: ImageSet, *, batch_size: int | None = None) -> Report:
    """Measure a predictor on a set, through the same preprocessing and test-time views as every prediction.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    contract = predictor.contract
    parts = [(torch.empty(0, len(predictor.labels)), torch.empty(0, dtype=torch.bool))]
    size = batch_size or evaluation_batch(contract.size)
    for batch in images.images.split(size) if len(images) else ():
        if (images.channels, images.size) != (contract.channels, contract.size):
            batch = torch.stack([contract.to_uint8(image) for image in batch])
        parts.append(predictor.answers(contract.normalize(batch)))
    probabilities, known = map(torch.cat, zip(*parts, strict=True))
    source = f"{images.name}: the {images.split} split"
    fields = measure_classes(
        probabilities, images.targets, labels=images.labels, item_name=images.item_name, source=source,
        known=known if predictor.card.can_refuse else None,
    )  # fmt: skip
    return Report(**fields)


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    """Measure a split, preprocessed as the network takes it."""
    if find_set(DATA_SETS, data) is None:
        return _measure_own(predictor, data, split)
    split = split or "test"
    contract = predictor.contract
    pictures = load_set(data, split=split, size=contract.size, channels=contract.channels, fit=contract)
    if set(pictures.labels) == set(predictor.labels):
        pictures = pictures.with_labels(predictor.labels)
    check_labels(predictor, pictures.labels, data)
    return Measured.split_of_set(evaluate(predictor, pictures), data, split, items="pictures")


def _measure_own(predictor: Predictor, data: str, split: str | None) -> Measured:
    """Measure a user's own pictures: all of them, unless the network has learned from them."""
    from image_classification.folder import hashes_of, load_whole

    custom_path(data, DATA_SETS, expected="a folder (or zip) with one subfolder per class")
    whole, summary, _ = load_whole(data, predictor.contract, labels=predictor.labels)
    members = read_members(predictor.folder) if predictor.folder else None
    hashes = hashes_of(whole.images)
    choice = choose_items(hashes, members, split=split, items="pictures")
    if members and choice.own and not len(choice.items):  # each class is copies of one picture or two
        items = np.flatnonzero(np.isin(hashes, members.get(split or "test", np.empty(0, np.uint64))))
        learned = f"the {len(items):,} pictures of that split are copies of training pictures: the figures mean nothing"
        choice = replace(choice, items=items, unseen=np.zeros(len(items), bool), warnings=(learned,))
    chosen = replace(whole.subset(choice.items), split=split or "test" if choice.own else "all")
    if not len(chosen):
        raise DataError(f"{data}: {'; '.join(choice.sentences)}")
    seen = int((~choice.unseen).sum())
    unseen = {}
    if 0 < seen < len(chosen) and not choice.own:
        unseen = evaluate(predictor, chosen.subset(np.flatnonzero(choice.unseen))).metrics
    said = replace(
        summary, read=(*summary.read, *choice.sentences), warnings=(*summary.warnings, *choice.warnings)
    )  # fmt: skip
    return Measured(
        report=evaluate(predictor, chosen), split=chosen.split, data=said, of=len(whole), unseen=unseen
    )  # fmt: skip


def _set_answers(predictor: Predictor, data: PictureSet, split: str) -> Iterator[Prediction]:
    """Return the answers to the pictures of a named set, as its publisher gives them."""
    if data.read is None:
        return predictor.stream_inputs([data.path() / split])
    return predictor.stream(load_set(data.name, split=split).images)


def _ways(card: WeightsCard, weights: str) -> Mapping[str, tuple[Recipe, Mapping[str, Any]]]:
    """Return the three modes of transfer from `weights`, and the same network from scratch."""
    model = ModelConfig(card.model, card.arguments["options"], weights=weights)
    recipes = {
        mode: Recipe(model=model, loop=COMPARED, optimizer=OptimizerConfig(learning_rate=rate))
        for mode, rate in LEARNING_RATES.items()
    }
    return {mode: (recipe, {"transfer": mode}) for mode, recipe in recipes.items()}


def _exportable(predictor: Predictor) -> dict[str, Any]:
    """Return the network with its test-time views, so that the file answers what `predict` does.

    From normalised pictures [B, C, H, W] to class scores [B, K], of which softmax makes the probabilities.
    """
    contract = predictor.contract
    views = predictor.model if contract.tta == "none" else WithViews(predictor.model, contract.tta)
    return {"model": views, "example_shape": (contract.channels, *contract.size)}


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=make_task,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    set_answers=_set_answers,
    ways=_ways,
    exportable=_exportable,
    limits=("Knows the classes that it learned from; anything else is still given one of their names.",),
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
