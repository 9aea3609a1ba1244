"""Series by where their slices lie: copies, joins, splits, choices, gaps; and one answer for each study."""

import json
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scans import picture, save_enhanced, save_slice, save_stack
from pydicom.uid import DeflatedExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cnn_core.cli import main
from cnn_core.errors import DataError
from medical_segmentation import load
from medical_segmentation.inputs import opened, scans_of
from medical_segmentation.predict import SegmentationResult
from medical_segmentation.scan import list_series, read_scan, write_mask
from medical_segmentation.sources import contents_of

FIVE = [0.0, 2.0, 4.0, 6.0, 8.0]
UID = lambda _: generate_uid()  # noqa: E731  # another one for every slice


@pytest.fixture
def plain(tmp_path):
    """The voxels of five slices 2 mm apart."""
    save_stack(tmp_path / "plain", FIVE)
    return read_scan(tmp_path / "plain").voxels


@pytest.mark.parametrize("elements", [
    {"SeriesInstanceUID": UID}, {"SOPInstanceUID": "1.2.3.4"}, {"StudyInstanceUID": UID, "SeriesInstanceUID": UID},
    {"SeriesInstanceUID": UID, "SeriesNumber": lambda k: k}, {"AcquisitionNumber": lambda k: k + 1},
    {"SeriesInstanceUID": lambda k: f"1.2.{k // 3}"}, {"SeriesInstanceUID": lambda k: f"1.2.{int(k == 2)}"},
    {"InstanceNumber": 1}, {"SeriesInstanceUID": None, "StudyInstanceUID": None, "InstanceNumber": None},
    {"AcquisitionTime": lambda k: f"1200{k:02d}"}, {"PatientID": "x", "ConvolutionKernel": "\\odd"},
])  # fmt: skip
def test_one_volume_whatever_the_uids(elements, plain, tmp_path):
    save_stack(tmp_path / "odd", FIVE, **elements)
    scan = read_scan(tmp_path / "odd")
    np.testing.assert_array_equal(scan.voxels, plain)
    assert scan.warnings == ()
    assert scan.series.startswith("1 of 1: 5 slices of 3 x 4 CT")


def test_copies_are_dropped_and_counted(plain, tmp_path):
    files = save_stack(tmp_path / "s", FIVE)
    shutil.copy(files[0], tmp_path / "s" / "same.dcm")
    save_slice(tmp_path / "s" / "uid.dcm", picture(2), ImagePositionPatient=[10, 20, 4], SeriesInstanceUID="9.9")
    save_slice(tmp_path / "s" / "number.dcm", picture(3), ImagePositionPatient=[10, 20, 6.0000001], InstanceNumber=77)
    scan = read_scan(tmp_path / "s")
    np.testing.assert_array_equal(scan.voxels, plain)
    assert scan.warnings == ("left out: 3 copies of a slice that is there already",)


def test_an_empty_slice_of_another_phase_is_no_copy(tmp_path):
    for phase in (1, 2):
        for k, height in enumerate((0, 2, 4)):
            pixels = np.zeros((4, 3), np.int16) if k == 2 else picture(k + 10 * phase)
            save_slice(
                tmp_path / "s" / f"{phase}{k}.dcm", pixels, ImagePositionPatient=[10, 20, height],
                TemporalPositionIdentifier=phase, InstanceNumber=3 * phase + k,
            )  # fmt: skip
    assert [len(series.slices) for series in list_series(tmp_path / "s")] == [3, 3]


@pytest.mark.parametrize(("first", "second", "heights"), [
    ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, FIVE),  # two phases at the same places
    ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, [h + 1 for h in FIVE]),  # interleaved
    ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, [h + 0.7 for h in FIVE]),
    ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, FIVE),
    ({"EchoTime": 10}, {"EchoTime": 30}, [h + 1 for h in FIVE]),
    ({"SliceThickness": 2}, {"SliceThickness": 5}, [h + 1 for h in FIVE]),
    ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}, FIVE),
    ({"AcquisitionTime": "100000"}, {"AcquisitionTime": "100030"}, FIVE),
    ({"SeriesInstanceUID": "1.1"}, {"SeriesInstanceUID": "1.2"}, FIVE),
    ({"SeriesInstanceUID": "1.1"}, {"SeriesInstanceUID": "1.2"}, [h + 1 for h in FIVE]),
    ({"SeriesInstanceUID": "1.1", "SeriesNumber": 1}, {"SeriesInstanceUID": "1.2", "SeriesNumber": 2}, [90.0, 92.0]),
    ({}, {}, FIVE),  # two phases that the order of the images alone tells apart
])  # fmt: skip
def test_two_volumes_in_one_folder(first, second, heights, plain, tmp_path):
    save_stack(tmp_path / "s", FIVE, **first)
    save_stack(tmp_path / "s", heights, first=5, **second)
    found = list_series(tmp_path / "s")
    assert [len(series.slices) for series in found] == [5, len(heights)]
    scan = read_scan(tmp_path / "s")
    np.testing.assert_array_equal(scan.voxels, plain)
    assert any(said.startswith("2 series found; the biggest was taken (5 slices") for said in scan.warnings)
    other = read_scan(tmp_path / "s", series="2")
    assert other.voxels.max() == 1000 * (4 + len(heights)) + 11 - 1024
    assert any("series 2, as requested, was taken" in said for said in other.warnings)


