"""Archives that take the place of a set's folder: which part, what is checked, what stays when it is refused."""

import hashlib
import threading
import time
import zipfile
from pathlib import Path

import pytest
from loopback import served

from cnn_core.data.published import check_contents, contents_sha256, fetched, put_in_place, replacing, unpack_part
from cnn_core.data.sets import DataSet
from cnn_core.errors import DataError


def zipped(path: Path, **files: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return path


def texts(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_text() for file in files}


def test_the_part_of_an_archive_replaces_what_was_there(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", repo_1f__set__a="new", repo_1f__set__deep__b="b", repo_1f__readme="r")
    folder = tmp_path / "data" / "set"
    folder.mkdir(parents=True)
    (folder / "old").write_text("old")
    put_in_place(archive, folder, inside="*/set")
    assert texts(folder) == {"a": "new", "deep/b": "b"}
    link = tmp_path / "link"
    link.symlink_to(folder)
    put_in_place(archive, link)
    assert link.is_symlink() and texts(folder) == {
        "repo_1f/set/a": "new", "repo_1f/set/deep/b": "b", "repo_1f/readme": "r",
    }  # fmt: skip
    assert sorted(entry.name for entry in folder.parent.iterdir()) == [".lock", "set"]


@pytest.mark.parametrize("inside", ["*/other", "*", "repo_1f/readme"])
def test_no_such_folder_or_several_leave_what_was_there(inside: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", repo_1f__readme="r", second__b="b")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "old").write_text("old")
    with pytest.raises(DataError, match="holds no folder"):
        put_in_place(archive, folder, inside=inside)
    assert texts(folder) == {"old": "old"}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "a.zip", "set"]


def test_what_is_checked_is_not_put_in_place_when_it_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", repo__x__1="one", repo__x__2="two", repo__y="y")
    listed = "".join(f"x/{k}\n{hashlib.sha256(text).hexdigest()}\n" for k, text in ((1, b"one"), (2, b"two")))
    whole = hashlib.sha256(listed.encode()).hexdigest()
    put_in_place(
        archive, tmp_path / "set", inside="*", check=lambda place: check_contents(place, "x/*", sha256=whole)
    )  # fmt: skip
    assert contents_sha256(tmp_path / "set", "x/*") == (whole, 2)
    (tmp_path / "set" / "x" / "2").rename(tmp_path / "set" / "x" / "3")  # another name is another set
    with pytest.raises(DataError, match=r"expected x/\* with the contents .* got 2 files"):
        check_contents(tmp_path / "set", "x/*", sha256=whole)
    with pytest.raises(DataError, match="got 1 files"):
        put_in_place(
            archive, tmp_path / "set", inside="*", check=lambda place: check_contents(place, "y", sha256=whole)
        )  # fmt: skip
    assert (tmp_path / "set" / "x" / "3").is_file()


def test_an_archive_that_the_block_refuses_is_fetched_again(tmp_path: Path) -> None:
    zipped(tmp_path / "web" / "a.zip", x="1")
    with served(tmp_path / "web") as address:
        with fetched(f"{address}/a.zip", name="b.zip", folder=tmp_path / "data") as archive:
            unpack_part(archive, tmp_path / "x")
        assert archive == tmp_path / "data" / "b.zip" and archive.is_file()
        with (
            pytest.raises(DataError, match="no set"),
            fetched(f"{address}/a.zip", name="b.zip", folder=archive.parent),
        ):
            raise DataError("no set")
        assert not archive.exists()


def test_an_interrupted_filling_leaves_the_old_set_and_the_next_one_works(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(folder) as fresh:
        (fresh / "half").write_text("half")
        raise KeyboardInterrupt
    assert texts(folder) == {"old": "old"} and not fresh.exists()
    with replacing(folder) as fresh:
        (fresh / "new").write_text("new")
    assert texts(folder) == {"new": "new"}


def test_two_at_once_get_a_set_once(tmp_path: Path) -> None:
    calls = []

    def get(folder: Path, progress: object) -> None:
        calls.append(folder)
        time.sleep(0.3)
        with replacing(folder) as fresh:
            (fresh / "a").write_text("a")

    def count(folder: Path) -> str:
        if not (folder / "a").is_file():
            raise DataError("missing")
        return "1 file"

    known = DataSet(name="set", description="", folder="set", count=count, official="1 file", get=get)
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(known.fetch(data_root=tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = tmp_path / "set"
    assert sorted(said) == [f"set is there already: 1 file in {folder}", f"set: 1 file in {folder}"]
    assert calls == [folder]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "set"]
