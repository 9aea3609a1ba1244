"""DICOM series: order, geometry, scaling, and what is left out."""

import shutil
import tracemalloc

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)

from cnn_core.errors import DataError
from medical_segmentation.cases import stem
from medical_segmentation.predict import SegmentationResult
from medical_segmentation.scan import read_mask, read_scan, write_mask


def test_a_series_by_hand(write_series, tmp_path):
    write_series([30, 32, 34])
    scan = read_scan(tmp_path / "series")
    # Rows run to the patient's left and columns to the back (LPS), so both axes are turned for RAS; 3 columns of
    # 0.75 mm, 4 rows of 0.5 mm, slices 2 mm apart upwards. Stored 0 is -1024 HU.
    stored = np.stack([np.arange(12).reshape(4, 3) + 1000 * k for k in range(3)])
    want = stored.transpose(2, 1, 0)[::-1, ::-1] - 1024
    np.testing.assert_array_equal(scan.voxels, want)
    assert scan.voxels.dtype == np.int16
    # The voxel at RAS index 0 is the last column and row: LPS (10 + 2 * 0.75, 20 + 3 * 0.5, 30), so RAS -11.5, -21.5.
    np.testing.assert_allclose(scan.affine, [[0.75, 0, 0, -11.5], [0, 0.5, 0, -21.5], [0, 0, 2, 30], [0, 0, 0, 1]])
    assert scan.spacing == (0.75, 0.5, 2)
    assert scan.modality == "CT"
    assert scan.name == "series"
    assert scan.warnings == ()


def test_the_mask_of_a_series_lies_on_its_columns_rows_and_slices(write_series, tmp_path):
    write_series([30, 32, 34])
    scan = read_scan(tmp_path / "series")
    labels = np.zeros(scan.voxels.shape, np.uint8)
    labels[scan.voxels == 1000 + 5 - 1024] = 7  # the sixth pixel of the second slice: row 1, column 2
    write_mask(labels, scan, tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == (3, 4, 3)
    assert np.argwhere(np.asarray(mask.dataobj) == 7).tolist() == [[2, 1, 1]]
    np.testing.assert_allclose(mask.affine @ [2, 1, 1, 1], [-10 - 1.5, -20 - 0.5, 32, 1])
    assert int(mask.header["qform_code"]) == int(mask.header["sform_code"]) == 1
    np.testing.assert_allclose(mask.get_qform(), mask.affine, atol=1e-5)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nii.gz", scan), labels)


def test_masks_of_folders_with_dots_do_not_overwrite_one_another(write_series, tmp_path):
    for k in (1, 2):
        write_series([30, 32, 34], folder=f"1.2.840.113.{k}")
        scan = read_scan(tmp_path / f"1.2.840.113.{k}")
        mask = np.full(scan.voxels.shape, k, np.uint8)
        SegmentationResult(scan, mask, ("background", "a", "b")).save(tmp_path / "out")
    masks = [nib.load(tmp_path / "out" / f"1.2.840.113.{k}_mask.nii.gz").get_fdata() for k in (1, 2)]
    assert [mask.mean() for mask in masks] == [1, 2]


@pytest.mark.parametrize(("name", "found"), [
    ("patient.01", "patient.01"), ("1.2.840.zip", "1.2.840"), ("imagesTr/a.nii.gz", "a"), ("b.NII", "b"),
    ("pair.img.gz", "pair"), ("pair.hdr", "pair"), ("IM.0001.dcm", "IM.0001"), ("slice.png", "slice"), (".nii", ".nii"),
])  # fmt: skip
def test_only_known_endings_are_cut_off_a_name(name, found):
    assert stem(name) == found


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, "bare"])
def test_other_ways_to_store_the_same(write_series, tmp_path, syntax):
    files = write_series([30, 32, 34])
    want = read_scan(tmp_path / "series").voxels
    for file in files:
        dataset = pydicom.dcmread(file)
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        elif syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">i2").tobytes()
        if syntax == RLELossless:
            pydicom.dcmwrite(file, dataset)
            continue
        again = pydicom.Dataset()
        again.update(dataset)
        order = {"implicit_vr": syntax != ExplicitVRBigEndian, "little_endian": syntax != ExplicitVRBigEndian}
        if syntax == "bare":  # without the 128 bytes and the "DICM" in front
            pydicom.dcmwrite(file, again, **order, enforce_file_format=False)
            assert file.read_bytes()[128:132] != b"DICM"
        else:
            again.file_meta = dataset.file_meta
            again.file_meta.TransferSyntaxUID = syntax
            again.preamble = bytes(128)
            pydicom.dcmwrite(file, again, **order)
            assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_scan(tmp_path / "series").voxels, want)