def test_series_by_uid_and_description(tmp_path):
    save_stack(tmp_path / "s", FIVE, SeriesInstanceUID="1.1", SeriesDescription="Arterial 2.0")
    save_stack(tmp_path / "s", FIVE[:4], first=5, SeriesInstanceUID="1.2", SeriesDescription="Venous 2.0")
    for wanted in ("2", "1.2", "venous 2.0", "VENOUS"):
        assert read_scan(tmp_path / "s", series=wanted).voxels.shape[2] == 4
    listing = [series.listing for series in list_series(tmp_path / "s")]
    assert listing == [
        "1: 5 slices of 3 x 4 CT, 2 mm; Arterial 2.0; 1.1", "2: 4 slices of 3 x 4 CT, 2 mm; Venous 2.0; 1.2"
    ]  # fmt: skip
    for wanted, words in (("3", "there is no series '3'"), ("2.0", "2 series fit '2.0'"), ("", "there is no series")):
        with pytest.raises(DataError, match=words):
            read_scan(tmp_path / "s", series=wanted)


@pytest.mark.parametrize("elements", [
    {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "MIP"]},
    {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT"},
    {"PhotometricInterpretation": "PALETTE COLOR"}, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    {"Modality": "MR"}, {"Modality": "PT"},
])  # fmt: skip
def test_originals_come_first(elements, plain, tmp_path):
    save_stack(tmp_path / "s", FIVE)
    save_stack(tmp_path / "s", [h / 2 for h in range(40)], first=5, SeriesInstanceUID="8.8", **elements)
    scan = read_scan(tmp_path / "s")
    np.testing.assert_array_equal(scan.voxels, plain)
    assert "40" in " ".join(scan.warnings) and "left out" in " ".join(scan.warnings)


