"""How good boxes are: COCO's mean average precision, and at the threshold what a user sees, class by class.

Average precision is that of pycocotools (Lin et al. 2014, Microsoft COCO, arXiv:1405.0312): at an IoU of 0.5, and the
mean over 0.5, 0.55, ... 0.95.
"""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from cnn_core.data.summary import more_classes
from cnn_core.errors import DataError, missing_package
from object_detection.box_set import Truth
from object_detection.finding import Found

MATCH = 0.5  # IoU from which on a box counts as found
WORST = 24  # pictures in a report
SHOWN = 20  # classes at the end of a training
MOST_FOUND = 100  # boxes of a picture that COCO's measure looks at
POINTS = 101  # recalls of a curve: 0, 0.01, ... 1


@dataclass(frozen=True)
class ClassBoxes:
    """What was measured of one class; None where there was nothing to divide by.

    `precision` and `recall` are those of the boxes from the threshold on; `ap50` and `ap` do not depend on it.
    """

    label: str
    n: int  # boxes that people drew
    ap50: float | None
    ap: float | None
    precision: float | None
    recall: float | None
    curve: list[float] = field(default_factory=list, repr=False)  # precision at the recalls 0, 0.01, ... 1


@dataclass(frozen=True)
class Miss:
    """A picture with wrong or missing boxes at the threshold."""

    input: str
    missed: int
    invented: int  # boxes where nothing is, or something else


@dataclass(frozen=True)
class Report:
    """What was measured on a set of pictures with boxes.

    Args:
        n: pictures.
        boxes: that people drew and that count.
        metrics: map50, map (0.5 to 0.95), counts (share of classes in pictures whose number of boxes is exact).
        labels: K names.
        figures: of every class.
        box_confusion: [K + 1, K + 1], row: truth, column: what the box was called; the last row holds boxes where
            nothing is, the last column what was not found.
        threshold: the score that the figures at a threshold are for.
        worst: pictures with the most errors first; None: left out when the weights were downloaded.
    """

    n: int
    boxes: int
    metrics: dict[str, float]
    labels: list[str]
    figures: list[ClassBoxes] = field(repr=False)
    box_confusion: list[list[int]] = field(repr=False)
    threshold: float
    worst: list[Miss] | None = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """The n of every metric."""
        return dict.fromkeys(self.metrics, self.n)

    @property
    def lines(self) -> list[str]:
        """What a training ends with."""
        width = max(map(len, self.labels))
        lines = [f"{'':{width}}  boxes   AP50     AP  precision  recall    (from a score of {self.threshold:.2f})"]
        for entry in self.figures[:SHOWN]:
            ap50, ap, precision, recall = (
                "-" if value is None else f"{value:.3f}"
                for value in (entry.ap50, entry.ap, entry.precision, entry.recall)
            )
            lines.append(f"{entry.label:{width}} {entry.n:6,}  {ap50:>5}  {ap:>5}  {precision:>9}  {recall:>6}")
        if len(self.figures) > SHOWN:
            lines.append(f"and {more_classes(len(self.figures) - SHOWN)}, see report.json")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a report that `to_json` made."""
        worst = values["worst"]
        return cls(**{
            **values, "figures": [ClassBoxes(**entry) for entry in values["figures"]],
            "worst": worst and [Miss(**entry) for entry in worst],
        })  # fmt: skip


def measure_boxes(
    found: Sequence[Found], truths: Sequence[Truth], *, labels: Sequence[str], threshold: float,
    item_name: Callable[[int], str], source: str,
) -> Report:  # fmt: skip
    """Compare what was found with the truth.

    Args:
        found: of N pictures, from a low score on.
        truths: of the same.
        labels: K names.
        threshold: the score of the figures that depend on one.
        item_name: the name of picture i.
        source: what was measured on, for messages.

    Raises:
        DataError: there is nothing to measure on.
        CnnError: pycocotools is not installed.
    """
    boxes = sum(int((~truth.ignored).sum()) for truth in truths)
    if not boxes:
        raise DataError(f"{source} holds no boxes to measure on")
    precision = average_precision(found, truths, classes=len(labels))  # [10, 101, K]
    shown = [entry.above(threshold) for entry in found]
    confusion, worst = _compare(shown, truths, len(labels), item_name)
    figures = []
    for k, label in enumerate(labels):
        n, right, called = int(confusion[k].sum()), int(confusion[k, k]), int(confusion[:, k].sum())
        curves = precision[:, :, k]
        figures.append(ClassBoxes(
            label, n, float(curves[0].mean()) if n else None, float(curves.mean()) if n else None,
            right / called if called else None, right / n if n else None,
            [round(float(value), 4) for value in curves[0]] if n else [],
        ))  # fmt: skip
    measured = [entry for entry in figures if entry.n]
    exact = [
        int((one.classes == k).sum()) == int((truth.classes[~truth.ignored] == k).sum())
        for one, truth in zip(shown, truths, strict=True) for k in range(len(labels))
    ]  # fmt: skip
    metrics = {
        "map50": float(np.mean([entry.ap50 for entry in measured])),
        "map": float(np.mean([entry.ap for entry in measured])),
        "counts": float(np.mean(exact)),
    }
    return Report(len(found), boxes, metrics, list(labels), figures, confusion.tolist(), threshold, worst)


def average_precision(found: Sequence[Found], truths: Sequence[Truth], *, classes: int) -> np.ndarray:
    """Return COCO's interpolated precision: float64 [10 IoUs, 101 recalls, K]; -1 of a class without boxes.

    The mean over recalls is average precision.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ModuleNotFoundError as error:
        raise missing_package("pycocotools") from error
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, (one, truth) in enumerate(zip(found, truths, strict=True), start=1):
        for box, k, ignored in zip(truth.boxes.tolist(), truth.classes.tolist(), truth.ignored.tolist(), strict=True):
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": k + 1, "iscrowd": int(ignored),
                "bbox": _with_size(box), "area": (box[2] - box[0]) * (box[3] - box[1]),
            })  # fmt: skip
        results += [
            {"image_id": number, "category_id": k + 1, "bbox": _with_size(box), "score": score}
            for box, k, score in zip(one.boxes.tolist(), one.classes.tolist(), one.scores.tolist(), strict=True)
        ]
    if not results:
        precision = np.zeros((10, POINTS, classes))
        precision[:, :, [k for k in range(classes) if not any(a["category_id"] == k + 1 for a in annotations)]] = -1
        return precision
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        truth_table = COCO()
        truth_table.dataset = {
            "images": [{"id": number} for number in range(1, len(found) + 1)], "annotations": annotations,
            "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)], "info": {},
        }  # fmt: skip
        truth_table.createIndex()
        measure = COCOeval(truth_table, truth_table.loadRes(results), "bbox")
        measure.params.maxDets = [1, 10, MOST_FOUND]
        measure.evaluate()
        measure.accumulate()
    return measure.eval["precision"][:, :, :, 0, 2]  # of all sizes


