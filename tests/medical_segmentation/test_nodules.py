"""Nodules to classify: tables and pictures, sampling, calibration, training and answering."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError, ConfigError, DataError, UnknownNameError
from cnn_core.explain import explain
from cnn_core.train.config import override
from cnn_core.weights import load_card
from medical_segmentation import compare, evaluate_weights, explain_to_file, load, predict_items, train
from medical_segmentation.data import DATA_SETS
from medical_segmentation.evaluate import read_report
from medical_segmentation.nodule_predictor import NodulePredictor
from medical_segmentation.nodule_task import NoduleTask, calibrate, nodule_metrics, nodule_scores, probability
from medical_segmentation.nodules import NoduleContract, load_nodules, read_picture
from medical_segmentation.recipe import Recipe
from medical_segmentation.scan import read_scan

CONTRACT = NoduleContract(2, (12, 12), 0.0, 255.0, 0.1, 0.2)
SETTINGS = {"options": {"base_channels": 4}, "patch": [16, 16], "epochs": 4, "batch_size": 16, "patches": 2, "ema": 0.0,
            "learning_rate": 0.02, "device": "cpu"}  # fmt: skip


def write_slices(folder: Path, exams: int = 30) -> Path:
    """Write nodules: those of even exams are small or large by chance and dark, the others bright and malignant."""
    rows = []
    for exam in range(exams):
        rng = np.random.default_rng(exam)
        label, split = exam % 2, ("train", "train", "train", "val", "test")[exam // 2 % 5]
        for k in range(1 + exam % 3):
            radius = 3 + int(rng.integers(0, 4))
            x, y = np.mgrid[-32:32, -32:32]
            picture = ((x**2 + y**2 < radius**2) * (90 + 110 * label + rng.integers(0, 20))).astype(np.uint8)
            file = Path(split) / ("malignant" if label else "benign") / f"e{exam}_0_{k}.png"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / file)
            rows.append([str(file), f"e{exam}", "0", str(k), str(label), "3", str(2.0 * radius), split])
    with (folder / "index.csv").open("w", newline="") as stream:
        header = ["file", "exam_id", "nodule_id", "slice", "label", "malignancy", "diameter_mm", "split"]
        csv.writer(stream).writerows([header, *rows])
    return folder


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slices(tmp_path_factory.mktemp("slices"))


@pytest.fixture(scope="module")
def run_folder(slices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "nodules"
    train("nodule-malignancy", folder=folder, settings={**SETTINGS, "data": str(slices)})
    return folder


def test_pictures_belong_to_nodules_and_exams_to_one_split(slices: Path) -> None:
    sets = load_nodules(str(slices), CONTRACT, splits=("train", "val", "test"))
    assert {split: len(found) for split, found in sets.items()} == {"train": 18, "val": 6, "test": 6}
    train_set = sets["train"]
    assert len(train_set.pictures) == len(train_set.nodule) and train_set.pictures.shape[1:] == (1, 12, 12)
    place = train_set.names.index("e2_0")
    assert (train_set.nodule == place).sum() == 3 and train_set.targets[place] == 0
    radius = 3 + int(np.random.default_rng(2).integers(0, 4))  # of the first of its slices, as `write_slices` drew it
    assert train_set.sizes[place] == 2 * radius
    exams = [{*found.exams} for found in sets.values()]
    assert not exams[0] & exams[1] and not exams[0] & exams[2] and not exams[1] & exams[2]
    folds = [load_nodules(str(slices), CONTRACT, splits=("test",), fold=k)["test"].exams for k in range(5)]
    assert sorted(sum(folds, ())) == sorted(f"e{k}" for k in range(30))


def test_cubes_are_those_with_a_decided_rating(tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    lines = ["case,patient_index,split,class3,mask_voxels", "a,1,train,malignant,70", "b,2,train,indeterminate,80",
             "c,3,train,benign,90"]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    for name in "ac":
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "imagesTr" / f"{name}.nii.gz")
    contract = NoduleContract(3, (2, 2, 2), -1200.0, 400.0, 0.1, 0.2)
    found = load_nodules(str(tmp_path), contract, splits=("train",))["train"]
    assert (found.names, found.exams) == (("a", "c"), ("1", "3"))
    assert (found.targets.tolist(), found.sizes.tolist()) == ([1, 0], [70, 90])
    assert found.pictures.unique().tolist() == [round(255 * 1200 / 1600)]


def test_the_middle_is_cut_out() -> None:
    picture = np.arange(64 * 64).reshape(64, 64) % 256
    assert (CONTRACT.cut(picture)[0].numpy() == picture[26:38, 26:38]).all()
    small = np.full((4, 6), 255)
    assert CONTRACT.cut(small)[0].numpy().nonzero()[0].tolist() == [4] * 6 + [5] * 6 + [6] * 6 + [7] * 6


def test_bytes_stand_for_hounsfield_units() -> None:
    contract = NoduleContract(3, (2, 2, 2), -1200.0, 400.0, 0.1, 0.2)
    cube = np.array([-1200, -800, 0, 40, 400, -1000, -2000, 900]).reshape(2, 2, 2)
    back = contract.values(contract.cut(cube)[0].numpy()).ravel()
    assert back.dtype == np.int16 and np.abs(back - np.clip(cube.ravel(), -1200, 400)).max() <= 1600 / 255 / 2 + 0.5


@pytest.mark.parametrize(("line", "said"), [
    ("train/benign/e0_0_0.png,e0,0,9,1,3,6.0,train", "e0_0: its slices differ in label or split"),
    ("train/benign/e0_0_0.png,e0,1,0,0,3,6.0,val", r"in several are e0 \(train, val\); correct the table or give"),
    ("train/benign/e0_0_0.png,new,0,0,2,3,6.0,train", "new_0: expected the label 0 or 1"),
    ("train/benign/e0_0_0.png,new,0,0,1,3,wide,train", "and a diameter in mm"),
    ("../elsewhere.png,new,0,0,1,3,5,train", "new_0: a file is outside"),
    ("train/benign/e0_0_0.png,new,0,0,1", "and a diameter in mm"),
    ("train/benign/nobody.png,new,0,0,1,3,5,train", r"nobody\.png: there is no such file; expected a picture"),
])  # fmt: skip
def test_a_wrong_table_is_refused(tmp_path: Path, line: str, said: str) -> None:
    folder = write_slices(tmp_path, exams=20)
    with (folder / "index.csv").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError, match=said):
        load_nodules(str(folder), CONTRACT, splits=("train",))


def test_folds_are_made_of_whole_exams_whatever_the_split_of_the_table_is(tmp_path: Path) -> None:
    folder = write_slices(tmp_path, exams=20)
    with (folder / "index.csv").open("a") as stream:
        stream.write("train/benign/e0_0_0.png,e0,1,0,0,3,6.0,test\n")
    with pytest.raises(DataError, match=r"each exam must be in one split.*e0 \(test, train\)"):
        load_nodules(str(folder), CONTRACT, splits=("train",))
    names = [load_nodules(str(folder), CONTRACT, splits=("test",), fold=k)["test"].names for k in range(5)]
    assert [{"e0_0", "e0_1"} <= {*found} for found in names].count(True) == 1


def test_missing_tables_and_columns_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no index\.csv"):
        load_nodules(str(tmp_path), CONTRACT, splits=("train",))
    (tmp_path / "index.csv").write_text("file,label\na,1\n")
    with pytest.raises(DataError, match="exam_id, nodule_id, diameter_mm, split are missing"):
        load_nodules(str(tmp_path), CONTRACT, splits=("train",))
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="expected a picture"):
        read_picture(tmp_path / "a.png", 2)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_pictures_of_16_bits_keep_their_shades(tmp_path: Path, ending: str) -> None:
    Image.fromarray(np.array([[0, 1000], [2000, 4000]], np.uint16)).save(tmp_path / f"deep.{ending}")
    assert read_picture(tmp_path / f"deep.{ending}", 2).tolist() == [[0, 64], [128, 255]]
    Image.new("L", (5000, 2)).save(tmp_path / f"long.{ending}")
    with pytest.raises(DataError, match="expected a cut-out nodule of about 64 x 64"):
        read_picture(tmp_path / f"long.{ending}", 2)


def test_slices_in_one_file_are_refused(tmp_path: Path) -> None:
    pages = [Image.new("L", (9, 9), k) for k in range(4)]
    pages[0].save(tmp_path / "slices.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(
        DataError, match=r"slices\.tif: expected one slice a file, but the first of 4 pages alone is read"
    ):
        read_picture(tmp_path / "slices.tif", 2)


def test_every_nodule_is_drawn_as_often(slices: Path) -> None:
    settings = {**SETTINGS, "goal": "malignancy", "data": str(slices), "model": "resnet20", "patches": 3}
    task = NoduleTask(override(Recipe(), settings))
    task.build_data(torch.device("cpu"))
    batches = [*task.batches(EpochContext(0, torch.Generator().manual_seed(0)))]
    assert len(batches) == task.steps_per_epoch() == 4
    targets = torch.cat([y for _, y in batches])
    assert len(targets) == 3 * 18 and targets.sum() == 3 * 9


@pytest.mark.parametrize(("settings", "said"), [
    ({"dims": 3}, r"dims: the starting weights keep theirs, 2, got 3"),
    ({"patch": [40, 40]}, r"patch: the starting weights keep theirs, \(16, 16\), got \(40, 40\)"),
    ({"window": [-1000, 400]}, r"window: the starting weights keep theirs, \(0\.0, 255\.0\)"),
    ({"test": ["5"]}, r"test: is for segmentation, leave it out"),
])  # fmt: skip
def test_settings_that_starting_weights_decide_otherwise_are_refused(
    run_folder: Path, slices: Path, settings: dict, said: str
) -> None:
    asked = {"goal": "malignancy", "data": str(slices), "model": "resnet20", "weights": str(run_folder)}
    with pytest.raises(ConfigError, match=said):
        NoduleTask(override(Recipe(), {**asked, **settings})).build_data(torch.device("cpu"))


def test_calibration_makes_probabilities_true_and_keeps_the_order() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=4000) * 4
    truth = (rng.random(4000) < 1 / (1 + np.exp(-(0.5 * scores - 1)))).astype(int)
    slope, offset = calibrate(scores, truth)
    assert slope == pytest.approx(0.5, abs=0.1) and offset == pytest.approx(-1, abs=0.2)
    worst, _ = calibrate(-scores, truth)
    assert worst > 0


def test_the_size_alone_is_measured_beside() -> None:
    truth, scores = np.array([0, 0, 1, 1]), np.array([-2.0, -1, 1, 2])
    found = nodule_metrics(scores, probability(scores, CONTRACT), truth, np.array([1.0, 4, 3, 5]), ("1", "2", "3", "4"))
    assert found["auc"] == 1 and found["auc_size_alone"] == 0.75 and found["gain"] == 0.25
    assert found["accuracy"] == 1 and found["gain_low"] <= 0.25 <= found["gain_high"]
    assert probability(np.array([0.0]), CONTRACT)[0] == 0.5


def test_an_interval_draws_whole_exams_and_compares_within_groups() -> None:
    truth, scores, sizes = np.array([0, 0, 1, 1]), np.array([1.0, 4, 3, 5]), np.array([1.0, 2, 3, 4])
    probabilities = probability(scores, CONTRACT)
    found = nodule_metrics(scores, probabilities, truth, sizes, ["one"] * 4)  # the only draw there is
    assert [found[name] for name in ("auc", "auc_low", "auc_high")] == [0.75] * 3
    assert [found[name] for name in ("gain", "gain_low", "gain_high")] == [-0.25] * 3
    # Right within each of two groups, in whichever pairs are drawn; 4 of the first against 3 of the second is no pair.
    groups, truth = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1])
    found = nodule_metrics(np.array([4.0, 1, 3, 5]), probabilities, truth, sizes, ["a", "b", "b", "a"], groups=groups)
    assert [found[name] for name in ("auc", "auc_low", "auc_high")] == [1] * 3


class Corner(torch.nn.Module):
    """Says the first pixel, as "malignant"."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x[:, 0, 0, 0]
        return torch.stack([torch.zeros_like(first), first], dim=1)


