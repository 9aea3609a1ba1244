"""What one visitor can do and see of another's runs where the pages are served to others: attacks, and what is said."""

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import checked, html, opened, warnings
from streamlit import config
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from cnn_core.processes import process_start
from cnn_core.train.runs import QUEUE
from cnn_core.weights import load_card
from components.owner import SHARED
from components.requests import example_csv
from jobs import queue
from jobs.packing import pack_network
from text_classification.report import read_report
from views.train_parts import begin

ANNA, BEN = ({"owner-id": letter * 43} for letter in "AB")
SECRET = "hers-1a2b3c"


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works on the queue: what is asked for waits."""
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: None)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The pages are served to all that reach this machine, from an empty folder."""
    monkeypatch.chdir(tmp_path)
    before = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")
    yield tmp_path
    config.set_option("server.address", before)


def owner_of(session: dict[str, str]) -> str:
    return hashlib.sha256(session["owner-id"].encode()).hexdigest()


@pytest.fixture
def hers(served: Path, workplace: Path) -> Path:
    """Anna's finished run, with a network for texts, and one of the command line."""
    folder = served / "runs" / SECRET
    shutil.copytree(workplace / "runs" / "tiny-requests", folder)
    (folder / "job.json").write_text(json.dumps({"owner": owner_of(ANNA), "name": "tiny-requests"}))
    shutil.copytree(workplace / "runs" / "tiny-digits", served / "runs" / "typed")
    return folder


def everything(page: AppTest) -> str:
    """All that was sent to the browser."""
    return "\n".join(str(element.proto) for element in page.main)


def forge(page: AppTest, key: str, value: str) -> None:
    """Send what the browser was not offered."""
    field = page.selectbox(key=key)
    state = field._widget_state
    state.string_value = value
    checked(page._run(WidgetStates(widgets=[state])))


def keys(page: AppTest) -> set[str]:
    return {button.key for button in page.button}


def test_runs_are_listed_and_opened_by_their_owner_alone(hers: Path):
    own = opened("train", ANNA)
    assert own.selectbox(key="run").options == [SECRET]
    assert f"delete-{SECRET}" in keys(own)
    for page in (opened("train", BEN), opened("train", BEN, run=SECRET, compare=f"{SECRET},typed"), opened("train")):
        assert "Nothing has been trained here yet" in html(page)
        assert SECRET not in everything(page) and "typed" not in everything(page)
        assert not keys(page) & {f"delete-{SECRET}", f"resume-{SECRET}", f"stop-{SECRET}"}


def test_the_runs_of_others_are_listed_beside_none_of_ones_own(hers: Path):
    page = opened("train", BEN, run=SECRET)
    checked(page.button(key="train-go").click().run())
    (shown,) = page.selectbox(key="run").options
    assert shown.startswith("digits-")
    assert SECRET not in everything(page)
    forge(page, "run", SECRET)
    assert page.selectbox(key="run").value == shown and SECRET not in everything(page)


def test_a_training_takes_no_data_that_were_not_offered(hers: Path):
    page = opened("train", BEN, recipe="docstrings")
    checked(page.segmented_control(key="train-way-docstrings").set_value("Another set").run())
    forge(page, "train-set-text_classification", f"runs/{SECRET}/upload/reviews.csv")
    checked(page.button(key="train-go").click().run())
    assert not [file for file in hers.parent.glob(f"{QUEUE}/*.json") if SECRET in file.read_text()]


@pytest.mark.parametrize(("view", "weights"), [("text", SECRET), ("image", "typed")])
def test_networks_of_others_are_not_offered(hers: Path, view: str, weights: str):
    page = opened(view, BEN, weights=f"runs/{weights}")
    assert page.session_state["weights"] != f"runs/{weights}"
    assert weights not in everything(page)
    if weights == SECRET:
        assert opened(view, ANNA, weights=f"runs/{weights}").session_state["weights"] == f"runs/{weights}"


