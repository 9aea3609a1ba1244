"""What a finished run's test says on the train page: of every class, confusions, calibration, the worst answers."""

import json
from html import unescape
from pathlib import Path

import pytest
from driving import html, opened, warnings

from cnn_core.classification import Calibration, Mistake, Report
from cnn_core.weights.reports import write_report
from image_captioning.report import Example
from image_captioning.report import Report as CaptionReport
from medical_segmentation.evaluate import CaseRow, summarise
from medical_segmentation.metrics import LabelScores


def run_with(folder: Path, report: object) -> None:
    folder.mkdir(parents=True)
    (folder / "log.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
    (folder / "status.json").write_text(json.dumps({"state": "done", "epoch": 2, "epochs": 2}))
    write_report(report, folder)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def titles(page: object) -> list[str]:
    return [part.value for part in page.subheader]


def test_every_class_has_its_figures_and_of_how_many(empty: Path):
    bins = [(0, 0.0, 0.0)] * 14 + [(10, 0.95, 0.7)]
    mistakes = [Mistake(3, "<i>a.png</i>", "cat", "dog", 0.97)]
    report = Report(10, {"accuracy": 0.7}, ["cat", "dog"], [[5, 3], [0, 2]], mistakes, Calibration(0.25, bins))
    run_with(empty / "runs" / "pets", report)
    page = opened("train", run="pets")
    assert not warnings(page)
    assert titles(page) == ["Each class, on 10 test items", "The surest of 3 mistakes"]
    said = html(page)
    # cat: precision 5 of 5, recall 5 of 8, F1 2 * 5 / (8 + 5); dog: 2 of 5, 2 of 2, 4 / 7
    for row in (("cat", "8", "1.000", "0.625", "0.769"), ("dog", "2", "0.400", "1.000", "0.571")):
        cells = "".join(
            f'<td class="{kind}">{cell}</td>' for cell, kind in zip(row, ["short", *["number"] * 4], strict=True)
        )
        assert cells in said
    assert 'title="3 of 8 “cat” predicted as “dog” (37.5 %)"' in said
    assert "Most often mistaken: cat for dog (3 of 8)." in said
    assert "Calibration error 0.2500 on 10 items" in said
    assert "&lt;i&gt;a.png&lt;/i&gt;" in said and "97.0 %" in said  # nobody's file name is markup


def test_of_many_classes_the_first_are_shown(empty: Path):
    eye = [[int(i == j) for j in range(30)] for i in range(30)]
    run_with(empty / "runs" / "many", Report(30, {"accuracy": 1.0}, [f"c{i:02}" for i in range(30)], eye, []))
    page = opened("train", run="many")
    said = html(page)
    assert "c19" in said and "c20" not in said and "And 10 more classes" in said
    assert "It made none in 30 test items." in said and "Most often" not in said


def test_the_worst_captions_stand_beside_what_people_wrote(empty: Path):
    worst = [Example("a.jpg", "a cat", ["a dog", "a brown dog"], 0.12)]
    run_with(empty / "runs" / "album", CaptionReport(12, {"bleu4": 0.1}, worst, [], 7, 0.925))
    said = unescape(html(page := opened("train", run="album")))
    assert titles(page) == ["The worst captions of 12 test pictures"]
    assert "7 different captions for 12 pictures." in said
    assert "92.5% of the words that people wrote are in the vocabulary." in said
    assert all(text in said for text in ("a.jpg", "a cat", "a dog | a brown dog", "0.12"))


def test_a_report_without_examples_says_so(empty: Path):
    report = Report(2, {"accuracy": 0.5}, ["a", "b"], [[1, 1], [0, 0]], None)
    run_with(empty / "runs" / "taken", report)
    assert "The worst answers are not there" in html(opened("train", run="taken"))


@pytest.mark.parametrize("text", ["{", "[1]", '{"confusion": 1}', '{"worst": 1, "best": 2}'])
def test_a_damaged_report_is_a_sentence(empty: Path, text: str):
    run_with(empty / "runs" / "bad", Report(2, {"accuracy": 0.5}, ["a", "b"], [[1, 1], [0, 0]], None))
    (empty / "runs" / "bad" / "report.json").write_text(text)
    (said,) = warnings(opened("train", run="bad"))
    assert "report.json cannot be read" in said


@pytest.mark.usefixtures("in_workplace")
@pytest.mark.parametrize("run", ["tiny-shapes", "tiny-requests"])
def test_runs_of_pictures_and_of_texts_have_all_of_it(run: str):
    page = opened("train", run=run)
    n = json.loads((Path("runs") / run / "report.json").read_text())["n"]
    assert titles(page)[0] == f"Each class, on {n:,} test items" and "Calibration error" in html(page)
    assert not warnings(page)


def test_every_label_of_scans_has_its_own_number_of_scans(empty: Path):
    row = LabelScores(0.5, 3.0, 0.25, 10.0, 12.0)
    missed, nothing = LabelScores(0.0, None, 0.0, 0.0, 8.0), LabelScores(None, None, None, 0.0, 0.0)
    rows = [CaseRow("<b>one</b>", {"lung": row}), CaseRow("two", {"lung": missed}), CaseRow("three", {"lung": nothing})]
    run_with(empty / "runs" / "scans", summarise(rows, {"lung": 6}))
    said = html(page := opened("train", run="scans"))
    assert titles(page) == ["Each label, on 3 test scans"] and not warnings(page)
    cells = ("lung (6)", "2", "0.250 (2)", "3.0 (1)", "1 of 2", "0", "5.00")
    kinds = ["short", *["number"] * 6]
    assert "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in zip(cells, kinds, strict=True)) in said
    assert "Missed wholly: lung in two." in said
    assert "&lt;b&gt;one&lt;/b&gt; 0.500" in said
