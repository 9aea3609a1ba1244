"""The domain of medical segmentation: its tasks, how its weights are measured, and the ways of transfer learning."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cnn_core.data.summary import DataSummary, class_counts
from cnn_core.domain import Domain
from cnn_core.errors import CnnError, DataError
from cnn_core.predictor import Measured, check_labels
from cnn_core.train.config import override
from cnn_core.train.task import Task
from cnn_core.weights import WeightsCard
from cnn_core.weights.members import Choice, choose_items
from medical_segmentation.cases import key_of, some
from medical_segmentation.data import DATA_SETS, SegmentationSet, is_own, load_set, read_set
from medical_segmentation.decathlon import Decathlon
from medical_segmentation.dividing import Division
from medical_segmentation.evaluate import CaseRow, evaluate, evaluate_nodules, measure_case, summarise
from medical_segmentation.loading import load
from medical_segmentation.nodule_predictor import NodulePredictor
from medical_segmentation.nodule_task import NoduleTask
from medical_segmentation.nodules import LABELS, NoduleContract, load_nodules
from medical_segmentation.predict import Predictor
from medical_segmentation.recipe import Recipe
from medical_segmentation.task import SegmentationTask
from medical_segmentation.weights_io import DOMAIN_NAME, goal_of
from medical_segmentation.windows import WithMirrors


def make_task(recipe: Recipe) -> Task:
    """Return the Task of a recipe."""
    return NoduleTask(recipe) if recipe.data.goal == "malignancy" else SegmentationTask(recipe)


def _measure(predictor: Predictor | NodulePredictor, data: str, split: str | None, own: bool) -> Measured:
    fold = predictor.card.section("data").get("fold") if own else None
    if isinstance(predictor, NodulePredictor):
        return _measure_nodules(predictor, data, split, fold)
    if not is_own(data) or (own and predictor.members is None and split):  # or of a run that kept no members
        return _measure_named(predictor, load_set(data, fold=fold), data, split or "test")
    further = predictor.card.section("data").get("test") or [] if own else []
    found = read_set(data, test=further if len(further) == 1 else ())  # which may be a folder of their own
    names = found.splits["all"]
    choice = _choose(predictor, found.contents(names), split, data, items="scans")
    chosen = [names[i] for i in choice.items]
    labels, said = _shared_labels(predictor, found.checked.source, data)
    table = np.arange(256, dtype=np.uint8)
    table[: len(found.labels)] = [labels.get(name, 0) for name in found.labels]
    known = {predictor.labels[index]: index for index in labels.values() if index}
    rows: list[CaseRow] = []
    for name in chosen:
        volume = found.checked.volume(name)
        output = predictor.segmenter(volume.voxels, volume.spacing)
        rows.append(measure_case(output, replace(volume, mask=table[volume.mask]), known))
    report = summarise(rows, _numbers(predictor, known))
    fresh = [row for row, unseen in zip(rows, choice.unseen, strict=True) if unseen]
    unseen = summarise(fresh, _numbers(predictor, known)).metrics if 0 < len(fresh) < len(rows) else {}
    part = (split or "test") if choice.own else "all"
    summary = replace(found, division=Division({part: tuple(chosen)})).summary([part], read=[*choice.sentences, *said])
    summary = replace(summary, warnings=(*summary.warnings, *choice.warnings))
    return Measured(report=report, split=part, data=summary, of=len(names), unseen=unseen)


def _measure_named(predictor: Predictor, data_set: SegmentationSet, data: str, split: str) -> Measured:
    check_labels(predictor, data_set.labels, data)
    known = {name: k for k, name in enumerate(predictor.labels) if k}
    volumes = (data_set.checked.volume(case) for case in data_set.splits[split])
    report = evaluate(predictor, volumes, numbers=_numbers(predictor, known))
    return Measured(report=report, split=split, data=data_set.summary([split]), of=report.n)


def _measure_nodules(predictor: NodulePredictor, data: str, split: str | None, fold: int | None) -> Measured:
    if not is_own(data) or (predictor.members is None and split):
        split = split or "test"
        nodules = load_nodules(data, predictor.contract, splits=(split,), fold=fold)[split]
        return Measured.split_of_set(evaluate_nodules(predictor, nodules), data, split, items="nodules")
    nodules = load_nodules(data, predictor.contract, splits=("all",))["all"]
    choice = _choose(predictor, nodules.contents, split, data, items="nodules")
    chosen = nodules.subset(choice.items)
    fresh = nodules.subset(choice.items[choice.unseen])
    mixed = 0 < len(fresh) < len(chosen) and len({*fresh.targets.tolist()}) == 2
    part = (split or "test") if choice.own else "all"
    summary = DataSummary(
        data, "nodules", {part: len(chosen)}, class_counts(LABELS, {part: chosen.targets.tolist()}),
        read=choice.sentences, warnings=choice.warnings,
    )  # fmt: skip
    return Measured(
        report=evaluate_nodules(predictor, chosen), split=part, data=summary, of=len(nodules),
        unseen=evaluate_nodules(predictor, fresh).metrics if mixed else {},
    )  # fmt: skip


def _choose(
    predictor: Predictor | NodulePredictor, hashes: np.ndarray, split: str | None, data: str, *, items: str
) -> Choice:
    """Return what `choose_items` does; where every test item is a copy of what was learned, they are all measured.

    Raises:
        DataError: none of the items is of the split.
    """
    choice, members = choose_items(hashes, predictor.members, split=split, items=items), predictor.members or {}
    if len(choice.items):
        return choice
    found = np.flatnonzero(np.isin(hashes, members.get(split or "test", [])))
    if not len(found):
        raise DataError(
            f"{data}: none of its {len(hashes)} {items} is of the {split or 'test'} split that {predictor.card.name} "
            "was begun with; give the data as they were, or measure on others"
        )
    risk = (
        f"all {len(found)} {items} of the {split or 'test'} split are copies of what was learned from, which flatters"
    )
    return replace(choice, items=found, unseen=np.zeros(len(found), bool), warnings=(*choice.warnings, risk))


def _shared_labels(predictor: Predictor, source: Decathlon, data: str) -> tuple[dict[str, int], list[str]]:
    """Return label of the data -> index of the predictor's label of that name, and what is not measured, in sentences.

    Labels without names are those of the same numbers.

    Raises:
        CnnError: none of them is known.
    """
    index, said = {key_of(name): k for k, name in enumerate(predictor.labels)}, []
    shared = {name: index[key_of(name)] for name in source.labels[1:] if index.get(key_of(name))}
    if not shared and not source.named:
        by_number = {n: k for k, n in enumerate(predictor.numbers)}
        values = zip(source.labels[1:], source.values[1:], strict=True)
        shared = {name: by_number[value] for name, value in values if value in by_number}
        pairs = ", ".join(
            f"{value} {predictor.labels[by_number[value]]}" for value in source.values if value in by_number
        )
        said.append(f"the labels have no names here and are taken by the numbers that these weights learned: {pairs}")
    if not shared:
        check_labels(predictor, source.labels, data)
    if strange := [name for name in source.labels[1:] if name not in shared]:
        said.append(f"not measured, since these weights do not know them: {some(strange)}")
    if absent := [name for k, name in enumerate(predictor.labels) if k and k not in shared.values()]:
        said.append(f"not measured, since the data do not label them: {some(absent)}")
    return shared, said


def _numbers(predictor: Predictor, known: Mapping[str, int]) -> dict[str, int]:
    numbers = predictor.numbers
    return {name: numbers[k] for name, k in known.items()}


def _exportable(predictor: Predictor | NodulePredictor) -> dict[str, Any]:
    """Return the network with its mirror images, from one prepared patch [1, C, *S] to what the predictor averages.

    Raises:
        CnnError: it is a bundle of MONAI.
    """
    if predictor.goal == "bundle":
        raise CnnError(f"{predictor.card.name} is a MONAI bundle: python -m monai.bundle ckpt_export exports it")
    contract, model = predictor.contract, predictor.model
    if isinstance(contract, NoduleContract):
        views = WithMirrors(model, range(contract.dims), masks=False) if contract.mirror else model
        return {"model": views, "example_shape": (contract.in_channels, *contract.size)}
    whole = WithMirrors(model, contract.flips) if contract.flips else model
    return {"model": whole, "example_shape": (contract.in_channels, *contract.patch)}


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
