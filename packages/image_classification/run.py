"""What the command line and other programs call: train a recipe, evaluate, predict and explain by name."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cnn_core.errors import CnnError, ConfigError
from cnn_core.train.recipes import RecipeTraining
from image_classification.data import DATA_SETS, load_set
from image_classification.evaluate import evaluate
from image_classification.predict import load
from image_classification.task import ImageTask, Recipe
from image_classification.transfer import HeadTask

DOMAIN = "image_classification"
RECIPE = Recipe


def make_task(recipe: Recipe) -> ImageTask | HeadTask:
    """Return the Task of a recipe: bottleneck features train the head alone, everything else the network.

    Raises:
        ConfigError: a way of transfer, and nothing to transfer.
    """
    if not recipe.model.weights and recipe.transfer.transfer != "fine-tune":
        problem = (
            f"transfer: {recipe.transfer.transfer!r} says what becomes of weights; choose some (--weights cifar10)"
        )
        raise ConfigError("recipe", [problem])
    if recipe.model.weights and recipe.transfer.transfer == "bottleneck":
        return HeadTask(ImageTask(recipe))
    return ImageTask(recipe)


train = RecipeTraining(DOMAIN, Recipe, make_task).train


def evaluate_weights(
    name: str, *, data: str | None = None, split: str = "test", device: str = "auto"
) -> dict[str, Any]:
    """Measure weights on a data set: `{"data", "split", "n", "metrics"}`.

    Args:
        name: shipped weights or a run folder.
        data: a set name or a folder; None: the set the weights were trained on.
        split: "test", "val" or "train".
        device: auto, cpu, cuda, mps.
    """
    predictor = load(name, device=device)
    predictor.card.check_unseen(split, own=predictor.card.learned_from(data, DATA_SETS))
    data = data or predictor.card.recipe["data"]["data"]
    contract = predictor.contract
    pictures = load_set(
        data, split=split, size=contract.size, channels=contract.channels, fit=contract.fit, box=contract.box
    )
    if tuple(predictor.card.labels) != pictures.labels:
        raise CnnError(
            f"{name} knows the classes {', '.join(predictor.card.labels)}, but {data} has "
            f"{', '.join(pictures.labels)}; choose data with the same classes"
        )
    report = evaluate(predictor, pictures)
    return {"data": data, "split": split, "n": report.n, "metrics": report.metrics}


def predict_items(name: str, inputs: Sequence[str], *, device: str = "auto") -> Iterator[dict[str, Any]]:
    """Answer for files and folders as they come; one item per picture, an item that failed carries "error"."""
    for prediction in load(name, device=device).stream_paths(inputs):
        yield prediction.to_json()


def explain_to_file(name: str, source: str, output: Path, *, method: str = "grad-cam", device: str = "auto") -> str:
    """Write the picture with its heat map over it as PNG; return one sentence that says what it shows."""
    return load(name, device=device).explain(source, method=method).save(output)
