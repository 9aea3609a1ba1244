"""The text page on what a network learned: its filters and mistakes, and own classes learned on the page."""

import io
import json
import shutil
import zipfile
from html import unescape
from pathlib import Path

import pytest
from driving import asked_for, checked, html, learn, warnings
from streamlit.testing.v1 import AppTest
from text_driving import OWN, open_page, write

from components.networks import RUNS, card_in, networks
from components.requests import example_csv
from jobs.packing import pack_network
from text_classification import DOMAIN

pytestmark = pytest.mark.usefixtures("in_workplace")


# What the filters look for


@pytest.mark.parametrize("name", ["sst2", "trec", "ag-news", OWN])
def test_filters_matrix_and_mistakes_are_those_of_the_report(name: str):
    page = open_page(None, weights=name, view="What the filters look for")
    report = json.loads((networks("text_classification")[name].folder / "report.json").read_text("utf-8"))
    shown = html(page)
    assert f"of {report['n']:,} texts." in shown
    assert shown.count("<section>") == min(12, len([e for e in report["ngrams"] if e["label"] == report_first(report)]))
    cells = [row.count("<td ") for row in shown.split('class="confusion"')[1].split("</table>")[0].split("<tr>")[2:]]
    assert cells == [len(report["labels"])] * len(report["labels"])


def report_first(report: dict) -> str:
    """The first class that some filter speaks for."""
    speaking = {entry["label"] for entry in report["ngrams"] if entry["ngrams"]}
    return next(label for label in report["labels"] if label in speaking)


def test_the_filters_of_another_class_can_be_seen_and_all_of_them():
    page = open_page(None, weights="sst2", view="What the filters look for")
    before = html(page)
    checked(page.pills(key="class").set_value("positive").run())
    assert html(page) != before
    assert page.query_params["class"] == "positive"
    checked(page.toggle(key="all-filters").set_value(True).run())
    assert html(page).count("<section>") > 12


def test_weights_without_a_report_say_so(in_workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = in_workplace / "runs" / "tiny-requests"
    shutil.copytree(run, tmp_path / "runs" / "bare", ignore=shutil.ignore_patterns("report.json"))
    monkeypatch.chdir(tmp_path)
    page = open_page(None, weights="runs/bare", view="What the filters look for")
    assert "No report lies beside" in html(page)


# Your own classes


@pytest.fixture
def own_classes(waiting_room) -> AppTest:
    """The tab for own classes."""
    return open_page(view="Your own classes")


def upload(page: AppTest, data: bytes, name: str = "own.csv") -> AppTest:
    return checked(page.file_uploader(key="teach-table").upload(name, data, "text/csv").run())


def test_the_button_needs_a_table(own_classes: AppTest):
    assert own_classes.button(key="teach-go").disabled
    upload(own_classes, example_csv().encode())
    assert not own_classes.button(key="teach-go").disabled
    assert "texts in 3 classes: light" in html(own_classes)
    assert "columns separated by commas, with a header" in html(own_classes)


def test_the_page_says_of_a_table_what_the_command_says(own_classes: AppTest, tmp_path: Path):
    rows = "".join(f"{'xy'[i % 2]},text {i % 25}\n" for i in range(50)) + "x,\nX,one\n"
    upload(own_classes, ("label,text\n" + rows).encode())
    (tmp_path / "own.csv").write_text("label,text\n" + rows)
    settings = {"data": str(tmp_path / "own.csv"), "text_column": "text", "label_column": "label"}
    said = DOMAIN.summarise("my-texts", settings).sentences
    assert len(said) > 5
    shown = unescape(html(own_classes))
    assert [sentence for sentence in said if sentence not in shown] == []


def test_own_classes_are_learned_from_the_queue_and_tried_at_once(own_classes: AppTest):
    page = own_classes
    upload(page, b"id," + example_csv().replace("\n", "\n7,").encode()[:-2])
    assert page.selectbox(key="teach-text-own.csv").value == "text"
    assert page.selectbox(key="teach-label-own.csv").value == "label"
    page.slider(key="teach-epochs").set_value(3)
    checked(page.button(key="teach-go").click().run())
    assert "Waiting for its turn" in html(page)
    assert "Try it" not in [heading.value for heading in page.subheader]
    assert asked_for("my-texts")["command"].endswith("--label-column label --epochs 3 --data own.csv")
    learn("my-texts")
    checked(page.run())
    assert f"{card_in(RUNS / 'my-texts').metrics['accuracy']['mean']:.4f}" in html(page)
    assert "runs/my-texts" in page.pills(key="weights").options
    write(page, "play some jazz", key="try")
    assert html(page).split('<p class="word">')[2].startswith("music")


def test_a_network_can_start_from_what_another_knows(own_classes: AppTest):
    page = own_classes
    checked(page.selectbox(key="teach-start").set_value(OWN).run())
    page.slider(key="teach-epochs").set_value(1)
    checked(page.button(key="teach-example").click().run())
    learn("my-texts")
    assert card_in(RUNS / "my-texts").metrics["accuracy"]["mean"] == 1  # it knew the requests already


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"text,label\n", "no rows"),
        (b"text\na\nb\n", "one column"),
        (b"text,label\na,x\nb,x\n", "two classes"),
        (b"text,label\n,\n,\n", "text and a label"),
        (b"text,label\na,\nb,\n", "text and a label"),
    ],
    ids=["empty", "header only", "one column", "one class", "empty cells", "no labels"],
)
def test_a_table_that_nothing_can_be_learned_from_is_a_sentence(own_classes: AppTest, data: bytes, reason: str):
    upload(own_classes, data)
    (said,) = warnings(own_classes)
    assert said.startswith("own.csv")
    assert reason in said
    assert own_classes.button(key="teach-go").disabled
    assert not own_classes.button(key="teach-example").disabled


def test_the_download_holds_what_predicts_and_explains(in_workplace: Path):
    with zipfile.ZipFile(io.BytesIO(pack_network(in_workplace / "runs" / "tiny-requests", "my-texts"))) as archive:
        assert {"my-texts/card.json", "my-texts/report.json"} <= set(archive.namelist())