@pytest.mark.filterwarnings("ignore:Expected implicit VR")  # pytest undoes what the reader sets
def test_elements_in_another_encoding_than_the_file_says(write_slice):
    """Without a preamble nothing says which; with one, writers are known to claim implicit VR and write explicit VR."""
    file = write_slice()
    want = read_scan(file).voxels
    whole = file.read_bytes()
    file.write_bytes(whole[132:])
    np.testing.assert_array_equal(read_scan(file).voxels, want)
    claim, other = str(ExplicitVRLittleEndian).encode(), str(ImplicitVRLittleEndian).encode()
    file.write_bytes(whole.replace(claim + b"\0", other.ljust(len(claim) + 1, b"\0")))
    assert claim not in file.read_bytes()
    np.testing.assert_array_equal(read_scan(file).voxels, want)


def test_slices_are_sorted_along_any_normal(write_series, tmp_path):
    # Sagittal slices: rows run to the back, columns to the feet, so the normal points to ... (0,1,0) x (0,0,-1) = right
    # in LPS (-1, 0, 0). At LPS x = 30, 32, 34 the order along the normal is 34, 32, 30.
    for k, x in enumerate([30, 32, 34]):
        write_series([0], f"series/{k}", ImagePositionPatient=[x, 20, 10], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
        file = tmp_path / f"series/{k}/001.dcm"
        dataset = pydicom.dcmread(file)
        dataset.PixelData = (np.arange(12) + 1000 * k).astype(np.int16).tobytes()
        dataset.save_as(file)
    scan = read_scan(tmp_path / "series")
    assert scan.voxels.shape == (3, 3, 4)  # right, front, head: slices, columns, rows
    assert scan.spacing == (2, 0.75, 0.5)
    # RAS x grows from LPS 34 to 30; front is the first column, the head is the first row.
    assert scan.voxels[:, -1, -1].tolist() == [2000 - 1024, 1000 - 1024, -1024]
    assert scan.voxels[-1, :, -1].tolist() == [2 - 1024, 1 - 1024, -1024]
    np.testing.assert_allclose(scan.affine @ [2, 2, 3, 1], [-30, -20, 10, 1])


def test_a_gantry_tilt_is_said_and_the_affine_is_slanted(write_series, tmp_path):
    angle = np.radians(20)
    write_series([30, 32, 34], ImageOrientationPatient=[1, 0, 0, 0, float(np.cos(angle)), float(-np.sin(angle))])
    scan = read_scan(tmp_path / "series")
    assert any(said.startswith("gantry tilt of 20.0 degrees") for said in scan.warnings)
    # The slices move up by 2 mm along z, so they are 2 cos 20 mm thick.
    assert scan.voxel_ml == pytest.approx(0.75 * 0.5 * 2 * np.cos(angle) / 1000)
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii")
    mask = nib.load(tmp_path / "mask.nii")
    np.testing.assert_array_equal(mask.affine, scan.grid.affine)
    assert int(mask.header["qform_code"]) == 0  # a qform cannot say it


def test_uneven_and_missing_slices_are_said(write_series, tmp_path):
    write_series([0, 2, 4, 8, 10], "gap")
    (said,) = read_scan(tmp_path / "gap").warnings
    assert said == (
        "uneven slice spacing: 2 to 4 mm; 1 slice seems to be missing, each slice keeps its place and its thickness, "
        "and nothing is labelled or measured in the gaps"
    )
    write_series([0, 2, 4, 7, 10], "mixed")
    (said,) = read_scan(tmp_path / "mixed").warnings
    assert said == "uneven slice spacing: 2 to 3 mm; each slice keeps its place and its thickness"
    write_series([0, 4, 8, 9.1, 16.1, 23.1], "odd")
    (said,) = read_scan(tmp_path / "odd").warnings
    kept = "each slice keeps its place and its thickness"
    assert said == f"uneven slice spacing: 1.1 to 7 mm; {kept}, moved by up to 0.054 mm to fit an even grid"
    write_series([0, 2.01, 4, 6.02, 8], "rounded")
    assert read_scan(tmp_path / "rounded").warnings == ()
    write_series([0, 6, 12, 18], "apart")  # every slice is 2 mm thick
    assert read_scan(tmp_path / "apart").warnings == (
        "the slices are 2 mm thick and 6 mm apart: each counts for what lies between, too",
    )


def test_rounding_in_headers_does_not_split_a_series(write_series, tmp_path):
    for k, tilt in enumerate((0.00499, 0.00501, 0.005)):
        write_series(
            [2 * k], f"series/{k}", ImageOrientationPatient=[1, 0, 0, 0, 1, tilt], PixelSpacing=[0.5, 0.7 + tilt / 10]
        )
    scan = read_scan(tmp_path / "series")
    assert scan.voxels.shape[2] == 3
    assert scan.warnings == ()


def test_slices_beside_the_line_are_said(write_series, tmp_path):
    files = write_series([0, 2, 4])
    dataset = pydicom.dcmread(files[1])
    dataset.ImagePositionPatient = [13, 20, 2]
    dataset.save_as(files[1])
    assert any("up to 3.0 mm beside it" in said for said in read_scan(tmp_path / "series").warnings)


def test_a_single_slice(write_slice, tmp_path):
    scan = read_scan(write_slice())
    assert scan.voxels.shape == (3, 4, 1)
    assert scan.spacing == (0.75, 0.5, 2)
    assert any(said.startswith("a single slice") for said in scan.warnings)
    scan = read_scan(write_slice("thin.dcm", SliceThickness=None))
    assert scan.spacing[2] == 1
    assert any("does not say how thick it is" in said for said in scan.warnings)


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2, 5), (0.25, 0), (1, -32768), (-3, 0.5)])
def test_rescaling_is_that_of_pydicom(write_slice, slope, intercept):
    path = write_slice(RescaleSlope=slope, RescaleIntercept=intercept)
    dataset = pydicom.dcmread(path)
    want = apply_modality_lut(dataset.pixel_array, dataset)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels[::-1, ::-1, 0], want.T)
    assert scan.voxels.dtype == (np.int16 if (want == want.round()).all() else np.float32)


