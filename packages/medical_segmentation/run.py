"""What the command line and other programs call: train a recipe, evaluate, predict and explain by name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_core.errors import CnnError
from cnn_core.train.commands import compare_command
from cnn_core.train.config import override
from cnn_core.train.recipes import RecipeTraining
from cnn_core.train.task import Task
from cnn_core.weights import WeightsCard, find_weights, load_card
from cnn_core.weights.reports import write_report
from medical_segmentation.data import load_set, locate
from medical_segmentation.evaluate import Report, evaluate, evaluate_nodules
from medical_segmentation.explain import check_output, explain_nodule, explain_scan
from medical_segmentation.judge import NodulePredictor
from medical_segmentation.nodule_task import NoduleTask
from medical_segmentation.nodules import load_nodules
from medical_segmentation.predict import Predictor, load
from medical_segmentation.recipe import DataConfig, MedicalModelConfig, PatchConfig, Recipe
from medical_segmentation.task import SegmentationTask
from medical_segmentation.weights_io import DOMAIN, goal_of

RECIPE = Recipe


def make_task(recipe: Recipe) -> Task:
    """Return the Task of a recipe."""
    return NoduleTask(recipe) if recipe.data.goal == "malignancy" else SegmentationTask(recipe)


def measure_run(folder: Path) -> Report:
    """Measure the test set of a finished run, write the report beside the weights, and return it."""
    report = _measure(load(folder, device="cpu"), None, "test")
    write_report(report, folder)
    return report


TRAINING = RecipeTraining(DOMAIN, Recipe, make_task, finish=measure_run)
train = TRAINING.train


def evaluate_weights(
    name: str, *, data: str | None = None, split: str = "test", device: str = "auto"
) -> dict[str, Any]:
    """Measure weights on a data set: `{"data", "split", "n", "metrics", "cases"}`.

    Args:
        name: shipped weights or a run folder.
        data: a set name or a folder; None: the set the weights were trained on.
        split: "test", "val" or "train".
        device: auto, cpu, cuda, mps.
    """
    predictor = load(name, device=device)
    report = _measure(predictor, data, split)
    used = data or predictor.card.recipe["data"]["data"]
    return {"data": used, "split": split, "n": report.n, "metrics": report.metrics, "cases": report.cases}


def _measure(predictor: Predictor | NodulePredictor, data: str | None, split: str) -> Report:
    settings = predictor.card.recipe["data"]
    own = data is None or _same_set(data, settings["data"])
    predictor.card.check_unseen(split, own=own)
    data, fold = (settings["data"], settings.get("fold")) if own else (data, None)
    if isinstance(predictor, NodulePredictor):
        return evaluate_nodules(predictor, load_nodules(data, predictor.contract, splits=(split,), fold=fold)[split])
    found = load_set(data, fold=fold)
    if found.labels != predictor.labels:
        raise CnnError(
            f"{predictor.card.name} knows the labels {', '.join(predictor.labels)}, but {data} has "
            f"{', '.join(found.labels)}; choose data with the same labels"
        )
    return evaluate(predictor, (found.checked.volume(case) for case in found.splits[split]))


def _same_set(one: str, other: str) -> bool:
    """Tell whether two names or paths mean the same folder; what cannot be found is another one."""
    if one == other:
        return True
    try:
        return locate(one)[1].resolve() == locate(other)[1].resolve()
    except CnnError:
        return False


def predict_items(
    name: str, inputs: Sequence[str], *, device: str = "auto", output: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Answer for scans or nodules, one item per input; an item that failed carries "error".

    Args:
        name: shipped weights or a run folder.
        inputs: paths.
        device: auto, cpu, cuda, mps.
        output: folder for masks and overlays; None: none are written.
    """
    return load(name, device=device).predict_inputs(inputs, output=output)


def explain_to_file(name: str, source: str, output: Path, *, method: str | None = None, device: str = "auto") -> str:
    """Write a picture of where a mask is uncertain ("entropy"), or of where a nodule speaks for malignancy."""
    check_output(Path(output))
    predictor = load(name, device=device)
    if isinstance(predictor, NodulePredictor):
        return explain_nodule(predictor, source, Path(output), method=method or "grad-cam")
    return explain_scan(predictor, source, Path(output), method=method or "entropy")


def exportable(name: str) -> dict[str, Any]:
    """Return what `cnn export` needs: the network, its card, and the shape of one input (a patch)."""
    predictor = load(name, device="cpu")
    contract = predictor.contract
    size = contract.size if isinstance(predictor, NodulePredictor) else contract.patch
    return {"model": predictor.model, "card": predictor.card, "example_shape": (contract.in_channels, *size)}


def compare(
    weights: str, data: str, *, folder: Path, settings: Mapping[str, Any] | None = None
) -> list[dict[str, float | str]]:
    """Train on the same data from `weights` and from nothing, with the same settings.

    Args:
        weights: shipped weights or a run folder.
        data: a set name or a folder.
        folder: gets one run folder per way.
        settings: fields of the recipe, the same for both.

    Returns:
        One row per way: mode, the test metric, n, seconds of training.
    """
    card = load_card(find_weights(weights, domain=DOMAIN))
    goal = goal_of(card)
    data_config, patches = _shared(card, goal)
    command = compare_command(weights, data, settings or {})
    rows = []
    for mode in ("fine-tune", "scratch"):
        model = MedicalModelConfig(
            card.model, card.arguments["options"], weights=weights if mode == "fine-tune" else None
        )
        recipe = override(Recipe(data=data_config, patches=patches, model=model), {"data": data, **(settings or {})})
        outcome = train(recipe, folder=folder / mode, name=mode, command=command)
        metric = "dice" if goal == "segment" else "auc"
        entry = outcome.card.metrics[metric]
        rows.append({"mode": mode, metric: entry["mean"], "n": entry["n"], "seconds": round(outcome.card.seconds, 1)})
    return rows


def _shared(card: WeightsCard, goal: str) -> tuple[DataConfig, PatchConfig]:
    """Return the settings that both ways share: those of the card's own preprocessing."""
    contract = card.input
    window = [contract["low"], contract["high"]]
    if goal == "malignancy":
        data = DataConfig(goal="malignancy", dims=contract["dims"], window=window, mirror=contract["mirror"])
        return data, PatchConfig(patch=contract["size"])
    own_scale = contract["own_scale"]
    data = DataConfig(
        dims=contract["dims"], spacing=contract["spacing"], window=None if own_scale else window, own_scale=own_scale,
        centred=contract["centre"] is not None, keep=contract["keep"], mirror=bool(contract["flips"]),
    )  # fmt: skip
    return data, PatchConfig(patch=contract["patch"])
