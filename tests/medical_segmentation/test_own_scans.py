"""A user's own scans: their layouts, what is said of them, how they are divided, measured, and found again."""

import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sets import case, replace, save, write_set

from cnn_core.errors import DataError
from cnn_core.train.config import override
from cnn_core.weights import load_card
from medical_segmentation import evaluate_weights, train
from medical_segmentation.checker import check
from medical_segmentation.data import load_set
from medical_segmentation.decathlon import read_decathlon
from medical_segmentation.evaluate import read_report
from medical_segmentation.losses import dice_cross_entropy
from medical_segmentation.metrics import IGNORED, mean_dice
from medical_segmentation.recipe import Recipe
from medical_segmentation.task import SegmentationTask

SMALL = {"patch": [8, 8, 8], "dims": 3, "options": {"widths": [4, 8]}, "epochs": 1, "batch_size": 2, "device": "cpu",
         "steps": 2, "store": "float32"}  # fmt: skip


def rewrite(folder: Path, **changes: object) -> Path:
    """Change keys of dataset.json; None removes one."""
    table = {**json.loads((folder / "dataset.json").read_text()), **changes}
    (folder / "dataset.json").write_text(json.dumps({k: v for k, v in table.items() if v is not None}))
    return folder


def nnunet(folder: Path, cases: int = 5, **table: object) -> Path:
    """Write a set as nnU-Net v2 wants it: no list, a channel in the names of images."""
    write_set(folder, cases)
    for file in (folder / "imagesTr").iterdir():
        file.rename(file.with_name(file.name.replace(".nii.gz", "_0000.nii.gz")))
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "thing": 1}, "numTraining": cases,
               "file_ending": ".nii.gz", **table}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def built(data: Path, **changes: object) -> SegmentationTask:
    task = SegmentationTask(override(Recipe(), {"data": str(data), **SMALL, **changes}))
    task.build_data(torch.device("cpu"))
    return task


# ---- layouts


def test_the_description_of_nnunet_v2_is_read(tmp_path: Path) -> None:
    found = read_decathlon(nnunet(tmp_path))
    assert found.labels == ("background", "thing") and found.values == (0, 1) and found.modality == "CT"
    assert [c.name for c in found.cases] == [f"case{k}" for k in range(5)] and not found.problems
    assert found.cases[0].image.name == "case0_0000.nii.gz" and found.cases[0].label.name == "case0.nii.gz"
    assert "speaks of 9 training cases, 5 are there" in " ".join(read_decathlon(rewrite(tmp_path, numTraining=9)).read)


def test_test_scans_of_nnunet_are_the_test_split(tmp_path: Path) -> None:
    nnunet(tmp_path)
    for folder, ending in (("imagesTs", "_0000"), ("labelsTs", "")):
        save(case(7)[folder == "labelsTs"], tmp_path / folder / f"case7{ending}.nii.gz")
    found = load_set(tmp_path)
    assert found.splits["test"] == ("case7",) and len(found.splits["train+val"]) == 5


def test_scans_of_several_channels_are_refused(tmp_path: Path) -> None:
    folder = nnunet(tmp_path, channel_names={"0": "T1", "1": "T2"})
    with pytest.raises(DataError, match=r"2 channels \(T1, T2\); the networks here take one"):
        check(read_decathlon(folder))


def test_voxels_that_nobody_has_labelled_are_left_out(tmp_path: Path) -> None:
    folder = nnunet(tmp_path, labels={"background": 0, "thing": 1, "ignore": 2})
    mask = case(1)[1]
    mask[8:] = 2
    replace(folder, "labelsTr", "case1", mask)
    checked = check(read_decathlon(folder))
    assert checked.source.labels == ("background", "thing") and checked.source.ignored == 2
    assert (checked.volume("case1").mask == IGNORED).sum() == (mask == 2).sum()
    assert checked.facts["case1"].counts.tolist() == [int((mask == k).sum()) for k in (0, 1)]
    assert "voxels with the label 2 (ignore) are neither learned nor measured" in checked.source.read


