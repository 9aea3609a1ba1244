"""Training and answering end to end, on small phantoms: run folder, resume, fine-tuning, masks, the command."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from made_sets import write_set

from cnn_core.errors import CnnError, ConfigError, DataError, WeightsError
from cnn_core.train.config import override
from cnn_core.train.runs import read_rows
from cnn_core.weights import load_card
from medical_segmentation import Predictor, compare, evaluate_weights, load, predict_items, read_mask, read_scan, train
from medical_segmentation.contract import VolumeContract
from medical_segmentation.data import load_set
from medical_segmentation.domain import DOMAIN
from medical_segmentation.evaluate import read_report
from medical_segmentation.metrics import mean_dice
from medical_segmentation.phantom import LABELS, write_phantoms
from medical_segmentation.recipe import Recipe
from medical_segmentation.task import SegmentationTask
from medical_segmentation.windows import StoppedError

SMALL = {
    "patch": [32, 24, 16],
    "options": {"widths": [8, 16], "stem_stride": 2, "strided": True},  # learns in a few seconds
    "learning_rate": 0.02,
    "batch_size": 3,
    "patches": 9,
    "epochs": 12,
    "eval_every": 12,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "phantoms"
    write_phantoms(folder, {"train": 4, "val": 1, "test": 2})
    return folder


@pytest.fixture(scope="module")
def run_folder(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    train("phantom", folder=folder, settings={**SMALL, "data": str(phantoms)})
    return folder


@pytest.fixture(scope="module")
def predictor(run_folder: Path) -> Predictor:
    return load(run_folder, device="cpu")


@pytest.fixture(scope="module")
def scan_file(phantoms: Path) -> Path:
    return phantoms / "imagesTr" / "phantom_005.nii.gz"  # of the test split, its axes run to the left and back


# ---- training


def test_two_processes_train_like_one(phantoms: Path, tmp_path: Path) -> None:
    """Dice is no mean over patches: it has to be that of both processes' patches together.

    In float32 a ReLU of this network flips at the last digit, and the gradient of its deepest layers with it by 1 %,
    against float64 too: hence small steps, and few.
    """
    changed = {"data": str(phantoms), "batch_size": 3, "patches": 2, "epochs": 1, "eval_every": 1}
    changed |= {"learning_rate": 2e-3, "precision": "32-true"}
    settings = {name: value for name, value in {**SMALL, **changed}.items() if name != "options"}
    train("phantom", folder=tmp_path / "one", settings=settings)
    words = [str(word) for name, value in {**settings, "devices": 2}.items()
             for word in (f"--{name.replace('_', '-')}", *(value if isinstance(value, list) else [value]))]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "cnn_core.cli", "train", "phantom", *words, "--run", str(tmp_path / "two")],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warning" not in done.stderr
    one, two = ([row["loss"] for row in read_rows(tmp_path / name / "log.csv")] for name in ("one", "two"))
    assert len(one) == 1 and two == pytest.approx(one, abs=1e-3)
    assert done.stdout.count("weights and card:") == 1
    assert read_report(tmp_path / "two").n == 2


def test_a_run_learns_and_leaves_a_card_and_a_report(run_folder: Path, phantoms: Path, predictor: Predictor) -> None:
    card = load_card(run_folder)
    assert card.labels == list(LABELS) and card.metrics["dice"]["n"] == 2
    assert card.metrics["dice"]["mean"] > 0.3  # a network that says one thing everywhere reaches 0.1
    assert card.limits[0] == "Research and teaching only, not for diagnosis."
    assert any("99 % of the labelled voxels" in sentence for sentence in card.limits)
    assert card.input["patch"] == [32, 24, 16] and card.input["goal"] == "segment"
    report = read_report(run_folder)
    assert report.n == 2 and report.metrics["dice"] == pytest.approx(card.metrics["dice"]["mean"], abs=2e-3)
    assert "dice_low" not in report.metrics  # an interval of two values says nothing
    measured = evaluate_weights(str(run_folder), device="cpu")
    assert measured["metrics"] == report.metrics and len(measured["cases"]) == 2
    by_hand = []
    for volume in load_set(phantoms).volumes("test"):
        mask = predictor.predict(phantoms / "imagesTr" / f"{volume.name}.nii.gz").mask
        by_hand.append(mean_dice(mask, volume.mask, len(LABELS)))
    assert report.metrics["dice"] == pytest.approx(np.mean(by_hand))


def test_stopped_and_resumed_is_the_same_as_at_a_stretch(phantoms: Path, run_folder: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "data": str(phantoms)}
    train("phantom", folder=tmp_path / "c", settings=settings, observe=lambda p: p.epoch < 5)
    resumed = train("phantom", folder=tmp_path / "c", settings=settings, resume=True)
    assert resumed.card.sha256 == load_card(run_folder).sha256


def test_fine_tuning_keeps_the_preprocessing_and_the_two_ways_are_compared(
    run_folder: Path, phantoms: Path, tmp_path: Path
) -> None:
    changed = {name: SMALL[name] for name in ("batch_size", "patches", "device")} | {
        "epochs": 1,
        "learning_rate": 0.005,
    }
    start = tmp_path / "start"
    shutil.copytree(run_folder, start)
    written = json.loads((start / "card.json").read_text())
    written["input"] |= {"low": -900.0, "high": 300.0}  # not what a new look at the set would choose
    (start / "card.json").write_text(json.dumps(written))
    rows = compare(str(start), str(phantoms), folder=tmp_path, settings=changed)
    assert [row["mode"] for row in rows] == ["fine-tune", "scratch"]
    assert rows[0]["dice"] > rows[1]["dice"]
    tuned, fresh = (load_card(tmp_path / row["mode"]) for row in rows)
    before = load_card(start).input
    assert {**tuned.input, "temperature": before["temperature"]} == before  # which is fitted again
    assert tuned.arguments == load_card(run_folder).arguments
    kept = {name: tuned.input[name] for name in ("low", "high", "patch", "own_scale", "dims")}
    assert kept == {name: fresh.input[name] for name in kept}
    words = f"cnn compare {start} --data {phantoms} --batch-size 3 --patches 9 --device cpu --epochs 1"
    assert tuned.command == fresh.command == f"{words} --learning-rate 0.005"


def test_strided_stems_backbones_and_2d_train(phantoms: Path, tmp_path: Path) -> None:
    for name, more in {
        "deep": {"options": {"widths": [4, 8], "stem_stride": 2}},
        "backbone": {"model": "resnet20", "options": {"base_channels": 4, "width": 4}, "dims": 2, "patch": [32, 32]},
    }.items():
        settings = {
            **SMALL,
            **more,
            "data": str(phantoms),
            "epochs": 1,
            "patches": 1,
            "batch_size": 40,
            "mirror": False,
        }
        outcome = train("phantom", folder=tmp_path / name, settings=settings)
        assert outcome.card.arguments["spatial_dims"] == more.get("dims", 3)
        assert load(tmp_path / name, device="cpu").predict(phantoms / "imagesTr" / "phantom_000.nii.gz").mask.shape == (
            72,
            56,
            40,
        )


@pytest.mark.parametrize(("changes", "said"), [
    ({"fold": 5}, "fold: expected a number less than 5"),
    ({"patch": [8]}, "patch: "),
    ({"foreground": 1.5}, "foreground: expected a number less than or equal to 1"),
    ({"margin": -1}, "margin: expected a number greater than or equal to 0"),
    ({"patches": 0}, "patches: expected a number greater than or equal to 1"),
    ({"dims": 2, "centred": True}, "centred: is for 3-D"),
    ({"window": [1, "a"]}, r"window\.1: expected"),
    ({"window": [-1200]}, "window: .*2 items"),
    ({"window": [-1200, 0, 400], "goal": "malignancy"}, "window: .*2 items"),
    ({"window": [400, 400]}, "window: expected the lowest intensity and a higher one"),
    ({"window": []}, "window: .*2 items"),
])  # fmt: skip
def test_impossible_settings_are_all_said(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(Recipe(), changes)


def test_settings_without_effect_are_all_refused(run_folder: Path, phantoms: Path) -> None:
    def problems(**changes: object) -> list[str]:
        task = SegmentationTask(override(Recipe(), {"data": str(phantoms), **changes}))
        with pytest.raises(ConfigError) as caught:
            task.build_data(torch.device("cpu"))
        return [problem.split(":")[0] for problem in caught.value.problems]

    assert problems(label_smoothing=0.1) == ["label_smoothing"]
    assert problems(window=[-1000, 400], own_scale=True) == ["window"]
    given = {"dims": 2, "spacing": [1, 1, 1], "window": [-1000, 400], "patch": [8, 8]}
    assert problems(weights=str(run_folder), **given) == ["dims", "spacing", "window", "patch"]
    assert problems(weights=str(run_folder), centred=True, own_scale=True) == ["own_scale", "centred"]
    low, high = (load_card(run_folder).input[end] for end in ("low", "high"))
    same = {"dims": 3, "window": [low, high], "patch": SMALL["patch"], "own_scale": False, "centred": False}
    task = SegmentationTask(override(Recipe(), {"data": str(phantoms), "weights": str(run_folder), **same}))
    task.build_data(torch.device("cpu"))
    assert task.contract.patch == (32, 24, 16)


def test_a_window_for_scans_of_their_own_scale_is_named(tmp_path: Path) -> None:
    for modality in ("MRI", "CT"):
        write_set(tmp_path / modality, cases=4, modality={"0": modality})

    def built(modality: str, **changes: object) -> tuple[VolumeContract, str]:
        settings = {"data": str(tmp_path / modality), "window": [-1000, 400], "patch": [8, 8, 8], "dims": 3, **changes}
        task = SegmentationTask(override(Recipe(), settings))
        task.build_data(torch.device("cpu"))
        return task.contract, str(task.summary)

    contract, said = built("MRI")
    assert contract.own_scale and "are MRI and not CT" in said
    assert "window [-1000.0, 400.0] is not used: each scan is scaled by its own intensities" in said
    for used, said in (built("MRI", own_scale=False), built("CT")):
        assert (used.low, used.high) == (-1000, 400) and "is not used" not in said


def test_without_a_case_to_validate_on_training_is_refused(tmp_path: Path) -> None:
    def build(cases: int, **changes: object) -> SegmentationTask:
        folder = write_set(tmp_path / f"set{cases}", cases=cases) if cases < 9 else given
        task = SegmentationTask(override(Recipe(), {"data": str(folder), "patch": [8, 8, 8], "dims": 3, **changes}))
        task.build_data(torch.device("cpu"))
        return task

    assert {part: len(names) for part, names in build(3).set.splits.items()} == dict(
        zip(("train", "val", "test", "train+val"), (1, 1, 1, 2), strict=True)
    )
    assert len(build(3, validation=False).set.splits["train+val"]) == 2
    assert len(build(4).set.splits["val"]) == 1
    given = write_set(tmp_path / "given", cases=4)
    (given / "splits.json").write_text('{"train": ["case0"], "test": ["case1", "case2", "case3"]}')
    with pytest.raises(DataError, match="no case is left to validate on"):
        build(9)


def test_own_data_are_known_by_their_folder(
    run_folder: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under another name or path the fold still counts, and a validation split that was learned from is refused."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    (tmp_path / "LIDCNodule").symlink_to(phantoms)
    shutil.copytree(run_folder, tmp_path / "run")
    card = json.loads((run_folder / "card.json").read_text())
    card["recipe"]["data"] |= {"data": "lidc_nodule", "fold": 1, "validation": False}
    (tmp_path / "run" / "card.json").write_text(json.dumps(card))
    fold = [*load_set(phantoms, fold=1).splits["test"]]
    assert fold != [*load_set(phantoms).splits["test"]]
    for same in ("lidc-nodule", str(phantoms), str(tmp_path / "LIDCNodule" / "dataset.json")):
        found = evaluate_weights(str(tmp_path / "run"), data=same, device="cpu")
        assert [case["case"] for case in found["cases"]] == fold and found["data"] == same
        with pytest.raises(CnnError, match="learned from the validation split too"):
            evaluate_weights(str(tmp_path / "run"), data=same, split="val", device="cpu")
    (tmp_path / "LIDCNodule").unlink()
    found = evaluate_weights(str(tmp_path / "run"), data=str(phantoms), device="cpu")  # the own set is gone
    assert found["n"] == len(load_set(phantoms).splits["test"])


def test_a_centred_task_sees_the_patch_around_the_centre(tmp_path: Path) -> None:
    folder = tmp_path / "cubes"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    entries = []
    for k in range(6):
        mask = np.zeros((21, 21, 21), np.uint8)
        mask[7:10, 7:10, 7 : 9 + k % 2] = 1
        scan = (mask * 900.0 - 850).astype(np.int16)
        scan[0, 0, 0] += k  # no copies
        for part, array in (("imagesTr", scan), ("labelsTr", mask)):
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / part / f"{k}.nii.gz")
        entries.append({"image": f"imagesTr/{k}.nii.gz", "label": f"labelsTr/{k}.nii.gz"})
    table = {"labels": {"0": "background", "1": "nodule"}, "modality": {"0": "CT"}, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(table))
    settings = {"data": str(folder), "patch": [16, 16, 16], "batch_size": 2, "epochs": 12, "eval_every": 12,
                "learning_rate": 0.02, "options": {"widths": [4, 8], "norm": "instance"}, "ema": 0.0, "patches": 4,
                "device": "cpu"}  # fmt: skip
    outcome = train("lidc-nodule", folder=tmp_path / "run", settings=settings)
    (tested,) = outcome.report.cases
    depth = -2.0 if int(tested["case"]) % 2 == 0 else -2.5  # of the five others: -2.2 or -2.3 on average
    assert outcome.card.input["centre"] == [-2.0, -2.0, depth] and outcome.card.arguments["in_channels"] == 2
    assert outcome.card.metrics["dice"]["mean"] > 0.6
    result = load(tmp_path / "run", device="cpu").predict(folder / "imagesTr" / "0.nii.gz")
    assert result.mask.shape == (21, 21, 21) and not result.mask[17:].any()
    found = load(tmp_path / "run", device="cpu").predict(folder / "imagesTr" / "0.nii.gz", maps=("entropy",))
    assert found.maps["entropy"].shape == (21, 21, 21)


# ---- answers


def test_a_mask_lies_on_the_inputs_own_grid(predictor: Predictor, scan_file: Path, tmp_path: Path) -> None:
    result = predictor.predict(scan_file, maps=("foreground", "entropy"))
    path = result.save(tmp_path)
    source, written = nib.load(scan_file), nib.load(path)
    assert written.shape == source.shape and (written.affine == source.affine).all()
    assert int(written.header["sform_code"]) == int(source.header["sform_code"])
    assert (read_mask(path, read_scan(scan_file)) == result.mask).all()
    counts = np.bincount(np.asarray(written.dataobj).ravel(), minlength=5)
    voxel = abs(np.linalg.det(source.affine[:3, :3])) / 1000
    assert [*result.volumes_ml.values()] == pytest.approx((counts[1:] * voxel).tolist(), rel=1e-5)
    raw = np.asarray(source.dataobj)
    for k, name in enumerate(LABELS[1:], start=1):
        if counts[k]:
            assert result.mean_hu[name] == pytest.approx(raw[np.asarray(written.dataobj) == k].mean())
    assert (tmp_path / "phantom_005_overlay.png").stat().st_size > 1000
    entropy, foreground = result.maps["entropy"], result.maps["foreground"]
    assert entropy.shape == result.mask.shape and entropy.min() >= 0 and entropy.max() <= 1.001
    wavers, certain = abs(foreground - 0.5) < 0.05, foreground < 0.05
    # of five labels: at least that of two of them at 0.45 to 0.55, and at most that of 0.95 and four equal ones
    assert wavers.any() and certain.any() and entropy[wavers].min() > 0.42 and entropy[certain].max() < 0.17
    assert ((foreground > 0.5) == (result.mask > 0)).mean() > 0.9


def test_windows_make_the_same_mask_as_the_whole(
    predictor: Predictor, scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predictor.predict(scan_file).mask
    monkeypatch.setattr("medical_segmentation.segmenter.WHOLE", {2: 0, 3: 0})
    steps = []
    slid = predictor.predict(scan_file, progress=lambda advance: steps.append(advance)).mask
    assert (slid == whole).mean() > 0.85 and steps[-1].fraction == 1 and len(steps) > 4
    with pytest.raises(StoppedError):
        predictor.predict(scan_file, progress=lambda advance: False)


def test_items_carry_the_mask_or_the_error(run_folder: Path, scan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.nii.gz").write_bytes(scan_file.read_bytes()[:5000])
    inputs = [str(scan_file), str(tmp_path / "broken.nii.gz"), str(tmp_path / "missing"), str(scan_file)]
    items = [*predict_items(str(run_folder), inputs, device="cpu", output=tmp_path / "out")]
    assert [item["input"] for item in items] == inputs
    assert Path(items[0]["mask"]).name == "phantom_005_mask.nii.gz"
    assert Path(items[3]["mask"]).name == "phantom_005-2_mask.nii.gz"
    assert {*items[0]["volumes_ml"]} == {*LABELS[1:]} and items[0]["warnings"] == []
    assert "ends too early" in items[1]["error"] and "no such file" in items[2]["error"]
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "phantom_005-2_mask.json", "phantom_005-2_mask.nii.gz", "phantom_005-2_overlay.png", "phantom_005_mask.json",
        "phantom_005_mask.nii.gz", "phantom_005_overlay.png",
    ]  # fmt: skip
    json.dumps(items)


def test_a_folder_of_scans_stands_for_each_of_them(run_folder: Path, phantoms: Path) -> None:
    items = [*predict_items(str(run_folder), [str(phantoms / "imagesTr")], device="cpu")]
    assert [Path(item["input"]).name for item in items] == [f"phantom_{k:03d}.nii.gz" for k in range(7)]
    assert items[0]["mask"] is None


def test_what_is_no_ct_or_empty_is_said(predictor: Predictor, save: Callable[..., Path]) -> None:
    picture = np.random.default_rng(0).integers(0, 900, (20, 20, 12)).astype(np.int16)
    assert any("unlike the scans" in said for said in predictor.predict(save(picture)).warnings)
    air = predictor.predict(save(np.full((20, 20, 12), -1000, np.int16), name="air.nii.gz"))
    assert any("there is nothing to see" in said for said in air.warnings)


def test_a_scan_of_quite_other_voxels_is_answered_with_a_remark(
    predictor: Predictor, phantoms: Path, scan_file: Path
) -> None:
    train_scans = [read_scan(phantoms / "imagesTr" / f"phantom_00{k}.nii.gz") for k in range(4)]
    usual = np.median([scan.spacing for scan in train_scans], axis=0)
    assert predictor.contract.spacing is None and predictor.contract.usual_spacing == pytest.approx(usual, abs=1e-4)
    for factors, said in (((1, 1, 1.2), 0), ((0.81, 1, 1), 0), ((1, 1, 5), 1), ((1, 0.5, 1), 1)):
        scan = replace(read_scan(scan_file), affine=np.diag([*usual * factors, 1]))
        remarks = [w for w in predictor.predict(scan).warnings if "learned from voxels" in w]
        learned, came = (" x ".join(f"{n:.3g}" for n in spacing) for spacing in (usual, usual * factors))
        said_of = f"the network learned from voxels of about {learned} mm; these of {came} mm were resampled"
        assert remarks == [said_of] * said


def test_other_labels_and_other_weights_are_refused(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CnnError, match="knows the classes background, lung"):
        evaluate_weights(str(run_folder), data=str(write_set(tmp_path / "set", cases=4)), device="cpu")
    card = json.loads((run_folder / "card.json").read_text())
    for change, said in (
        ({"goal": "walk"}, "goal must be one of"),
        ({"patch": [1]}, "patch: expected 3"),
        ({"centre": [0, 0, 0]}, "does not fit the network"),
    ):
        broken = tmp_path / "broken"
        broken.mkdir(exist_ok=True)
        (broken / "card.json").write_text(json.dumps({**card, "input": {**card["input"], **change}}))
        shutil.copy(next(run_folder.glob("model-*")), broken)
        with pytest.raises(WeightsError, match=said):
            load(broken, device="cpu")


def test_a_card_that_asks_for_a_giant_is_refused_before_memory_is_taken(run_folder: Path, tmp_path: Path) -> None:
    card = json.loads((run_folder / "card.json").read_text())
    card["arguments"]["options"]["widths"] = [40_000, 80_000]
    (tmp_path / "card.json").write_text(json.dumps(card))
    shutil.copy(next(run_folder.glob("model-*")), tmp_path)
    with pytest.raises(WeightsError, match="do not fit"):
        load(tmp_path, device="cpu")


def test_what_export_needs(run_folder: Path) -> None:
    predictor = load(run_folder, device="cpu")
    parts = DOMAIN.exportable(predictor)
    with torch.inference_mode():
        assert predictor.model(torch.zeros(1, *parts["example_shape"])).shape == (1, 5, 32, 24, 16)


def test_nothing_trains_on_a_broken_set(phantoms: Path, tmp_path: Path) -> None:
    task = SegmentationTask(override(Recipe(), {"data": str(tmp_path)}))
    with pytest.raises(DataError, match=r"no dataset.json"):
        task.build_data(torch.device("cpu"))
