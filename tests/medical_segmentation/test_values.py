"""What a file or its numbers say: no CT, another scale than Hounsfield units, no scan at all."""

import gzip
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnn_core.errors import DataError
from medical_segmentation.data import load_set
from medical_segmentation.loading import load
from medical_segmentation.scan import read_scan
from medical_segmentation.segmenter import SegmenterOutput
from medical_segmentation.values import intensity_warnings, scale_warnings

UNLIKE = "unlike the scans that the network learned from"


def test_what_is_no_ct_is_said(save):
    rng = np.random.default_rng(0)
    mr = rng.gamma(2, 200, (20, 20, 20)).astype(np.int16)
    learned = (-1000, 900)
    (said,) = intensity_warnings(read_scan(save(mr)).voxels, learned)
    assert said.startswith("unlike the scans that the network learned from: 98 % of the values lie between")
    assert any("every voxel" in said for said in read_scan(save(np.zeros((4, 4, 4), np.int16))).warnings)
    soft = rng.normal(20, 60, (20, 20, 20)).astype(np.int16)  # inside the abdomen: no air in it
    assert intensity_warnings(soft, (-1080, 520))  # nothing in it is as dark as the lungs
    assert not intensity_warnings(soft, (-120, 250))  # for a network that learned from the abdomen
    assert not intensity_warnings(mr, (0, 1400))  # for one that learned from such MR


@pytest.mark.parametrize(("learned", "came", "own_scale", "words"), [
    ("CT", "CT", False, None), ("CT", "", False, UNLIKE), ("CT", "MR", False, "not a CT: the file says that it is MR"),
    ("ct", "PT", False, "not a CT: the file says that it is PT"),
    # descriptions of sets say MRI or name the sequence, DICOM says MR
    ("MRI", "MR", True, None), ("T2", "MR", True, None), ("PET", "PT", True, None),
    ("MRI", "CT", True, "not an MR: the file says that it is CT"), ("MRI", "", True, None),
    ("FLAIR", "CT", True, "not an MR: the file says that it is CT"), ("image", "CT", True, None),
    ("", "MR", False, UNLIKE), ("", "", False, UNLIKE), ("", "MR", True, None),  # what it learned from is not known
])  # fmt: skip
def test_the_kind_of_a_scan_is_compared_with_what_was_learned_from(learned, came, own_scale, words, save):
    """Numbers as in an MR, for weights that learned from such and from other kinds."""
    predictor = load("phantom", device="cpu")
    ends = {"low": 0.0, "high": 1.0} if own_scale else {}
    predictor.contract = replace(predictor.contract, modality=learned, own_scale=own_scale, **ends)
    predictor.segmenter = lambda voxels, *_, **__: SegmenterOutput(np.ones(voxels.shape, np.uint8), {})
    numbers = np.random.default_rng(0).gamma(2, 200, (20, 20, 20)).astype(np.int16)
    scan = replace(read_scan(save(numbers, np.diag([4.5, 4.5, 4.5, 1]))), modality=came)
    said = predictor.predict(scan).warnings
    assert len(said) == (words is not None)
    assert all(sentence.startswith(words) for sentence in said)


CHEST = np.random.default_rng(0).choice(  # air, lungs, fat, muscle, bone, and noise of a scanner
    [-1000, -850, -100, 50, 700], (20, 20, 20), p=[0.3, 0.2, 0.1, 0.36, 0.04]
) + np.random.default_rng(1).normal(0, 15, (20, 20, 20))


