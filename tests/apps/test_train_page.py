"""Every control of the train page, driven as a browser would drive it; the queue itself is tested with the core."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
import torch
from driving import checked, html, opened, warnings
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnn_core.data.paths import with_upload_of
from cnn_core.train.runs import QUEUE, find_run
from components.requests import example_csv
from jobs import queue
from jobs.commands import commands_of
from jobs.packing import pack_network


def open_page(**address: str) -> AppTest:
    return opened("train", **address)


def has(page: AppTest, key: str) -> bool:
    return key in [button.key for button in page.button]


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works on the queue: what is asked for waits."""
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: None)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_with_nothing_trained_the_quick_recipe_is_chosen(empty: Path):
    page = open_page()
    assert page.title[0].value == "Train a network"
    assert page.selectbox(key="recipe").value == "digits"
    assert "about twenty seconds" in html(page)
    assert not page.button(key="train-go").disabled
    assert not (empty / "runs").exists()


def test_a_click_queues_a_run_with_the_settings_and_it_can_leave_the_queue(empty: Path):
    page = open_page()
    page.number_input(key="train-epochs-digits").set_value(3)
    page.number_input(key="train-seed-digits").set_value(7)
    checked(page.button(key="train-go").click().run())
    entry = json.loads((empty / "runs" / QUEUE / "digits.json").read_text())
    assert entry["command"] == "cnn train digits --epochs 3 --seed 7 --validation"
    assert (entry["recipe"]["loop"]["epochs"], entry["recipe"]["loop"]["seed"]) == (3, 7)
    assert page.selectbox(key="run").value == "digits"
    assert "Waiting for its turn" in html(page)
    checked(page.button(key="train-go").click().run())
    assert page.selectbox(key="run").value == "digits-2"  # no run is written over
    assert "1 before it" in html(page)
    checked(page.button(key="stop-digits-2").click().run())
    again = open_page(run="digits-2")  # another session sees the same
    assert "Stopped" in html(again)
    checked(again.button(key="resume-digits-2").click().run())
    assert "Waiting for its turn" in html(again)


def test_wrong_settings_and_names_are_sentences_and_leave_nothing(empty: Path):
    page = open_page()
    page.number_input(key="train-rate-digits").set_value(0.0)
    checked(page.button(key="train-go").click().run())
    assert "expected a number greater than 0, got 0" in warnings(page)[0]
    page.number_input(key="train-rate-digits").set_value(0.01)
    page.text_input(key="train-name-digits").set_value("../../etc")
    checked(page.button(key="train-go").click().run())
    assert "Expected a name" in warnings(page)[0]
    assert not list(empty.glob("runs/*"))


def test_own_data_lie_in_the_run_folder(empty: Path):
    page = open_page(recipe="docstrings")
    checked(page.segmented_control(key="train-way-docstrings").set_value("Your own").run())
    assert page.button(key="train-go").disabled
    page.file_uploader(key="train-file-text_classification").upload("../mine.csv", example_csv().encode(), "text/csv")
    checked(page.run())
    checked(page.button(key="train-go").click().run())
    entry = json.loads((empty / "runs" / QUEUE / "docstrings.json").read_text())
    place = Path(entry["recipe"]["data"]["data"])
    assert place == Path("mine.csv")  # no place on the server, in the settings as in the card
    assert (empty / "runs" / "docstrings" / "upload" / "mine.csv").read_text() == example_csv()
    assert entry["command"] == "cnn train docstrings --data mine.csv"
    assert page.code[-1].value.splitlines()[-1] == "cnn predict runs/docstrings 'a text of yours'"


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return buffer.getvalue()


