"""The domain of image classification: its tasks, how its weights are measured, and the modes of transfer learning."""

from collections.abc import Mapping
from typing import Any

import torch

from cnn_core.classification import Report, measure_classes
from cnn_core.domain import Domain, check_labels
from cnn_core.errors import ConfigError
from cnn_core.predictor import Measured
from cnn_core.train.config import ModelConfig
from cnn_core.weights import WeightsCard
from image_classification.data import DATA_SETS, ImageSet, load_set
from image_classification.predict import DOMAIN_NAME, Predictor, load
from image_classification.task import ImageTask, Recipe
from image_classification.transfer import HeadTask

MODES = ("bottleneck", "freeze", "fine-tune", "scratch")
BATCH_SIZE = 500


def make_task(recipe: Recipe) -> ImageTask | HeadTask:
    """Return the Task of a recipe: bottleneck features train the head alone, everything else the network.

    Raises:
        ConfigError: a mode of transfer without weights to transfer.
    """
    if not recipe.model.weights and recipe.transfer.transfer != "fine-tune":
        problem = f"transfer: {recipe.transfer.transfer!r} needs starting weights; choose some (--weights cifar10)"
        raise ConfigError("recipe", [problem])
    if recipe.model.weights and recipe.transfer.transfer == "bottleneck":
        return HeadTask(ImageTask(recipe))
    return ImageTask(recipe)


def evaluate(predictor: Predictor, images: ImageSet, *, batch_size: int = BATCH_SIZE) -> Report:
    """Measure a predictor on a set, through the same preprocessing and test-time views as every prediction.

    Raises:
        DataError: the set is empty, or has another number of classes.
    """
    contract = predictor.contract
    parts = [torch.empty(0, len(predictor.labels))]
    for batch in images.images.split(batch_size) if len(images) else ():
        if (images.channels, images.size) != (contract.channels, contract.size):
            batch = torch.stack([contract.to_uint8(image) for image in batch])
        parts.append(predictor.probabilities(contract.normalize(batch)))
    source = f"{images.name}: the {images.split} split"
    fields = measure_classes(
        torch.cat(parts), images.targets, labels=images.labels, item_name=images.item_name, source=source
    )
    return Report(**fields)


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    """Measure a split, preprocessed as the network takes it."""
    split = split or "test"
    contract = predictor.contract
    pictures = load_set(
        data, split=split, size=contract.size, channels=contract.channels, fit=contract.fit, box=contract.box
    )
    check_labels(predictor, pictures.labels, data)
    return Measured.split_of_set(evaluate(predictor, pictures), data, split, items="pictures")


def _ways(card: WeightsCard, weights: str) -> Mapping[str, tuple[Recipe, Mapping[str, Any]]]:
    """Return the three modes of transfer from `weights`, and the same network from scratch."""
    recipe = Recipe(model=ModelConfig(card.model, card.arguments["options"], weights=weights))
    return {mode: (recipe, {"transfer": mode}) for mode in MODES}


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=make_task,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    ways=_ways,
    limits=("Knows the classes that it learned from; anything else is still given one of their names.",),
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
