"""53 real files with awkward features: each loads right, against nibabel and pydicom, or is refused with a reason.

They are data, not part of the repository: CNN_DATA_DIR names the folder that holds loader_samples/.
"""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from cnn_core.errors import DataError
from medical_segmentation.scan import read_mask, read_scan, write_mask

DATA = Path(os.environ.get("CNN_DATA_DIR", "none"))
SAMPLES = DATA / "loader_samples"
pytestmark = pytest.mark.skipif(
    not (SAMPLES / "nifti").is_dir(), reason="CNN_DATA_DIR names no folder with loader_samples"
)

MR = "not a CT in Hounsfield units"
SINGLE = "a single slice"
# file -> what its warnings say, or why it is refused
NIFTI = {
    "analyze_style_pair.hdr": {MR},
    "analyze_style_pair.img": {MR},
    "anatomical.nii": {MR},
    "ct_perfusion_rgb24.nii.gz": "a colour picture (RGB)",
    "ct_phantom_oblique_uint8.nii.gz": {"oblique: the scan is turned by 16.5 degrees", MR},
    "ct_phantom_shear_scl.nii.gz": {"gantry tilt of 18.5 degrees"},
    "ct_single_slice_uint8_scl.nii.gz": {SINGLE},
    "ct_thorax_int16_1x1x3mm_LPS.nii.gz": set(),
    "example4d.nii.gz": "holds 2 volumes (shape 128 x 96 x 24 x 2)",
    "example_nifti2.nii.gz": "holds 2 volumes (shape 32 x 20 x 12 x 2)",
    "functional.nii": "holds 20 volumes (shape 17 x 21 x 3 x 20)",
    "reoriented_anat_moved.nii": {MR},
    "resampled_anat_moved.nii": {"153 voxels (14.3%) were NaN", MR},
    "standard.nii.gz": {MR},
}
TILTED = {"oblique: the scan is turned by 18.5 degrees", SINGLE}
DICOM = {
    **{f"ct_abdomen_3slice/0{k}.dcm": {SINGLE} for k in (1, 2, 3)},
    **{f"ct_head_gantry_tilt_variable_spacing/{k:02d}.dcm": TILTED for k in range(8, 22)},
    "ct_abdomen_3slice_seg/liver.dcm": "1 other DICOM objects (segmentations",
    **{f"ct_abdomen_3slice_seg/{organ}_seg.nrrd": "an NRRD file" for organ in ("liver", "spine", "heart")},
    "single_files/693_J2KI.dcm": {SINGLE},
    "single_files/CT_small.dcm": {SINGLE},
    **{
        f"single_files/MR_small{kind}.dcm": {SINGLE, "not a CT: the file says that it is MR"}
        for kind in ("", "_RLE", "_bigendian", "_implicit", "_jp2klossless")
    },
    **{f"tiny_series/77654033_CT2/{k}.dcm": {SINGLE} for k in (17106, 17136, 17166, 17196)},
    **{f"tiny_series/98892001_CT5N/{k}.dcm": {SINGLE} for k in (2062, 2392, 2693, 3023, 3353)},
    **{f"tiny_series/98892001_CT2N/{k}.dcm": "1 localisers" for k in (6293, 6924)},
}
SERIES = {
    "ct_abdomen_3slice": ((512, 512, 3), set()),
    "ct_head_gantry_tilt_variable_spacing": ((512, 512, 14), {"uneven slice spacing: 1.081 to", "gantry tilt of 18.5"}),
    "tiny_series/77654033_CT2": ((16, 16, 4), {"uneven slice spacing: 1.25 to 202.5 mm"}),
    "tiny_series/98892001_CT5N": ((16, 16, 5), set()),
    "tiny_series": ((16, 16, 5), {"left out: 2 localisers", "2 series found"}),
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
    named = {f"nifti/{name}" for name in NIFTI} | {f"dicom/{name}" for name in DICOM}
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


def test_localisers_alone_and_a_segmentation_are_no_scan():
    with pytest.raises(DataError, match=r"98892001_CT2N: expected slices of a CT series, found 2 localisers"):
        read_scan(SAMPLES / "dicom/tiny_series/98892001_CT2N")
    with pytest.raises(DataError, match="found 1 other DICOM objects"):
        read_scan(SAMPLES / "dicom/ct_abdomen_3slice_seg")


def test_the_slices_of_a_series_are_in_order_and_in_place():
    folder = SAMPLES / "dicom/ct_head_gantry_tilt_variable_spacing"
    scan = read_scan(folder)
    for k, path in enumerate(sorted(folder.iterdir())):  # here the number of the file grows with the height
        np.testing.assert_array_equal(scan.voxels[::-1, ::-1, k], pydicom.dcmread(path).pixel_array.T)
    # z steps 4.22 mm, shifted along the tilt as the scanner did: the first seven slices lie exactly on the affine.
    dataset = pydicom.dcmread(folder / "14.dcm")
    x, y, z = (float(number) for number in dataset.ImagePositionPatient)
    np.testing.assert_allclose(scan.affine @ [511, 511, 6, 1], [-x, -y, z, 1], atol=0.01)


@pytest.mark.parametrize(("organ", "label", "mean"), [("liver", 1, 37), ("spine", 2, 328), ("heart", 3, -52)])
def test_organs_outlined_by_others_lie_where_they_should(organ, label, mean):
    """The outlines are NRRD files in LPS, whose third axis rises; the mean HU under each is in the samples' README."""
    scan = read_scan(SAMPLES / "dicom/ct_abdomen_3slice")
    head, _, packed = (SAMPLES / f"dicom/ct_abdomen_3slice_seg/{organ}_seg.nrrd").read_bytes().partition(b"\n\n")
    assert b"encoding: gzip" in head
    outline = np.frombuffer(gzip.decompress(packed), "<i2").reshape((512, 512, 3), order="F")[::-1, ::-1]
    assert scan.voxels[outline == label].mean() == pytest.approx(mean, abs=1)


def test_the_same_picture_in_five_encodings():
    kinds = ("", "_RLE", "_bigendian", "_implicit", "_jp2klossless")
    first, *others = (read_scan(SAMPLES / f"dicom/single_files/MR_small{kind}.dcm").voxels for kind in kinds)
    for other in others:
        np.testing.assert_array_equal(other, first)


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
