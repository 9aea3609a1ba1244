"""53 real files with awkward features: each loads right, against nibabel and pydicom, or is refused with a reason.

What is not like the CT that weights learned from is said when they are asked to segment it.

They are data, not part of the repository: CNN_DATA_DIR names the folder that holds loader_samples/.
"""

import gzip
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from cnn_core.errors import DataError
from medical_segmentation.loading import load
from medical_segmentation.scan import read_mask, read_scan, write_mask
from medical_segmentation.segmenter import SegmenterOutput

DATA = Path(os.environ.get("CNN_DATA_DIR", "none"))
SAMPLES = DATA / "loader_samples"
pytestmark = pytest.mark.skipif(
    not (SAMPLES / "nifti").is_dir(), reason="CNN_DATA_DIR names no folder with loader_samples"
)

SINGLE = "a single slice"
# file -> what its warnings say, or why it is refused
NIFTI = {
    "analyze_style_pair.hdr": set(),
    "analyze_style_pair.img": set(),
    "anatomical.nii": set(),
    "ct_perfusion_rgb24.nii.gz": "a colour picture (RGB)",
    "ct_phantom_oblique_uint8.nii.gz": {"oblique: the scan is turned by 16.5 degrees"},
    "ct_phantom_shear_scl.nii.gz": {"gantry tilt of 18.5 degrees"},
    "ct_single_slice_uint8_scl.nii.gz": {SINGLE},
    "ct_thorax_int16_1x1x3mm_LPS.nii.gz": set(),
    "example4d.nii.gz": "holds 2 volumes (shape 128 x 96 x 24 x 2)",
    "example_nifti2.nii.gz": "holds 2 volumes (shape 32 x 20 x 12 x 2)",
    "functional.nii": "holds 20 volumes (shape 17 x 21 x 3 x 20)",
    "reoriented_anat_moved.nii": set(),
    "resampled_anat_moved.nii": {"153 voxels (14.3%) were NaN"},
    "standard.nii.gz": set(),
}
ORGANS = {"liver": 1, "spine": 2, "heart": 3}
TILTED = {"oblique: the scan is turned by 18.5 degrees", SINGLE}
MR_KINDS = ("", "_RLE", "_bigendian", "_implicit", "_jp2klossless")
DICOM = {
    **{f"ct_abdomen_3slice/0{k}.dcm": {SINGLE} for k in (1, 2, 3)},
    **{f"ct_head_gantry_tilt_variable_spacing/{k:02d}.dcm": TILTED for k in range(8, 22)},
    "ct_abdomen_3slice_seg/liver.dcm": "1 other DICOM objects (segmentations",
    "single_files/693_J2KI.dcm": {SINGLE},
    "single_files/CT_small.dcm": {SINGLE},
    **{f"single_files/MR_small{kind}.dcm": {SINGLE} for kind in MR_KINDS},
    **{f"tiny_series/77654033_CT2/{k}.dcm": {SINGLE} for k in (17106, 17136, 17166, 17196)},
    **{f"tiny_series/98892001_CT5N/{k}.dcm": {SINGLE} for k in (2062, 2392, 2693, 3023, 3353)},
    **{f"tiny_series/98892001_CT2N/{k}.dcm": "1 localisers" for k in (6293, 6924)},
}
NRRD = {f"ct_abdomen_3slice_seg/{organ}_seg.nrrd": label for organ, label in ORGANS.items()}
# what weights that learned from CT say of what is none, or is one of 8 bits without its Hounsfield units
SCALE = "unlike the scans that the network learned from: 98 % of the values lie between "
NOT_CT = {
    "nifti/analyze_style_pair.hdr": f"{SCALE}0 and 255, there between -1080 and 523.6",
    "nifti/analyze_style_pair.img": f"{SCALE}0 and 255",
    "nifti/anatomical.nii": SCALE,
    "nifti/ct_phantom_oblique_uint8.nii.gz": SCALE,
    "nifti/reoriented_anat_moved.nii": SCALE,
    "nifti/resampled_anat_moved.nii": SCALE,
    "nifti/standard.nii.gz": f"{SCALE}0 and 255",
    **{f"dicom/single_files/MR_small{kind}.dcm": "not a CT: the file says that it is MR" for kind in MR_KINDS},
    **{f"dicom/{name}": f"{SCALE}0 and {label}" for name, label in NRRD.items()},
}
SERIES = {
    "ct_abdomen_3slice": ((512, 512, 3), set()),
    "ct_head_gantry_tilt_variable_spacing": ((512, 512, 73), {"uneven slice spacing: 1.081 to", "gantry tilt of 18.5"}),
    # the fourth slice lies 202.5 mm away from the others, 162 times their step: a scan of its own
    "tiny_series/77654033_CT2": (
        (16, 16, 3),
        {"2 series found; the biggest was taken (3 slices of 16 x 16 CT, 1.25 mm); left out: 1 slice of"},
    ),
    "tiny_series/98892001_CT5N": ((16, 16, 5), set()),
    "tiny_series": (
        (16, 16, 5),
        {
            "left out: 2 localisers",
            "3 series found; the biggest was taken (5 slices of 16 x 16 CT, 2.5 mm); left out: 3",
        },
    ),
    "single_files": ((512, 512, 1), {"left out: 4 copies", "3 series found", SINGLE}),
}


