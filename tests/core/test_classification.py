"""Answers and reports of classifiers, against numbers worked by hand."""

import json

import pytest
import torch

from cnn_core.classification import Mistake, Prediction, Refusals, Report, calibrate, class_index, measure_classes
from cnn_core.errors import CnnError, DataError, UnknownNameError


def measured(probabilities: list[list[float]], targets: list[int], known: list[bool] | None = None) -> Report:
    fields = measure_classes(
        torch.tensor(probabilities), torch.tensor(targets), labels=["a", "b", "c"], item_name="item {}".format,
        source="the set", known=None if known is None else torch.tensor(known),
    )  # fmt: skip
    return Report(**fields)


def test_a_report_by_hand() -> None:
    report = measured([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.2, 0.6]], [0, 1, 0, 2])
    assert (report.n, report.metrics["accuracy"]) == (4, 0.5)
    # a: 1 right, 2 answered, 2 true; b: none right; c: 1 right, 2 answered, 1 true
    assert report.metrics["macro_f1"] == pytest.approx((2 / 4 + 0 + 2 / 3) / 3)
    assert report.confusion == [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    mistakes = [(m.index, m.input, m.truth, m.answer) for m in report.mistakes]
    assert mistakes == [(2, "item 2", "a", "c"), (1, "item 1", "b", "a")]  # the more probable one first
    assert [m.probability for m in report.mistakes] == pytest.approx([0.7, 0.5])
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_what_a_threshold_costs_and_saves_by_hand() -> None:
    rows, targets = [[0.8, 0.1, 0.1]] * 5, [0, 0, 0, 1, 2]
    report = measured(rows, targets, [True, True, False, False, True])
    assert report.refusals == Refusals(right=3, kept=2, wrong=2, refused=1)
    assert report.lines[-1] == (
        'kept of 3 right answers: 2 (66.7%); refused as "none of these" of 2 wrong ones: 1 (50.0%)'
    )
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert measured(rows, targets).refusals is None and "refused" not in " ".join(measured(rows, targets).lines)
    assert str(measured(rows[:1], [0], [True]).refusals).endswith("of 0 wrong ones: -")
    before = {key: value for key, value in report.to_json().items() if key != "refusals"}  # a report of before
    assert Report.from_json(before).refusals is None


def test_a_report_without_its_examples_is_read_again() -> None:
    report = Report(1, {"accuracy": 1.0}, ["a"], [[1]], None)
    assert Report.from_json(report.to_json()) == report
    kept = Report(1, {}, ["a"], [[1]], [Mistake(0, "x", "a", "b", 0.5)])
    assert Report.from_json(kept.to_json()).mistakes == kept.mistakes


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(DataError, match="the set holds nothing to measure on"):
        measure_classes(
            torch.empty(0, 2), torch.empty(0, dtype=torch.int64), labels="ab", item_name=str, source="the set"
        )
    with pytest.raises(DataError, match="the set has 2 classes, the network knows 3"):
        measure_classes(torch.ones(1, 3), torch.tensor([0]), labels="ab", item_name=str, source="the set")


def test_a_prediction_as_text_and_as_json() -> None:
    answer = Prediction("in", ["a", "b"], [0.75, 0.25])
    assert str(answer) == "in: a 75.0%, b 25.0%"
    assert answer.to_json() == {"input": "in", "labels": ["a", "b"], "probabilities": [0.75, 0.25]}
    noted = Prediction("in", ["a"], [1.0], note="cut", warnings=("small", "dark"))
    assert str(noted) == "in: a 100.0%; small; dark"
    assert noted.to_json()["note"] == "cut" and noted.to_json()["warnings"] == ["small", "dark"]
    failed = Prediction("in", error="no picture")
    assert (str(failed), failed.to_json()) == ("in: no picture", {"input": "in", "error": "no picture"})


def test_classes_by_number_and_by_label() -> None:
    assert [class_index(target, ["a", "b"]) for target in (None, 0, 1, "b")] == [None, 0, 1, 1]
    with pytest.raises(UnknownNameError, match="did you mean cat"):
        class_index("cta", ["cat", "dog"])
    for target in (-1, 2):
        with pytest.raises(CnnError, match=r"in 0\.\.1"):
            class_index(target, ["a", "b"])


def test_the_figures_of_each_class_by_hand() -> None:
    report = Report(10, {}, ["a", "b", "c"], [[4, 1, 0], [2, 3, 0], [0, 0, 0]], [])
    a, b, c = report.classes
    assert (a.label, a.n, a.precision, a.recall) == ("a", 5, 4 / 6, 4 / 5)
    assert a.f1 == pytest.approx(2 * (4 / 6) * (4 / 5) / (4 / 6 + 4 / 5))
    assert (b.n, b.precision, b.recall) == (5, 3 / 4, 3 / 5)
    assert (c.n, c.precision, c.recall, c.f1) == (0, None, None, None)
    assert report.confusions == [("b", "a", 2), ("a", "b", 1)]
    assert report.lines == [
        "   items  precision  recall     F1",
        "a      5      0.667   0.800  0.727",
        "b      5      0.750   0.600  0.667",
        "c      0          -       -      -",
        "most often mistaken: b for a (2), a for b (1)",
    ]


def test_calibration_by_hand() -> None:
    # Answers with 0.9 (right), 0.9 (wrong), 0.6 (right): |0.9 - 1/2| * 2/3 + |0.6 - 1| * 1/3
    found = calibrate(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]), torch.tensor([0, 1, 1]))
    assert found.error == pytest.approx(0.4 * 2 / 3 + 0.4 / 3, abs=1e-6)
    assert [entry for entry in found.bins if entry[0]] == [(1, 0.6, 1.0), (2, 0.9, 0.5)]
    assert len(found.bins) == 15
    sure = calibrate(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert (sure.error, sure.bins[-1]) == (0.0, (1, 1.0, 1.0))
    report = Report(1, {}, ["a"], [[1]], [], sure)
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