def test_ignored_voxels_count_in_no_loss_and_no_metric() -> None:
    scores = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    target = torch.randint(2, (1, 4, 4), generator=torch.Generator().manual_seed(1))
    marked = target.clone()
    marked[:, 2:] = IGNORED
    for loss in ("dice", "log-dice"):
        kept = dice_cross_entropy(scores[:, :, :2], target[:, :2], loss=loss)
        assert float(dice_cross_entropy(scores, marked, loss=loss)) == pytest.approx(float(kept), abs=1e-6)
    nothing = scores.clone().requires_grad_()
    total = dice_cross_entropy(nothing, torch.full_like(target, IGNORED))
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-4) and torch.isfinite(nothing.grad).all()
    truth, mask = np.array([[[1, 1, IGNORED]]], np.uint8), np.array([[[1, 0, 1]]], np.uint8)
    assert mean_dice(mask, truth, 2) == pytest.approx(2 / 3)


def test_regions_become_labels_that_exclude_each_other(tmp_path: Path) -> None:
    regions = {"background": 0, "whole": [1, 2, 3, 4], "core": [2, 3], "enhancing": 3}
    folder = nnunet(tmp_path, labels=regions)
    mask = np.zeros((12, 10, 8), np.uint8)
    mask[1:5, 0, 0] = 1, 2, 3, 4
    replace(folder, "labelsTr", "case0", mask)
    checked = check(read_decathlon(folder))
    assert checked.source.labels == ("background", "whole", "core", "enhancing")
    assert checked.source.values == (0, 1, 2, 3)
    assert checked.volume("case0").mask[1:5, 0, 0].tolist() == [1, 2, 3, 1]  # 1 and 4 are of the same region alone
    assert "regions overlap" in " ".join(checked.source.read)


@pytest.mark.parametrize("names", [
    ("imagesTr", "labelsTr", "{}", "{}"), ("images", "labels", "{}", "{}"), ("Images", "Masks", "{}", "{}_mask"),
    ("img", "seg", "{}", "{}_seg"), ("scans", "segmentations", "{}_ct", "{}-label"),
    ("image", "label", "{}_0000", "{}"),
])  # fmt: skip
def test_scans_and_masks_are_paired_by_their_names(tmp_path: Path, names: tuple[str, str, str, str]) -> None:
    images, labels, image, label = names
    for k in range(4):
        for folder, name, array in ((images, image, case(k)[0]), (labels, label, case(k)[1])):
            save(array, tmp_path / folder / f"{name.format(f'c{k}')}.nii.gz")
    save(case(9)[0], tmp_path / images / f"{image.format('alone')}.nii.gz")
    (tmp_path / labels / "readme.txt").write_text("masks")
    found = load_set(tmp_path)
    assert len(found.checked.facts) == 4 and found.labels == ("background", "label 1")
    said = str(found.summary(("train", "val", "test")))
    assert "there is no dataset.json: scans and masks were paired by their names" in said.lower().replace(
        "there", "there"
    )
    assert f"1 scans without a mask in {labels} (alone" in said or f"({image.format('alone')}" in said
    assert "readme.txt" in said


def test_folders_of_train_and_test_are_kept(tmp_path: Path) -> None:
    for k in range(6):
        part = "train" if k < 4 else "test"
        save(case(k)[0], tmp_path / part / "images" / f"{k}.nii")
        save(case(k)[1], tmp_path / part / "labels" / f"{k}.nii")
    found = load_set(tmp_path)
    assert found.splits["test"] == ("4", "5") and found.division.divided.startswith("as given in the folders")
    shutil.rmtree(tmp_path / "train")
    assert [c.name for c in read_decathlon(tmp_path).cases] == ["4", "5"]


def test_validation_of_monai_is_the_validation_split(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=7)
    entries = json.loads((folder / "dataset.json").read_text())["training"]
    rewrite(folder, training=entries[:5], validation=entries[5:], test=["./imagesTs/x.nii.gz"])
    task = built(folder)
    assert task.set.splits["val"] == ("case5", "case6") and len(task.set.splits["train"]) == 4
    said = str(task.summary)
    assert "4 training, 2 validation, 1 test: as given in dataset.json, 1 case held out for the test." in said
    assert "1 scan of the list 'test' that have no mask (./imagesTs/x.nii.gz)" in said and "not listed" not in said