def same_warnings(scan, wanted):
    assert len(scan.warnings) == len(wanted), scan.warnings
    for words in wanted:
        assert any(said.startswith(words) for said in scan.warnings), scan.warnings


def same_voxels(voxels, affine, path, volume=None):
    """Compare with nibabel, which leaves NaN where we put the minimum."""
    image = nib.load(path)
    if volume is not None:
        image = image.slicer[..., volume]
    image = nib.as_closest_canonical(image)
    want = image.get_fdata()
    np.testing.assert_allclose(voxels, np.where(np.isnan(want), np.nanmin(want), want), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(affine, image.affine, rtol=1e-6, atol=1e-5)


def same_slice(scan, path):
    dataset = pydicom.dcmread(path)
    want = dataset.pixel_array * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    np.testing.assert_array_equal(scan.voxels[::-1, ::-1, 0], want.T)
    # The first pixel's centre lies where the header says, in LPS.
    x, y, z = (float(number) for number in dataset.ImagePositionPatient)
    corner = scan.affine @ [want.shape[1] - 1, want.shape[0] - 1, 0, 1]
    np.testing.assert_allclose(corner, [-x, -y, z, 1], atol=1e-3)
    assert scan.modality == dataset.Modality
    assert str(dataset.PatientName) not in f"{scan!r} {scan.grid.header}"


def test_the_tables_name_every_file():
    found = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.parent != SAMPLES and path.is_file()}
    named = {f"nifti/{name}" for name in NIFTI} | {f"dicom/{name}" for name in (*DICOM, *NRRD)}
    assert found == named
    assert len(named) == 14 + 39


