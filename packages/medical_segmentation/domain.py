"""The domain of medical segmentation: its tasks, how its weights are measured, and the ways of transfer learning."""

from collections.abc import Mapping
from typing import Any

from cnn_core.domain import Domain, check_labels
from cnn_core.predictor import Measured
from cnn_core.train.config import override
from cnn_core.train.task import Task
from cnn_core.weights import WeightsCard
from medical_segmentation.data import DATA_SETS, load_set
from medical_segmentation.evaluate import evaluate, evaluate_nodules
from medical_segmentation.nodule_predictor import NodulePredictor
from medical_segmentation.nodule_task import NoduleTask
from medical_segmentation.nodules import load_nodules
from medical_segmentation.predict import Predictor, load
from medical_segmentation.recipe import Recipe
from medical_segmentation.task import SegmentationTask
from medical_segmentation.weights_io import DOMAIN_NAME, goal_of


def make_task(recipe: Recipe) -> Task:
    """Return the Task of a recipe."""
    return NoduleTask(recipe) if recipe.data.goal == "malignancy" else SegmentationTask(recipe)


def _measure(predictor: Predictor | NodulePredictor, data: str, split: str | None, own: bool) -> Measured:
    split = split or "test"
    fold = predictor.card.section("data").get("fold") if own else None
    if isinstance(predictor, NodulePredictor):
        nodules = load_nodules(data, predictor.contract, splits=(split,), fold=fold)[split]
        return Measured.split_of_set(evaluate_nodules(predictor, nodules), data, split, items="nodules")
    data_set = load_set(data, fold=fold)
    check_labels(predictor, data_set.labels, data)
    report = evaluate(predictor, (data_set.checked.volume(case) for case in data_set.splits[split]))
    return Measured.split_of_set(report, data, split, items="scans")


def _exportable(predictor: Predictor | NodulePredictor) -> dict[str, Any]:
    size = predictor.contract.size if isinstance(predictor, NodulePredictor) else predictor.contract.patch
    return {"example_shape": (predictor.contract.in_channels, *size)}


def _ways(card: WeightsCard, weights: str) -> Mapping[str, tuple[Recipe, Mapping[str, Any]]]:
    """Return the training from `weights`, and from scratch, on data preprocessed as the card says."""
    contract = card.input
    window = [contract["low"], contract["high"]]
    same: dict[str, Any] = {"dims": contract["dims"], "model": card.model, "options": card.arguments["options"]}
    if goal_of(card) == "malignancy":
        same |= {"goal": "malignancy", "window": window, "mirror": contract["mirror"], "patch": contract["size"]}
    else:
        own_scale = contract["own_scale"]
        same |= {
            "spacing": contract["spacing"], "window": None if own_scale else window, "own_scale": own_scale,
            "centred": contract["centre"] is not None, "keep": contract["keep"], "mirror": bool(contract["flips"]),
            "patch": contract["patch"],
        }  # fmt: skip
    starts = (("fine-tune", weights), ("scratch", None))
    return {mode: (override(Recipe(), {**same, "weights": start}), {}) for mode, start in starts}


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=make_task,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    ways=_ways,
    exportable=_exportable,
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
