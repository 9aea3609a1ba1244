"""Paths as a user types them: found, missing, and no path at all."""

from pathlib import Path

import pytest

from cnn_core.data.paths import own_path, user_path
from cnn_core.errors import DataError, UnknownNameError

SETS = ("mnist", "cifar10")


def test_the_home_folder_is_put_in_where_somebody_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/photos") == tmp_path / "photos"
    assert user_path("~nobody-here/photos") == Path("~nobody-here/photos")


def test_own_data_are_found_or_said_to_be_missing(tmp_path: Path) -> None:
    assert own_path(tmp_path, SETS, expected="pictures") == tmp_path
    with pytest.raises(DataError, match=r"there is no file or folder \./gone; expected a table"):
        own_path("./gone", SETS, expected="a table", kinds=("file", "folder"))
    with pytest.raises(UnknownNameError, match="unknown data set or folder 'mnits'; did you mean mnist"):
        own_path("mnits", SETS, expected="pictures")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_names_that_no_file_can_have_are_unknown(name: str) -> None:
    with pytest.raises(UnknownNameError):
        own_path(name, SETS, expected="pictures")