def best_threshold(found: Sequence[Found], truths: Sequence[Truth], *, classes: int) -> float:
    """Return the score from which on boxes agree best with the truth: the highest mean F1 of the classes."""
    candidates = [round(0.05 * step, 2) for step in range(2, 18)]
    quality = []
    for threshold in candidates:
        confusion, _ = _compare([one.above(threshold) for one in found], truths, classes, str)
        right = confusion.diagonal()[:classes]
        total = confusion[:classes].sum(1) + confusion[:, :classes].sum(0)
        quality.append(float(np.mean(2 * right[total > 0] / total[total > 0])) if (total > 0).any() else 0.0)
    best = max(quality)
    near = [value for value, reached in zip(candidates, quality, strict=True) if reached >= best - 0.002]
    return near[len(near) // 2]  # the middle of the best ones: the last digit of F1 is chance


def _compare(
    found: Sequence[Found], truths: Sequence[Truth], classes: int, item_name: Callable[[int], str]
) -> tuple[np.ndarray, list[Miss]]:
    """Return the confusion of boxes, int64 [K + 1, K + 1], and the pictures with the most errors."""
    confusion, misses = np.zeros((classes + 1, classes + 1), dtype=np.int64), []
    for number, (one, truth) in enumerate(zip(found, truths, strict=True)):
        before = confusion.copy()
        pairs, unneeded = match(one, truth)
        for i, j in pairs:
            confusion[int(truth.classes[j]), int(one.classes[i])] += 1
        taken, answered = {j for _, j in pairs}, {i for i, _ in pairs} | unneeded
        for j in range(len(truth)):
            if j not in taken and not truth.ignored[j]:
                confusion[int(truth.classes[j]), classes] += 1
        for i in range(len(one.scores)):
            if i not in answered:
                confusion[classes, int(one.classes[i])] += 1
        new = confusion - before
        missed = int(new[:classes].sum() - new.diagonal()[:classes].sum())
        invented = int(new[:, :classes].sum() - new.diagonal()[:classes].sum())
        if missed or invented:
            misses.append(Miss(item_name(number), missed, invented))
    misses.sort(key=lambda miss: -(miss.missed + miss.invented))
    return confusion, misses[:WORST]


def match(found: Found, truth: Truth) -> tuple[list[tuple[int, int]], set[int]]:
    """Pair found boxes with true ones: those of the same class first, the best scores first, then across classes.

    Returns:
        (found, true) indices with an IoU of at least `MATCH`, each index once; and the found boxes that lie on ignored
        ones, which count neither way.
    """
    iou = box_iou(found.boxes, truth.boxes) if len(found.scores) and len(truth) else torch.zeros(0, 0)
    pairs: list[tuple[int, int]] = []
    if not iou.numel():
        return pairs, set()
    iou[:, truth.ignored] = 0
    same = found.classes[:, None] == truth.classes[None]
    for allowed in (same, ~same):
        for i in found.scores.argsort(descending=True).tolist():
            free: Tensor = torch.where(allowed[i], iou[i], 0.0)
            value, j = free.max(0)
            if value >= MATCH and i not in {a for a, _ in pairs}:
                pairs.append((i, int(j)))
                iou[:, int(j)] = 0
    if not truth.ignored.any():
        return pairs, set()
    inner = box_iou(found.boxes, truth.boxes[truth.ignored]).amax(1)
    return pairs, {i for i in range(len(inner)) if inner[i] >= MATCH} - {a for a, _ in pairs}


def _with_size(box: Sequence[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