def test_a_score_is_the_mean_over_pictures_and_their_mirror_images() -> None:
    contract = NoduleContract(2, (2, 2), 0.0, 255.0, 0.0, 1.0)
    pictures = torch.tensor([[0, 51, 102, 255], [255, 255, 255, 255], [51, 0, 0, 0]], dtype=torch.uint8)
    nodules = SimpleNamespace(pictures=pictures.view(3, 1, 2, 2), nodule=np.array([0, 0, 1]))
    cpu = torch.device("cpu")
    assert nodule_scores(Corner(), nodules, contract, cpu) == pytest.approx([(0 + 1) / 2, 0.2])
    mirrored = replace(contract, mirror=True)  # each corner once: (0 + 0.2 + 0.4 + 1) / 4
    assert nodule_scores(Corner(), nodules, mirrored, cpu) == pytest.approx([(0.4 + 1) / 2, 0.05])


def test_probabilities_are_calibrated_on_the_validation_split(run_folder: Path, slices: Path) -> None:
    predictor = load(run_folder, device="cpu")
    val = load_nodules(str(slices), predictor.contract, splits=("val",))["val"]
    fitted = calibrate(nodule_scores(predictor.model, val, predictor.contract, predictor.device), val.targets)
    assert (predictor.contract.slope, predictor.contract.offset) == pytest.approx(fitted, abs=1e-3)


