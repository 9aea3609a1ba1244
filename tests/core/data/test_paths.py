"""Paths as a user types them: found, missing, and no path at all."""

from pathlib import Path

import pytest

from cnn_core.data.paths import beside_upload, custom_path, given_path, user_path, with_upload_of
from cnn_core.errors import DataError, UnknownNameError

SETS = ("mnist", "cifar10")


def test_the_home_folder_is_put_in_where_somebody_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/photos") == tmp_path / "photos"
    assert user_path("~nobody-here/photos") == Path("~nobody-here/photos")


def test_own_data_are_found_or_said_to_be_missing(tmp_path: Path) -> None:
    assert custom_path(tmp_path, SETS, expected="pictures") == tmp_path
    with pytest.raises(DataError, match=r"there is no file or folder \./gone; expected a table"):
        custom_path("./gone", SETS, expected="a table", kinds=("file", "folder"))
    with pytest.raises(UnknownNameError, match="unknown data set or folder 'mnits'; did you mean mnist"):
        custom_path("mnits", SETS, expected="pictures")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_names_that_no_file_can_have_are_unknown(name: str) -> None:
    with pytest.raises(UnknownNameError):
        custom_path(name, SETS, expected="pictures")


def test_what_was_uploaded_for_a_run_is_found_by_its_bare_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (run / "upload").mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (run / "upload" / "mine.csv").write_text("of the run")
    (run / "secret.csv").write_text("not given")
    for name in ("mine.csv", "other.csv"):
        (elsewhere / name).write_text("of the current folder")
    with with_upload_of(run):
        assert custom_path("mine.csv", SETS, expected="a table").read_text() == "of the run"
        assert given_path("./mine.csv").read_text() == "of the current folder"
        assert custom_path(tmp_path, SETS, expected="a folder") == tmp_path
        for name in ("other.csv", "gone.csv"):  # never another file that happens to bear the name
            with pytest.raises(DataError, match=rf"{name} was uploaded for this run .*; give its path with --data"):
                custom_path(name, SETS, expected="a table")
        with pytest.raises(DataError, match="there is no folder"):
            custom_path("../secret.csv", SETS, expected="a table")
        assert [given_path(name) for name in ("", "..", ".")] == [Path(), Path(".."), Path()]
        assert beside_upload("features") == run / "upload" / "features"
        (run / "upload" / "mine.csv").unlink()
        assert beside_upload("features") is None
    assert custom_path("mine.csv", SETS, expected="a table").read_text() == "of the current folder"
    with with_upload_of(elsewhere):  # a run without an upload
        assert custom_path("mine.csv", SETS, expected="a table") == Path("mine.csv")
        assert beside_upload("features") is None
