"""Sets of scans: the Decathlon layout, the checker, splits, phantoms."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from made_sets import replace, write_set
from scipy import ndimage

from cnn_core.errors import DataError, UnknownNameError
from medical_segmentation.checker import check
from medical_segmentation.data import DATA_SETS, load_set, locate, split_cases
from medical_segmentation.decathlon import read_decathlon
from medical_segmentation.evaluate import evaluate
from medical_segmentation.phantom import COUNTS, HU, LABELS, ORDERS, draw_phantom, save_phantom, write_phantoms
from medical_segmentation.predict import SegmentationResult
from medical_segmentation.scan import read_mask, read_scan
from medical_segmentation.segmenter import SegmenterOutput

# ---- the layout


def test_a_folder_is_described_by_its_dataset_json(tmp_path: Path) -> None:
    found = read_decathlon(write_set(tmp_path, labels={"2": "vessel", "0": "background", "1": "thing"}))
    assert found.labels == ("background", "thing", "vessel") and found.values == (0, 1, 2)
    assert found.modality == "CT" and found.splits is None and not found.problems
    assert [case.name for case in found.cases] == ["case0", "case1", "case2"]


def test_the_other_order_of_labels_is_understood(tmp_path: Path) -> None:
    found = read_decathlon(write_set(tmp_path, labels={"background": 0, "thing": 1}))
    assert found.labels == ("background", "thing")


@pytest.mark.parametrize(("text", "said"), [
    ("{", "cannot be read"),
    ("[]", "expected a JSON object"),
    ('{"labels": {"1": "a"}, "training": []}', '"0": "background"'),
    ('{"labels": {"0": "b", "1": "a"}, "training": 3}', "training: expected a list"),
    ('{"labels": {"0": "b", "1": "a"}, "training": [{"image": 1}]}', "training, entry 0"),
    ('{"labels": {"0": "b", "x": {}}, "training": []}', "expected a number and a name"),
])  # fmt: skip
def test_a_description_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_decathlon(tmp_path)


def test_a_folder_without_description_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dataset.json, expected the layout"):
        read_decathlon(tmp_path)


def test_files_outside_of_the_folder_are_not_touched(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    entries = [{"image": "../secret.nii.gz", "label": "./labelsTr/case0.nii.gz"}]
    shutil.copy(folder / "imagesTr" / "case0.nii.gz", tmp_path / "secret.nii.gz")
    table = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**table, "training": table["training"] + entries}))
    with pytest.raises(DataError, match="the image is outside the folder"):
        check(read_decathlon(folder))


# ---- the checker


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=7)
    mask = np.zeros((12, 10, 8), np.uint8)
    mask[3, 3, 3] = 1
    (folder / "labelsTr" / "case0.nii.gz").unlink()
    replace(folder, "labelsTr", "case1", mask[:, :, :7])
    replace(folder, "labelsTr", "case2", mask, np.array([[1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]))
    replace(folder, "labelsTr", "case3", mask * 7)
    replace(folder, "labelsTr", "case4", mask + np.float32(0.4))
    (folder / "imagesTr" / "case5.nii.gz").write_bytes(b"not a scan")
    (folder / "splits.json").write_text('{"train": ["case6", "nobody"], "val": [], "test": ["case6"]}')
    with pytest.raises(DataError) as caught:
        check(read_decathlon(folder))
    said = str(caught.value)
    for expected in (
        "case0: the label ./labelsTr/case0.nii.gz is missing",
        "12 x 10 x 7",
        "9.00 mm beside its scan",
        "the label 7 has no name",
        "expected labels, whole numbers from 0 to 65535, got values from 0.4 to 1.4",
        "case5.nii.gz: expected a NIfTI file",
        "there is no case nobody",
        "case6 is in 2 places",
    ):
        assert expected in said
    assert said.startswith(f"{folder}: 8 problems")


def test_what_is_only_unusual_is_a_remark(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=5, labels={"0": "background", "1": "thing", "2": "absent"})
    scan = np.full((12, 10, 8), -500, np.int16)
    replace(folder, "labelsTr", "case0", np.zeros((12, 10, 8), np.uint8))
    far = np.diag([1, 1, 20, 1.0])
    mask = (scan * 0).astype(np.uint8)
    mask[3, 3, 3] = 1
    replace(folder, "imagesTr", "case1", scan, far)
    replace(folder, "labelsTr", "case1", mask, far)
    shutil.copy(folder / "imagesTr" / "case2.nii.gz", folder / "imagesTr" / "extra.nii.gz")
    remarks = " | ".join(check(read_decathlon(folder)).remarks)
    assert "1 masks are empty: case0" in remarks
    assert "case1: a spacing of 1 x 1 x 20 mm, the others have about 1 x 1 x 2 mm" in remarks
    assert "no mask has the label absent" in remarks
    assert "1 scans are not listed in dataset.json and not used: extra.nii.gz" in remarks


def test_only_empty_masks_are_nothing_to_learn_from(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    for k in range(3):
        replace(folder, "labelsTr", f"case{k}", np.zeros((12, 10, 8), np.uint8))
    with pytest.raises(DataError, match="every mask is empty"):
        check(read_decathlon(folder))


def test_what_is_seen_in_a_case(tmp_path: Path) -> None:
    checked = check(read_decathlon(write_set(tmp_path)))
    entry = checked.facts["case1"]  # 3 x 3 x 2 voxels from (2, 2, 2)
    assert entry.counts.tolist() == [12 * 10 * 8 - 18, 18]
    assert entry.middle == (3 - 5.5, 3 - 4.5, 2.5 - 3.5)
    assert entry.spacing == (1, 1, 2) and entry.shape == (12, 10, 8)
    assert abs(entry.inside.mean() - 50) < 15 and abs(entry.overall.mean() + 784) < 15
    assert checked.volume("case1").mask.sum() == 18


def test_volumes_of_a_tilted_gantry_are_measured_as_they_are_answered(tmp_path: Path) -> None:
    """Slices 2 mm apart along a line that leans by 30 degrees: a voxel has 1 x 1 x 2 cos 30 mm3, not 2."""
    folder = write_set(tmp_path)
    affine = np.diag([1, 1, 2, 1.0])
    affine[1:3, 2] = 2 * np.sin(np.pi / 6), 2 * np.cos(np.pi / 6)
    for part in ("imagesTr", "labelsTr"):
        array = np.asanyarray(nib.load(folder / part / "case0.nii.gz").dataobj)
        replace(folder, part, "case0", array, affine)
    volume = check(read_decathlon(folder)).volume("case0")
    answers = SimpleNamespace(
        segmenter=lambda *_, **__: SegmenterOutput(volume.mask, {}), labels=("background", "thing")
    )
    (case,) = evaluate(answers, [volume]).cases
    answered = SegmentationResult(read_scan(folder / "imagesTr" / "case0.nii.gz"), volume.mask, answers.labels)
    assert case["thing"]["true_ml"] == pytest.approx(8 * 2 * np.cos(np.pi / 6) / 1000)
    assert case["thing"]["volume_ml"] == pytest.approx(answered.volumes_ml["thing"])


def test_values_of_masks_become_numbers_without_gaps(tmp_path: Path) -> None:
    folder = write_set(tmp_path, labels={"0": "background", "1": "a", "118": "b"})
    mask = np.zeros((12, 10, 8), np.uint8)
    mask[:2], mask[2:4] = 1, 118
    replace(folder, "labelsTr", "case0", mask)
    volume = check(read_decathlon(folder)).volume("case0")
    assert volume.mask[0, 0, 0] == 1 and volume.mask[2, 0, 0] == 2 and volume.mask.max() == 2


# ---- splits


def test_given_splits_are_kept_and_missing_ones_are_drawn(tmp_path: Path) -> None:
    folder = write_set(tmp_path, cases=8)
    names = {f"case{k}": (k + 2) ** 2 * 2 for k in range(8)}
    (folder / "splits.json").write_text(
        json.dumps({"train": [f"case{k}" for k in range(5)], "val": ["case5"], "test": ["case6", "case7"]})
    )
    splits = split_cases(read_decathlon(folder), names, None)
    assert splits["val"] == ("case5",) and splits["test"] == ("case6", "case7")
    assert splits["train+val"] == (*splits["train"], "case5")
    (folder / "splits.json").unlink()
    drawn = split_cases(read_decathlon(folder), names, None)
    assert sorted(sum((drawn[part] for part in ("train", "val", "test")), ())) == sorted(names)
    assert all(drawn[part] for part in ("train", "val", "test"))
    assert drawn == split_cases(read_decathlon(folder), names, None)


def test_the_folds_cover_every_case_once(tmp_path: Path) -> None:
    source = read_decathlon(write_set(tmp_path, cases=3))
    sizes = {f"c{k}": k for k in range(23)}
    folds = [split_cases(source, sizes, fold) for fold in range(5)]
    assert sorted(sum((fold["test"] for fold in folds), ())) == sorted(sizes)
    for fold in folds:
        assert not {*fold["test"]} & {*fold["train+val"]} and len(fold["train+val"]) + len(fold["test"]) == 23
        assert abs(np.mean([sizes[name] for name in fold["test"]]) - 11) < 4  # alike in size


def test_too_few_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 cases are too few"):
        load_set(write_set(tmp_path, cases=2))
    source = read_decathlon(write_set(tmp_path, cases=3))
    with pytest.raises(DataError, match="4 cases cannot be divided into 5 parts"):
        split_cases(source, {f"c{k}": k for k in range(4)}, 0)
    assert split_cases(source, {f"c{k}": k for k in range(5)}, 4)["test"]


def test_names_of_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    with pytest.raises(UnknownNameError, match="did you mean lung_ct"):
        load_set("lung_cd")
    for path in ("../lung_cd", "~nobody-here/scans"):
        with pytest.raises(DataError, match=f"there is no folder {path}; expected one with dataset.json"):
            load_set(path)
    with pytest.raises(DataError, match=r"expected .*LungCT2D; get it with `cnn data get lung_ct`"):
        load_set("lung-ct")
    with pytest.raises(DataError, match="cnn data get task09_spleen"):
        load_set("task09_spleen")
    assert set(DATA_SETS["lung_ct"].left_out) == {"lung_052", "lung_134", "lung_254"}
    folder = write_set(tmp_path / "ThoraxSlices")
    count = len(read_decathlon(folder).cases)
    assert DATA_SETS["thorax_slices"].fetch() == f"thorax_slices is there already: {count} scans in {folder}"
    folder = write_set(tmp_path / "LIDCNodule")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/LIDCNodule")[1] == folder
    assert locate(folder / "dataset.json")[1] == folder
    lungs = write_set(tmp_path / "LungCT2D")
    (tmp_path / "link").symlink_to(lungs)
    for path in (lungs, tmp_path / "link", lungs / "dataset.json"):
        assert locate(path)[2] == DATA_SETS["lung_ct"].left_out
    assert locate(folder)[2] == {} and locate(tmp_path)[2] == {}


# ---- phantoms


def test_a_phantom_has_every_organ_with_its_intensity() -> None:
    for seed in (0, 1, 7):
        voxels, mask, affine = draw_phantom(seed)
        assert voxels.dtype == np.int16 and mask.max() == len(LABELS) - 1
        for number, name in enumerate(LABELS[1:], start=1):
            assert abs(float(voxels[mask == number].mean()) - HU[name]) < 25, (seed, name)
        diameter = 2 * (3 / (4 * np.pi) * (mask == 4).sum() * np.prod(np.diag(affine)[:3])) ** (1 / 3)
        assert 23 < diameter < 37  # mm: the ball is whole
        assert (ndimage.binary_dilation(mask == 4) & (mask == 1)).sum() > 0.7 * (mask == 4).sum() ** (2 / 3)
    again, _, _ = draw_phantom(7)
    assert (again == voxels).all()


@pytest.mark.parametrize("seed", range(len(ORDERS)))
def test_a_phantom_is_read_back_in_whatever_order_it_was_written(tmp_path: Path, seed: int) -> None:
    save_phantom(seed, tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")
    voxels, mask, affine = draw_phantom(seed)
    scan = read_scan(tmp_path / "scan.nii.gz")
    assert (scan.voxels == voxels).all() and np.allclose(scan.affine, affine, atol=1e-4)
    assert (read_mask(tmp_path / "mask.nii.gz", scan) == mask).all()
    stored = np.sign(np.diag(nib.load(tmp_path / "scan.nii.gz").affine)[:3])
    assert stored.tolist() == list(ORDERS[seed])
    assert scan.warnings == ()


def test_phantoms_are_written_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_segmentation.phantom.COUNTS", {"train": 3, "val": 1, "test": 1})
    found = load_set("phantom", data_root=tmp_path)
    assert {part: len(found.splits[part]) for part in COUNTS} == {"train": 3, "val": 1, "test": 1}
    before = sorted((f, f.stat().st_mtime_ns) for f in tmp_path.rglob("*.nii.gz"))
    assert len(before) == 10 and load_set("phantom", data_root=tmp_path).labels == LABELS
    assert sorted((f, f.stat().st_mtime_ns) for f in tmp_path.rglob("*.nii.gz")) == before


def test_a_broken_off_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("medical_segmentation.phantom.save_phantom", fail)
    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path / "set", {"train": 1})
    assert [*tmp_path.iterdir()] == []
