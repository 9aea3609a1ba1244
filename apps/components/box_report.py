"""What a detector's test says: precision and recall of every class, what was taken for what, and the worst pictures."""

from typing import Any

import streamlit as st

from components.charts import LineChart, show_charts
from components.frame import note
from components.matrix import confusion
from components.tables import table

CLASSES = 20  # in a table or a matrix; of more, the first ones
CURVES = 6
PICTURES = 12
HEADS = (
    ("Class", "short"), ("Boxes", "number"), ("AP50", "number"), ("AP", "number"), ("Precision", "number"),
    ("Recall", "number"),
)  # fmt: skip


def show_box_report(report: Any, *, key: str) -> None:
    """Show the report of a detector.

    Args:
        report: of `object_detection.metrics`.
        key: of the charts.
    """
    st.subheader(f"Each class, {report.boxes:,} boxes in {report.n:,} test pictures", anchor=False)
    rows = [
        (entry.label, f"{entry.n:,}", *map(_figure, (entry.ap50, entry.ap, entry.precision, entry.recall)))
        for entry in report.figures[:CLASSES]
    ]
    table(HEADS, rows, label="Figures of each class")
    note(
        f"AP50: mean precision over all recalls, a box counting from an IoU of 0.5 on; AP: the mean over 0.5 to 0.95. "
        f"Precision and recall are those of the boxes from a score of {report.threshold:.2f} on."
    )
    curves = {e.label: [(k / 100, v) for k, v in enumerate(e.curve)] for e in report.figures[:CURVES] if e.curve}
    show_charts(
        [LineChart("Precision at every recall (IoU 0.5)", curves, "recall", "precision", (0.0, 1.0), (0.0, 1.0))],
        key=f"curve-{key}",
    )
    if len(report.labels) < CLASSES:
        confusion(report.box_confusion, [*report.labels, "nothing"])
        note("The last row: boxes where people drew none. The last column: boxes that were not found.")
    if report.worst is None:
        note("The worst pictures are not there: they name the data, and were left out with the weights.")
    elif report.worst:
        st.subheader("The pictures with the most errors", anchor=False)
        rows = [(miss.input, str(miss.missed), str(miss.invented)) for miss in report.worst[:PICTURES]]
        table(
            (("Picture", "words"), ("Missed", "number"), ("Wrong or invented", "number")), rows, label="Worst pictures"
        )


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