def test_derived_pictures_alone_are_read(tmp_path):
    save_stack(tmp_path / "s", FIVE, ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    assert read_scan(tmp_path / "s").voxels.shape == (3, 4, 5)


def test_missing_slices_keep_their_places(tmp_path, plain):
    """Slices at 0, 2, 8: two are missing. On a grid of 2 mm the third lies on the fifth plane."""
    for k, height in ((0, 0), (1, 2), (4, 8)):
        save_slice(tmp_path / "s" / f"{k}.dcm", picture(k), ImagePositionPatient=[10, 20, height])
    scan = read_scan(tmp_path / "s")
    assert scan.voxels.shape == (3, 4, 5)
    np.testing.assert_array_equal(scan.voxels[..., [0, 1, 4]], plain[..., [0, 1, 4]])
    np.testing.assert_array_equal(scan.voxels[..., 2], plain[..., 2])  # half-way pictures are linear here
    assert scan.covered.ravel().tolist() == [True, True, False, False, True]
    np.testing.assert_allclose(scan.affine @ [0, 0, 4, 1], [-11.5, -21.5, 8, 1])
    (said,) = scan.warnings
    assert said.startswith("uneven slice spacing: 2 to 6 mm; 2 slices seem to be missing, each slice keeps its place")


@pytest.mark.parametrize(("heights", "thickness", "step", "owned"), [
    # on planes 1 mm apart: 2 mm for each slice, the outer halves of the first and last ones too
    ([0, 2, 4, 7, 9], 2.0, 1.0, "11223334455"),
    ([0, 2, 4, 6, 9], None, 1.0, "11223344455"),
    ([0, 3, 6, 18, 21], 3.0, 3.0, "123...45"),  # missing
    ([0, 3, 6, 18, 21], 1.0, 3.0, "123...45"),  # thin slices, 3 mm apart: each stands for what is around it
    ([0, 2, 4, 9, 14], [2, 2, 2, 5, 5], 1.0, "112233344444455555"),  # thin, then thick: 5 mm for the last one too
    # no even grid fits exactly: the nearest one has steps of 950.8 / 946 mm, the least squares of 0, 4, 8, 9, 16, 23
    ([0, 4, 8, 9.1, 16.1, 23.1], [4, 4, 4, 7, 7, 7], 950.8 / 946, "11112222333444455555556666666"),
])  # fmt: skip
def test_slices_keep_their_thickness(heights, thickness, step, owned, tmp_path):
    thick = thickness if isinstance(thickness, list) else [thickness] * len(heights)
    save_stack(tmp_path / "s", heights, SliceThickness=lambda k: thick[k])
    scan = read_scan(tmp_path / "s")
    assert scan.spacing[2] == pytest.approx(step)
    covered = np.ones(scan.voxels.shape[2], bool) if scan.covered is None else scan.covered.ravel()
    numbers = np.round((scan.voxels[0, 0] + 1024 - 11) / 1000).astype(int) + 1
    assert "".join(str(n) if given else "." for n, given in zip(numbers, covered, strict=True)) == owned
    for k, height in enumerate(heights):  # the plane of its place holds its own numbers
        plane = round(float((np.linalg.inv(scan.affine) @ [-10, -20, height, 1])[2]))
        assert scan.voxels[-1, -1, plane] == 1000 * k - 1024


def test_nothing_is_labelled_or_counted_in_gaps(tmp_path):
    for k, height in ((0, 0), (1, 2), (4, 8)):
        save_slice(tmp_path / "s" / f"{k}.dcm", picture(k), ImagePositionPatient=[10, 20, height])
    scan = read_scan(tmp_path / "s")
    mask = np.ones(scan.voxels.shape, np.uint8) * scan.covered
    result = SegmentationResult(scan, mask, ("background", "body"), (0, 6))
    assert result.volumes_ml["body"] == pytest.approx(3 * 12 * 0.5 * 0.75 * 2 / 1000)
    result.save(tmp_path / "out")
    written = nib.load(tmp_path / "out/s_mask.nii.gz")
    assert written.shape == (3, 4, 5)
    assert [int(written.dataobj[..., k].max()) for k in range(5)] == [6, 6, 0, 0, 6]
    table = json.loads((tmp_path / "out/s_mask.json").read_text())
    assert table == {"label_numbers": {"background": 0, "body": 6}}


def test_sagittal_slices_with_a_gap(tmp_path):
    for k, x in enumerate((30, 32, 38)):
        save_slice(
            tmp_path / "s" / f"{k}.dcm", picture(k), ImagePositionPatient=[x, 20, 10],
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        )  # fmt: skip
    scan = read_scan(tmp_path / "s")
    assert scan.voxels.shape == (5, 3, 4)
    assert scan.covered.shape == (5, 1, 1) and scan.covered.ravel().tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("order", [[0, 2, 4, 6, 8], [8, 2, 6, 0, 4]])
def test_enhanced_ct(order, tmp_path):
    scan = read_scan(save_enhanced(tmp_path / "enhanced.dcm", order))
    np.testing.assert_allclose(scan.affine, [[0.75, 0, 0, -11.5], [0, 0.5, 0, -21.5], [0, 0, 2, 0], [0, 0, 0, 1]])
    assert scan.voxels[-1, -1].tolist() == [1000 * order.index(h) - 1024 for h in (0, 2, 4, 6, 8)]
    assert scan.warnings == ()


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessSV1"])
def test_compressed_pixels(syntax, tmp_path):
    pixels = np.tile(picture(1), (8, 16))
    file = save_slice(tmp_path / "slice.dcm", pixels)
    uid = getattr(pydicom.uid, syntax)
    if syntax == "RLELossless":
        dataset = pydicom.dcmread(file)
        dataset.compress(uid)
        dataset.save_as(file)
    else:
        _compress(file, syntax)
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == uid
    np.testing.assert_array_equal(read_scan(file).voxels[::-1, ::-1, 0], pixels.T - 1024)


def _compress(file, syntax):
    import gdcm

    names = {
        "JPEGLSLossless": "JPEGLSLossless", "JPEG2000Lossless": "JPEG2000Lossless",
        "JPEGLosslessSV1": "JPEGLosslessProcess14_1",
    }  # fmt: skip
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, names[syntax])))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def test_deflated_files(plain, tmp_path):
    for file in save_stack(tmp_path / "s", FIVE):
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(file)
    np.testing.assert_array_equal(read_scan(tmp_path / "s").voxels, plain)


