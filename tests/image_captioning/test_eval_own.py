"""Measuring on an album: the run's own test pictures wherever they turn up, everything of any other album."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_captions import TINY, write_photos

from cnn_core.errors import DataError
from cnn_core.weights.reports import read_report
from image_captioning import DOMAIN, evaluate_weights, train
from image_captioning.predict import UNLIKE, load
from image_captioning.report import Report


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "album"
    folder.mkdir()
    write_photos(folder, 30)
    return folder


@pytest.fixture(scope="module")
def run(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "album"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNN_DATA_DIR", str(folder.parent / "data"))
        train("scenes", folder=folder, settings={**TINY, "data": str(album), "size": 32, "batch_size": 8})
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))


def test_a_picture_unlike_those_learned_from_is_said_to_be_so(run: Path) -> None:
    predictor = load(run, device="cpu")
    least = predictor.contract.familiar_from
    assert least is not None and 0 < least <= 1 and predictor.model.references is not None
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    predictor.contract = replace(predictor.contract, familiar_from=0.0)
    assert predictor.predict([noise])[0].known
    predictor.contract = replace(predictor.contract, familiar_from=1.01)
    (found,) = predictor.predict([noise])
    assert not found.known and found.warnings[0] == UNLIKE and found.to_json()["warnings"] == found.warnings
    assert str(found).endswith("; ".join(found.warnings))


def table(folder: Path) -> list[list[str]]:
    with (folder / "captions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def write(folder: Path, rows: list[list[str]]) -> None:
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def test_the_training_data_are_known_again_however_they_changed(album: Path, run: Path, tmp_path: Path) -> None:
    wanted = evaluate_weights(str(run), device="cpu")
    assert (wanted["split"], wanted["n"], wanted["of"]) == ("test", 3, 30)
    assert wanted["metrics"] == read_report(run, Report.from_json, limit=1 << 20).metrics
    other = shutil.copytree(album, tmp_path / "elsewhere")
    head, *rows = table(other)
    write(other, [head, *reversed(rows)])
    again = evaluate_weights(str(run), data=str(other), device="cpu")
    assert (again["split"], again["n"], again["metrics"]) == ("test", 3, pytest.approx(wanted["metrics"]))
    renamed = [[f"x{name}", caption] for name, caption in rows]
    for name in {name for name, _ in rows}:
        (other / name).rename(other / f"x{name}")
    Image.new("RGB", (30, 30), (9, 99, 9)).save(other / "new.png")
    write(other, [head, ["new.png", "a green picture"], *renamed])
    grown = evaluate_weights(str(run), data=str(other), device="cpu")
    assert (grown["n"], grown["of"], grown["metrics"]) == (3, 31, pytest.approx(wanted["metrics"]))
    said = " ".join(grown["summary"]["sentences"])
    assert "of 31 pictures the 3 of the test split are measured" in said and "1 pictures were not there" in said


def test_another_album_is_measured_whole_and_copies_in_it_are_counted(album: Path, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_photos(other, 8)
    for i in range(8):  # other pictures than the album's
        Image.open(other / f"{i}.png").rotate(90).save(other / f"{i}.png")
    answer = evaluate_weights(str(run), data=str(other), device="cpu")
    assert (answer["split"], answer["n"], answer["of"]) == ("all", 8, 8) and "unseen" not in answer
    for i in range(6):
        shutil.copy(album / f"{i}.png", other / f"copy{i}.png")
    write(other, [*table(other), *[[f"copy{i}.png", "a picture that was there"] for i in range(6)]])
    answer = evaluate_weights(str(run), data=str(other), device="cpu")
    assert (answer["n"], answer["of"]) == (14, 14) and answer["unseen"].keys() == answer["metrics"].keys()
    assert "of 14 pictures are copies of what these weights learned from" in answer["summary"]["sentences"][-1]


def test_a_test_split_alone_is_measured(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_photos(other, 5)
    for i in range(5):
        Image.open(other / f"{i}.png").rotate(90).save(other / f"{i}.png")
    head, *rows = table(other)
    write(other, [[*head, "split"], *[[*row, "test"] for row in rows]])
    for split in (None, "test"):
        assert evaluate_weights(str(run), data=str(other), split=split, device="cpu")["n"] == 5
    with pytest.raises(DataError, match="no picture of the val split to measure"):
        evaluate_weights(str(run), data=str(other), split="val", device="cpu")


def test_columns_are_remembered_by_the_run(album: Path, tmp_path: Path) -> None:
    own = shutil.copytree(album, tmp_path / "own")
    head, *rows = table(own)
    write(own, [[*head, "note"], *[[*row, f"note {i % 3}"] for i, row in enumerate(rows)]])
    settings = {**TINY, "data": str(own), "size": 32, "batch_size": 8, "caption_column": "note", "epochs": 1}
    train("scenes", folder=tmp_path / "run", settings=settings)
    answer = evaluate_weights(str(tmp_path / "run"), device="cpu")
    assert answer["n"] == 3 and "of 2.0 words on average" in answer["summary"]["read"][0]
    answer = evaluate_weights(str(tmp_path / "run"), data=str(album), device="cpu")  # without that column
    assert answer["n"] == 3 and "of 2.0 words" not in answer["summary"]["read"][0]


def test_summary_and_report_of_a_run(album: Path, run: Path) -> None:
    summary = DOMAIN.summarise("scenes", {"data": str(album), "size": 32})
    assert summary.splits == {"train": 24, "val": 3, "test": 3}
    assert summary.sentences[0] == "30 pictures." and "60 captions, 2 per picture" in summary.read[0]
    report = read_report(run, Report.from_json, limit=1 << 20)
    assert report.lines[0].endswith("for 3 pictures") and "in the vocabulary" in report.lines[1]
    assert report.lines[2].startswith("CIDEr-D ") and "people wrote" in report.lines[2]


def test_long_captions_are_said(album: Path) -> None:
    (warning,) = DOMAIN.summarise("scenes", {"data": str(album), "size": 32, "longest": 3}).warnings
    assert "training captions have more than 3 words" in warning and "--longest" in warning
