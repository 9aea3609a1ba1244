"""Links to folders are followed once, and never round and round."""

from pathlib import Path

from cnn_core.data.folders import natural, walk
from cnn_core.data.images import picture_files


def found(root: Path) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    said = []
    places = walk(
        root, hidden=lambda name: name.startswith("."), report=lambda path, why: said.append((str(path), why))
    )
    files = {place.relative_to(root).as_posix(): sorted(names) for place, names in places}
    return files, [(Path(path).relative_to(root).as_posix(), why) for path, why in said]


def test_links_are_followed_and_each_real_folder_is_read_once(tmp_path: Path) -> None:
    root, far = tmp_path / "root", tmp_path / "far"
    for folder in (root / "b" / "inner", root / ".hidden", far / "deep"):
        folder.mkdir(parents=True)
    for file in (root / "b" / "inner" / "1.png", root / "b" / ".2.png", far / "3.png", far / "deep" / "4.png"):
        file.touch()
    (root / "a").symlink_to(root / "b")  # the folder itself comes first, whatever the names
    (root / "c").symlink_to(far)
    (root / "d").symlink_to(far / "deep")
    (far / "back").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "lost").symlink_to(tmp_path / "nowhere")
    (root / "self").symlink_to(root / "self")
    already = "is read already, under another name"
    assert found(root) == (
        {".": ["lost", "self"], "b": [], "b/inner": ["1.png"], "c": ["3.png"], "c/deep": ["4.png"]},
        [("a", already), ("d", already), ("up", "leads upwards, out of the folder"), ("c/back", already)],
    )
    assert picture_files(root) == [root / "b/inner/1.png", root / "c/3.png", root / "c/deep/4.png"]


def test_a_folder_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    files, said = found(tmp_path / "nowhere")
    assert files == {".": []}
    assert said == [(".", "the folder cannot be read (No such file or directory)")]
    assert picture_files(tmp_path / "nowhere") == []


def test_numbers_of_any_length_are_sorted_as_people_count() -> None:
    texts = ["1", "2", "007", "10", "10a", "9" * 5000, "1" + "0" * 5000]
    assert sorted({*texts}, key=natural) == texts