@pytest.mark.parametrize("name", NIFTI)
def test_nifti(name, tmp_path):
    path, expected = SAMPLES / "nifti" / name, NIFTI[name]
    if isinstance(expected, str):
        with pytest.raises(DataError) as caught:
            read_scan(path)
        assert str(caught.value).startswith(f"{name}: {expected}")
        return
    scan = read_scan(path)
    same_warnings(scan, expected)
    same_voxels(scan.voxels, scan.affine, path)
    labels = (np.arange(scan.voxels.size) % 251).reshape(scan.voxels.shape)
    write_mask(labels, scan, tmp_path / "mask.nii.gz")
    mask, source = nib.load(tmp_path / "mask.nii.gz"), nib.load(path)
    assert mask.shape == source.shape
    np.testing.assert_array_equal(mask.affine, source.affine)
    for code in ("qform_code", "sform_code"):
        assert int(mask.header[code]) == int(source.header[code])
    same_voxels(labels, scan.affine, tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nii.gz", scan), labels)


@pytest.mark.parametrize(
    ("name", "last"), [("example4d.nii.gz", 1), ("example_nifti2.nii.gz", 1), ("functional.nii", 19)]
)
def test_one_of_several_volumes(name, last):
    for volume in (0, last):
        scan = read_scan(SAMPLES / "nifti" / name, volume=volume)
        same_voxels(scan.voxels, scan.affine, SAMPLES / "nifti" / name, volume)


@pytest.mark.parametrize("name", DICOM)
def test_dicom_files(name):
    path, expected = SAMPLES / "dicom" / name, DICOM[name]
    if isinstance(expected, str):
        with pytest.raises(DataError) as caught:
            read_scan(path)
        assert expected in str(caught.value)
        return
    scan = read_scan(path)
    same_warnings(scan, expected)
    same_slice(scan, path)


@pytest.mark.parametrize("name", SERIES)
def test_dicom_series(name):
    scan = read_scan(SAMPLES / "dicom" / name)
    shape, warnings = SERIES[name]
    assert scan.voxels.shape == shape
    assert scan.voxels.dtype == np.int16
    same_warnings(scan, warnings)


def test_localisers_alone_and_a_segmentation_are_no_scan(tmp_path):
    with pytest.raises(DataError, match=r"98892001_CT2N: expected slices of a CT series, found 2 localisers"):
        read_scan(SAMPLES / "dicom/tiny_series/98892001_CT2N")
    shutil.copy(SAMPLES / "dicom/ct_abdomen_3slice_seg/liver.dcm", tmp_path)
    with pytest.raises(DataError, match="found 1 other DICOM objects"):
        read_scan(tmp_path)
    with pytest.raises(DataError, match="ct_abdomen_3slice_seg: holds 3 NRRD files, expected one scan"):
        read_scan(SAMPLES / "dicom/ct_abdomen_3slice_seg")


def test_the_slices_of_a_series_are_in_order_and_in_place():
    """Slices 4 mm apart, then one after 1.08 mm, then 7 mm apart: the nearest even grid has steps of 1.0016 mm."""
    folder = SAMPLES / "dicom/ct_head_gantry_tilt_variable_spacing"
    scan = read_scan(folder)
    assert scan.covered is None  # 7 mm thick where they are 7 mm apart: no gap
    # Half of the first slice lies before its place; the seventh ends after 4 / 11 of the 1.08 mm to the thick ones.
    planes = [4] * 6 + [3, 4] + [7] * 6
    before = np.cumsum([0, *planes])
    assert before[-1] == scan.voxels.shape[2]
    for k, path in enumerate(sorted(folder.iterdir())):  # here the number of the file grows with the height
        dataset = pydicom.dcmread(path)
        for plane in range(before[k], before[k + 1]):
            np.testing.assert_array_equal(scan.voxels[::-1, ::-1, plane], dataset.pixel_array.T)
        # The first pixel's centre, shifted along the tilt as the scanner did, is on a plane of the slice.
        x, y, z = (float(number) for number in dataset.ImagePositionPatient)
        *corner, plane = (np.linalg.inv(scan.affine) @ [-x, -y, z, 1])[:3]
        np.testing.assert_allclose(corner, [511, 511], atol=0.1)
        assert before[k] <= round(plane) < before[k + 1]
        assert abs(plane - round(plane)) < 0.06


def test_a_slice_far_away_is_a_series_of_its_own():
    folder = SAMPLES / "dicom/tiny_series/77654033_CT2"
    first, second = (read_scan(folder, series=number) for number in "12")
    assert (first.voxels.shape[2], second.voxels.shape[2]) == (3, 1)
    datasets = sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda dataset: dataset.ImagePositionPatient[2])
    stacked = np.concatenate([first.voxels, second.voxels], axis=2)
    heights = [*(first.affine @ [0, 0, k, 1] for k in range(3)), second.affine @ [0, 0, 0, 1]]
    order = np.argsort([height[2] for height in heights])
    for k, dataset in zip(order, datasets, strict=True):
        np.testing.assert_array_equal(
            stacked[::-1, ::-1, k], dataset.pixel_array.T * dataset.RescaleSlope + dataset.RescaleIntercept
        )
        assert heights[k][2] == pytest.approx(dataset.ImagePositionPatient[2], abs=0.01)


