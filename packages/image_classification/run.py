"""What the command line and other programs call: train a recipe, evaluate, predict and explain by name."""

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_core.errors import CnnError
from cnn_core.train.config import override, read_recipe
from cnn_core.train.finish import Outcome, train_seeds, train_task
from cnn_core.train.loop import Progress
from image_classification.data import load_set
from image_classification.evaluate import evaluate
from image_classification.predict import load
from image_classification.task import ImageTask, Recipe
from image_classification.transfer import HeadTask

DOMAIN = "image_classification"
RECIPE = Recipe


def make_task(recipe: Recipe) -> ImageTask | HeadTask:
    """Return the Task of a recipe: bottleneck features train the head alone, everything else the network."""
    if recipe.model.weights and recipe.transfer.transfer == "bottleneck":
        return HeadTask(ImageTask(recipe))
    return ImageTask(recipe)


def train(
    recipe: str | Path | Recipe,
    *,
    folder: Path | str | None = None,
    name: str | None = None,
    seeds: Sequence[int] = (),
    resume: bool = False,
    observe: Callable[[Progress], bool | None] | None = None,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Outcome:
    """Train a recipe and leave a run folder that predicts, explains and exports.

    Args:
        recipe: a name of `cnn list recipes`, a TOML file, or a recipe object.
        folder: the run folder; None: `runs/<name>` in the working folder.
        name: of the weights; None: the recipe's.
        seeds: train once with each and report mean and spread; empty: once, with the recipe's own seed.
        resume: go on with the run in `folder`.
        observe: called after every step and epoch with a `Progress`; returning False stops the run.
        settings: single fields to change, by name: `{"epochs": 3, "data": "my_photos"}`.
        command: what the card says to type for the same again; None: composed from the other arguments.
    """
    name, recipe = _recipe(recipe, name)
    recipe = override(recipe, settings or {})
    folder = Path(folder) if folder is not None else Path("runs") / name
    command = command or _command(name, settings or {}, seeds)
    how = {"name": name, "domain": DOMAIN, "command": command, "resume": resume, "observe": observe}
    if seeds:

        def with_seed(seed: int) -> ImageTask | HeadTask:
            return make_task(dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, seed=seed)))

        return train_seeds(with_seed, folder, seeds=seeds, **how)
    return train_task(make_task(recipe), folder, **how)


def _command(name: str, settings: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Compose the command line that trains the same again."""
    words = ["cnn", "train", name]
    for key, value in settings.items():
        flag = key.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return shlex.join(words + (["--seeds", *map(str, seeds)] if seeds else []))


def _recipe(recipe: str | Path | Recipe, name: str | None) -> tuple[str, Recipe]:
    if isinstance(recipe, Recipe):
        return name or "custom", recipe
    file = Path(recipe)
    if file.suffix != ".toml":
        from cnn_core.domains import find_recipe

        domain, file = find_recipe(str(recipe))
        if domain != DOMAIN:
            raise CnnError(f"recipe {recipe!r} belongs to {domain}, not to {DOMAIN}")
    return name or file.stem, read_recipe(Recipe, file)


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
