"""How good a predictor is on a labelled set: a table of cases, figures by label with their n; kept as `report.json`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnn_core import classification
from cnn_core.classification import Calibration, measure_classes
from cnn_core.errors import DataError
from cnn_core.weights import reports
from medical_segmentation.calibration import bin_sums, reliability
from medical_segmentation.cases import some
from medical_segmentation.checker import Volume
from medical_segmentation.metrics import TOLERANCE, LabelScores, bootstrap, label_scores, without_ignored
from medical_segmentation.nodule_predictor import NodulePredictor
from medical_segmentation.nodule_task import nodule_metrics, nodule_scores, probability
from medical_segmentation.nodules import LABELS, NoduleSet
from medical_segmentation.predict import Predictor
from medical_segmentation.segmenter import SegmenterOutput

REPORT_LIMIT = 16 << 20  # bytes
CONFIDENCE = ("confidence",)  # the map that the calibration is measured on
NAMES = ("dice", "hd95_mm", "surface_dice")
INTERVAL_FROM = 5  # values, below which a bootstrap says nothing: of two equal ones it would say "from 0 to 0"
SHOWN_LABELS = 20  # at the end of a training
SHOWN_CASES = 5


@dataclass(frozen=True)
class CaseRow:
    """One case: its measures label by label, and of how right its probabilities are (`calibration.bin_sums`)."""

    case: str
    labels: dict[str, LabelScores]
    bins: np.ndarray | None = field(default=None, repr=False)

    def mean(self, name: str) -> float | None:
        """Return the mean of a measure over the labels that have it."""
        return _mean([getattr(scores, name) for scores in self.labels.values()])


@dataclass(frozen=True)
class LabelFigures:
    """What was measured of one label over all cases; None where no case has the measure.

    Args:
        label: its name.
        number: in mask files.
        n: cases whose truth holds it.
        missed: of these, those without a single voxel of it found.
        invented: cases in which it was found and the truth holds none.
        dice: mean over `n_dice` cases, those in which it is in the truth or in the mask; 0 where it is missed.
        hd95_mm: mean over `n_hd95` cases, those in which it is in both, at whatever places.
        surface_dice: mean over `n_dice` cases.
        volume_error_ml: mean of mask minus truth over `n_dice` cases.
        absolute_error_ml: mean of its amount.
    """

    label: str
    number: int
    n: int
    missed: int
    invented: int
    dice: float | None
    n_dice: int
    hd95_mm: float | None
    n_hd95: int
    surface_dice: float | None
    volume_error_ml: float | None
    absolute_error_ml: float | None


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
        figures: of every label.
        counts: metric -> cases that have it, where these are not all.
        classes: of nodules, the figures of each class, what is mistaken for what, and the calibration.
        calibration: of the probabilities of voxels near outlines.
    """

    goal: str
    n: int
    metrics: dict[str, float]
    cases: list[dict[str, Any]] | None = field(repr=False)
    tolerance_mm: float = TOLERANCE
    figures: list[LabelFigures] = field(default_factory=list, repr=False)
    counts: dict[str, int] = field(default_factory=dict)
    classes: classification.Report | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)

    @property
    def lines(self) -> list[str]:
        """What a training or a measurement ends with: every label, what was missed, the worst cases."""
        if self.classes is not None:
            return self.classes.lines
        if not self.figures:
            return []
        names = [f"{entry.label} ({entry.number})" for entry in self.figures[:SHOWN_LABELS]]
        width = max(map(len, names))
        head = f"{'':{width}}  scans  Dice (n)     HD95 mm (n)  surface Dice  missed    volume error mL"
        lines = [f"{head} (amount)"]
        for name, entry in zip(names, self.figures, strict=False):
            lines.append(
                f"{name:{width}} {entry.n:6,}  {_cell(entry.dice, 3, entry.n_dice):11}  "
                f"{_cell(entry.hd95_mm, 1, entry.n_hd95):11}  {_cell(entry.surface_dice, 3):12}  "
                f"{f'{entry.missed} of {entry.n}':8}  "
                f"{_cell(entry.volume_error_ml, 2, sign='+')} ({_cell(entry.absolute_error_ml, 2)})"
            )
        if len(self.figures) > SHOWN_LABELS:
            lines.append(f"and {len(self.figures) - SHOWN_LABELS} more labels, see report.json")
        if self.calibration:
            error = self.calibration.error
            lines.append(f"calibration error near outlines {error:.4f} (0: of voxels with 80 %, 80 % are right)")
        return lines + self.cases_to_look_at

    @property
    def cases_to_look_at(self) -> list[str]:
        """What was missed or invented, and the worst cases, by name; nothing where the cases were left out."""
        missed, invented, dice = [], [], []
        for case in self.cases or ():
            scores = {label: entry for label, entry in case.items() if isinstance(entry, Mapping)}
            missed += [f"{label} in {case['case']}" for label, entry in scores.items() if _missed(entry)]
            invented += [f"{label} in {case['case']}" for label, entry in scores.items() if _invented(entry)]
            mean = _mean([entry["dice"] for entry in scores.values()])
            dice += [] if mean is None else [(mean, str(case["case"]))]
        lines = []
        if missed:
            lines.append(f"missed wholly: {some(missed)}")
        if invented:
            lines.append(f"found where there is none: {some(invented)}")
        worst = [f"{name} {value:.3f}" for value, name in sorted(dice)[:SHOWN_CASES]]
        return [*lines, f"lowest Dice: {', '.join(worst)}"] if worst else lines

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            **vars(self),
            "figures": [vars(entry) for entry in self.figures],
            "classes": self.classes and self.classes.to_json(),
            "calibration": self.calibration and vars(self.calibration),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """Restore a report that `to_json` made, of older ones what they hold."""
        classes, calibration = values.get("classes"), values.get("calibration")
        restored = {
            "figures": [LabelFigures(**entry) for entry in values.get("figures") or ()],
            "counts": values.get("counts") or {},
            "classes": classes and classification.Report.from_json(classes),
            "calibration": calibration and Calibration(calibration["error"], [tuple(b) for b in calibration["bins"]]),
        }
        return cls(**{**values, **restored})


