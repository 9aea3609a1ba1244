"""Own pictures: layouts, splits, damaged files, and folders that cannot be learned from."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_core.data.classes.layout import omissions
from cnn_core.errors import DataError
from image_classification.data import load_set
from image_classification.folder import PICTURES, FolderData, load_folder
from image_classification.preprocess import InputContract

CONTRACT = InputContract(3, (8, 8))


def counts_of(data: FolderData) -> dict[str, dict[str, int]]:
    """Split -> class -> pictures."""
    return {
        split: {label: int((part.targets == k).sum()) for k, label in enumerate(part.labels)}
        for split, part in data.sets.items()
    }


COLOURS = {"cats": (200, 0, 0), "dogs": (0, 200, 0), "owls": (0, 0, 200)}


def fill(folder: Path, colour: tuple[int, int, int], count: int, *, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        Image.new("RGB", (10 + i, 12), colour).save(folder / f"{i:03}.png")


@pytest.fixture
def animals(tmp_path) -> Path:
    root = tmp_path / "animals"
    for name, colour in COLOURS.items():
        fill(root / name, colour, 10)
    return root


def zipped(folder: Path, *, inside: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            name = inside + str(file.relative_to(folder))
            archive.writestr(name + "/" * file.is_dir(), b"" if file.is_dir() else file.read_bytes())
    return path


def test_automatic_split(animals):
    data = load_folder(animals, CONTRACT)
    assert data.sets["test"].labels == ("cats", "dogs", "owls")
    # Of 10 per class 2 for the test, 1 for validation, 7 to learn from.
    counts = {split: set(per_class.values()) for split, per_class in counts_of(data).items()}
    assert counts == {"train": {7}, "val": {1}, "train+val": {8}, "test": {2}}
    parts = [set(data.sets[split].files) for split in ("train", "val", "test")]
    assert len(parts[0] | parts[1] | parts[2]) == 30
    assert set(data.sets["train+val"].files) == parts[0] | parts[1]
    for image_set in data.sets.values():
        for image, target in zip(image_set.images, image_set.targets, strict=True):
            assert tuple(image[:, 4, 4].tolist()) == COLOURS[image_set.labels[target]]


def test_split_is_deterministic_and_stable(animals):
    first = load_folder(animals, CONTRACT, splits=("test",)).sets["test"]
    assert load_folder(animals, CONTRACT, splits=("test",)).sets["test"].files == first.files
    fill(animals / "cats", COLOURS["cats"], 1, first=50)
    more = load_folder(animals, CONTRACT, splits=("test",)).sets["test"]
    assert len(set(more.files) - set(first.files)) <= 1  # a picture that is added moves at most itself into the test


@pytest.mark.parametrize(("count", "expected"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (2, (1, 0, 1)), (1, (1, 0, 0))])
def test_every_class_is_in_every_split_from_three_pictures_on(tmp_path, count, expected):
    for name, colour in COLOURS.items():
        fill(tmp_path / "set" / name, colour, count)
    counts = counts_of(load_folder(tmp_path / "set", CONTRACT))
    assert tuple(counts[split]["cats"] for split in ("train", "val", "test")) == expected


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("training", "valid", "testing"), ("Train", "Validation", "Test")]
)
def test_given_splits_are_kept(tmp_path, names):
    root = tmp_path / "set"
    for name, count in zip(names, (5, 3, 2), strict=True):
        for label in ("cats", "dogs"):
            fill(root / name / label, COLOURS[label], count)
    data = load_folder(root, CONTRACT)
    assert data.sets["test"].labels == ("cats", "dogs")
    assert [len(data.sets[s]) for s in ("train", "val", "train+val", "test")] == [10, 6, 16, 4]
    assert all(file.startswith(f"{names[2]}/") for file in data.sets["test"].files)


def test_splits_that_are_not_given_come_out_of_train(tmp_path):
    root = tmp_path / "set"
    for label in ("cats", "dogs"):
        fill(root / "train" / label, COLOURS[label], 20)
        fill(root / "test" / label, COLOURS[label], 5)
    data = load_folder(root, CONTRACT)
    assert [len(data.sets[s]) for s in ("train", "val", "test")] == [36, 4, 10]
    assert all(file.startswith("train/") for file in data.sets["val"].files)


def test_pictures_beside_the_class_folders_of_a_given_split_are_reported(tmp_path):
    """Of 10 per class in train 1 is for validation and 2 are for the test: those in test/ have no class."""
    root = tmp_path / "set"
    for label in ("cats", "dogs"):
        fill(root / "train" / label, COLOURS[label], 10)
    fill(root / "train", (9, 9, 9), 1, first=7)
    fill(root / "test", (9, 9, 9), 2)
    fill(root, (9, 9, 9), 1)
    data = load_folder(root, CONTRACT)
    assert {split: set(count.values()) for split, count in counts_of(data).items()} == {
        "train": {7}, "val": {1}, "train+val": {8}, "test": {2},
    }  # fmt: skip
    outside = "files outside the class folders"
    classless = "files in test, which has no class folders: this split is taken from train"
    assert data.skipped == [
        ("000.png", outside), ("test/000.png", classless), ("test/001.png", classless), ("train/007.png", outside),
    ]  # fmt: skip
    fill(root / "test" / "cats", COLOURS["cats"], 3)
    data = load_folder(root, CONTRACT)
    assert counts_of(data)["test"] == {"cats": 3, "dogs": 0}
    names = ("000.png", "test/000.png", "test/001.png", "train/007.png")
    assert data.skipped == [(name, outside) for name in names]


def test_classes_that_are_called_like_splits_are_classes(tmp_path):
    for name in ("train", "car"):  # vehicles
        fill(tmp_path / "set" / name, (9, 9, 9), 4)
    assert load_folder(tmp_path / "set", CONTRACT).sets["test"].labels == ("car", "train")


def test_any_mix_of_formats_modes_sizes_and_depths(tmp_path):
    root = tmp_path / "set"
    fill(root / "dogs", (1, 2, 3), 3)
    deep = root / "cats" / "summer" / "2024"
    deep.mkdir(parents=True)
    Image.new("CMYK", (30, 5)).save(deep / "a.tiff")
    Image.new("L", (1, 1), 7).save(root / "cats" / "b.bmp")
    Image.new("P", (300, 200)).save(root / "cats" / "c.gif")
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(root / "cats" / "d.PNG")
    Image.new("RGBA", (8, 8)).save(root / "cats" / "e.webp")
    Image.new("RGB", (4000, 3000)).save(root / "cats" / "f.JPG")
    (root / "cats" / ".hidden.png").write_bytes(b"x")
    (root / "cats" / "Thumbs.db").write_bytes(b"x")
    (root / ".git").mkdir()
    data = load_folder(root, CONTRACT)
    assert data.skipped == []
    assert counts_of(data)["train+val"]["cats"] + counts_of(data)["test"]["cats"] == 6


def test_damaged_files_are_skipped_by_name_and_counted(animals):
    (animals / "cats" / "empty.png").write_bytes(b"")
    (animals / "cats" / "notes.txt").write_text("these are my cats")
    good = (animals / "dogs" / "003.png").read_bytes()
    (animals / "dogs" / "cut.png").write_bytes(good[:-30])
    (animals / "readme.md").write_text("hello")
    data = load_folder(animals, CONTRACT)
    assert [name for name, _ in data.skipped] == [
        "readme.md",
        "cats/empty.png",
        "cats/notes.txt",
        "dogs/cut.png",
    ]
    reasons = dict(data.skipped)
    assert "zero bytes" in reasons["cats/empty.png"]
    assert "not a picture" in reasons["cats/notes.txt"]
    assert "incomplete" in reasons["dogs/cut.png"]
    assert "outside the class folders" in reasons["readme.md"]
    assert sum(len(data.sets[s]) for s in ("train", "val", "test")) == 30
    assert "Left out: 1 file outside the class folders (readme.md); " in str(data.summary)
    assert "1 unreadable: the file is empty (cats/empty.png)" in str(data.summary)


def test_what_is_left_out_is_counted_by_reason_and_named_in_part():
    damaged = [(f"{i}.png", f"the picture is damaged or incomplete (byte {i}); save it again") for i in range(5)]
    said = [str(entry) for entry in omissions([("a.txt", "files outside the class folders"), *damaged], PICTURES).all]
    assert said == [
        "1 file outside the class folders (a.txt)",
        "5 unreadable: the picture is damaged or incomplete (0.png, 1.png, 2.png, ...)",
    ]


def test_fits_that_need_grey_pictures_get_them(tmp_path):
    for name in ("one", "two"):
        fill(tmp_path / "set" / name, (255, 255, 255), 3)
        page = np.full((50, 40, 3), 250, np.uint8)
        page[10:30, 10:14] = (90, 0, 0)
        Image.fromarray(page).save(tmp_path / "set" / name / "drawn.png")
    image_set = load_set(tmp_path / "set", split="train+val", size=28, fit="digit")
    assert image_set.images.shape[1:] == (1, 28, 28)
    assert set(image_set.files) == {"one/drawn.png", "two/drawn.png"}  # the blank ones are skipped


def test_a_class_without_one_readable_picture_is_an_error(animals):
    for file in (animals / "cats").iterdir():
        file.write_bytes(b"junk")
    with pytest.raises(DataError, match=r"not one picture can be read of cats: cats/000\.png"):
        load_folder(animals, CONTRACT)


def make(root: Path, *folders: str) -> None:
    root.mkdir()
    for name in folders:
        (root / name).mkdir(parents=True)


def test_a_folder_with_nothing_in_it(tmp_path):
    make(tmp_path / "set")
    with pytest.raises(DataError, match="holds no pictures"):
        load_folder(tmp_path / "set", CONTRACT)


def test_pictures_without_class_folders(tmp_path):
    fill(tmp_path / "set", (0, 0, 0), 5)
    with pytest.raises(DataError, match=r"no class folders \(files: 5\)"):
        load_folder(tmp_path / "set", CONTRACT)


def test_one_class(tmp_path):
    fill(tmp_path / "set" / "cats", (0, 0, 0), 5)
    with pytest.raises(DataError, match=r"single class 'cats'.*at least two"):
        load_folder(tmp_path / "set", CONTRACT)


def test_all_problems_are_reported_at_once(tmp_path):
    root = tmp_path / "set"
    make(root, "train/cats", "train/dogs", "test/owls", "test/cats")
    fill(root / "train" / "cats", (0, 0, 0), 5)
    fill(root / "test" / "owls", (0, 0, 0), 5)
    with pytest.raises(DataError) as caught:
        load_folder(root, CONTRACT)
    text = str(caught.value)
    assert "class 'dogs' in train is empty" in text
    assert "class 'cats' in test is empty" in text
    assert "class 'owls' is in test but not in train" in text


def test_class_names_must_be_text(animals):
    fill(animals / "bad\udcff", (0, 0, 0), 3)
    with pytest.raises(DataError, match=r"readable text.*bad.udcff"):
        load_folder(animals, CONTRACT)


def test_pipes_and_links_in_circles_do_no_harm(animals):
    os.mkfifo(animals / "cats" / "pipe.png")
    (animals / "dogs" / "loop").symlink_to(animals)
    data = load_folder(animals, CONTRACT)
    assert ("cats/pipe.png", "there is no such file") in data.skipped
    assert counts_of(data)["train"] == {"cats": 7, "dogs": 7, "owls": 7}


def test_class_folders_may_be_links(animals, tmp_path):
    """Cats lie elsewhere; a second name for the dogs is no class of its own."""
    same = load_folder(animals, CONTRACT)
    (animals / "cats").rename(tmp_path / "cats")
    (animals / "cats").symlink_to(tmp_path / "cats")
    (animals / "canines").symlink_to(animals / "dogs")
    data = load_folder(animals, CONTRACT)
    assert counts_of(data) == counts_of(same)
    assert data.skipped == [("canines", "is read already, under another name")]
    for split in data.sets:
        assert data.sets[split].files == same.sets[split].files


def test_missing_folder_and_a_file_instead_of_one(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        load_folder(tmp_path / "nowhere", CONTRACT)
    with pytest.raises(DataError, match="there is no folder"):
        load_folder("x" * 5000, CONTRACT)
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(DataError, match="is a file; expected a folder, a zip or a tar"):
        load_folder(tmp_path / "file.txt", CONTRACT)


@pytest.mark.parametrize("inside", ["", "my animals/", "a/b/", "./", "././my animals/"])
def test_zip_gives_the_same_as_the_folder(animals, inside):
    path = zipped(animals, inside=inside)
    data, same = load_folder(path, CONTRACT), load_folder(animals, CONTRACT)
    assert counts_of(data) == counts_of(same)
    for split in data.sets:
        assert data.sets[split].files == same.sets[split].files
        assert torch.equal(data.sets[split].images, same.sets[split].images)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "cats/../../evil.png", "cats\\..\\evil.png"])
def test_zip_that_points_outside_is_refused(tmp_path, name):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cats/a.png", b"x")
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        archive.writestr(info, b"x")
    with pytest.raises(DataError, match="points outside"):
        load_folder(path, CONTRACT)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.zip"]


def test_zip_bomb_is_not_unpacked(animals, monkeypatch):
    monkeypatch.setattr("cnn_core.data.classes.listing.MEMBER_LIMIT", 1 << 20)
    path = zipped(animals)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("cats/bomb.png", "w") as stream:
        for _ in range(30):
            stream.write(bytes(1 << 20))
    data = load_folder(path, CONTRACT)
    assert data.skipped == [("cats/bomb.png", "unpacks to more than 1 MB, which no picture file has")]


def test_a_zip_of_a_million_entries_is_refused_before_it_is_listed(animals, monkeypatch):
    path = zipped(animals)
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(50):
            archive.writestr(f"cats/{i}.txt", b"")
    monkeypatch.setattr("cnn_core.data.classes.listing.MEMBERS_LIMIT", 20)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # which would make an object of each
    with pytest.raises(DataError, match="more than 20 files"):
        load_folder(path, CONTRACT)


def test_pictures_that_swell_a_hundredfold_are_refused_unread(animals, monkeypatch):
    """Each picture is small enough, and there are two classes: it is all of them together that would take hours."""
    path = zipped(animals)
    data = bytearray(path.read_bytes())
    for _ in range(6):  # the sizes that the directory declares: 6 times 200 MB
        place = data.index(b"PK\x01\x02")
        data[place : place + 4] = b"done"
        data[place + 24 : place + 28] = (200 * 1024**2).to_bytes(4, "little")
    path.write_bytes(data.replace(b"done", b"PK\x01\x02"))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(DataError, match=r"unpacks to 1\.2 GB, more than 100 times its size"):
        load_folder(path, CONTRACT)


def test_damaged_zips(animals, tmp_path):
    path = zipped(animals)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is a file"):  # its directory is at its end
        load_folder(path, CONTRACT)
    at = whole.index(b"cats/003.png") + 60
    path.write_bytes(whole[:at] + bytes(20) + whole[at + 20 :])
    data = load_folder(path, CONTRACT)
    assert [name for name, _ in data.skipped] == ["cats/003.png"]
    assert "cannot be unpacked" in data.skipped[0][1]


def test_a_damaged_picture_in_a_zip_of_7_zip_s_own_kind_is_skipped(animals):
    path = zipped(animals, method=zipfile.ZIP_LZMA)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("cats/003.png")
    whole = bytearray(path.read_bytes())
    at = entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2
    whole[at : at + 8] = bytes(255 - byte for byte in whole[at : at + 8])
    path.write_bytes(whole)
    assert [name for name, _ in load_folder(path, CONTRACT).skipped] == ["cats/003.png"]


def test_pictures_that_cannot_fit_into_memory_are_refused(animals, monkeypatch):
    monkeypatch.setattr("image_classification.folder.MEMORY_SHARE", 1e-12)
    with pytest.raises(DataError, match="choose a size of at most"):
        load_folder(animals, CONTRACT)


def test_progress_is_reported(animals):
    seen = []
    load_folder(animals, CONTRACT, observe=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)


def test_only_the_pictures_of_the_wanted_split_are_decoded(tmp_path):
    root = tmp_path / "set"
    for name in ("train", "test"):
        for label in ("cats", "dogs"):
            fill(root / name / label, COLOURS[label], 4)
    (root / "train" / "cats" / "bad.png").write_bytes(b"")
    data = load_folder(root, CONTRACT, splits=("test",))
    assert len(data.sets["test"]) == 8
    assert data.skipped == []  # the damaged picture of train was not touched
