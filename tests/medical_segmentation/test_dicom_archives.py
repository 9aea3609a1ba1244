"""DICOM in zips and folders: read as the files in them, and what is made to do harm leaves nothing behind."""

import os
import tempfile
import zipfile

import numpy as np
import pytest

from cnn_core.errors import DataError
from medical_segmentation.scan import read_scan


def zipped(files, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.name)
    return path


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder of our own, to see what is left in it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_zip_is_read_as_its_folder_and_nothing_is_left(write_series, tmp_path, temporary):
    files = write_series([0, 2, 4])
    scan = read_scan(zipped(files, tmp_path / "study.zip"))
    np.testing.assert_array_equal(scan.voxels, read_scan(tmp_path / "series").voxels)
    assert scan.name == "study.zip"
    assert [*temporary.iterdir()] == []


def test_what_a_killed_process_left_a_day_ago_is_removed(write_series, tmp_path, temporary):
    old, new = temporary / "cnn-scan-old", temporary / "cnn-scan-new"
    for folder in (old, new):
        (folder / "unpacked").mkdir(parents=True)
        (folder / "unpacked/slice.dcm").touch()
    os.utime(old, (0, 0))
    read_scan(zipped(write_series([0, 2]), tmp_path / "study.zip"))
    assert [*temporary.iterdir()] == [new]


def test_a_zip_with_one_nifti(save, ct, tmp_path, temporary):
    scan = read_scan(zipped([save(ct)], tmp_path / "scan.zip"))
    np.testing.assert_array_equal(scan.voxels, ct)
    assert scan.name == "scan.zip"


def test_zips_made_to_do_harm_leave_nothing(write_series, tmp_path, temporary, monkeypatch):
    files = write_series([0, 2, 4])
    monkeypatch.setattr("medical_segmentation.sources.MAX_FILES", 100)
    monkeypatch.setattr("medical_segmentation.sources.MAX_UNPACKED", 1_000_000)
    for name, words in (("out", "leads out of the folder"), ("many", "more than 100 files"), ("bomb", "more than 976")):
        path = zipped(files, tmp_path / f"{name}.zip")
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            if name == "out":
                archive.writestr("../../evil.dcm", b"evil")
            elif name == "many":
                for k in range(100):
                    archive.writestr(f"{k}.dcm", b"")
            else:
                archive.writestr("big.dcm", bytes(2_000_000))
        with pytest.raises(DataError, match=words):
            read_scan(path)
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(zipped(files, tmp_path / "study.zip").read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged"):
        read_scan(damaged)
    with pytest.raises(DataError, match=r"neither DICOM nor NIfTI in it \(files: 1\); 1 zips in a zip"):
        read_scan(zipped([damaged], tmp_path / "nested.zip"))
    assert [*temporary.iterdir()] == []
    assert not (tmp_path / "evil.dcm").exists()


def test_folders_without_a_scan(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"in it \(files: 0\)"):
        read_scan(tmp_path)
    monkeypatch.setattr("medical_segmentation.sources.MAX_FILES", 3)
    for k in range(4):
        (tmp_path / f"{k}.txt").touch()
    with pytest.raises(DataError, match="more than 3 files"):
        read_scan(tmp_path)


def test_loops_and_pipes_in_a_folder_do_not_hang(write_series, tmp_path):
    write_series([0, 2])
    (tmp_path / "series/loop").symlink_to(tmp_path / "series")
    (tmp_path / "series/gone.dcm").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "series/pipe.dcm")
    assert read_scan(tmp_path / "series").voxels.shape[2] == 2