def evaluate(
    predictor: Predictor,
    volumes: Iterable[Volume],
    *,
    labels: Mapping[str, int] | None = None,
    numbers: Mapping[str, int] | None = None,
    observe: Callable[[CaseRow], object] | None = None,
) -> Report:
    """Measure whole scans on their own voxels.

    Args:
        predictor: whose masks are measured.
        volumes: scans with the true labels, numbered as the predictor's; only one is in memory at a time.
        labels: those that are measured -> their index; None: all.
        numbers: label -> its number in mask files; None: the index.
        observe: called with every row.

    Raises:
        DataError: there are no scans.
    """
    labels = {name: k for k, name in enumerate(predictor.labels) if k} if labels is None else labels
    rows = []
    for volume in volumes:
        rows.append(measure_case(predictor.segmenter(volume.voxels, volume.spacing, maps=CONFIDENCE), volume, labels))
        if observe is not None:
            observe(rows[-1])
    return summarise(rows, labels if numbers is None else numbers)


def measure_case(found: SegmenterOutput, volume: Volume, labels: Mapping[str, int]) -> CaseRow:
    """Measure the mask of one case, for each label by its index; what the truth ignores is background in both."""
    mask, truth = without_ignored(found.mask, volume.mask)
    scores = {
        name: label_scores(mask == k, truth == k, volume.spacing, voxel_ml=volume.voxel_ml)
        for name, k in labels.items()
    }
    confidence = found.maps.get("confidence")
    return CaseRow(volume.name, scores, None if confidence is None else bin_sums(confidence, found.mask, volume.mask))


def summarise(rows: Sequence[CaseRow], numbers: Mapping[str, int]) -> Report:
    """Return the report of measured cases.

    Args:
        rows: one per case.
        numbers: label -> its number in mask files.

    Raises:
        DataError: there are none.
    """
    if not rows:
        raise DataError("there are no scans to measure on")
    metrics: dict[str, float] = {}
    counts: dict[str, int] = {}
    for name in NAMES:
        values = [value for row in rows if (value := row.mean(name)) is not None]
        found = _with_interval(name, values)
        metrics |= found
        counts |= dict.fromkeys(found, len(values))
    figures = [_figures_of(label, number, rows) for label, number in numbers.items()]
    for entry in figures if len(figures) > 1 else ():
        if entry.dice is not None:
            name = f"dice_{entry.label.replace(' ', '_')}"
            metrics[name], counts[name] = entry.dice, entry.n_dice
    counts = {name: count for name, count in counts.items() if count != len(rows)}
    cases = [{"case": row.case, **{name: asdict(scores) for name, scores in row.labels.items()}} for row in rows]
    calibration = reliability([row.bins for row in rows if row.bins is not None])
    return Report("segment", len(rows), metrics, cases, figures=figures, counts=counts, calibration=calibration)


