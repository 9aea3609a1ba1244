"""What is said of own scans and masks that can be read and yet are doubtful, before anything is learned from them."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from made_sets import case, replace, write_set

from cnn_core.errors import DataError
from medical_segmentation.checker import check
from medical_segmentation.data import load_set
from medical_segmentation.decathlon import read_decathlon
from medical_segmentation.scan import read_mask, read_scan


def remarks(folder: Path) -> str:
    return " | ".join(check(read_decathlon(folder)).remarks)


def test_masks_that_may_be_inverted_are_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 5)
    assert remarks(folder) == ""
    _, mask = case(1)  # 18 of 960 voxels
    replace(folder, "labelsTr", "case1", 1 - mask)
    replace(folder, "labelsTr", "case2", mask * 0 + 1)
    said = remarks(folder)
    assert "masks that label most of their scan, the others about 8%; inverted? case1 (98%)" in said
    assert "masks that label every voxel, so that nothing is background: case2" in said


def test_a_mask_of_several_scans_is_named(tmp_path: Path) -> None:
    entries = [{"image": f"./imagesTr/case{k}.nii.gz", "label": "./labelsTr/case0.nii.gz"} for k in range(3)]
    folder = write_set(tmp_path, training=entries)
    assert "masks that are given to several scans: case0.nii.gz of case0, case1, case2" in remarks(folder)


def test_masks_written_in_two_ways_are_told_from_two_labels(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 4)
    (folder / "dataset.json").unlink()
    for k in (1, 3):
        replace(folder, "labelsTr", f"case{k}", case(k)[1] * 255)
    assert "the labels 1 and 255 are never in one mask: if they mean the same, write all with" in remarks(folder)
    both = case(0)[1]
    both[0] = 255
    replace(folder, "labelsTr", "case0", both)
    assert "never in one mask" not in remarks(folder)


def test_scans_that_are_not_in_hounsfield_units_like_the_others_are_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 4)
    replace(folder, "imagesTr", "case2", case(2)[0] + 1024)
    said = "scans that do not look like Hounsfield units, 1 of 4 ("
    assert said in remarks(folder) and "another kind of scan): case2" in remarks(folder)
    table = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**table, "modality": {"0": "MRI"}}))
    assert remarks(folder) == ""


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_masks_of_other_kinds_than_nifti_are_read(tmp_path: Path, ending: str) -> None:
    folder = write_set(tmp_path)
    path = folder / "labelsTr" / "case1.nii.gz"
    expected = read_mask(path, scan := read_scan(folder / "imagesTr" / "case1.nii.gz"))
    other = path.with_name(f"case1.{ending}")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(other))
    assert expected.sum() == 18 and (read_mask(other, scan) == expected).all()


def test_lists_that_share_a_scan_are_named(tmp_path: Path) -> None:
    shared = {"image": "./imagesTr/case1.nii.gz", "label": "./labelsTr/case1.nii.gz"}
    with pytest.raises(DataError, match="case1: listed 2 times, for train and val; list it once"):
        check(read_decathlon(write_set(tmp_path, validation=[shared])))


def test_the_folds_of_nnunet_are_said_not_to_be_used(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    (folder / "splits_final.json").write_text(json.dumps([{"train": ["case0"], "val": ["case1"]}]))
    assert read_decathlon(folder).read == ("splits_final.json of nnU-Net is not used; --fold divides the cases anew",)


def test_copies_that_leave_too_few_scans_are_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path, 4)
    for k in range(4):
        replace(folder, "imagesTr", f"case{k}", np.full((12, 10, 8), 7, np.int16))
    with pytest.raises(DataError, match=r"3 of as many patients; 3 scans are copies of others \(case0 = case1"):
        load_set(folder)
