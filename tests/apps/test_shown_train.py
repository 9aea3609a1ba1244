"""What the train page shows is what lies in the run folders: curves, figures, the table of all runs."""

import json
from pathlib import Path

import pytest
from driving import charts, html, opened, sent, table

from cnn_core.weights import load_card

LOSS, ACCURACY = "Loss on the training set", "Accuracy on what was kept aside"
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


def points(*pairs: tuple[float, float]) -> list:
    """Points as exactly as a chart is drawn."""
    return [tuple(pytest.approx(number, abs=0.02) for number in pair) for pair in pairs]


@pytest.mark.usefixtures("runs")
def test_the_curves_are_those_of_the_logs():
    page = opened("train", run="first", compare="first,second")
    chosen, compared = (charts(markup) for markup in sent(page, "lines"))
    first = {LOSS: points((1, 2), (2, 1.5), (3, 0.75)), ACCURACY: points((1, 0.25), (2, 0.5), (3, 0.625))}
    second = {LOSS: points((1, 1.75), (2, 0.5)), ACCURACY: points((1, 0.125), (2, 0.875))}
    assert chosen == {title: {"": line} for title, line in first.items()}
    assert compared == {title: {"first": first[title], "second": second[title]} for title in first}


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