def test_a_network_learns_to_judge_and_answers(run_folder: Path, slices: Path, tmp_path: Path) -> None:
    report = read_report(run_folder)
    assert report.goal == "malignancy" and report.n == 6 and report.metrics["auc"] > 0.85
    assert evaluate_weights(str(run_folder), device="cpu")["metrics"] == report.metrics
    nodule = tmp_path / "nodule"
    nodule.mkdir()
    for k, file in enumerate(sorted((slices / "test" / "malignant").glob("e29_*.png"))):  # three slices
        (nodule / f"{k}.png").write_bytes(file.read_bytes())
    one = slices / "test" / "benign" / "e8_0_0.png"
    items = [*predict_items(str(run_folder), [str(nodule), str(one), str(tmp_path / "none")], device="cpu")]
    assert items[0]["labels"][0] == "malignant" and items[1]["labels"][0] == "benign"
    assert sum(items[0]["probabilities"]) == pytest.approx(1) and "no such file" in items[2]["error"]
    reported = {row["case"]: row["probability"] for row in report.cases}
    scores = dict(zip(items[0]["labels"], items[0]["probabilities"], strict=True))
    assert scores["malignant"] == pytest.approx(reported["e29_0"], abs=1e-4)
    said = explain_to_file(str(run_folder), str(one), tmp_path / "why.png", device="cpu")
    assert "what speaks for malignant" in said and "grad-cam" in said and Image.open(tmp_path / "why.png").width >= 256
    with pytest.raises(UnknownNameError):
        explain_to_file(str(run_folder), str(one), tmp_path / "why.png", method="guess", device="cpu")
    with pytest.raises(CnnError, match=r"ends in \.png"):
        explain_to_file(str(run_folder), str(one), tmp_path / "why.html", device="cpu")