@pytest.mark.parametrize(("change", "words"), [
    (lambda hu: hu, None), (lambda hu: np.where(hu < -900, -3024, hu), None),  # as it is, and with padding
    (lambda hu: hu.clip(-200, None), None),  # a scan of what has no air
    (lambda hu: np.where(hu > -900, 50, hu), None),  # a phantom of water
    (lambda hu: hu.clip(-100, 80), None),  # the inside of a head
    (lambda hu: np.full_like(hu, -2000), None),  # nothing at all, which is said elsewhere
    (lambda hu: np.where(hu > 0, -2000, -3000), None),  # no number near those of soft tissue, raised or lowered
    (lambda hu: hu / 2, r"air and lungs lie at about -49\d, in a CT below -700; its numbers were halved, or cut off"),
    (lambda hu: hu.clip(-500, 650), "air and lungs lie at about -500, in a CT below -700"),
    (lambda hu: np.where(hu < -900, -3024, hu) / 2, "air and lungs lie at about -425"),  # with padding
    (lambda hu: hu - 1024, r"soft tissue lies at about -9\d\d, in a CT near 0; an offset of -1024 was added twice"),
    (lambda hu: (hu + 1024).clip(0), "soft tissue lies at about 1000, in a CT near 0; its offset of -1024"),
    (lambda hu: ((hu + 160) / 400 * 255).clip(0, 255).round(), "its numbers are 0 to 255, those of a picture"),
])  # fmt: skip
def test_numbers_that_cannot_be_hounsfield_units_are_said(change, words):
    said = scale_warnings(change(CHEST).astype(np.float32))
    assert len(said) == (words is not None)
    assert not said or re.match(f"not in Hounsfield units, it seems: {words}", said[0])


@pytest.mark.parametrize("modality", ["", "CT"])
def test_a_halved_ct_is_said_whether_or_not_the_file_calls_itself_one(modality, save):
    predictor = load("phantom", device="cpu")
    predictor.segmenter = lambda voxels, *_, **__: SegmenterOutput(np.ones(voxels.shape, np.uint8), {})
    for factor in (1.0, 0.5):
        scan = read_scan(save((CHEST * factor).astype(np.int16), np.diag([4.5, 4.5, 4.5, 1])))
        said = predictor.predict(replace(scan, modality=modality)).warnings
        assert any("not in Hounsfield units" in sentence for sentence in said) == (factor == 0.5)


def test_pictures_and_arrays_are_named_and_refused_since_they_have_no_voxel_size(tmp_path):
    pages = [Image.fromarray(np.full((6, 5), k, np.uint16)) for k in range(4)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "slice.png")
    np.save(tmp_path / "stack.npy", np.zeros((4, 6, 5), np.int16))
    for name, kind in (("stack.tif", "TIFF file"), ("slice.png", "PNG picture"), ("stack.npy", "NumPy array")):
        with pytest.raises(DataError, match=f"this is a {kind}, which says neither how large its voxels are nor where"):
            read_scan(tmp_path / name)
    with pytest.raises(DataError, match=r"\(files: 3\); 3 pictures and arrays \(TIFF, PNG, NumPy"):
        read_scan(tmp_path)
    (tmp_path / "odd.bin").write_bytes(b"nothing that is known")
    with pytest.raises(DataError, match="this is something else, or its beginning is damaged"):
        read_scan(tmp_path / "odd.bin")


def test_stacks_for_a_training_are_named_and_counted(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
        for k in range(3):
            Image.new("L", (9, 9)).save(tmp_path / part / f"{k}.tif")
    with pytest.raises(DataError, match=r"found 6 pictures and arrays \(TIFF.* \(0\.tif, 1\.tif, 2\.tif"):
        load_set(tmp_path)


def test_other_files_are_refused_by_what_they_are(tmp_path, save, ct):
    for name, data, words in (
        ("empty.nii", b"", "empty"),
        ("text.nii", b"hello", "something else"),
        ("text.nii.gz", gzip.compress(b"hello"), "something else"),
        ("scan.nrrd", b"NRRD0004\n# Complete", "NRRD file that is damaged"),
        ("cut.nii.gz", gzip.compress(b"hello")[:8], "ends too early"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=words):
            read_scan(tmp_path / name)
    for path, words in (
        (tmp_path / "none.nii", "no such file"),
        (tmp_path / "\0", "no such file"),
        ("", "the path is empty"),  # not the folder that the program runs in
        (np.zeros((4, 4, 4)), "expected the path of a scan, got ndarray"),
        ("https://example.org/scan.nii.gz", "got an address"),
        ("/dev/null", "neither a file nor a folder"),
        (tmp_path / ("x" * 300), "could not be read"),
    ):
        with pytest.raises(DataError, match=words):
            read_scan(path)
    save(ct, name="one.nii")
    save(ct, name="two.nii")
    with pytest.raises(DataError, match="holds 6 NIfTI files, 1 NRRD files, expected one scan"):
        read_scan(tmp_path)
