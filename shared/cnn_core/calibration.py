"""Confidence and thresholds of weights that learned from all their data: a second training holds some of them out."""

import dataclasses
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnn_core.confidence import ScoringTask, ThresholdTask, among_references, backbone_of, references_of
from cnn_core.domain import Domain
from cnn_core.errors import CnnError
from cnn_core.train.config import override, recipe_from_table
from cnn_core.train.task import Task
from cnn_core.weights import WeightsCard, find_weights, load_card, load_state, round_weights, save_weights
from cnn_core.weights.card import Confidence
from cnn_core.weights.reports import REPORT_FILE, write_report

if TYPE_CHECKING:
    from cnn_core.train.finish import Observer


def calibrate_weights(
    domain: Domain, name: str, *, folder: Path, epochs: int | None = None, observe: "Observer | None" = None
) -> WeightsCard:
    """Train the recipe of weights once more, with validation data held out, and take over what it learns of confidence.

    The temperature is that of the second training, the references are the weights' own. Familiarity differs from
    network to network: the threshold leaves as many of the weights' references below it, each compared with the others,
    as the second training's leaves of its own. The weights and their card are replaced, their figures measured again.

    Of weights whose answers begin at a score (detectors) that score is what is chosen. Those that hold validation data
    out of their own training need no second one.

    Args:
        domain: of the weights.
        name: shipped weights or a run folder.
        folder: of the second training; one that is there is gone on with, or used if it is finished.
        epochs: of the second training; None: those of the recipe.
        observe: see `train_task`.

    Raises:
        CnnError: the weights are no classifier's that was trained here, or the second training found nothing.
    """
    place = find_weights(name, domain=domain.name)
    card = load_card(place)
    recipe: Any = recipe_from_table(domain.recipe, card.recipe, source=f"the recipe of {card.name}")
    task = domain.make_task(recipe)
    settings = {"validation": True} | ({} if epochs is None else {"epochs": epochs})
    if isinstance(task, ThresholdTask):
        return _with_threshold(domain, recipe, place, folder, settings, observe)
    if card.package or not isinstance(task, ScoringTask):
        raise CnnError(f"{card.name} cannot be calibrated: only classifiers and detectors that are trained here can")
    held = domain.train_once(recipe, folder, settings, observe=observe).confidence
    if held is None:
        raise CnnError(f"the training in {folder} has no validation data to learn confidence from")
    shorter = "" if epochs is None else f" (--epochs {epochs})"
    model = domain.load(place, device="cpu").model
    task.build_data(torch.device("cpu"))
    backbone = backbone_of(model)
    if backbone is None:
        raise CnnError(f"{card.name} has no last layer to calibrate")
    backbone.head.scale((card.confidence["temperature"] if card.confidence else 1.0) / held["temperature"])
    backbone.head.references, threshold = None, None
    if held["threshold"] is not None:
        backbone.head.references = references_of(task, model, backbone)
        threshold = _threshold(backbone.head.references, folder, held["threshold"])
    round_weights(model, card.dtype)
    data = f"held out in a second training{shorter}"
    said = Confidence(**{**held, "data": data, "threshold": threshold})
    return _save(task, model, card, place, {"confidence": said})


def _with_threshold(
    domain: Domain, recipe: Any, place: Path, folder: Path, settings: dict[str, Any], observe: "Observer | None"
) -> WeightsCard:
    """Choose the score from which on answers are given, and replace card and report."""
    card, model = load_card(place), domain.load(place, device="cpu").model
    if recipe.data.validation:
        task = domain.make_task(override(recipe, {"threshold": None}))
        task.build_data(torch.device("cpu"))
        with torch.inference_mode():
            if isinstance(task, ThresholdTask):
                task.choose_threshold(model)
        taken = task.card_fields(model)["input"]
    else:
        taken = domain.train_once(recipe, folder, {**settings, "threshold": None}, observe=observe).input
        taken = {**taken, "chosen_on": f"{taken['chosen_on']} of a second training"}
    chosen = {**card.input, **{key: taken[key] for key in ("threshold", "chosen_on")}}
    task = domain.make_task(override(recipe, {"threshold": chosen["threshold"]}))
    task.build_data(torch.device("cpu"))
    return _save(task, model, card, place, {"input": chosen})


def _threshold(references: Tensor, folder: Path, held: float) -> float:
    """Return the familiarity that has the rank among references [M, D] which `held` has among those of a run."""
    second = next(value for key, value in load_state(folder)[0].items() if key.endswith(".references"))
    rank = float((among_references(second) < held).double().mean())
    return round(float(among_references(references).double().quantile(rank)), 4)


def _save(
    task: Task, model: torch.nn.Module, card: WeightsCard, place: Path, changed: Mapping[str, Any]
) -> WeightsCard:
    """Write the weights, their card with changed fields and the figures of the first seed, and the report."""
    with torch.inference_mode():
        result = task.evaluate(model.eval(), "test")
    fields: dict[str, Any] = {**dataclasses.asdict(card), **changed}
    for derived in ("sha256", "bytes", "dtype", "package"):
        fields.pop(derived)
    for key, value in (result.metrics if result else {}).items():
        if key in fields["metrics"]:
            entry = fields["metrics"][key]
            entry["values"] = [round(value, 6), *entry["values"][1:]]
            entry["mean"] = round(statistics.fmean(entry["values"]), 6)
    saved = save_weights(model, fields, place, dtype=card.dtype)
    if result and result.report and (place / REPORT_FILE).exists():
        write_report(result.report, place)
    return saved
