"""What a run's test says beyond its first figure: of every class, what was mistaken for what, and the worst answers."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import streamlit as st

from cnn_core.data.summary import more_classes
from cnn_core.train.runs import RunInfo
from cnn_core.weights.reports import read_report
from components.bars import percent
from components.box_report import show_box_report
from components.charts import reliability
from components.frame import note
from components.matrix import confusion
from components.networks import compute
from components.tables import table

LIMIT = 16 << 20  # bytes of a report
CLASSES = 20  # in a table or a matrix; of more, the first ones
MISTAKES = 12
LEFT_OUT = "The worst answers are not there: they quote the data, and were left out when the weights were taken away."
HEADS = (("Class", "short"), ("Items", "number"), ("Precision", "number"), ("Recall", "number"), ("F1", "number"))

LABEL_HEADS = (
    ("Label (number in masks)", "short"), ("Scans", "number"), ("Dice", "number"), ("HD95, mm", "number"),
    ("Missed", "number"), ("Invented", "number"), ("Volume error, mL", "number"),
)  # fmt: skip


def show_report(run: RunInfo) -> None:
    """Show the report beside a run's weights, if it is one of classes, captions, boxes, or scans.

    Raises:
        DataError: it cannot be read.
    """
    report = compute(read_report, run.folder, _restored, limit=LIMIT)
    if report is None:
        return
    if hasattr(report, "box_confusion"):
        show_box_report(report, key=run.name)
        return
    if hasattr(report, "figures"):
        _scans(report)
        if report.calibration is not None:
            reliability(report.calibration, key=f"calibration-{run.name}", of="voxels near outlines")
        report = report.classes
    if hasattr(report, "confusion"):
        _classes(report)
        if report.calibration is not None:
            reliability(report.calibration, key=f"calibration-{run.name}", of="items")
        _mistakes(report)
    elif hasattr(report, "worst"):
        _captions(report)


def _restored(values: Mapping[str, Any]) -> Any:
    """Return the report of the kind that the values are of; None: of another kind."""
    if not isinstance(values, Mapping):
        raise TypeError(f"expected an object, got {type(values).__name__}")
    if "confusion" in values:
        from cnn_core.classification import Report

        report = Report.from_json({field.name: values[field.name] for field in fields(Report) if field.name in values})
        if report.n != sum(entry.n for entry in report.classes):
            raise ValueError(f"{report.n} items, but another number in the confusion matrix")
        return report
    if {"worst", "best"} <= values.keys():
        from image_captioning.report import Report as CaptionReport

        return CaptionReport.from_json(values)
    if "box_confusion" in values:
        from object_detection.metrics import Report as BoxReport

        return BoxReport.from_json(values)
    if {"goal", "figures"} <= values.keys():
        from medical_segmentation.evaluate import Report as ScanReport

        return ScanReport.from_json(values)
    return None


def _scans(report: Any) -> None:
    """Show the figures of each label, each with the number of scans that it is a mean of; nothing of nodules."""
    if not report.figures:
        return
    st.subheader(f"Each label, on {report.n:,} test scans", anchor=False)
    rows = [
        (
            f"{entry.label} ({entry.number})", f"{entry.n:,}", _of(entry.dice, entry.n_dice, 3),
            _of(entry.hd95_mm, entry.n_hd95, 1), f"{entry.missed} of {entry.n}", str(entry.invented),
            "none" if entry.absolute_error_ml is None else f"{entry.absolute_error_ml:.2f}",
        )
        for entry in report.figures[:CLASSES]
    ]  # fmt: skip
    table(LABEL_HEADS, rows, label="Figures of each label")
    note(
        "In brackets the scans that a mean is of: a label that is missed has a Dice of 0, and no distance at all. "
        "Volume errors are mean amounts."
    )
    if len(report.figures) > CLASSES:
        note(f"And {len(report.figures) - CLASSES} more labels: report.json in the folder of the run holds them all.")
    for line in report.cases_to_look_at:
        note(f"{line[0].upper()}{line[1:]}.")


def _of(value: float | None, n: int, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f} ({n})"


def _classes(report: Any) -> None:
    st.subheader(f"Each class, on {report.n:,} test items", anchor=False)
    rows = [
        (entry.label, f"{entry.n:,}", *(_figure(value) for value in (entry.precision, entry.recall, entry.f1)))
        for entry in report.classes[:CLASSES]
    ]
    table(HEADS, rows, label="Figures of each class")
    if len(report.labels) <= CLASSES:
        confusion(report.confusion, report.labels)
    else:
        note(f"And {more_classes(len(report.labels) - CLASSES)}: report.json in the folder of the run holds them all.")
    if pairs := report.confusions:
        note(
            "Most often mistaken: " + ", ".join(f"{a} for {b} ({n} of {_items(report, a)})" for a, b, n in pairs) + "."
        )


def _items(report: Any, label: str) -> str:
    return f"{next(entry.n for entry in report.classes if entry.label == label):,}"


def _mistakes(report: Any) -> None:
    if report.mistakes is None:
        note(LEFT_OUT)
        return
    wrong = report.n - sum(row[k] for k, row in enumerate(report.confusion))
    st.subheader(f"The surest of {wrong:,} mistakes", anchor=False)
    if not report.mistakes:
        note(f"It made none in {report.n:,} test items.")
        return
    rows = [(m.input, m.truth, m.answer, percent(m.probability)) for m in report.mistakes[:MISTAKES]]
    heads = (("Item", "words"), ("Truth", "short"), ("Prediction", "short"), ("Probability", "number"))
    table(heads, rows, label="The surest mistakes")


def _captions(report: Any) -> None:
    st.subheader(f"The worst captions of {report.n:,} test pictures", anchor=False)
    for line in report.lines[: 2 if report.known is not None else 0]:
        note(f"{line}.")
    if report.worst is None:
        note(LEFT_OUT)
        return
    rows = [
        (example.input, example.caption, " | ".join(example.references[:3]), f"{example.cider:.2f}")
        for example in report.worst[:MISTAKES]
    ]
    heads = (("Picture", "short"), ("Caption", "words"), ("People wrote", "words"), ("CIDEr-D", "number"))
    table(heads, rows, label="The worst captions")


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
