"""The domain of boxes: its task, how its weights are measured, and what is exported."""

from dataclasses import replace
from typing import Any

import torch

from cnn_core.data.sets import find_set
from cnn_core.domain import Domain
from cnn_core.errors import CnnError
from cnn_core.predictor import Measured, check_labels
from cnn_core.weights.members import choose_items, read_members
from object_detection.box_set import BoxSet
from object_detection.contract import DOMAIN_NAME, BoxContract
from object_detection.data import DATA_SETS, load_sets
from object_detection.exported import Exported
from object_detection.folder import load_own
from object_detection.metrics import Report, measure_boxes
from object_detection.model import Detector
from object_detection.predict import BATCH_SIZE, Predictor, load
from object_detection.task import BoxTask, Recipe


def evaluate(predictor: Predictor, pictures: BoxSet) -> Report:
    """Measure a predictor on a set.

    Raises:
        DataError: the set has no boxes.
    """
    found = []
    for start in range(0, len(pictures), BATCH_SIZE):
        part = pictures.subset(range(start, min(len(pictures), start + BATCH_SIZE)), pictures.split)
        found += predictor.find(*zip(*part.prepared(predictor.contract), strict=True))
    return measure_boxes(
        found, pictures.truths, labels=predictor.labels, threshold=predictor.contract.threshold,
        item_name=pictures.item_name, source=f"{pictures.name}: the {pictures.split} split",
    )  # fmt: skip


def _measure(predictor: Predictor, data: str, split: str | None, own: bool) -> Measured:
    if find_set(DATA_SETS, data) is None:
        return _measure_own(predictor, data, split)
    split = split or "test"
    sets, summary = load_sets(data, splits=(split,))
    check_labels(predictor, sets[split].labels, data)
    return Measured(report=evaluate(predictor, sets[split]), split=split, data=summary, of=len(sets[split]))


def _measure_own(predictor: Predictor, data: str, split: str | None) -> Measured:
    """Measure all of a folder, or the test pictures of the training if it is what was learned from."""
    own = load_own(data, [*DATA_SETS])
    unknown = [label for label in own.whole.labels if label not in predictor.labels]
    if unknown:
        raise CnnError(
            f"{predictor.card.name} does not know {', '.join(unknown)}; it knows {', '.join(predictor.labels)}"
        )
    members = read_members(predictor.folder) if predictor.folder else None
    choice = choose_items(own.hashes, members, split=split, items="pictures")
    places = torch.tensor([predictor.labels.index(label) for label in own.whole.labels])
    truths = [replace(truth, classes=places[truth.classes]) for truth in own.whole.truths]
    whole = replace(own.whole, labels=tuple(predictor.labels), truths=truths)
    report = evaluate(predictor, whole.subset(choice.items, "all"))
    unseen = {}
    if 0 < choice.unseen.sum() < len(choice.items):
        unseen = evaluate(predictor, whole.subset(choice.items[choice.unseen], "all")).metrics
    summary = replace(
        own.summary, splits={"all": len(whole)}, divided="", read=(*own.summary.read, *choice.sentences),
        warnings=choice.warnings,
    )  # fmt: skip
    part = (split or "test") if choice.own else "all"
    return Measured(report=report, split=part, data=summary, of=len(whole), unseen=unseen)


def _exportable(predictor: Predictor) -> dict[str, Any]:
    """Return the network from prepared inputs, as the card's `input` says, to boxes without doubles."""
    contract, model = predictor.contract, predictor.model
    if not isinstance(contract, BoxContract) or not isinstance(model, Detector):
        raise CnnError(f"{predictor.card.name} is a network of torchvision; export detectors that were trained here")
    return {"model": Exported(model, contract), "example_shape": (3, *contract.size)}


DOMAIN = Domain(
    name=DOMAIN_NAME,
    recipe=Recipe,
    make_task=BoxTask,
    load=load,
    data_sets=DATA_SETS,
    measure=_measure,
    exportable=_exportable,
)
train, compare, evaluate_weights = DOMAIN.train, DOMAIN.compare, DOMAIN.evaluate_weights
predict_items, explain_to_file = DOMAIN.predict_items, DOMAIN.explain_to_file