def test_other_pages_do_not_speak_of_them(hers: Path):
    model = load_card(hers).model
    assert "requests.csv" in everything(opened("models", ANNA, model=model))
    assert "requests.csv" not in everything(opened("models", BEN, model=model))


def test_with_shared_runs_all_are_seen_and_only_the_owner_changes_them(hers: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["showcase.py", SHARED])
    page = opened("train", BEN, run=SECRET)
    assert page.selectbox(key="run").value == SECRET
    assert len(page.selectbox(key="run").options) == 2
    assert not keys(page) & {f"delete-{SECRET}", "delete-typed"}
    for name, state in (
        ("stopped", {"state": "stopped"}),
        ("running", {"pid": os.getpid(), "mark": process_start(os.getpid())}),
    ):
        (hers.parent / name).mkdir()
        (hers.parent / name / "job.json").write_text(json.dumps({"owner": owner_of(ANNA), **state}))
        assert not keys(opened("train", BEN, run=name)) & {f"{do}-{name}" for do in ("stop", "resume", "delete")}
        assert keys(opened("train", ANNA, run=name)) & {f"{do}-{name}" for do in ("stop", "resume")}
    assert f"examples-{SECRET}" not in [box.key for box in page.checkbox]  # nor are her texts to take away
    assert "no n-grams of the texts" in html(page)
    assert opened("text", BEN, weights=f"runs/{SECRET}").session_state["weights"] == f"runs/{SECRET}"


def test_a_page_that_goes_on_looking_at_a_run_sees_it_as_long_as_it_may(hers: Path):
    def look(name: str) -> None:
        import streamlit as st

        from views.train_parts.watch import run_called

        st.text(run_called(name) is not None)

    for session, seen in ((ANNA, "True"), (BEN, "False")):
        page = AppTest.from_function(look, args=(SECRET,))
        page.session_state["owner-id"] = session["owner-id"]
        assert page.run().text[0].value == seen


def test_a_run_that_says_nothing_of_its_owner_is_nobodys(hers: Path):
    for junk in ("{", "[]", '{"owner": ""}', '{"owner": null}', '{"owner": ["x"]}'):
        (hers / "job.json").write_text(junk)
        for visitor in (ANNA, BEN):
            assert SECRET not in everything(opened("train", visitor, run=SECRET))


def test_delete_asks_first_and_leaves_nothing(hers: Path):
    (hers / "upload").mkdir()
    (hers / "upload" / "mine.csv").write_text("secret")
    page = opened("train", ANNA, run=SECRET)
    assert hers.is_dir()  # the button is inside a fold that says what goes
    assert f"{SECRET} is deleted with its upload, curves and weights. This cannot be undone." in html(page)
    checked(page.button(key=f"delete-{SECRET}").click().run())
    assert "Nothing has been trained here yet" in html(page)
    assert [*(hers.parent).glob("*")] == [hers.parent / "typed"]
    assert [*(hers.parent).glob(".*/*")] == []


def test_a_download_that_was_offered_before_a_deletion_serves_nobody_elses_run(hers: Path):
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "streamlit.elements.widgets.button.marshall_file",
            lambda _where, data, proto, *_, **__: kept.append(data) or setattr(proto, "url", ""),
        )
        opened("train", ANNA, run=SECRET)
    offered = [data for data in kept if callable(data)]
    assert len(offered) == 2 and all(data() for data in offered)
    (hers / "job.json").write_text(json.dumps({"owner": owner_of(BEN)}))  # deleted, and begun anew by somebody else
    for data in offered:
        with pytest.raises(Exception, match="not there any more"):
            data()


