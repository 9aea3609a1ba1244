"""Reports without what they quote of the data."""

import json

import pytest

from cnn_core.errors import DataError
from jobs.packing import without_examples


def test_figures_stay_and_everything_else_becomes_null() -> None:
    report = {"n": 2, "metrics": {"accuracy": 0.5}, "labels": ["a", "b"], "confusion": [[1, 1], [0, 0]],
              "mistakes": [{"text": "secret"}], "ngrams": ["secret"], "of another version": "secret"}  # fmt: skip
    kept = without_examples(json.dumps(report))
    assert "secret" not in kept
    left_out = {"mistakes": None, "ngrams": None, "of another version": None}
    assert json.loads(kept) == {**report, **left_out}


@pytest.mark.parametrize("report", ["", "[1]", "{", "[" * 99_999])
def test_a_damaged_report_is_not_passed_on(report: str) -> None:
    with pytest.raises(DataError, match=r"report\.json cannot be read"):
        without_examples(report)