# ---- other files


def itk_image(tmp_path, name, **how):
    import SimpleITK as sitk  # noqa: N813

    voxels = np.arange(-1000, 200, 10, dtype=np.int16).reshape(4, 6, 5)  # z, y, x
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.75, 2.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(tmp_path / name), **how)
    return voxels


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "packed.mha", "packed.nrrd", "pair.mhd", "pair.nhdr"])
def test_metaimage_and_nrrd(name, tmp_path):
    voxels = itk_image(tmp_path, name, useCompression=name.startswith("packed"))
    for path in (tmp_path / name, tmp_path):  # the pair is one scan of the folder
        scan = read_scan(path)
        np.testing.assert_array_equal(scan.voxels, voxels.transpose(2, 1, 0)[::-1, ::-1])  # LPS -> RAS
        np.testing.assert_allclose(scan.affine, [[0.5, 0, 0, -12], [0, 0.75, 0, -23.75], [0, 0, 2, 30], [0, 0, 0, 1]])
        assert scan.warnings == ()
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii.gz")
    assert nib.load(tmp_path / "mask.nii.gz").shape == (5, 6, 4)


def test_what_is_wrong_with_such_files_is_said(tmp_path):
    itk_image(tmp_path, "pair.mhd")
    text = (tmp_path / "pair.mhd").read_text()
    for other in ("../secret.raw", "/etc/passwd", "LIST", "a%02d.raw 1 4 1", "nothing.raw"):
        (tmp_path / "odd.mhd").write_text(text.replace("pair.raw", other))
        with pytest.raises(DataError, match=r"voxels are in other folders|voxels is not beside it"):
            read_scan(tmp_path / "odd.mhd")
    itk_image(tmp_path, "a.mha")
    whole = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(whole[:-40])
    with pytest.raises(DataError, match="damaged or incomplete"):
        read_scan(tmp_path / "a.mha")
    (tmp_path / "a.mha").write_bytes(whole.replace(b"DimSize = 5 6 4", b"DimSize = 5000 6000 30"))
    with pytest.raises(DataError, match="the header promises"):
        read_scan(tmp_path / "a.mha")


def test_what_follows_a_gzip_stream_is_ignored(save, ct):
    path = save(ct)
    path.write_bytes(path.read_bytes() + b"\r\nsome mail programs add a line")
    np.testing.assert_array_equal(read_scan(path).voxels, ct)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"ends too early|damaged"):
        read_scan(path)


# ---- folders of many scans


def test_one_answer_for_each_study_and_file(tmp_path, save, ct):
    top = tmp_path / "ward"
    save_stack(top / "anna", FIVE, StudyInstanceUID="1.1", PatientID="a")
    save_stack(top / "bert", FIVE, StudyInstanceUID="1.2", PatientID="b")
    save_stack(top / "bert", FIVE[:3], first=5, StudyInstanceUID="1.2", PatientID="b", SeriesInstanceUID="7.7")
    for k in (1, 2):
        save_stack(top / "mixed", FIVE, StudyInstanceUID=f"2.{k}", PatientID="c")
        for file in (top / "mixed").glob("00?-*.dcm"):
            file.rename(file.with_name(f"{k}{file.name}x"))
    shutil.copy(save(ct), top / "scan.nii.gz")
    shutil.copy(top / "scan.nii.gz", top / "anna" / "converted.nii.gz")
    (top / "scan.json").write_text("{}")
    (top / "notes.txt").write_text("nothing")
    with zipfile.ZipFile(top / "study.zip", "w") as archive:
        for file in sorted((top / "anna").glob("*.dcm")):
            archive.write(file, f"in\\side\\{file.name}")
    (top / "broken.zip").write_bytes(b"PK\x03\x04nothing")
    answers = {}
    for label, read in scans_of(str(top)):
        try:
            answers[label.removeprefix(f"{top}/")] = read(None, None)
        except DataError as error:
            answers[label.removeprefix(f"{top}/")] = str(error)
    shapes = {name: scan if isinstance(scan, str) else scan.voxels.shape for name, scan in answers.items()}
    assert "not a zip" in shapes.pop("broken.zip")
    assert shapes == {
        "anna": (3, 4, 5), "bert": (3, 4, 5), f"{top} (study 3 of 4)": (3, 4, 5), f"{top} (study 4 of 4)": (3, 4, 5),
        "scan.nii.gz": (5, 6, 4), "study.zip": (3, 4, 5),
    }  # fmt: skip
    assert len(answers) == 7
    said = " ".join(warning for scan in answers.values() if not isinstance(scan, str) for warning in scan.warnings)
    assert said.count("2 files that are no scans") == 1
    assert said.count("1 files of volumes beside DICOM slices") == 1
    assert "2 series found" in " ".join(answers["bert"].warnings)
    assert str(top) not in answers["broken.zip"] and "broken.zip" in answers["broken.zip"]


