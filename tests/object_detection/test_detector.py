"""From pictures with boxes to a run that predicts, explains and is measured; drawn streets and official layouts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_boxes import SIZE, as_coco, as_voc, squares
from PIL import Image

from cnn_core.cli import main
from cnn_core.errors import CnnError, ConfigError, DataError, WeightsError
from object_detection import DATA_SETS, load, streets, train
from object_detection.data import load_sets
from object_detection.domain import evaluate_weights
from object_detection.explain import covered
from object_detection.predict import Detection, Predictor
from object_detection.streets import LABELS, street_scenes
from object_detection.tables import read_boxes

TINY = {
    "model": "fastnet", "options": {"widths": [8, 16], "stem_stride": 2}, "pretrained": "none", "strides": [4, 8],
    "channels": 16, "depth": 1, "height": 64, "width": 96, "batch_size": 4, "store": "float32", "ema": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_coco(tmp_path_factory.mktemp("own"), squares(36))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "squares"
    settings = {**TINY, "data": str(data), "epochs": 14, "learning_rate": 0.01, "eval_every": 7}
    train("my-boxes", folder=folder, settings=settings)
    return folder


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return load(run, device="cpu")


def test_squares_are_found_where_they_were_drawn(predictor: Predictor, run: Path) -> None:
    metrics = predictor.card.metrics
    assert metrics["map50"]["mean"] > 0.8, metrics
    measured = evaluate_weights(str(run), device="cpu")
    assert measured["metrics"] == pytest.approx({name: m["mean"] for name, m in metrics.items()}, abs=1e-5)
    assert measured["split"] == "test" and measured["n"] < measured["of"] == 36
    assert predictor.contract.threshold != 0.4  # chosen on the validation split


def test_a_picture_of_another_size_gets_boxes_in_its_own_pixels(predictor: Predictor) -> None:
    """Four times as large, every box is found again, with a score that may fall a little on the way back."""
    picture, small = next((p, f) for p, b in squares(36) if len((f := predictor.predict(p)[0]).boxes) == len(b) == 2)
    enlarged = picture.resize((4 * SIZE[0], 4 * SIZE[1]), Image.Resampling.NEAREST)
    large = predictor.predict(enlarged, threshold=0.5 * min(box.score for box in small.boxes))[0]
    assert large.size == (384, 256)
    for a in small.boxes:
        alike = [b.box for b in large.boxes if b.label == a.label]
        assert min(np.abs(np.multiply(a.box, 4) - b).max() for b in alike) <= 6, (a, large.boxes)


def test_a_batch_is_answered_as_one_by_one_and_the_unreadable_is_said(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    pictures = [picture for picture, _ in squares(5)]
    answers = predictor.predict([*pictures, tmp_path / "bad.png"])
    assert "not a picture" in answers[-1].error
    for picture, answer in zip(pictures, answers, strict=False):
        alone = predictor.predict(picture)[0]
        assert np.allclose([b.box for b in alone.boxes], [b.box for b in answer.boxes], atol=1e-2)
    lower = predictor.predict(pictures[0], threshold=0.05)[0]
    assert lower.above(predictor.contract.threshold).boxes == predictor.predict(pictures[0])[0].boxes
    with pytest.raises(CnnError, match="threshold: expected a score from 0 to 1, got 2"):
        predictor.predict(pictures, threshold=2)


def test_the_frames_that_are_not_looked_at_are_said(predictor: Predictor, tmp_path: Path) -> None:
    frames = [picture for picture, _ in squares(3)]
    for name, shown in (("moves.png", frames), ("empty.png", [Image.new("RGB", (96, 64)), *frames])):
        shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:])
    found, nothing = predictor.predict([tmp_path / "moves.png", tmp_path / "empty.png"])
    assert "first of 3 frames" in str(found) and "first of 4 frames" in str(nothing)
    assert not nothing.boxes and len(found.boxes) == len(predictor.predict(frames[0])[0].boxes)
    again = Detection.from_json(found.to_json())
    assert again.warnings == found.warnings == found.above(0.9).warnings
    assert "warnings" not in predictor.predict(frames[0])[0].to_json()
    assert "first of 3 frames" in predictor.explain(tmp_path / "moves.png").save(tmp_path / "why.png")


def test_the_pixels_of_a_box_explain_it_and_covering_them_removes_it(predictor: Predictor, tmp_path: Path) -> None:
    picture, _ = next((p, b) for p, b in squares(36) if len(b) == 2 and len(predictor.predict(p)[0].boxes) == 2)
    for number, box in enumerate(predictor.predict(picture)[0].boxes):
        found = predictor.explain(picture, target=number)
        left, top, right, bottom = (round(value) for value in box.box)
        inside = found.heat[top:bottom, left:right].mean()
        assert inside > 3 * found.heat.mean(), (inside, found.heat.mean())
        assert covered(predictor, picture, box.box, box=box) < 0.5 * box.score
        elsewhere = (0, 0, 40, 64) if left > 48 else (56, 0, 96, 64)
        assert covered(predictor, picture, elsewhere, box=box) > 0.7 * box.score
        assert box.label in found.save(tmp_path / "why.png") and Image.open(tmp_path / "why.png").size == SIZE
    with pytest.raises(CnnError, match="the number of a box, 0 to 1, got 7"):
        predictor.explain(picture, target=7)
    with pytest.raises(DataError, match="nothing was found in it"):
        predictor.explain(Image.new("RGB", SIZE))
    with pytest.raises(CnnError, match="region: expected left, top, right, bottom inside the picture"):
        covered(predictor, picture, (200, 0, 300, 20), box=predictor.predict(picture)[0].boxes[0])


def test_of_many_boxes_alike_the_heat_lies_in_the_one_that_is_explained() -> None:
    picture = Path(__file__).parents[2] / "apps" / "assets" / "samples" / "bccd-1.jpg"
    cells = load("bccd", device="cpu")
    boxes = cells.predict(picture)[0].boxes
    assert len(boxes) > 10
    for number, box in enumerate(boxes[:4]):
        heat = cells.explain(picture, target=number).heat
        left, top, right, bottom = (round(max(0.0, value)) for value in box.box)
        assert heat[top:bottom, left:right].mean() > 3 * heat.mean(), (number, box)


def test_the_command_answers_a_folder_and_writes_files_that_can_be_read_again(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), str(data / "pictures"), "--json", "--output", str(tmp_path)]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert len(items) == 36 and {"input", "size", "threshold", "counts", "boxes"} <= items[0].keys()
    table = {Path(record.picture).name: record for record in read_boxes(tmp_path / "boxes.csv")}
    coco = json.loads((tmp_path / "boxes.coco.json").read_text())
    assert len(table) == len(coco["images"]) == 36
    assert sum(len(r.boxes) for r in table.values()) == len(coco["annotations"]) == sum(len(i["boxes"]) for i in items)
    first = next(item for item in items if item["boxes"])
    assert table[Path(first["input"]).name].boxes[0] == tuple(first["boxes"][0]["box"])
    assert main(["explain", str(run), str(data / "pictures" / "01.png"), "--output", str(tmp_path / "why.png")]) == 0
    assert main(["eval", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]["map50"] > 0.8


def test_one_epoch_and_a_resume_are_two_epochs(data: Path, tmp_path: Path) -> None:
    settings = {**TINY, "data": str(data), "epochs": 2, "scale": 0.2, "shift": 4, "light": 0.1, "flip": "all"}
    whole = train("my-boxes", folder=tmp_path / "whole", settings=settings)
    stop = {"observe": lambda p: p.metrics is None or p.epoch > 1}
    train("my-boxes", folder=tmp_path / "parts", settings=settings, **stop)
    rest = train("my-boxes", folder=tmp_path / "parts", settings=settings, resume=True)
    assert whole.card.sha256 == rest.card.sha256


def test_streets_are_drawn_with_exact_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [*street_scenes("test", 6)]
    for (picture, things), (same, _) in zip(street_scenes("test", 6), again, strict=True):
        assert np.array_equal(np.asarray(picture), np.asarray(same))
        assert picture.size == (320, 192) and {label for label, _ in things} <= {*LABELS}
        assert all(0 <= a < c <= 320 and 0 <= b < d <= 192 for _, (a, b, c, d) in things)
    assert not np.array_equal(np.asarray(again[0][0]), np.asarray(next(iter(street_scenes("train", 1)))[0]))
    red = [  # the plate of a stop sign is red, whatever the light
        np.asarray(picture)[round(b + 0.2 * (d - b)), round((a + c) / 2)]
        for picture, things in again for label, (a, b, c, d) in things if label == "stop sign"
    ]  # fmt: skip
    assert red and all(int(r) > 1.6 * max(int(g), int(b)) for r, g, b in red)
    monkeypatch.setattr(streets, "COUNTS", {"train": 3, "val": 2, "test": 2})
    sets, summary = load_sets("streets", splits=("train", "test"))
    assert len(sets["train"]) == 3 and summary.splits == {"train": 3, "test": 2}


def test_official_bccd_is_read_and_counted(tmp_path: Path) -> None:
    folder = as_voc(tmp_path / "BCCD", squares(6))
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, names in (("train", "000 001 002"), ("val", "003"), ("test", "004 005")):
        (lists / f"{part}.txt").write_text("\n".join(name[1:] for name in names.split()))
    for file in (folder / "Annotations").iterdir():
        file.write_text(file.read_text().replace("blue", "WBC").replace("red", "RBC"))
    for file in (folder / "JPEGImages").iterdir():
        Image.open(file).save(file.with_suffix(".jpg"))
    sets, summary = load_sets("bccd", splits=("train+val", "test"), data_root=tmp_path)
    assert (len(sets["train+val"]), len(sets["test"])) == (4, 2)
    assert sets["test"].labels == ("Platelets", "RBC", "WBC") and "official split" in " ".join(summary.sentences)
    assert DATA_SETS["bccd"].count(folder) == "3 + 1 + 2 pictures"
    with pytest.raises(DataError, match=r"the data set bccd is not there: .*set CNN_DATA_DIR"):
        load_sets("bccd", splits=("test",), data_root=tmp_path / "elsewhere")


def test_wrong_settings_are_refused_before_a_training(data: Path, tmp_path: Path) -> None:
    for settings, words in (
        ({"height": 100}, "multiples of the largest stride"),
        ({"pretrained": "imagenet"}, "there are ImageNet weights of efficientnet_lite0 alone, not of fastnet"),
        ({"elastic": 2.0}, "boxes do not follow elastic changes"),
        ({"strides": [3]}, "strides: expected the first to be one of the network's, 2, 4, 8, got 3"),
    ):
        fitting = {"height": 66, "width": 96} if "strides" in settings else {}
        with pytest.raises((CnnError, ConfigError), match=words):
            train("my-boxes", folder=tmp_path / words[:5], settings={**TINY, "data": str(data), **fitting, **settings})


def test_a_card_that_does_not_fit_is_refused(run: Path, tmp_path: Path) -> None:
    for file in run.glob("model-*.safetensors"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = json.loads((run / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({**card, "input": {**card["input"], "size": [64, 95]}}))
    with pytest.raises(WeightsError, match="multiples of the largest stride"):
        load(tmp_path, device="cpu")
    options = {**card["arguments"]["options"], "channels": 24}
    (tmp_path / "card.json").write_text(json.dumps({**card, "arguments": {**card["arguments"], "options": options}}))
    with pytest.raises(WeightsError, match="do not fit"):
        load(tmp_path, device="cpu")


def test_a_picture_of_one_pixel_or_all_black_is_answered(predictor: Predictor) -> None:
    for picture in (Image.new("L", (1, 1)), Image.new("RGB", (2000, 3)), torch.zeros(3, 64, 96)):
        answer = predictor.predict(picture)[0]
        assert answer.error is None and answer.boxes == []
