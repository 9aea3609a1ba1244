"""What the command line and other programs call: train a recipe, evaluate, predict, explain and compare by name."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_core.train.recipes import RecipeTraining

from cnn_core.errors import CnnError
from cnn_core.train.commands import compare_command
from cnn_core.train.config import override
from cnn_core.weights import WeightsCard, find_weights, load_card
from cnn_core.weights.reports import write_report
from image_captioning.data import DATA_SETS, CaptionSet, load_sets
from image_captioning.evaluate import evaluate
from image_captioning.predict import Predictor, load
from image_captioning.recipe import CaptionModelConfig, EncoderConfig, Recipe
from image_captioning.task import CaptionTask
from image_captioning.weights_io import DOMAIN

RECIPE = Recipe
make_task = CaptionTask


def _report(folder: Path) -> None:
    """Measure the test set of a finished run and write the report beside the weights."""
    predictor = load(folder, device="cpu")
    write_report(evaluate(predictor, _set_for(predictor, None, "test")), folder)


train = RecipeTraining(DOMAIN, Recipe, make_task, finish=_report).train


def _set_for(predictor: Predictor, data: str | None, split: str) -> CaptionSet:
    """Return a split in the form that a predictor takes; None: of the set that it was trained on."""
    contract, settings = predictor.contract, predictor.card.recipe["data"]
    columns = {}
    if predictor.card.learned_from(data, DATA_SETS):
        columns = {key: settings.get(key) for key in ("image_column", "caption_column")}
    chosen = data or settings["data"]
    return load_sets(chosen, splits=(split,), size=contract.size, fit=contract.fit, **columns)[split]


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
    report = evaluate(predictor, _set_for(predictor, data, split))
    return {
        "data": data or predictor.card.recipe["data"]["data"], "split": split, "n": report.n, "metrics": report.metrics
    }  # fmt: skip


def predict_items(name: str, inputs: Sequence[str], *, device: str = "auto") -> Iterator[dict[str, Any]]:
    """Caption files and folders as they come; one item per picture, an item that failed carries "error"."""
    for answer in load(name, device=device).stream_paths(inputs):
        yield answer.to_json()


def explain_to_file(name: str, source: str, output: Path, *, method: str = "attention", device: str = "auto") -> str:
    """Write a sheet with one picture per word as PNG; return one sentence that says what it shows."""
    return load(name, device=device).explain(source, method=method).save(output)


def exportable(name: str) -> dict[str, Any]:
    """Say that captioners cannot be exported: they write word by word, and ONNX files hold no search.

    Raises:
        CnnError: always.
    """
    raise CnnError(
        f"{name} writes captions word by word, in a search that no ONNX file can hold; use image_captioning.load, or "
        "export an image classification network"
    )


def compare(
    weights: str, data: str, *, folder: Path, settings: Mapping[str, Any] | None = None
) -> list[dict[str, float | str]]:
    """Train on captions prepared in the same way: from `weights`, and from nothing with each of the two decoders.

    Args:
        weights: shipped weights or a run folder of this domain.
        data: a set name or a folder.
        folder: gets one run folder per way.
        settings: fields of the recipe, the same for all.

    Returns:
        One row per way: mode, the first metric of the card (the truth rate where it is known, else BLEU-4) on the test
        set, n, seconds.
    """
    card = load_card(find_weights(weights, domain=DOMAIN))
    command = compare_command(weights, data, settings or {})
    rows = []
    for mode in ("fine-tune", "show-attend-tell", "show-tell"):
        recipe = _again(card, weights if mode == "fine-tune" else None)
        changes = {"data": data, **(settings or {})}
        if mode != "fine-tune":
            changes["decoder"] = mode
        started = time.perf_counter()
        outcome = train(override(recipe, changes), folder=folder / mode, name=mode, command=command)
        metric, entry = next(iter(outcome.card.metrics.items()))
        seconds = round(time.perf_counter() - started, 1)
        rows.append({"mode": mode, metric: entry["mean"], "n": entry["n"], "seconds": seconds})
    return rows


def _again(card: WeightsCard, weights: str | None) -> Recipe:
    """Return a recipe with a card's encoder, its weights or fresh ones, that prepares pictures as the card says."""
    options, contract = card.arguments["options"], card.input
    model = CaptionModelConfig(card.model, options["encoder"], weights=weights)
    recipe = Recipe(model=model, encoder=EncoderConfig(stage=options["stage"]))
    sizes = {"hidden": options["hidden"], "word_size": options["size"], "attention_size": options["attention"]}
    sizes |= {name: options[name] for name in ("decoder", "cell", "dropout")}
    prepared = {name: contract[name] for name in ("fit", "enlarge", "longest")}
    return override(recipe, {**sizes, **prepared, "size": contract["size"][0]})