def test_paths_of_other_machines_and_links_are_understood(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", cases=4)
    entries = json.loads((folder / "dataset.json").read_text())["training"]
    windows = [{key: path.replace("/", "\\") for key, path in e.items()} for e in entries[:1]]
    absolute = [{key: f"/data/somewhere/{path[2:]}" for key, path in e.items()} for e in entries[1:2]]
    here = [{key: str(folder / path) for key, path in e.items()} for e in entries[2:3]]
    for part in ("imagesTr", "labelsTr"):  # as git-annex and DVC keep large files
        stored = tmp_path / "store" / part
        stored.parent.mkdir(exist_ok=True)
        shutil.move(folder / part / "case3.nii.gz", stored)
        (folder / part / "case3.nii.gz").symlink_to(stored)
    rewrite(folder, training=[*windows, *absolute, *here, entries[3]])
    found = read_decathlon(folder)
    assert [c.name for c in found.cases] == [f"case{k}" for k in range(4)] and not found.problems
    assert found.read == ("2 absolute paths of dataset.json were taken for files of this folder",)
    assert len(check(found).facts) == 4


@pytest.mark.parametrize(
    "path", ["../secret.nii.gz", "/etc/passwd", "imagesTr/../../secret.nii.gz", "C:\\x\\secret.nii.gz"]
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    folder = write_set(tmp_path / "set")
    shutil.copy(folder / "imagesTr" / "case0.nii.gz", tmp_path / "secret.nii.gz")
    entry = {"image": path, "label": "labelsTr/case0.nii.gz"}
    with pytest.raises(DataError, match=r"the image is outside the folder .*may be a link"):
        check(read_decathlon(rewrite(folder, training=[entry])))


@pytest.mark.parametrize(("text", "said"), [
    ('{"labels": {"0": "b", "1": "a"}, // mine\n "training": []}', r"line 1 column \d+.*JSON has no comments"),
    ('{"labels": {"0": "b", "1": "a",}}', "no comma after the last entry"),
    ('{"labels": {"0": "b", "1": "a", "1": "c"}}', "given more than once: 1"),
    ('{"labels": {"0": "b", "1": "a"}, "training": [{"image": ["a", "b"], "label": "c"}]}', "several images of a case"),
    ('{"labels": {"0": "b", "1": "a"}, "test": [{"image": "dataset.json", "label": "dataset.json"}]}', "the same file"),
])  # fmt: skip
def test_a_damaged_description_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_decathlon(tmp_path)


def test_another_description_of_the_folder_can_be_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=5)
    (folder / "dataset.json").rename(folder / "fold0.json")
    assert len(load_set(folder / "fold0.json").checked.facts) == 5


def test_files_of_one_name_in_folders_of_patients_are_told_apart(tmp_path: Path) -> None:
    entries = []
    for k in range(4):
        for visit in range(2):
            for name, array in zip(("ct", "mask"), case(2 * k + visit), strict=True):
                save(array, tmp_path / f"p{k}" / f"visit{visit}" / f"{name}.nii.gz")
            entries.append(
                {key: f"p{k}/visit{visit}/{name}.nii.gz" for key, name in (("image", "ct"), ("label", "mask"))}
            )
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "b", "1": "a"}, "training": entries}))
    found = load_set(tmp_path)
    assert [*found.checked.facts][:2] == ["p0/visit0/ct", "p0/visit1/ct"]
    parts = [{name.split("/")[0] for name in found.splits[part]} for part in ("train", "val", "test")]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert "4 patients by the names of the cases" in found.division.read[0]


# ---- labels and voxels


def test_labels_that_a_scale_has_shifted_are_rounded_and_said_once(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=5)
    for k in range(4):
        replace(folder, "labelsTr", f"case{k}", case(k)[1] * np.float32(1.0000001))
    task = built(folder)
    assert task.set.checked.volume("case0").mask.max() == 1
    said = str(task.summary)
    assert said.count("rounded") == 1
    assert "The labels of 4 masks were rounded to whole numbers: case0, case1, case2, case3." in said
    replace(folder, "labelsTr", "case0", case(0)[1] * np.float32(0.7))
    with pytest.raises(DataError, match=r"expected labels, whole numbers .* got values from 0 to 0\.7"):
        built(folder)


def test_a_voxel_that_is_no_number_is_filled_and_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=5)
    scan = case(2)[0].astype(np.float32)
    scan[0, 0, 0] = np.nan
    replace(folder, "imagesTr", "case2", scan)
    said = str(built(folder).summary)
    assert (
        "1 scans hold voxels that are NaN or infinite, which were set to their scan's lowest intensity: case2 (1)"
        in said
    )