def test_own_scans_are_unpacked_into_the_run_folder_and_can_be_trained_on(empty: Path):
    from cnn_core.train.config import override
    from medical_segmentation.domain import Recipe
    from medical_segmentation.phantom import write_phantoms
    from medical_segmentation.task import SegmentationTask

    write_phantoms(empty / "chests", {"train": 2, "val": 1, "test": 1})
    page = open_page(recipe="phantom")
    checked(page.segmented_control(key="train-way-phantom").set_value("Your own").run())
    upload = page.file_uploader(key="train-file-medical_segmentation")
    upload.upload("chests.zip", zipped(empty / "chests"), "application/zip")
    checked(page.run())
    checked(page.button(key="train-go").click().run())
    assert not warnings(page)
    entry = json.loads((empty / "runs" / QUEUE / "phantom.json").read_text())
    assert entry["recipe"]["data"]["data"] == "chests.zip"
    folder = empty / "runs" / "phantom"
    assert (folder / "upload" / "chests.zip" / "dataset.json").is_file()
    assert sorted(file.name for file in folder.iterdir()) == ["job.json", "upload"]
    task = SegmentationTask(override(Recipe(), {"data": "chests.zip", "patch": [32, 32, 16]}))
    with with_upload_of(folder):
        task.build_data(torch.device("cpu"))
    assert {split: len(names) for split, names in task.set.splits.items() if split in ("train", "val", "test")} == {
        "train": 2, "val": 1, "test": 1,
    }  # fmt: skip


def test_own_captions_are_unpacked_too(empty: Path):
    from image_captioning.data import load_sets

    album = empty / "album"
    album.mkdir()
    for i in range(10):
        Image.new("RGB", (40, 30), (20 * i, 60, 90)).save(album / f"{i}.png")
    rows = "".join(f"{i}.png,a picture of number {i}\n" for i in range(10))
    (album / "captions.csv").write_text(f"image,caption\n{rows}")
    page = open_page(recipe="scenes")
    checked(page.segmented_control(key="train-way-scenes").set_value("Your own").run())
    page.file_uploader(key="train-file-image_captioning").upload("album.zip", zipped(album), "application/zip")
    checked(page.run())
    checked(page.button(key="train-go").click().run())
    assert json.loads((empty / "runs" / QUEUE / "scenes.json").read_text())["recipe"]["data"]["data"] == "album.zip"
    with with_upload_of(empty / "runs" / "scenes"):
        assert len(load_sets("album.zip", splits=("train",), size=(32, 32))["train"].captions) > 0
    kept = [file for file in (empty / "runs" / "scenes" / "upload" / "features").iterdir() if file.suffix == ".npy"]
    assert len(kept) == 1  # the decoded pictures lie with the upload, and go with it


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + bytes(30)])
def test_a_bad_archive_is_a_sentence_and_leaves_nothing(empty: Path, data: bytes):
    page = open_page(recipe="phantom")
    checked(page.segmented_control(key="train-way-phantom").set_value("Your own").run())
    page.file_uploader(key="train-file-medical_segmentation").upload("mine.zip", data, "application/zip")
    checked(page.run())
    assert page.button(key="train-go").disabled
    (said,) = warnings(page)
    assert said.startswith("mine.zip") and str(empty) not in said
    assert not list(empty.glob("runs/phantom*"))


def test_every_recipe_can_be_chosen(empty: Path):
    page = open_page()
    for recipe in ("sst2", "phantom", "cifar10"):
        checked(page.selectbox(key="recipe").set_value(recipe).run())
        assert page.number_input(key=f"train-epochs-{recipe}").value >= 1
        assert not warnings(page)
    assert page.query_params["recipe"] in ("cifar10", ["cifar10"])


@pytest.mark.usefixtures("in_workplace")
def test_runs_of_the_command_line_are_there_with_score_and_downloads():
    page = open_page(run="tiny-shapes")
    assert page.selectbox(key="run").value == "tiny-shapes"
    text = html(page)
    assert re.search(r"Accuracy of tiny-shapes.*?0\.\d{4}", text, re.DOTALL)
    assert all(name in text for name in ("tiny-digits", "tiny-shapes", "tiny-requests", "Finished"))
    assert not has(page, "stop-tiny-shapes")
    assert not has(page, "resume-tiny-shapes")
    assert len(page.multiselect(key="train-compare").value) == 2
    packed = pack_network(Path("runs/tiny-shapes"), "tiny")
    assert b"tiny/model-" in packed
    checked(page.multiselect(key="train-compare").set_value(["tiny-digits", "tiny-shapes", "tiny-requests"]).run())
    assert page.query_params["compare"] in ("tiny-digits,tiny-shapes,tiny-requests",
                                            ["tiny-digits,tiny-shapes,tiny-requests"])  # fmt: skip


