"""What the train page shows is what lies in the run folders: curves, figures, the table of all runs."""

import json
from pathlib import Path

import pytest
from driving import charts, html, opened, table

from cnn_core.weights import load_card

LOSS, ACCURACY = "Training loss", "Validation accuracy"
LOGS = {
    "first": "epoch,loss,val_accuracy\n1,2.0,0.25\n2,1.5,0.5\n3,0.75,0.625\n",
    "second": "epoch,loss,val_accuracy\n1,1.75,0.125\n2,0.5,0.875\n",
}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of two runs that were stopped, with logs worked by hand."""
    monkeypatch.chdir(tmp_path)
    for name, log in LOGS.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "log.csv").write_text(log)
        epochs = len(log.splitlines()) - 1
        (folder / "status.json").write_text(json.dumps({"state": "stopped", "epoch": epochs, "epochs": 4}))
    return tmp_path / "runs"


@pytest.mark.usefixtures("runs")
def test_the_curves_are_those_of_the_logs():
    page = opened("train", run="first", compare="first,second")
    first = {LOSS: [(1, 2), (2, 1.5), (3, 0.75)], ACCURACY: [(1, 0.25), (2, 0.5), (3, 0.625)]}
    second = {LOSS: [(1, 1.75), (2, 0.5)], ACCURACY: [(1, 0.125), (2, 0.875)]}
    assert [(one.title, one.lines) for one in charts(page)] == [
        *((title, {"first": line}) for title, line in first.items()),
        *((title, {"first": line, "second": second[title]}) for title, line in first.items()),
    ]


@pytest.mark.usefixtures("runs")
def test_the_table_says_how_far_every_run_is():
    rows = {row[0]: row[1:6] for row in table(opened("train", run="first"), "All runs")}
    assert rows == {
        "first": ["Stopped", "3 of 4", "0.7500", "0.6250 accuracy", ""],
        "second": ["Stopped", "2 of 4", "0.5000", "0.8750 accuracy", ""],
    }
    assert "3 of 4 epochs done" in html(opened("train", run="first"))


@pytest.mark.usefixtures("in_workplace")
def test_a_finished_run_shows_the_score_of_its_card():
    page = opened("train", run="tiny-shapes")
    card = load_card(Path("runs/tiny-shapes"))
    accuracy = card.metrics["accuracy"]
    assert f'<p class="word">{accuracy["mean"]:.4f}</p>' in html(page)
    assert f"on {accuracy['n']} items of the test set" in html(page)
    (row,) = [row for row in table(page, "All runs") if row[0] == "tiny-shapes"]
    assert row[5] == f"{accuracy['mean']:.4f} accuracy"