def test_nothing_is_said_of_what_was_not_left_out(tmp_path, save, ct):
    (tmp_path / "s").mkdir()
    shutil.copy(save(ct), tmp_path / "s" / "scan.nii.gz")
    (tmp_path / "s" / "notes.txt").write_text("nothing")
    ((_, read),) = scans_of(str(tmp_path / "s"))
    assert read(None, None).warnings == ("left out: 1 files that are no scans",)


def test_a_linked_folder_and_a_patient_of_another_disk(tmp_path):
    save_stack(tmp_path / "far", FIVE)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "patient").symlink_to(tmp_path / "far")
    assert read_scan(tmp_path / "here").voxels.shape[2] == 5


# ---- any folder


@st.composite
def folders(draw):
    """Slices of up to three series in any order, some copied, some missing, with odd elements."""
    files = []
    for series in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 6))
        step = draw(st.sampled_from([0.5, 1.0, 2.5, 3.0]))
        start = draw(st.sampled_from([0.0, 0.5, 40.0]))
        common = {
            name: draw(values)
            for name, values in ODD.items()
            if draw(st.booleans())
        }  # fmt: skip
        for k in range(count):
            if draw(st.integers(0, 5)) == 0:
                continue
            own = {
                "ImagePositionPatient": [10, 20, start + k * step],
                "InstanceNumber": draw(st.sampled_from([k, 7, None])),
                "SeriesInstanceUID": draw(st.sampled_from([f"1.2.{series}", f"1.2.{series}.{k}", "", None])),
                **common,
            }
            for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
                files.append((10 * series + k, own))
    return draw(st.permutations(files))


ODD = {
    "ImageType": st.sampled_from([["DERIVED", "SECONDARY"], "", ["ORIGINAL", "PRIMARY", "LOCALIZER"]]),
    "Modality": st.sampled_from(["MR", "", "SEG"]),
    "AcquisitionNumber": st.sampled_from([1, 2, None]),
    "SliceThickness": st.sampled_from([None, 0, 5, "1.25"]),
    "StudyInstanceUID": st.sampled_from(["1.1", "1.2"]),
    "PatientID": st.sampled_from(["a", "b"]),
    "PixelSpacing": st.sampled_from([None, [1, 1], [0, 1]]),
    "ImageOrientationPatient": st.sampled_from([[0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0.9, -0.43589], [1, 0, 0, 1, 0, 0]]),
    "RescaleIntercept": st.sampled_from([None, 0, 7]),
    "RescaleSlope": st.sampled_from([0, 0.5, None]),
    "PhotometricInterpretation": st.sampled_from(["PALETTE COLOR", "MONOCHROME1"]),
    "KVP": st.sampled_from(["80", None]),
}


@settings(max_examples=50, deadline=None)
@given(files=folders())
def test_every_slice_is_in_a_series_or_counted(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    for number, (k, elements) in enumerate(files):
        save_slice(folder / f"{number}.dcm", picture(k), **elements)
    contents = contents_of(folder, name="slices")
    held = sum(len(series.slices) for series in contents.series)
    assert held + sum(contents.left_out.values()) == len(files)
    assert [series.number for series in contents.series] == [*range(1, len(contents.series) + 1)]
    for series in contents.series:
        try:
            scan = read_scan(folder, series=str(series.number))
        except DataError as error:
            assert "at the same place" in str(error) or "RescaleSlope 0" in str(error)
            continue
        given_planes = (
            scan.voxels.size if scan.covered is None else np.broadcast_to(scan.covered, scan.voxels.shape).sum()
        )
        assert given_planes >= 12 * len(series.slices)
        assert np.isfinite(scan.affine).all()
    shutil.rmtree(folder)


def test_the_command_lists_the_series_of_files_folders_and_zips(tmp_path, capsys):
    save_stack(tmp_path / "s", FIVE, StudyInstanceUID="1.1", SeriesDescription="Arterial")
    save_stack(tmp_path / "s", FIVE[:4], first=5, StudyInstanceUID="1.2", SeriesDescription="Venous")
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4)), tmp_path / "one.nii.gz")
    assert main(["predict", "phantom", "--list-series", str(tmp_path / "s"), str(tmp_path / "one.nii.gz")]) == 0
    first, *series, last = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path / 's'}: 2 series" and last == f"{tmp_path / 'one.nii.gz'}: no DICOM series"
    assert [line.rpartition("; ")[2] for line in series] == ["study 1 of 2", "study 2 of 2"]
    assert "5 slices of 3 x 4 CT" in series[0] and "Arterial" in series[0] and "Venous" in series[1]