def warnings_of(predictor: NodulePredictor, cube: np.ndarray, affine: np.ndarray, folder: Path) -> list[str]:
    """Judge a cube and return the warnings of its item, which are on its line too."""
    nib.save(nib.Nifti1Image(cube, affine), folder / "cube.nii.gz")
    (answer,) = predictor.stream_inputs([str(folder / "cube.nii.gz")])
    item = answer.to_json()
    assert str(answer).split("; ")[1:] == "; ".join(item["warnings"]).split("; ") * bool(item["warnings"])
    return item["warnings"]


def test_a_whole_slice_is_judged_with_a_remark(run_folder: Path, tmp_path: Path) -> None:
    predictor = load(run_folder, device="cpu")  # sees 16 x 16 pixels
    for edge, remarks in ((32, 0), (33, 1)):
        Image.new("L", (edge, 20), 90).save(tmp_path / "slice.png")
        found = predictor.predict(tmp_path / "slice.png")
        (answer,) = predictor.stream_inputs([str(tmp_path / "slice.png")])
        assert len(found.warnings) == remarks and answer.to_json()["warnings"] == [*found.warnings]


def test_cubes_are_judged_in_3d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cubes"
    (folder / "imagesTr").mkdir(parents=True)
    lines = ["case,patient_index,split,class3,mask_voxels"]
    for k in range(12):
        label = ("benign", "malignant", "indeterminate")[k % 3]
        x, y, z = np.mgrid[-8:9, -8:9, -8:9]
        cube = np.where(x**2 + y**2 + z**2 < 16, 200 * (k % 3), -850).astype(np.int16)
        nib.save(nib.Nifti1Image(cube, np.eye(4)), folder / "imagesTr" / f"c{k}.nii.gz")
        lines.append(f"c{k},{k},{('train', 'val', 'test')[k // 3 % 3]},{label},{100 + k}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    settings = {**SETTINGS, "data": str(folder), "dims": 3, "window": [-1200, 400], "patch": [8, 8, 8], "epochs": 1}
    train("nodule-malignancy", folder=tmp_path / "run", settings=settings)
    predictor = load(tmp_path / "run", device="cpu")
    cube = np.full((16, 16, 16), -850, np.int16)
    cube[5:11, 5:11, 5:11] = 40
    assert warnings_of(predictor, cube, np.diag([0.8, 1.0, 1.2, 1.0]), tmp_path) == []
    said = warnings_of(predictor, np.pad(cube, 8, mode="edge"), np.diag([0.6, 0.6, 5.0, 1.0]), tmp_path)
    assert said == [
        "the network expects a cube cut out around a nodule and saw 8 x 8 x 8 voxels in the middle alone",
        "the network learned from voxels of 1 mm, these are 0.6 x 0.6 x 5 mm",
    ]
    noise = np.random.default_rng(0).integers(0, 900, (16, 16, 16)).astype(np.int16)
    (said,) = warnings_of(predictor, noise, np.eye(4), tmp_path)
    assert said.startswith("unlike the scans that the network learned from")
    (said,) = warnings_of(predictor, cube // 2, np.eye(4), tmp_path)
    assert said.startswith("not in Hounsfield units, it seems: air and lungs lie at about -425")
    scan = read_scan(tmp_path / "cube.nii.gz")
    monkeypatch.setattr("medical_segmentation.nodule_predictor.read_scan", lambda _: replace(scan, modality="MR"))
    said = "not a CT: the file says that it is MR; the network was trained on CT alone"
    assert said in predictor.predict(tmp_path / "cube.nii.gz").warnings
    monkeypatch.undo()
    assert 0 < predictor.predict(folder / "imagesTr" / "c0.nii.gz").probability < 1
    fine, last = (info.name for info in predictor.model.feature_info[-2:])  # 4 and 2 cells along an edge
    seen = [predictor.heat_of(folder / "imagesTr" / f"c{k}.nii.gz") for k in range(3)]
    x = predictor.contract.inputs(
        torch.from_numpy(np.stack([picture for picture, _, _ in seen]))[:, None].float() / 255
    )
    heats = {
        layer: explain(predictor.model, x, target=1, options={"layer": layer}).heat.numpy() for layer in (fine, last)
    }
    assert np.stack([heat for _, heat, _ in seen]) == pytest.approx(heats[fine], abs=1e-6)
    assert heats[fine] != pytest.approx(heats[last], abs=1e-6)
    said = explain_to_file(
        str(tmp_path / "run"), str(folder / "imagesTr" / "c1.nii.gz"), tmp_path / "why.png", device="cpu"
    )
    assert ", slice " in said
    assert DATA_SETS["nodule_slices"].how_to_get == "cnn data get nodule_slices"


def test_the_two_ways_see_nodules_alike(run_folder: Path, slices: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(run_folder, start)
    card = json.loads((start / "card.json").read_text())
    card["input"] |= {"high": 200.0}
    (start / "card.json").write_text(json.dumps(card))
    settings = {"epochs": 1, "batch_size": 16, "ema": 0.0, "device": "cpu"}
    rows = compare(str(start), str(slices), folder=tmp_path, settings=settings)
    seen = [load_card(tmp_path / row["mode"]).input for row in rows]
    assert [(entry["low"], entry["high"], entry["size"]) for entry in seen] == [(0.0, 200.0, [16, 16])] * 2
