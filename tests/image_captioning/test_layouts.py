"""Captions on disk: the official layouts, own tables, and everything that can be wrong with them."""

import json
import logging
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnn_core.data.files import data_root
from cnn_core.errors import DataError, UnknownNameError
from image_captioning.contract import CaptionContract
from image_captioning.data import DATA_SETS, load_photos, load_sets
from image_captioning.layouts import Listing, Record, read_coco, read_custom, read_flickr8k
from image_captioning.readers import Columns


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))


def pictures(folder: Path, *names: str) -> None:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (i * 20, 0, 0)).save(folder / name)


def table(folder: Path, text: str, *, name: str = "captions.csv", encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))
    return folder


def all_records(folder: Path) -> dict[str, tuple[str, ...]]:
    return {record.name: record.captions for part in read_custom(folder).splits.values() for record in part}


def test_a_picture_that_is_named_in_two_ways_is_one_picture_in_one_split(tmp_path: Path) -> None:
    names = [f"p{i}.png" for i in range(12)]
    pictures(tmp_path, *(f"in/{name}" for name in names))
    table(tmp_path, "image,caption\n" + "".join(f"{n},red\n./in/{n},a red one\n{n},red\n" for n in names))
    found = read_custom(tmp_path)
    files = [record.file.name for part in found.splits.values() for record in part]
    assert sorted(files) == sorted(names)
    assert all_records(tmp_path) == dict.fromkeys(names, ("red", "a red one"))
    assert "12 captions repeated for the same picture" in " ".join(map(str, found.left_out.all))


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "in/c.png", "d.png")
    table(
        tmp_path,
        "image,caption\na.png,a dog\na.png,a dog\na.png,two dogs\nb.png,\nb.png, .,!\nin/c.png,a cat\n"
        "gone.png,nothing\n../a.png,outside\n/etc/x.png,far\n",
    )
    listing = read_custom(tmp_path)
    assert all_records(tmp_path) == {"a.png": ("a dog", "two dogs", "outside"), "in/c.png": ("a cat",)}
    assert {(entry.count, entry.reason, entry.examples) for entry in listing.left_out.all} == {
        (2, "captions of pictures that are not there", ("gone.png", "/etc/x.png")),
        (2, "pictures without a caption", ("b.png", "d.png")),
        (2, "captions without a word", ("b.png",)),
        (1, "captions repeated for the same picture", ("a.png",)),
    }
    assert all(tmp_path in r.file.parents for part in listing.splits.values() for r in part)  # never outside


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions.csv", "file_name;text\na.png;a dog, small\n"),
        ("captions.tsv", "image\tcaption\na.png\ta dog, small\n"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "a dog, small"}\n'),
        ("captions.jsonl", '{"image": "a.png", "captions": ["a dog, small"]}\n'),
        ("any.csv", 'a.png,"a dog, small"\n'),
        ("captions.csv", 'image,caption1,caption2\na.png,"a dog, small",\n'),
        ("captions.csv", 'image,caption_1,caption_2\na.png,,"a dog, small"\n'),
        ("captions.csv", 'beschreibung,image\n"a dog, small",a.png\n'),
        ("captions.csv", 'caption,bild\n"a dog, small",a.png\n'),
        ("captions.csv", 'bild,beschreibung\na.png,"a dog, small"\n'),
    ],
)
def test_tables_of_every_kind(tmp_path: Path, name: str, text: str) -> None:
    pictures(tmp_path, "a.png")
    assert all_records(table(tmp_path, text, name=name)) == {"a.png": ("a dog, small",)}


