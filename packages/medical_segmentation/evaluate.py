"""How good a predictor is on a labelled set: a table of cases, means with intervals; kept as `report.json`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnn_core.errors import DataError
from cnn_core.weights import reports
from medical_segmentation.checker import Volume
from medical_segmentation.metrics import TOLERANCE, LabelScores, bootstrap, label_scores
from medical_segmentation.nodule_predictor import NodulePredictor
from medical_segmentation.nodule_task import nodule_metrics, nodule_scores, probability
from medical_segmentation.nodules import NoduleSet
from medical_segmentation.predict import Predictor

REPORT_LIMIT = 16 << 20  # bytes
NAMES = ("dice", "hd95_mm", "surface_dice")


@dataclass(frozen=True)
class CaseRow:
    """One case: its measures label by label."""

    case: str
    labels: dict[str, LabelScores]

    def mean(self, name: str) -> float | None:
        """Return the mean of a measure over the labels that have it."""
        values = [getattr(scores, name) for scores in self.labels.values() if getattr(scores, name) is not None]
        return float(np.mean(values)) if values else None


@dataclass(frozen=True)
class Report:
    """What was measured.

    Args:
        goal: "segment" or "malignancy".
        n: cases or nodules.
        metrics: names and means; with `_low` and `_high` the 95 % intervals of a bootstrap over cases (or exams).
        cases: one row per case, or per nodule: truth and prediction; None: left out when the weights were
            downloaded.
        tolerance_mm: of the surface Dice.
    """

    goal: str
    n: int
    metrics: dict[str, float]
    cases: list[dict[str, Any]] | None = field(repr=False)
    tolerance_mm: float = TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """Restore a report that `to_json` made."""
        return cls(**values)


def evaluate(
    predictor: Predictor, volumes: Iterable[Volume], *, observe: Callable[[CaseRow], object] | None = None
) -> Report:
    """Measure whole scans on their own voxels.

    Args:
        predictor: whose masks are measured.
        volumes: scans with the true labels, numbered as the predictor's; only one is in memory at a time.
        observe: called with every row.

    Raises:
        DataError: there are no scans.
    """
    rows = []
    for volume in volumes:
        mask = predictor.segmenter(volume.voxels, volume.spacing).mask
        scores = {
            name: label_scores(mask == k, volume.mask == k, volume.spacing, voxel_ml=volume.voxel_ml)
            for k, name in enumerate(predictor.labels)
            if k
        }
        rows.append(CaseRow(volume.name, scores))
        if observe is not None:
            observe(rows[-1])
    if not rows:
        raise DataError("there are no scans to measure on")
    return _summary(rows)


def _summary(rows: Sequence[CaseRow]) -> Report:
    metrics: dict[str, float] = {}
    for name in NAMES:
        metrics.update(_with_interval(name, [row.mean(name) for row in rows]))
    labels = list(rows[0].labels)
    if len(labels) > 1:
        for label in labels:
            values = [value for row in rows if (value := row.labels[label].dice) is not None]
            if values:
                metrics[f"dice_{label.replace(' ', '_')}"] = float(np.mean(values))
    cases = [{"case": row.case, **{name: asdict(scores) for name, scores in row.labels.items()}} for row in rows]
    return Report("segment", len(rows), metrics, cases)


def _with_interval(name: str, per_case: list[float | None]) -> dict[str, float]:
    values = np.array([value for value in per_case if value is not None])
    if not len(values):
        return {}
    low, high = bootstrap(lambda drawn: float(values[drawn].mean()), len(values))
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def evaluate_nodules(predictor: NodulePredictor, nodules: NoduleSet) -> Report:
    """Measure a nodule classifier; the rows hold every nodule's size, truth and probability."""
    scores = nodule_scores(predictor.model, nodules, predictor.contract, predictor.device)
    probabilities = probability(scores, predictor.contract)
    cases = [
        {"case": name, "exam": exam, "size": float(size), "truth": int(truth), "probability": round(float(value), 6)}
        for name, exam, size, truth, value in zip(
            nodules.names, nodules.exams, nodules.sizes, nodules.targets, probabilities, strict=True
        )
    ]
    metrics = nodule_metrics(scores, probabilities, nodules.targets, nodules.sizes, nodules.exams)
    return Report("malignancy", len(nodules), metrics, cases)


def pool(reports: Sequence[Report]) -> Report:
    """Return one report over the cases of several, such as the folds of a cross-validation: each case counts once.

    Nodules are compared with those of the same report only: the scores of different networks are not on one scale.
    """
    cases = [case for report in reports for case in report.cases or ()]
    if reports[0].goal == "segment":
        return _summary(
            [
                CaseRow(case["case"], {k: LabelScores(**scores) for k, scores in case.items() if k != "case"})
                for case in cases
            ]
        )
    probabilities, truth, sizes = (np.array([case[key] for case in cases]) for key in ("probability", "truth", "size"))
    groups = np.repeat(np.arange(len(reports)), [len(report.cases or ()) for report in reports])
    metrics = nodule_metrics(
        probabilities, probabilities, truth, sizes, [case["exam"] for case in cases], groups=groups
    )
    return Report("malignancy", len(cases), metrics, cases)


def read_report(folder: Path) -> Report | None:
    """Return the report beside weights, or None if there is none; DataError if it cannot be read."""
    return reports.read_report(folder, Report.from_json, limit=REPORT_LIMIT)
