"""Captions beside their pictures: a text file for each, or a table in each folder; columns that say splits."""

import json
from pathlib import Path

import pytest
from PIL import Image

from cnn_core.errors import DataError
from image_captioning.layouts import Listing, read_custom


def pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for shade, name in enumerate(names):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(folder / name, "JPEG")
    return folder


def captions(listing: Listing) -> dict[str, tuple[str, ...]]:
    return {record.name: record.captions for record in listing.records}


def test_text_files_are_found_in_any_case_and_behind_the_whole_name(tmp_path: Path) -> None:
    names = pictures(tmp_path, "a.jpg", "b.jpg", "C.JPG", "d.jpg", "D.jpg")
    for name in ("a.TXT", "b.jpg.txt", "c.Caption", "d.txt", "D.txt"):
        (names / name).write_text(f"a dog of {name}\n")
    assert captions(read_custom(names)) == {
        "a.jpg": ("a dog of a.TXT",), "b.jpg": ("a dog of b.jpg.txt",), "C.JPG": ("a dog of c.Caption",),
        "d.jpg": ("a dog of d.txt",), "D.jpg": ("a dog of D.txt",),
    }  # fmt: skip


def test_text_files_of_no_picture_and_their_encoding_are_said(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "bare.jpg")
    for name in ("a", "b", "lost"):
        (tmp_path / f"{name}.txt").write_bytes("ein schöner Hund".encode("cp1252"))
    listing = read_custom(tmp_path)
    assert listing.read[1].startswith("in a.txt: not UTF-8, so read as Windows-1252")
    assert listing.read[2:] == ["text files with the name of no picture, which are not read: 1, such as lost.txt"]
    assert [(entry.reason, entry.count) for entry in listing.left_out.all] == [("pictures without a caption", 1)]


def test_tables_in_the_folders_of_their_pictures_are_all_read_and_the_folders_say_the_split(tmp_path: Path) -> None:
    """The layout of Hugging Face's imagefolder; the same names in both folders are other pictures."""
    for part in ("train", "test"):
        pictures(tmp_path / part, "1.jpg", "2.jpg")
        lines = [json.dumps({"file_name": f"{i}.jpg", "text": f"a dog to {part} {i}"}) for i in (1, 2)]
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(lines))
    listing = read_custom(tmp_path)
    assert captions(listing) == {
        f"{part}/{i}.jpg": (f"a dog to {part} {i}",) for part in ("train", "test") for i in (1, 2)
    }
    assert [record.split for record in listing.records] == ["test", "test", "train", "train"]


@pytest.mark.parametrize("name", ["usage", "data_split", "Phase"])
def test_other_columns_that_say_the_split(tmp_path: Path, name: str) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table = tmp_path / "captions.csv"
    table.write_text(f"image,caption,{name}\na.jpg,a dog,train\nb.jpg,a cat,Validation\nc.jpg,a bus,TEST\n")
    assert [record.split for record in read_custom(tmp_path).records] == ["train", "val", "test"]
    table.write_text(f"image,caption,{name}\na.jpg,a dog,train\nb.jpg,a cat,eval\nc.jpg,a bus,test\n")
    with pytest.raises(DataError, match=rf"in the column '{name}', got 'eval' \(1 of 3 rows"):
        read_custom(tmp_path)