def _figures_of(label: str, number: int, rows: Sequence[CaseRow]) -> LabelFigures:
    scores = [asdict(row.labels[label]) for row in rows]
    there = [entry for entry in scores if entry["dice"] is not None]
    errors = [entry["volume_ml"] - entry["true_ml"] for entry in there]
    return LabelFigures(
        label, number, n=sum(entry["true_ml"] > 0 for entry in scores), missed=sum(map(_missed, scores)),
        invented=sum(map(_invented, scores)), dice=_mean([entry["dice"] for entry in there]), n_dice=len(there),
        hd95_mm=_mean([entry["hd95_mm"] for entry in there]),
        n_hd95=sum(entry["hd95_mm"] is not None for entry in there),
        surface_dice=_mean([entry["surface_dice"] for entry in there]), volume_error_ml=_mean(errors),
        absolute_error_ml=_mean([abs(error) for error in errors]),
    )  # fmt: skip


def _missed(scores: Mapping[str, Any]) -> bool:
    return scores["true_ml"] > 0 and scores["dice"] == 0


def _invented(scores: Mapping[str, Any]) -> bool:
    return scores["true_ml"] == 0 and scores["volume_ml"] > 0


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _cell(value: float | None, digits: int, n: int | None = None, *, sign: str = "") -> str:
    text = "-" if value is None else f"{value:{sign}.{digits}f}"
    return text if n is None else f"{text} ({n})"


def _with_interval(name: str, values: Sequence[float]) -> dict[str, float]:
    there = np.array(values)
    if not len(there):
        return {}
    if len(there) < INTERVAL_FROM:
        return {name: float(there.mean())}
    low, high = bootstrap(lambda drawn: float(there[drawn].mean()), len(there))
    return {name: float(there.mean()), f"{name}_low": low, f"{name}_high": high}


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
    return Report("malignancy", len(nodules), metrics, cases, classes=_classes(cases))


def _classes(cases: Sequence[Mapping[str, Any]]) -> classification.Report:
    """Return what every classifier's report holds, of rows of nodules."""
    malignant = torch.tensor([float(case["probability"]) for case in cases])
    return classification.Report(**measure_classes(
        torch.stack([1 - malignant, malignant], 1), torch.tensor([int(case["truth"]) for case in cases]),
        labels=LABELS, item_name=lambda i: str(cases[i]["case"]), source="the nodules",
    ))  # fmt: skip


def pool(reports: Sequence[Report]) -> Report:
    """Return one report over the cases of several, such as the folds of a cross-validation: each case counts once.

    Nodules are compared with those of the same report only: the scores of different networks are not on one scale.
    """
    cases = [case for report in reports for case in report.cases or ()]
    if reports[0].goal == "segment":
        rows = [
            CaseRow(case["case"], {k: LabelScores(**scores) for k, scores in case.items() if k != "case"})
            for case in cases
        ]
        numbers = {entry.label: entry.number for entry in reports[0].figures}
        return summarise(rows, numbers or {label: k for k, label in enumerate(rows[0].labels, start=1)})
    probabilities, truth, sizes = (np.array([case[key] for case in cases]) for key in ("probability", "truth", "size"))
    groups = np.repeat(np.arange(len(reports)), [len(report.cases or ()) for report in reports])
    metrics = nodule_metrics(
        probabilities, probabilities, truth, sizes, [case["exam"] for case in cases], groups=groups
    )
    return Report("malignancy", len(cases), metrics, cases, classes=_classes(cases))


def read_report(folder: Path) -> Report | None:
    """Return the report beside weights, or None if there is none; DataError if it cannot be read."""
    return reports.read_report(folder, Report.from_json, limit=REPORT_LIMIT)