def test_labels_with_gaps_keep_their_numbers(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", cases=6, labels={"0": "background", "3": "a", "6": "b"})
    for k in range(6):
        mask = case(k)[1] * 3
        mask[0, :2] = 6
        replace(folder, "labelsTr", f"case{k}", mask)
    outcome = train("scans", folder=tmp_path / "run", settings={**SMALL, "data": str(folder), "minutes": 0})
    assert outcome.card.input["label_numbers"] == [0, 3, 6] and outcome.card.labels == ["background", "a", "b"]
    assert [line.split()[:2] for line in outcome.report.lines[1:3]] == [["a", "(3)"], ["b", "(6)"]]
    assert read_report(tmp_path / "run") == outcome.report
    summary = json.loads((tmp_path / "run" / "data.json").read_text())
    assert summary["sentences"][0] == "6 scans in 2 classes: a (3) 6, b (6) 6."


# ---- splits


def test_copies_stay_together_and_are_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=15)
    for k in range(5, 15):  # three of each, stored in another way
        replace(folder, "imagesTr", f"case{k}", case(k % 5)[0].astype(np.float32 if k < 10 else np.int16))
        replace(folder, "labelsTr", f"case{k}", case(k if k == 6 else k % 5)[1])
    found = load_set(folder)
    homes = {name: part for part in ("train", "val", "test") for name in found.splits[part]}
    assert all(len({homes[f"case{k + 5 * i}"] for i in range(3)}) == 1 for k in range(5))
    said = " ".join(found.division.read)
    assert "10 scans are copies of others (case0 = case10 = case5, case1 = case11 = case6," in said
    assert "1 of them have different masks for the same scan (case1 = case11 = case6)" in said
    splits = {"train": [f"case{k}" for k in range(3)], "val": ["case3"], "test": ["case8", "case9"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    found = load_set(folder)
    assert found.splits["test"] == ("case8", "case9")  # kept as given
    assert found.division.warnings[0] == "1 test scans are copies of scans that are learned from, which flatters: case8"
    assert str(found.left_out[0]) == "9 cases that splits.json does not name (case10, case11, case12, ...)"


@pytest.mark.parametrize(("names", "patients"), [
    ([f"patient{k // 2:03d}_frame0{k % 2}" for k in range(12)], 6),
    ([f"sub-{k // 3:02d}_ses-{k % 3}" for k in range(12)], 4),
    ([f"BraTS-GLI-{k // 2:05d}-00{k % 2}" for k in range(12)], 6),
    ([f"lung_{k:03d}" for k in range(12)], 12),
    ([f"BraTS20_Training_{k:03d}" for k in range(12)], 12),  # the year is no patient
    ([f"case{k}" for k in range(12)], 12),
    ([f"s{k // 6}_{k}" for k in range(12)], 12),  # two groups cannot be divided into three parts
])  # fmt: skip
def test_patients_are_told_by_names_and_stay_together(tmp_path: Path, names: list[str], patients: int) -> None:
    for k, name in enumerate(names):
        for part, array in zip(("images", "labels"), case(k), strict=True):
            save(array, tmp_path / part / f"{name}.nii.gz")
    found = load_set(tmp_path)
    size = 12 // patients
    assert all(len(found.splits[part]) % size == 0 for part in ("train", "val", "test"))
    said = " ".join(found.division.read)
    assert (f"{patients} patients by the names of the cases" in said) == (size > 1)
    assert ("these are 2 patients (s0, s1), too few to divide by" in said) == names[0].startswith("s0_")
    assert load_set(tmp_path, by_patient=False).division.read == ()


@pytest.mark.parametrize("where", ["entry", "table", "lists"])
def test_a_description_may_name_the_patients(tmp_path: Path, where: str) -> None:
    folder = write_set(tmp_path, cases=12)
    entries = json.loads((folder / "dataset.json").read_text())["training"]
    if where == "entry":
        rewrite(folder, training=[{**e, "patient": f"P{k // 4}"} for k, e in enumerate(entries)])
    elif where == "table":
        rewrite(folder, patients={f"case{k}": f"P{k // 4}" for k in range(12)})
    else:
        rewrite(folder, groups={f"P{g}": [f"case{4 * g + k}.nii.gz" for k in range(4)] for g in range(3)})
    found = load_set(folder)
    assert {part: len(found.splits[part]) for part in ("train", "val", "test")} == {"train": 4, "val": 4, "test": 4}
    assert "3 patients by the description (such as P0)" in found.division.read[0]


def test_the_division_follows_the_scans_not_their_names(tmp_path: Path) -> None:
    first = load_set(write_set(tmp_path / "a", cases=12))
    held = {first.checked.facts[name].content for name in first.splits["test"]}
    for part in ("imagesTr", "labelsTr"):
        for k in range(12):
            target = tmp_path / "b" / ("images" if part == "imagesTr" else "labels") / f"z{(k * 5) % 12}.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "a" / part / f"case{k}.nii.gz", target)
    second = load_set(tmp_path / "b")
    assert {second.checked.facts[name].content for name in second.splits["test"]} == held


@pytest.mark.parametrize(("test", "expected"), [
    (["3"], 3), (["case2", "case5.nii.gz"], {"case2", "case5"}), (["LIST"], {"case1", "case7"}),
    (["JSON"], {"case1", "case7"}), (["FOLDER"], {"other"}),
])  # fmt: skip
def test_the_test_cases_can_be_named(tmp_path: Path, test: list[str], expected: object) -> None:
    folder = write_set(tmp_path / "set", cases=12)
    (tmp_path / "list.txt").write_text("case1\n\ncase7.nii.gz\n")
    (tmp_path / "list.json").write_text('{"test": ["case1", "case7"]}')
    for part, array in zip(("images", "labels"), case(13), strict=True):
        save(array, tmp_path / "further" / part / "other.nii.gz")
    places = {"LIST": tmp_path / "list.txt", "JSON": tmp_path / "list.json", "FOLDER": tmp_path / "further"}
    found = load_set(folder, test=[str(places.get(word, word)) for word in test])
    chosen = found.splits["test"]
    assert len(chosen) == expected if isinstance(expected, int) else {*chosen} == expected
    assert not {*chosen} & {*found.splits["train+val"]}
    assert len(found.splits["train+val"]) + len(chosen) == len(found.checked.facts)


def test_test_cases_that_are_not_there_are_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=6)
    with pytest.raises(
        DataError, match=r"--test: there is no case nobody in .*; expected a number, names of cases such"
    ):
        load_set(folder, test=["case1", "nobody"])
    with pytest.raises(DataError, match=r"--test 5: .* has 6 cases, and two are needed to learn from"):
        load_set(folder, test=["5"])
    with pytest.raises(DataError, match="--fold and --test both"):
        load_set(folder, test=["case1"], fold=0)
    with pytest.raises(DataError, match="too few"):
        load_set(folder, test=[f"case{k}" for k in range(6)])


# ---- what a run says


def test_a_training_says_what_it_understood_and_keeps_its_members(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=8, labels={"0": "background", "1": "thing", "2": "absent"})
    task = built(folder)
    assert {split: len(hashes) for split, hashes in task.members.items()} == {"train": 6, "val": 1, "test": 1}
    assert task.summary.classes["thing"] == {"train": 6, "val": 1, "test": 1}
    said = str(task.summary)
    for sentence in (
        "8 scans in 2 classes: thing 8, absent 0.", "1 case held out for the test, 1 case held out for validation.",
        "No mask has the label absent.", "The test figures are of 1 case and say little.", "Intensities clipped to",
    ):  # fmt: skip
        assert sentence in said
    assert {*built(folder, validation=False).members} == {"train+val", "test"}


def test_what_a_recipe_says_of_its_own_scans_is_not_said_of_others(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", cases=6)
    for recipe in ("phantom", "lidc-nodule"):
        changed = {**SMALL, "data": str(folder), "validation": True, "centred": False, "keep": "all", "window": None}
        card = train(recipe, folder=tmp_path / recipe, settings=changed).card
        text = " ".join([*card.limits, card.licence, card.recipe["description"]])
        assert not any(word in text for word in ("ellipses", "thorax", "radiologist", "nodule", "CC BY"))
        assert card.licence == "MIT; the training data have their own terms"
        assert "Learned from 4 scans of one set; those of other scanners and patients may differ." in card.limits


def test_mirror_images_are_left_out_where_labels_have_sides(tmp_path: Path) -> None:
    sided = write_set(tmp_path / "a", cases=5, labels={"0": "background", "1": "kidney_left"})
    plain = write_set(tmp_path / "b", cases=5, labels={"0": "background", "1": "leftover"})
    task = built(sided, flip="all", mirror=True)
    assert task.augment.flip == "none" and task.contract.flips == ()
    assert "No mirror images, since labels have sides (kidney_left)." in str(task.summary)
    task = built(plain, flip="all", mirror=True)
    assert task.augment.flip == "all" and task.contract.flips == (0, 1, 2)


# ---- measuring


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a run and that of the 10 scans it was begun with."""
    place = tmp_path_factory.mktemp("own")
    folder = write_set(place / "set", cases=10)
    settings = {**SMALL, "data": str(folder), "minutes": 0, "test": ["case2", "case5"]}
    train("scans", folder=place / "run", settings=settings)
    return place / "run", folder


def test_its_own_test_scans_are_found_again(run: tuple[Path, Path], tmp_path: Path) -> None:
    own = evaluate_weights(str(run[0]), device="cpu")
    assert [row["case"] for row in own["cases"]] == ["case2", "case5"] and (own["n"], own["of"]) == (2, 10)
    assert own["metrics"]["dice"] == pytest.approx(load_card(run[0]).metrics["dice"]["mean"], abs=1e-6)
    for k in range(12):  # copied elsewhere, renamed, with two more, and without a description
        scan, mask = case(k)
        save(scan, tmp_path / "images" / f"new{11 - k:02d}.nii.gz")
        save(mask, tmp_path / "labels" / f"new{11 - k:02d}.nii.gz")
    found = evaluate_weights(str(run[0]), data=str(tmp_path), device="cpu")
    assert found["metrics"] == own["metrics"] and (
        "The labels have no names here and are taken by the numbers that these weights learned: 0 background, 1 thing."
        in found["summary"]["sentences"]
    )
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "Thing": 1}, "channel_names": {"0": "CT"}}')
    found = evaluate_weights(str(run[0]), data=str(tmp_path), device="cpu")
    assert [row["case"] for row in found["cases"]] == ["new06", "new09"] and (found["n"], found["of"]) == (2, 12)
    assert found["metrics"] == own["metrics"]
    assert (
        "2 scans were not there in training and are not measured: measure them on their own."
        in found["summary"]["sentences"]
    )


def test_all_of_other_scans_are_measured_and_copies_are_counted(run: tuple[Path, Path], tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=1, labels={"0": "background", "1": "strange", "2": "thing"})
    entries = []
    for k in (0, 20, 21):  # the first is one that was learned from
        for part, array in zip(("imagesTr", "labelsTr"), case(k), strict=True):
            save(array * 2 if part == "labelsTr" and k != 21 else array, folder / part / f"x{k}.nii.gz")
        entries.append({"image": f"imagesTr/x{k}.nii.gz", "label": f"labelsTr/x{k}.nii.gz"})
    rewrite(folder, training=entries)
    found = evaluate_weights(str(run[0]), data=str(folder), device="cpu")
    assert (found["n"], found["of"], found["split"]) == (3, 3, "all") and {*found["unseen"]} == {*found["metrics"]}
    said = found["summary"]["sentences"]
    assert "1 of 3 scans are copies of what these weights learned from, which flatters." in said
    assert "Not measured, since these weights do not know them: strange." in said
    assert [row["thing"]["true_ml"] > 0 for row in found["cases"]] == [True, True, False]


def test_a_folder_with_test_alone_is_measured(run: tuple[Path, Path], tmp_path: Path) -> None:
    for part, array in zip(("images", "labels"), case(30), strict=True):
        save(array, tmp_path / "test" / part / "a.nii.gz")
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "thing": 1}, "file_ending": ".nii.gz"}')
    assert evaluate_weights(str(run[0]), data=str(tmp_path), device="cpu")["n"] == 1


# ---- whatever a description looks like

NAMES = st.sampled_from(["a", "b c", "left", "ä", "1", "0", "background", "ignore", ""])
NUMBERS = st.one_of(
    st.integers(-2, 300), st.integers(0, 3).map(str), st.lists(st.integers(0, 4), max_size=3), st.none(),
    st.floats(allow_nan=False), st.booleans(),
)  # fmt: skip
LABELS = st.one_of(
    st.dictionaries(NAMES, NUMBERS, max_size=5), st.dictionaries(st.integers(0, 4).map(str), NAMES, max_size=5),
    st.lists(NAMES, max_size=4), st.none(), st.just({"0": "background", "1": "thing"}),
    st.just({"background": 0, "thing": 1}),
)  # fmt: skip
PATHS = st.sampled_from([
    "./imagesTr/case0.nii.gz", "imagesTr\\case1.nii.gz", "/data/imagesTr/case2.nii.gz", "labelsTr/case0.nii.gz", "../x",
    "labelsTr/case1.nii.gz", "/data/labelsTr/case2.nii.gz", "imagesTr", "",
    "imagesTr/case3.nii.gz", "labelsTr/case3.nii.gz",
])  # fmt: skip
ENTRIES = st.one_of(
    st.fixed_dictionaries({"image": PATHS, "label": PATHS}, optional={"patient": NAMES, "fold": st.integers(0, 4)}),
    PATHS, st.none(), st.fixed_dictionaries({"image": st.lists(PATHS, max_size=2), "label": PATHS}),
    st.integers(0, 4).map(lambda k: {"image": f"imagesTr/case{k}.nii.gz", "label": f"labelsTr/case{k}.nii.gz"}),
)  # fmt: skip
LISTS = st.one_of(st.lists(ENTRIES, max_size=6), st.just("all"), st.none(), st.dictionaries(NAMES, ENTRIES, max_size=2))
TABLES = st.fixed_dictionaries({}, optional={
    "labels": LABELS, "training": LISTS, "validation": LISTS, "test": LISTS, "testing": LISTS, "file_ending": NAMES,
    "channel_names": st.one_of(st.dictionaries(NAMES, NAMES, max_size=2), NAMES), "numTraining": st.integers(0, 9),
    "modality": st.one_of(st.dictionaries(NAMES, NAMES, max_size=2), st.lists(NAMES, max_size=2), st.none()),
    "patients": st.one_of(st.dictionaries(NAMES, st.one_of(NAMES, st.lists(NAMES, max_size=2)), max_size=3), st.none()),
    "dataset": st.dictionaries(NAMES, st.fixed_dictionaries({"images": st.lists(PATHS, max_size=2), "label": PATHS}),
                               max_size=3),
})  # fmt: skip
SPLITTED = st.lists(st.sampled_from(["case0", "case1.nii.gz", "case2", "nobody"]), max_size=3)
SPLITS = st.one_of(st.none(), st.dictionaries(st.sampled_from(["train", "val", "test", "x"]), SPLITTED, max_size=3))


@settings(max_examples=int(os.environ.get("EXAMPLES", "50")), deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(table=TABLES, splits=SPLITS)
def test_any_description_is_read_or_refused_and_nothing_gets_lost(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, object], splits: dict[str, list[str]] | None
) -> None:
    place = tmp_path_factory.getbasetemp() / "any"
    if not place.exists():
        write_set(place, cases=5)
    (place / "dataset.json").write_text(json.dumps(table))
    (place / "splits.json").unlink(missing_ok=True)
    if splits is not None:
        (place / "splits.json").write_text(json.dumps(splits))
    try:
        source = read_decathlon(place)
        found = load_set(place)
    except DataError as error:
        assert str(error)
        return
    lists = [table.get(name) or () for name in ("training", "validation", "test", "testing")]
    expected = sum(map(len, lists))
    if "training" not in table and table.get("dataset"):
        expected += len(table["dataset"])
    elif "training" not in table:  # and those of the folders that are in no list
        images = [e["image"].replace("\\", "/") for part in lists for e in part if isinstance(e, dict)]
        listed = {Path(image).name for image in images if "imagesTr" in image}
        expected += len({f"case{k}.nii.gz" for k in range(5)} - listed)
    unused = sum(entry.count for entry in source.left_out if "list" in entry.reason)
    assert len(source.cases) + unused == expected
    assert len({case_.name for case_ in source.cases}) == len(source.cases)
    divided = sum(len(found.splits[part]) for part in ("train", "val", "test"))
    unnamed = sum(entry.count for entry in source.left_out if "splits.json" in entry.reason)
    assert divided + unnamed == len(source.cases)
    assert all(nib.load(case_.image).shape == nib.load(case_.label).shape for case_ in source.cases)
    assert found.summary(("train", "val", "test")).sentences