@pytest.mark.parametrize(("organ", "mean"), [("liver", 37), ("spine", 328), ("heart", -52)])
def test_organs_outlined_by_others_lie_where_they_should(organ, mean):
    """The outlines are NRRD files in LPS, whose third axis rises; the mean HU under each is in the samples' README."""
    label = ORGANS[organ]
    scan = read_scan(SAMPLES / "dicom/ct_abdomen_3slice")
    head, _, packed = (SAMPLES / f"dicom/ct_abdomen_3slice_seg/{organ}_seg.nrrd").read_bytes().partition(b"\n\n")
    assert b"encoding: gzip" in head
    outline = np.frombuffer(gzip.decompress(packed), "<i2").reshape((512, 512, 3), order="F")[::-1, ::-1]
    assert scan.voxels[outline == label].mean() == pytest.approx(mean, abs=1)
    drawn = read_scan(SAMPLES / f"dicom/ct_abdomen_3slice_seg/{organ}_seg.nrrd")
    np.testing.assert_array_equal(drawn.voxels, outline)
    np.testing.assert_allclose(drawn.affine, scan.affine, atol=1e-3)
    assert drawn.warnings == ()


def test_the_same_picture_in_five_encodings():
    first, *others = (read_scan(SAMPLES / f"dicom/single_files/MR_small{kind}.dcm").voxels for kind in MR_KINDS)
    for other in others:
        np.testing.assert_array_equal(other, first)


READ = [f"nifti/{name}" for name in NIFTI if isinstance(NIFTI[name], set)]
READ += [f"dicom/{name}" for name in (*DICOM, *NRRD) if not isinstance(DICOM.get(name), str)]


@pytest.fixture(scope="module")
def lungs():
    """The weights for CT of the chest, with a network that takes no time."""
    predictor = load("lung-ct", device="cpu")
    predictor.segmenter = lambda voxels, *_, **__: SegmenterOutput(np.ones(voxels.shape, np.uint8), {})
    return predictor


@pytest.mark.parametrize("name", READ)
def test_what_is_not_like_the_ct_of_the_training_is_said(name, lungs):
    said = [text for text in lungs.predict(SAMPLES / name).warnings if text.startswith(("unlike", "not a"))]
    assert len(said) == (name in NOT_CT)
    assert all(text.startswith(NOT_CT[name]) for text in said)


@pytest.mark.parametrize("name", ["example4d.nii.gz", "example_nifti2.nii.gz", "functional.nii"])
def test_a_volume_of_a_4d_mr_is_not_like_a_ct(name, lungs):
    said = lungs.predict(SAMPLES / "nifti" / name, volume=0).warnings
    assert any(text.startswith(SCALE) for text in said)


@pytest.mark.parametrize("case", ["caseA", "caseB_pulm"])
def test_a_whole_abdomen_and_its_organs(case):
    folder = DATA / "TotalSegExamples"
    if not folder.is_dir():
        pytest.skip("CNN_DATA_DIR holds no TotalSegExamples")
    scan = read_scan(folder / f"imagesTr/{case}.nii.gz")
    assert scan.warnings == ()
    same_voxels(scan.voxels, scan.affine, folder / f"imagesTr/{case}.nii.gz")
    mask = read_mask(folder / f"labelsTr/{case}.nii.gz", scan)
    same_voxels(mask, scan.affine, folder / f"labelsTr/{case}.nii.gz")
    assert mask.dtype == np.uint8
