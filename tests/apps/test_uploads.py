"""Uploads as files: names that lead nowhere, messages that say the visitor's name, archives made folders."""

import io
import zipfile
from pathlib import Path

import pytest

from cnn_core.errors import DataError
from components.uploads import as_file, safe_name, unpack_upload


@pytest.mark.parametrize(("name", "safe"), [
    ("reviews.csv", "reviews.csv"),
    ("My reviews (2), été.CSV", "My reviews (2)_ été.CSV"),
    ("../../etc/passwd", "data.passwd"),
    ("C:\\data\\mine.zip", "mine.zip"),
    ("..", "data."),
    (".hidden.csv", "hidden.csv"),
    ("--data.csv", "data.csv"),
    ("a\nb\0c.csv", "a_b_c.csv"),
    ("<b>$x$</b>.csv", "b_.csv"),
    ("x" * 300 + ".csv", "x" * 50 + ".csv"),
    ("", "data."),
])  # fmt: skip
def test_uploads_bear_names_that_lead_nowhere(name: str, safe: str):
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["scan.nii.gz", "<b>my scan</b>.nii.gz"])
def test_an_upload_is_a_file_for_a_while_and_errors_do_not_tell_where(name: str):
    with pytest.raises(DataError) as caught, as_file(name, b"abc") as path:
        assert path.read_bytes() == b"abc" and path.suffix == Path(name).suffix
        raise DataError(f"{path}: not a scan; {path.name} is three bytes long")
    assert not path.exists()
    assert str(caught.value) == f"{name}: not a scan; {name} is three bytes long"


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for path, text in files.items():
            opened.writestr(path.replace("__", "/"), text)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [
    archive(mine__a="1", mine__b__c="2"),
    archive(a="1", b__c="2"),
    archive(mine__a="1", mine__b__c="2", **{".DS_Store": "x"}),
], ids=["one folder", "files", "one folder beside a hidden file"])  # fmt: skip
def test_an_archive_becomes_the_folder_that_it_holds(tmp_path: Path, data: bytes):
    place = tmp_path / "set.zip"
    unpack_upload("mine.zip", data, place, max_members=9, max_bytes=99)
    assert [*tmp_path.iterdir()] == [place]
    assert {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} == {"a", "b/c"}


def test_a_bad_archive_is_refused_by_its_own_name(tmp_path: Path):
    with pytest.raises(DataError, match=r"^my <set>\.zip: more than 1 files"):
        unpack_upload("my <set>.zip", archive(a="1", b="2"), tmp_path / "set.zip", max_members=1, max_bytes=99)