def test_a_column_cannot_be_picture_and_caption(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    table(tmp_path, "image,text\na.png,a dog\n")
    with pytest.raises(DataError, match="expected two columns, image and caption, found image, text"):
        read_custom(tmp_path, columns=Columns(caption="image"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    pictures(tmp_path, "ä.png")
    assert all_records(table(tmp_path, "image,caption\nä.png,ein schöner Hund\n", encoding=encoding)) == {
        "ä.png": ("ein schöner Hund",)
    }


def test_a_column_split_says_where_a_picture_belongs(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    table(tmp_path, "image,caption,split\na.png,one,train\nb.png,two,dev\nc.png,three,TEST\n")
    assert {k: [r.name for r in v] for k, v in read_custom(tmp_path).splits.items()} == {
        "train": ["a.png"], "val": ["b.png"], "test": ["c.png"]
    }  # fmt: skip
    table(tmp_path, "image,caption,split\na.png,x,elsewhere\n")
    with pytest.raises(DataError, match="train, val or test"):
        read_custom(tmp_path)


def test_pictures_are_divided_by_their_names_whatever_their_order() -> None:
    records = [Record(Path(f"{i}.png"), f"{i}.png", ("a",)) for i in range(20)]
    parts = Listing(records).splits
    assert sorted(record.name for part in parts.values() for record in part) == sorted(r.name for r in records)
    assert [len(parts[split]) for split in ("train", "val", "test")] == [16, 2, 2]
    again = Listing(records[::-1]).splits
    assert all(sorted(r.name for r in again[s]) == sorted(r.name for r in parts[s]) for s in parts)
    assert [len(part) for part in Listing(records[:3]).splits.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "expected one table of captions"),
        ({"a.csv": "image,caption\n", "b.csv": "image,caption\n"}, "a.csv, b.csv"),
        ({"captions.csv": ""}, "empty"),
        ({"captions.csv": "image\na.png\n"}, "image and caption"),
        ({"captions.csv": "image,caption\nx.png,a dog\n"}, "none of its 1 pictures"),
        ({"captions.jsonl": "{"}, "not JSON"),
        ({"captions.jsonl": "[1]"}, "expected an object"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, files: dict[str, str], said: str) -> None:
    pictures(tmp_path, "a.png")
    for name, text in files.items():
        table(tmp_path, text, name=name)
    with pytest.raises(DataError, match=said):
        read_custom(tmp_path)


def test_named_columns_and_names_that_are_none(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    table(tmp_path, "id,image,caption,note\n7,a.png,a dog,a hound\n")
    assert read_custom(tmp_path, columns=Columns(caption="note")).splits["train"][0].captions == ("a hound",)
    with pytest.raises(DataError, match="no column 'words'"):
        read_custom(tmp_path, columns=Columns(caption="words"))


def coco(folder: Path, part: str, images: list, annotations: list, *, encoding: str = "utf-8") -> None:
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    text = json.dumps({"images": images, "annotations": annotations}, ensure_ascii=False)
    (folder / "annotations" / f"captions_{part}2017.json").write_bytes(text.encode(encoding))


def test_coco_layout(tmp_path: Path) -> None:
    names = [f"{i:03}.jpg" for i in range(12)]
    pictures(tmp_path, *(f"train2017/{n}" for n in names[:10]), *(f"val2017/{n}" for n in names[10:]))
    for part, chosen in (("train", names[:10]), ("val", names[10:])):
        images = [{"id": n, "file_name": n} for n in chosen]
        coco(tmp_path, part, images, [{"id": i, "image_id": n, "caption": f"see {n}"} for i, n in enumerate(chosen)])
    splits = read_coco(tmp_path).splits
    assert {k: len(v) for k, v in splits.items()} == {"train": 9, "val": 1, "test": 2}
    assert splits["test"][0].captions == ("see 010.jpg",) and splits["test"][0].file.parent.name == "val2017"
    assert all_records(tmp_path).keys() == {*names}  # an own folder in this layout is found out


@pytest.mark.parametrize(
    ("images", "annotations", "said"),
    [
        ([{"id": 1, "file_name": "a.jpg"}] * 2, [], "image ids occur twice"),
        ([{"id": 1, "file_name": "a.jpg"}], [{"image_id": 2, "caption": "x"}], "does not list"),
        ([{"id": 1}], [], "is not a COCO captions file"),
        ("none", [], "is not a COCO captions file"),
    ],
)
def test_coco_files_that_cannot_be_used(tmp_path: Path, images: list, annotations: list, said: str) -> None:
    coco(tmp_path, "train", images, annotations)
    with pytest.raises(DataError, match=said):
        read_coco(tmp_path)


def test_coco_files_that_are_no_utf8_or_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="captions_train2017"):
        read_coco(tmp_path)
    coco(tmp_path, "train", [{"id": 1, "file_name": "ä.jpg"}], [], encoding="cp1252")
    with pytest.raises(DataError, match="not UTF-8"):
        read_coco(tmp_path)


def test_a_repeated_annotation_is_counted_once(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    coco(tmp_path, "train", [{"id": 1, "file_name": "a.jpg"}], [{"id": 5, "image_id": 1, "caption": "x"}] * 2)
    listing = read_coco(tmp_path)
    assert sum(len(part) for part in listing.splits.values()) == 1


def flickr(folder: Path) -> Path:
    pictures(folder / "Flicker8k_Dataset", "a.jpg", "b.jpg", "c.jpg")
    lines = [f"{n}.jpg#{i}\tA {n} number {i} ." for n in "abcd" for i in range(2)]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for part, name in (("train", "a"), ("dev", "b"), ("test", "c")):
        (folder / f"Flickr_8k.{part}Images.txt").write_text(f"{name}.jpg\nmissing.jpg\n")
    return folder


def test_one_split_of_a_set_is_the_same_alone_as_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The validation split alone once counted as a whole set to divide: a tenth of it was measured."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    (tmp_path / "flickr8k").mkdir()
    flickr(tmp_path / "flickr8k")
    every = load_sets("flickr8k", splits=("train", "val", "test"), size=(16, 16))
    for split, expected in every.items():
        alone = load_sets("flickr8k", splits=(split,), size=(16, 16))[split]
        assert alone.files == expected.files and alone.captions == expected.captions and len(alone)


def test_flickr8k_layout(tmp_path: Path) -> None:
    listing = read_flickr8k(flickr(tmp_path))
    assert {k: [r.name for r in v] for k, v in listing.splits.items()} == {
        "train": ["a.jpg"], "val": ["b.jpg"], "test": ["c.jpg"]
    }  # fmt: skip
    assert listing.splits["test"][0].captions == ("A c number 0 .", "A c number 1 .")
    assert [(e.count, e.reason) for e in listing.left_out.all] == [
        (2, "captions of photos in none of the three lists"), (1, "photos of the lists that are not there"),
    ]  # fmt: skip
    assert DATA_SETS["flickr8k"].count(tmp_path) == "1 train, 1 val, 1 test pictures"
    (tmp_path / "Flickr8k.token.txt").write_text("no tab\n")
    with pytest.raises(DataError, match="line 1"):
        read_flickr8k(tmp_path)
    (tmp_path / "Flickr_8k.devImages.txt").unlink()
    flickr_token = "a.jpg#0\tx\n"
    (tmp_path / "Flickr8k.token.txt").write_text(flickr_token)
    with pytest.raises(DataError, match=r"devImages.txt is missing"):
        read_flickr8k(tmp_path)


def test_a_missing_set_says_what_is_expected_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Flickr8k.token.txt.*CNN_DATA_DIR"):
        load_sets("flickr8k", splits=("test",))
    with pytest.raises(DataError, match="COCO"):
        DATA_SETS["coco_captions"].count(tmp_path)
    with pytest.raises(UnknownNameError, match="scenes"):
        load_sets("scene", splits=("test",))
    with pytest.raises(DataError, match="no folder"):
        load_sets(str(tmp_path / "none"), splits=("test",))
    assert DATA_SETS["scenes"].fetch().startswith("scenes comes with")


def test_pictures_of_the_same_name_size_and_time_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255))):
        table(tmp_path / folder, "image,caption,split\np.bmp,a picture,train\n")
        Image.new("RGB", (8, 8), colour).save(tmp_path / folder / "p.bmp")
        os.utime(tmp_path / folder / "p.bmp", (0, 0))
        found = load_sets(str(tmp_path / folder), splits=("train",), size=(8, 8))["train"]
        assert found.images[0, :, 0, 0].tolist() == list(colour)


def test_pictures_are_decoded_once_and_unreadable_ones_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "own"
    pictures(folder, *(f"{i}.png" for i in range(6)))
    (folder / "3.png").write_bytes(b"no picture")
    table(folder, "image,caption,split\n" + "".join(f"{i}.png,number {i},train\n" for i in range(6)))
    with caplog.at_level(logging.WARNING):
        photos = load_photos(folder, size=(8, 8), fit="stretch")
    first = photos.whole
    assert first.files == ("0.png", "1.png", "2.png", "4.png", "5.png") and not caplog.text
    assert "Left out: 1 picture that cannot be read (3.png); 1 caption of these." in photos.summary.sentences
    assert photos.summary.divided == (
        "as the column split says; 10% for validation and 10% for the test held out of the training pictures, by their "
        "names, copies together"
    )
    contract = CaptionContract((8, 8), ("a",), fit="stretch")
    wanted = torch.stack([contract.place(folder / name)[0] for name in first.files])
    assert torch.equal(first.images, wanted)
    caplog.clear()
    again = load_photos(folder, size=(8, 8), fit="stretch").whole
    assert torch.equal(again.images, wanted) and "no picture" not in caplog.text
    assert len([*(data_root() / "features").iterdir()]) == 1
    table(folder, "image,caption,split\n" + "".join(f"{i}.png,number {i},test\n" for i in range(6)))
    with pytest.raises(DataError, match=r"train split holds no picture.*mark some as train in a column named split"):
        load_sets(folder, splits=("train",))


def test_ten_thousand_words_are_cut() -> None:
    contract = CaptionContract((8, 8), ("a", "dog"), longest=5)
    assert contract.encode("a dog " * 5000) == [4, 5, 4, 5, 4] and contract.encode("A zebra!") == [4, 3]
    assert contract.decode([1, 4, 3, 5, 2, 0]) == ["a", "?", "dog"]