def test_weights_quote_no_texts_unless_their_owner_says_so(hers: Path):
    report = read_report(hers)
    quoted = {ngram for entry in report.ngrams for ngram, _ in entry.ngrams if " " in ngram}
    assert len(quoted) >= 5
    with zipfile.ZipFile(io.BytesIO(pack_network(hers, "own"))) as archive:
        packed = {name: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()}
        archive.extractall(hers.parent.parent / "away")
    assert not [ngram for ngram in quoted if any(json.dumps(ngram) in text for text in packed.values())]
    page = opened("train", ANNA, run=SECRET)
    assert "holds the figures of the test, and no n-grams of the texts or the surest mistakes" in html(page)
    assert "words of its vocabulary, one by one, are part of the network" in html(page)
    checked(page.checkbox(key=f"examples-{SECRET}").check().run())
    assert "holds the figures" not in html(page)
    with zipfile.ZipFile(io.BytesIO(pack_network(hers, "own", examples=True))) as archive:
        assert json.loads(archive.read("own/report.json")) == json.loads((hers / "report.json").read_text())
    # what was taken away still answers, and its page says what is missing
    away = hers.parent / "away"
    (hers.parent.parent / "away" / "own").rename(away)
    (away / "job.json").write_text(json.dumps({"owner": owner_of(ANNA)}))
    page = opened("text", ANNA, weights="runs/away", view="What the filters look for")
    assert html(page).count("Left out when these weights were taken away") == 2
    assert read_report(away).confusion == report.confusion


def own_table(page: AppTest, text: str = "") -> AppTest:
    checked(page.segmented_control(key="train-way-docstrings").set_value("Your own").run())
    said = html(page)
    assert "At most 50 MB" in said and "removed when its training has finished" in said  # before the upload
    table = (text or example_csv()).encode()
    page.file_uploader(key="train-file-text_classification").upload("reviews.csv", table, "text/csv")
    return checked(page.run())


def test_limits_are_said_before_the_upload_and_kept(served: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(begin, "MOST_WAITING", 3)
    monkeypatch.setattr(begin, "MOST_UPLOADS", 2)
    page = own_table(opened("train", ANNA, recipe="docstrings"))
    assert "You can have 30 runs here; 3 can wait, and 2 hold an upload. Other visitors do not see it." in html(page)
    for _ in range(2):
        checked(page.button(key="train-go").click().run())
        assert not warnings(page)
    checked(page.button(key="train-go").click().run())
    assert warnings(page) == ["2 of your runs hold an upload; delete some of them."]
    checked(page.segmented_control(key="train-way-docstrings").set_value("The recipe’s own").run())
    checked(page.button(key="train-go").click().run())
    assert not warnings(page)
    checked(page.button(key="train-go").click().run())
    assert warnings(page) == ["3 of your runs are waiting already; stop some of them, or wait."]
    assert len([*served.glob("runs/[!.]*")]) == 3  # what is refused leaves no folder
    other = own_table(opened("train", BEN, recipe="docstrings"))
    checked(other.button(key="train-go").click().run())
    assert not warnings(other)  # limits are each visitor's own
    monkeypatch.setattr(begin, "MOST_RUNS", 1)
    checked(other.button(key="train-go").click().run())
    assert warnings(other) == ["1 of your runs are kept; delete some of them."]


def test_nothing_is_limited_on_this_machine(served: Path, monkeypatch: pytest.MonkeyPatch):
    config.set_option("server.address", "localhost")
    monkeypatch.setattr(begin, "MOST_WAITING", 1)
    page = own_table(opened("train", ANNA, recipe="docstrings"))
    assert "can wait" not in html(page) and "Other visitors" not in html(page)
    for _ in range(3):
        checked(page.button(key="train-go").click().run())
    assert not warnings(page)
    assert opened("train", BEN).selectbox(key="run").value == "docstrings-3"  # one person's machine: all are seen


def test_the_owner_can_keep_the_upload(served: Path):
    page = own_table(opened("train", ANNA, recipe="docstrings"))
    checked(page.checkbox(key="train-keep-text_classification").check().run())
    checked(page.button(key="train-go").click().run())
    (entry,) = (json.loads(file.read_text()) for file in (served / "runs" / QUEUE).glob("*.json"))
    assert entry["keep_upload"] is True and entry["owner"] == owner_of(ANNA)
    assert ANNA["owner-id"] not in json.dumps(entry)
    assert str(served) not in json.dumps(entry)