def test_the_command_takes_a_volume_of_a_file_of_several_and_says_which(tmp_path, capsys):
    noise = np.random.default_rng(0).integers(-1000, 900, (20, 24, 6, 3)).astype(np.int16)
    whole, one = tmp_path / "four.nii.gz", tmp_path / "one.nii.gz"
    nib.save(nib.Nifti1Image(noise, np.eye(4)), whole)
    nib.save(nib.Nifti1Image(noise[..., 2], np.eye(4)), one)
    assert main(["predict", "phantom", str(whole)]) == 1
    assert (
        "holds 3 volumes (shape 20 x 24 x 6 x 3)" in (said := capsys.readouterr()).out and "--volume 0 to 2" in said.out
    )
    assert main(["predict", "phantom", "--json", "--volume", "2", str(whole)]) == 0
    (taken,) = json.loads(capsys.readouterr().out)["items"]
    assert main(["predict", "phantom", "--json", str(one)]) == 0
    (alone,) = json.loads(capsys.readouterr().out)["items"]
    assert taken["mean_hu"] == alone["mean_hu"] and taken["volumes_ml"] == alone["volumes_ml"]
    assert {*taken["warnings"]} - {*alone["warnings"]} == {
        "volume 2 of 0 to 2 was taken, as requested; the others are left out"
    }
    assert main(["predict", "phantom", "--volume", "3", str(whole)]) == 1
    assert "there is no volume 3, expected 0 to 2" in capsys.readouterr().out
    assert main(["predict", "mnist", "--volume", "0", str(one)]) == 1
    assert "--volume is not for the weights mnist: their inputs hold one volume each" in capsys.readouterr().err


def test_the_command_takes_the_series_that_is_asked_for(tmp_path, capsys):
    save_stack(tmp_path / "s", FIVE, StudyInstanceUID="1.1", SeriesDescription="Arterial")
    save_stack(tmp_path / "s", FIVE[:4], first=5, StudyInstanceUID="1.1", SeriesDescription="Venous")
    assert main(["predict", "phantom", "--json", "--series", "Venous", str(tmp_path / "s")]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["series"].startswith("2 of 2: 4 slices of 3 x 4 CT")


def test_scans_in_a_zip_that_is_still_packed_cannot_be_read(tmp_path):
    files = save_stack(tmp_path / "s", FIVE)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    ((label, read),) = scans_of(str(tmp_path / "s.zip"), unpack=False)
    assert label == str(tmp_path / "s.zip")
    with pytest.raises(DataError, match="still in their zip; open it first"):
        read(None, None)
    shapes = [read(None, None).voxels.shape for _, read in opened([(label, read)])]  # each while it is its turn
    assert shapes == [(3, 4, 5)]


def test_a_mask_is_called_the_same_whether_or_not_the_run_was_interrupted(tmp_path):
    """Three scans of one name, the second damaged: the third one's mask is scan-3 in both."""
    predictor, files = load("phantom", device="cpu"), []
    for folder in "abc":
        (tmp_path / folder).mkdir()
        files.append(str(tmp_path / folder / "scan.nii.gz"))
        nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4)), files[-1])
    Path(files[1]).write_bytes(b"no scan")
    whole = [item.to_json() for item in predictor.stream_inputs(files, output=tmp_path / "whole")]
    (last,) = [
        item.to_json()
        for item in predictor.stream_inputs(
            files, output=tmp_path / "on", answered=[{"input": file} for file in files[:2]]
        )
    ]
    assert [Path(item["mask"]).name.split("_")[0] if "mask" in item else "" for item in whole] == ["scan", "", "scan-3"]
    assert Path(last["mask"]).name == Path(whole[2]["mask"]).name
    gathered = [*predictor.gather(whole, tmp_path / "whole")]
    assert gathered == whole
