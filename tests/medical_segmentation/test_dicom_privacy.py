"""Nothing that a DICOM header says about the patient comes through."""

import gzip
import logging
import os
import subprocess
import sys

import pydicom

from medical_segmentation.scan import read_scan, write_mask

SECRET = {
    "PatientName": "Quxenberg^Zoe",
    "PatientID": "QX-4711-ID",
    "PatientBirthDate": "19770707",
    "OtherPatientIDs": "QX-4711-ID",
    "ReferringPhysicianName": "Quxenberg^Adam",
    "InstitutionName": "Quxenberg Hospital",
    "SeriesDescription": "Thorax of Quxenberg",
    "StudyInstanceUID": "1.2.3.4711",
}
WORDS = ("Quxenberg", "QX-4711", "19770707", "1.2.3.4711")


def test_nothing_about_the_patient_comes_through(write_series, write_slice, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    files = write_series([30, 32, 36], **SECRET)
    write_slice("series/top.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **SECRET)
    write_slice("series/other.dcm", SeriesInstanceUID="1.2.3.4711", **SECRET)
    assert b"Quxenberg" in files[0].read_bytes()
    scan = read_scan(tmp_path / "series")
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii.gz")
    written = gzip.decompress((tmp_path / "mask.nii.gz").read_bytes())
    told = f"{scan!r} {scan.warnings} {scan.grid!r} {scan.grid.header} {vars(scan)}" + caplog.text
    for word in WORDS:
        assert word not in told
        assert word.encode() not in written


def test_values_in_the_wrong_place_are_not_repeated_to_anybody(write_slice, tmp_path):
    """In its own process with all warnings on and a log: what pydicom says of damaged values quotes them."""
    paths = []
    for keyword in ("RescaleSlope", "Modality", "ImagePositionPatient", "SeriesInstanceUID", "Rows", "ImageType"):
        paths.append(write_slice(f"{keyword}.dcm", **SECRET))
        dataset = pydicom.dcmread(paths[-1])
        tag = pydicom.tag.Tag(keyword)
        dataset[tag] = pydicom.dataelem.RawDataElement(
            tag, pydicom.datadict.dictionary_VR(tag), 10, b"QUXENBERG ", 0, False, True
        )
        dataset.save_as(paths[-1])
        assert b"QUXENBERG" in paths[-1].read_bytes()
    program = """
import logging, sys, traceback
logging.basicConfig(level=0)
from medical_segmentation.scan import read_scan
for path in sys.argv[1:]:
    try:
        print(read_scan(path))
    except ValueError:
        traceback.print_exc()
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, *map(str, paths)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, cwd=tmp_path,
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert told.count("Scan(name=") + told.count("errors.DataError") == len(paths)
    for word in (*WORDS, "QUXENBERG"):
        assert word not in told