def test_a_run_of_the_command_line_that_broke_off_can_be_resumed(empty: Path):
    from cnn_core.train.config import to_table
    from image_classification.domain import Recipe

    folder = empty / "runs" / "broken"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps(to_table(Recipe())))
    (folder / "status.json").write_text(json.dumps({"state": "running", "epoch": 2, "epochs": 9, "pid": 2**22 + 1}))
    page = open_page(run="broken")
    checked(page.button(key="resume-broken").click().run())
    assert "does not say how it was started" in warnings(page)[0]
    status = {"state": "running", "epoch": 2, "epochs": 9, "pid": 2**22 + 1, "name": "own", "command": "cnn train own"}
    (folder / "status.json").write_text(json.dumps(status))
    page = open_page(run="broken")
    assert "2 of 9 epochs done" in html(page)
    checked(page.button(key="resume-broken").click().run())
    entry = json.loads((empty / "runs" / QUEUE / "broken.json").read_text())
    assert (entry["domain"], entry["name"], entry["resume"]) == ("image_classification", "own", True)


@pytest.mark.parametrize(("name", "status", "expected"), [
    ("sst2", {"name": "sst2", "command": "cnn train sst2 --epochs 2"},
     ["cnn train sst2 --epochs 2 --run runs/sst2 --resume", "cnn predict runs/sst2 'a text of yours'"]),
    ("a b", {"name": "mine", "command": "cnn train lung-ct --data hers.zip"},
     ["cnn train lung-ct --data hers.zip --name mine --run 'runs/a b' --resume",
      "cnn predict 'runs/a b' scan.nii.gz"]),
    ("many/seed1", {"name": "mnist", "command": "cnn train mnist --seeds 0 1"},
     ["cnn train mnist --seeds 0 1 --run runs/many --resume", "cnn predict runs/many/seed1 picture.png"]),
    ("python", {"name": "custom", "command": "image_classification.train(recipe) in Python"},
     ["cnn predict runs/python picture.png"]),
    ("damaged", {"command": "cnn train 'mnist"}, ["cnn predict runs/damaged picture.png"]),
    ("no-data", {"name": "mnist", "command": "cnn train mnist"},
     ["cnn train mnist --run runs/no-data --resume", "cnn predict runs/no-data picture.png"]),
])  # fmt: skip
def test_what_to_type_goes_on_with_the_run_as_it_was_begun(empty: Path, name: str, status: dict, expected: list[str]):
    folder = empty / "runs" / name
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({"state": "running", "epoch": 1, "epochs": 2, **status}))
    (folder / "recipe.json").write_text(json.dumps({"data": "x" if name == "no-data" else {"data": "/srv/scans"}}))
    assert commands_of(find_run(Path("runs"), name)) == expected
    assert "\n".join(expected) in [block.value for block in open_page(run=name).code]


def test_a_failed_run_says_why(empty: Path):
    folder = empty / "runs" / "failed"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"error": "unknown data set 'x'; did you mean <b>y</b>?"}))
    page = open_page(run="failed")
    assert warnings(page) == ["Unknown data set 'x'; did you mean \\<b>y\\</b>?"]


@pytest.mark.parametrize(("name", "place", "error", "said"), [
    ("my data.csv", "upload/my data.csv", "{}: too few texts", "my data.csv\\: too few texts."),
    ("chests.zip", "upload/chests.zip", "{}: no dataset.json", "chests.zip\\: no dataset.json."),
    ("chests.zip", "last.pt", "could not write {}", "Could not write failed/last.pt."),
])  # fmt: skip
def test_a_failed_run_calls_an_upload_by_its_own_name(empty: Path, name: str, place: str, error: str, said: str):
    folder = empty / "runs" / "failed"
    folder.mkdir(parents=True)
    entry = {"command": f"cnn train x --data '{name}'", "recipe": {"data": {"data": name}}}
    (folder / "job.json").write_text(json.dumps({**entry, "error": error.format(folder / place)}))
    assert warnings(open_page(run="failed")) == [said]
    (folder / "job.json").write_text(json.dumps({**entry, "error": "/srv/chests: no dataset.json"}))
    assert warnings(open_page(run="failed")) == ["/srv/chests\\: no dataset.json."]


@pytest.mark.parametrize("asked", ["../../etc", "nothing", "", "/etc/passwd"])
def test_an_unknown_run_in_the_address_falls_back(empty: Path, asked: str):
    folder = empty / "runs" / "here"
    folder.mkdir(parents=True)
    (folder / "log.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
    page = open_page(run=asked)
    assert page.selectbox(key="run").value == "here"
    assert find_run(empty / "runs", asked) is None