def test_rescaling_that_int16_cannot_hold(write_series, write_slice, tmp_path):
    write_series([0, 2], RescaleSlope=0.5)
    scan = read_scan(tmp_path / "series")
    assert scan.voxels.dtype == np.float32
    assert scan.voxels.max() == (1000 + 11) * 0.5 - 1024
    pixels = np.full((4, 3), 65535, np.uint16)
    scan = read_scan(write_slice("big.dcm", pixels))
    assert scan.voxels.max() == 65535 - 1024
    with pytest.raises(DataError, match="RescaleSlope 0"):
        read_scan(write_slice("zero.dcm", RescaleSlope=0))
    raw = read_scan(write_slice("raw.dcm", RescaleIntercept=None, RescaleSlope=None))
    assert any("no RescaleIntercept" in said for said in raw.warnings)


def test_a_folder_with_everything_in_it(write_series, write_slice, tmp_path):
    write_series([0, 2, 4, 6], "all/ct")
    write_series([0, 2, 4], "all/thin", SeriesInstanceUID=generate_uid())
    write_series([0, 1, 2, 3, 4], "all/mr", SeriesInstanceUID=generate_uid(), Modality="MR")
    write_slice("all/top.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_slice("all/seg.dcm", Modality="SEG")
    write_slice("all/frames.dcm", NumberOfFrames=3)
    write_slice("all/colour.dcm", SamplesPerPixel=3)
    write_slice("all/nowhere.dcm", ImagePositionPatient=None)
    write_slice("all/wrong.dcm", ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    write_slice("all/flat.dcm", PixelSpacing=[0, 1])
    shutil.copy(tmp_path / "all/ct/001.dcm", tmp_path / "all/copy.dcm")
    (tmp_path / "all/notes.txt").write_text("nothing")
    (tmp_path / "all/empty.dcm").touch()
    (tmp_path / "all/.DS_Store").write_text("nothing")
    whole = (tmp_path / "all/ct/002.dcm").read_bytes()
    (tmp_path / "all/cut.dcm").write_bytes(whole[: whole.index(b"\x28\0\x10\0US")])  # in front of the rows
    scan = read_scan(tmp_path / "all")
    assert scan.voxels.shape == (3, 4, 4)
    said = " ".join(scan.warnings)
    for words in (
        "1 damaged or incomplete", "1 localisers", "1 other DICOM objects", "1 multi-frame", "1 colour", "4 copies",
        "1 pictures that do not say where", "2 slices with a spacing or an orientation", "1 files that are no scans",
        "1 files that are empty",
        "2 series found; the biggest CT was taken (4 slices of 3 x 4 CT, 2 mm); left out: 5 slices of 3 x 4 MR, 2 mm",
    ):  # fmt: skip
        assert words in said


def test_only_localisers_and_other_objects_are_no_scan(write_slice, tmp_path):
    write_slice("top/one.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(DataError, match="top: expected slices of a CT series, found 1 localisers"):
        read_scan(tmp_path / "top")
    with pytest.raises(DataError, match=r"found 1 multi-frame files that do not say where .*convert them"):
        read_scan(write_slice("frames.dcm", NumberOfFrames=3))
    with pytest.raises(DataError, match="volume=1 chooses from a 4-D NIfTI"):
        read_scan(write_slice("slice.dcm"), volume=1)


def test_mr_is_read_and_said(write_series, tmp_path):
    write_series([0, 2], Modality="MR", RescaleIntercept=None, RescaleSlope=None)
    scan = read_scan(tmp_path / "series")
    assert scan.modality == "MR"


def test_phases_at_the_same_place(write_series, tmp_path):
    write_series([0, 2, 4], "phases/one")
    write_series([0, 2], "phases/two", AcquisitionNumber=2, RescaleIntercept=0)
    scan = read_scan(tmp_path / "phases")
    assert scan.voxels.shape[2] == 3
    assert any("2 series found; the biggest was taken" in said for said in scan.warnings)
    assert any("left out: 2 slices of 3 x 4 CT, 2 mm, AcquisitionNumber 2" in said for said in scan.warnings)
    write_series([0], "phases/three", RescaleIntercept=7)  # another slice of the first phase, and nothing tells which
    with pytest.raises(DataError, match="several slices lie at the same place"):
        read_scan(tmp_path / "phases", series="1")


def test_compressed_slices_need_a_decoder_or_say_which(write_series, tmp_path):
    from pydicom.pixels import get_decoder

    if get_decoder(JPEGLosslessSV1).is_available:
        pytest.skip("a decoder for lossless JPEG is installed here")
    for file in write_series([0, 2]):
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(file)
    with pytest.raises(DataError, match=r"compressed as JPEG Lossless.*pip install pylibjpeg"):
        read_scan(tmp_path / "series")


def test_a_deflated_file_is_not_unpacked(write_slice, tmp_path):
    file = write_slice()
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(50_000_000)
    dataset.save_as(file)
    assert file.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(DataError, match="damaged or incomplete"):
        read_scan(file)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("edges", [(60000, 60000), (0, 3), (400, 400)])
def test_slices_that_lie_about_their_size(write_slice, edges):
    file = write_slice(Rows=edges[0], Columns=edges[1])
    tracemalloc.start()
    with pytest.raises(DataError, match=r"between 1 and 8192|damaged or incomplete"):
        read_scan(file)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_truncated_files(write_series, tmp_path):
    files = write_series([0, 2, 4])
    whole = files[1].read_bytes()
    for end in (10, 140, 400, len(whole) - 30, len(whole) - 10):
        files[1].write_bytes(whole[:end])
        try:
            scan = read_scan(tmp_path / "series")
        except DataError as error:
            assert "damaged or incomplete" in str(error)
        else:
            assert scan.voxels.shape[2] == 2  # without its header it counts as none
    files[1].write_bytes(whole)
    assert read_scan(tmp_path / "series").voxels.shape[2] == 3
