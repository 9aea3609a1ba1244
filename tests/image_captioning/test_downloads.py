"""Flickr8k: tiny archives of the official form, served from this machine or put into the data root by hand."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from loopback import served
from PIL import Image

from cnn_core.cli import main
from cnn_core.errors import DataError
from image_captioning import DATA_SETS, download
from image_captioning.data import load_sets

NAMES = {"train": ("1000268201_693b08cb0e.jpg", "17273391_55cfc7d3d4.jpg"), "dev": ("2.jpg",), "test": ("3.jpg",)}
PHOTOS, TEXTS = "Flickr8k_Dataset.zip", "Flickr8k_text.zip"


def flickr_archives(folder: Path) -> None:
    """As the University packed them: with a spelling mistake, and what macOS adds."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = io.BytesIO()
    Image.new("RGB", (50, 30), (20, 120, 60)).save(photo, "JPEG")
    names = [name for part in NAMES.values() for name in part]
    with zipfile.ZipFile(folder / PHOTOS, "w") as archive:
        for name in [*names, "667626_18933d713e.jpg"]:  # of none of the lists
            archive.writestr(f"Flicker8k_Dataset/{name}", photo.getvalue())
            archive.writestr(f"__MACOSX/Flicker8k_Dataset/._{name}", "x")
    with zipfile.ZipFile(folder / TEXTS, "w") as archive:
        lines = [f"{name}#{k}\tA dog number {k} runs ." for name in names for k in range(5)]
        archive.writestr("Flickr8k.token.txt", "\n".join(lines) + "\n")
        for part, listed in NAMES.items():
            archive.writestr(f"Flickr_8k.{part}Images.txt", "\n".join(listed) + "\n")
        archive.writestr("readme.txt", "Flickr8k")
        archive.writestr("__MACOSX/._readme.txt", "x")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root, and the table of the tiny archives in `web`."""
    flickr_archives(tmp_path / "web")
    monkeypatch.setattr(download, "SPLITS", {part: len(names) for part, names in NAMES.items()})
    for which, name in (("PHOTOS", PHOTOS), ("TEXTS", TEXTS)):
        md5 = hashlib.md5((tmp_path / "web" / name).read_bytes()).hexdigest()
        monkeypatch.setattr(download, which, (name, md5))
    monkeypatch.setattr(download, "FLICKR8K", "http://127.0.0.1:9/")  # nobody is there
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def check_set(folder: Path) -> None:
    assert sorted(entry.name for entry in folder.glob("*") if not entry.name.startswith("__")) == [
        "Flicker8k_Dataset", "Flickr8k.token.txt", "Flickr_8k.devImages.txt", "Flickr_8k.testImages.txt",
        "Flickr_8k.trainImages.txt", "readme.txt",
    ]  # fmt: skip
    sets = load_sets("flickr8k", splits=("train", "val", "test"), size=(16, 16))
    assert {split: part.files for split, part in sets.items()} == {
        "train": NAMES["train"], "val": NAMES["dev"], "test": NAMES["test"],
    }  # fmt: skip
    assert len(sets["test"].captions[0]) == 5 and sets["test"].captions[0][1][:4] == ("a", "dog", "number", "1")


def test_both_archives_are_fetched_verified_and_go_when_they_are_unpacked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path / "web") as address:
        monkeypatch.setattr(download, "FLICKR8K", f"{address}/")
        assert main(["data", "get", "flickr8k", "--quiet"]) == 0
    assert capsys.readouterr().out == f"flickr8k: 2 train, 1 val, 1 test pictures in {data / 'flickr8k'}\n"
    check_set(data / "flickr8k")
    assert not list(data.glob("*.zip"))


def test_archives_that_were_put_there_by_hand_are_taken_and_stay(data: Path, tmp_path: Path) -> None:
    flickr_archives(data)
    with zipfile.ZipFile(data / TEXTS, "a") as archive:
        archive.writestr("note.txt", "another hash than that of the mirror")
    assert DATA_SETS["flickr8k"].fetch().startswith("flickr8k: 2 train, 1 val, 1 test pictures in ")
    (data / "flickr8k" / "note.txt").unlink()
    check_set(data / "flickr8k")
    assert sorted(file.name for file in data.glob("*.zip")) == [PHOTOS, TEXTS]


def test_damaged_and_incomplete_archives_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "web" / PHOTOS
    whole = photos.read_bytes()
    photos.write_bytes(whole[:-100])
    with served(tmp_path / "web") as address:
        monkeypatch.setattr(download, "FLICKR8K", f"{address}/")
        with pytest.raises(DataError, match=rf"{PHOTOS} .*another hash"):
            DATA_SETS["flickr8k"].fetch()
    assert sorted(file.name for file in data.glob("*.zip")) == [TEXTS]  # is not fetched again
    (data / PHOTOS).write_bytes(whole[:-100])  # by hand
    with pytest.raises(DataError, match=rf"{PHOTOS}.*damaged"):
        DATA_SETS["flickr8k"].fetch()
    with zipfile.ZipFile(data / PHOTOS, "w") as archive:
        archive.writestr(f"Flicker8k_Dataset/{NAMES['train'][0]}", "x")
    with pytest.raises(DataError, match=r"1 of the 2 photos of Flickr_8k\.trainImages\.txt are missing"):
        DATA_SETS["flickr8k"].fetch()
    monkeypatch.setitem(download.SPLITS, "train", 6000)
    with pytest.raises(DataError, match="names 2 photos, expected 6,000"):
        DATA_SETS["flickr8k"].fetch()
    with zipfile.ZipFile(data / TEXTS, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(DataError, match=r"holds no Flickr8k\.token\.txt"):
        DATA_SETS["flickr8k"].fetch()
    assert not (data / "flickr8k").exists()
