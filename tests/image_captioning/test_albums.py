"""Albums as people have them: every layout of captions, names that differ, copies, splits, and what is said of it."""

import json
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cnn_core.data.summary import LeftOut
from cnn_core.errors import CnnError, DataError
from image_captioning.album import Album
from image_captioning.data import load_photos
from image_captioning.layouts import Listing, Record, divide, read_custom
from image_captioning.readers import Columns
from image_captioning.words import lacks_spaces, split_characters, split_words

NAMES = ("a.jpg", "b.jpg", "c.jpg")
WANTED = {"a.jpg": ("a dog, small", "a dog"), "b.jpg": ("two cats",), "c.jpg": ("a red bus",)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))


def pictures(folder: Path, *names: str) -> Path:
    """Write pictures of different colours."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        file = folder / name
        Image.new("RGB", (20, 10), (i * 7 % 256, i * 31 % 256, 90)).save(file, "JPEG" if "jp" in file.suffix else "PNG")
    return folder


def written(folder: Path, **files: object) -> Path:
    """Write files: `captions_csv="..."` is captions.csv; what is no text as JSON."""
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        file = folder / f"{stem}.{suffix}"
        file.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), "utf-8")
    return folder


def found(listing: Listing) -> dict[str, tuple[str, ...]]:
    return {record.name: record.captions for record in listing.records}


def left_out(listing: Listing) -> dict[str, int]:
    return {entry.reason: entry.count for entry in listing.left_out.all}


KAGGLE = 'image,caption\na.jpg,"a dog, small"\na.jpg,a dog\nb.jpg,two cats\nc.jpg,a red bus\n'
KARPATHY = {
    "dataset": "flickr8k",
    "images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "a dog, small"}, {"raw": "a dog"}]},
        {"filename": "b.jpg", "split": "restval", "sentences": [{"raw": "two cats", "tokens": ["two", "cats"]}]},
        {"filename": "c.jpg", "split": "test", "sentences": [{"raw": "a red bus"}]},
    ],
}
COCO = {
    "images": [
        {"id": "0001", "file_name": "a.jpg"}, {"id": "x2", "file_name": "b.jpg"}, {"id": 3, "file_name": "c.jpg"},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "caption": "a dog, small"}, {"id": 2, "image_id": "0001", "caption": "a dog"},
        {"id": 3, "image_id": "x2", "caption": "two cats"}, {"id": 4, "image_id": "3", "caption": "a red bus"},
    ],
}  # fmt: skip
LINES = "\n".join(json.dumps({name: captions}) for name, captions in WANTED.items())


@pytest.mark.parametrize(
    "files",
    [
        {"captions_txt": KAGGLE},
        {"captions_csv": KAGGLE.replace('"', "")},
        {"captions_txt": KAGGLE.replace('"', "").replace("image,caption\n", "")},
        {"captions_csv": "image,caption\na.jpg#0,a dog, small\na.jpg#1,a dog\nb.jpg#0,two cats\nc.jpg#0,a red bus\n"},
        {"captions_csv": "split,image,caption\ntrain,a.jpg,a dog, small\ntrain,a.jpg,a dog\n"
                         "val,b.jpg,two cats\ntest,c.jpg,a red bus\n"},
        {"captions_csv": KAGGLE.replace("\n", ",,\n")},
        {"results_csv": "image_name| comment_number| comment\na.jpg| 0| a dog, small\na.jpg| 1| a dog\n"
                        "b.jpg| 0| two cats\nc.jpg| 0| a red bus\n"},
        {"results_20130124_token": "a.jpg#0\ta dog, small\na.jpg#1\ta dog\nb.jpg#0\ttwo cats\nc.jpg#0\ta red bus\n"},
        {"dataset_json": KARPATHY},
        {"dataset_flickr8k_json": KARPATHY},
        {"captions_json": KARPATHY},
        {"captions_val2017_json": COCO},
        {"annotations_json": COCO},
        {"captions_json": WANTED},
        {"captions_jsonl": LINES},
        {"captions_jsonl": "\n".join(json.dumps({"image": n, "captions": c}) for n, c in WANTED.items())},
        {"captions_json": [{"image": n, "caption": c} for n, cs in WANTED.items() for c in cs]},
        {"captions_json": {"data": [{"file": n, "sentences": [{"raw": c} for c in cs]} for n, cs in WANTED.items()]}},
        {"flickr_csv": 'raw,filename\n"[""a dog, small"", ""a dog""]",a.jpg\n"[""two cats""]",b.jpg\n'
                       "\"['a red bus']\",c.jpg\n"},
        {"beschreibungen_csv": "nr;beschreibung;datei\n1;a dog, small;a.jpg\n2;a dog;a.jpg\n3;two cats;b.jpg\n"
                               "4;a red bus;c.jpg\n"},
        {"captions_csv": KAGGLE, "notes_csv": "a,b\n1,2\n"},
        {"train_csv": 'image,caption\na.jpg,"a dog, small"\na.jpg,a dog\n',
         "val_csv": "image,caption\nb.jpg,two cats\n", "test_csv": "image,caption\nc.jpg,a red bus\n"},
        {"captions_train2014_json": {"images": COCO["images"][:1], "annotations": COCO["annotations"][:2]},
         "captions_val2014_json": {"images": COCO["images"][1:], "annotations": COCO["annotations"][2:]}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["", "Images/"])
def test_every_layout_gives_the_same_captions(tmp_path: Path, files: dict[str, object], place: str) -> None:
    folder = written(pictures(tmp_path, *(place + name for name in NAMES)), **files)
    listing = read_custom(folder)
    assert found(listing) == WANTED and not listing.left_out.all and not listing.warnings


@pytest.mark.parametrize(
    ("there", "named"),
    [
        (unicodedata.normalize("NFD", "café.jpg"), "café.jpg"),
        ("café.jpg", unicodedata.normalize("NFD", "café.jpg")),
        ("IMG_1.JPG", "img_1.jpg"),
        ("img_1.jpg", "IMG_1"),
        ("img_1.jpg", "img_1.jpeg"),
        ("Images/img_1.jpg", "img_1.jpg"),
        ("img_1.jpg", "Images/img_1.jpg"),
        ("a/img_1.jpg", "C:\\photos\\A\\img_1.jpg"),
        ("a/img_1.jpg", "/home/me/a/img_1.jpg"),
        ("1.jpg", "1"),
        ("v1.2.jpg", "v1.2"),
        ("v1.2.jpg", "v1.2#3"),
        ("a#1.jpg", "a#1.jpg"),
        ("img_1.jpg", "https://example.org/p/img_1.jpg?width=200"),
        ("000042.jpg", "42"),
        ("COCO_val2014_000000000042.jpg", "42"),
        ("42.jpg", "42.0"),
    ],
)
def test_names_are_matched_by_form_case_stem_and_folder(tmp_path: Path, there: str, named: str) -> None:
    pictures(tmp_path, there, "other.jpg")
    assert Album(tmp_path).find(named).file == tmp_path / there


@pytest.mark.parametrize(
    ("there", "named", "reasons"),
    [
        (["x/a.jpg", "y/a.jpg"], ["a.jpg"], {"captions whose name fits several pictures": 1}),
        (["a.jpg", "a.png"], ["a"], {"captions whose name fits several pictures": 1}),
        (["A.jpg", "a.jpg"], ["A.JPG"], {"captions whose name fits several pictures": 1}),
        (["a.jpg"], ["b.jpg"], {"captions of pictures that are not there": 1}),
        (["x/a.jpg"], ["y/a.jpg", "z/a.jpg"], {"captions of pictures in folders that are not there": 2}),
        (["x/a.jpg"], ["x/a.jpg", "z/a.jpg"], {"captions of pictures in folders that are not there": 1}),
        (["x/a.jpg", "y/a.jpg"], ["x/a.jpg", "y/a.jpg"], {}),
        (["a.jpg", "x/a.jpg"], ["a.jpg", "x/a.jpg"], {}),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"], {}),
    ],
)
def test_a_name_that_is_not_certain_is_counted(tmp_path: Path, there: list, named: list, reasons: dict) -> None:
    pictures(tmp_path, *there, "sure.jpg")
    rows = "".join(f"{name},see {i}\n" for i, name in enumerate(named))
    listing = read_custom(written(tmp_path, captions_csv=f"image,caption\nsure.jpg,yes\n{rows}"))
    said = left_out(listing)
    said.pop("pictures without a caption", None)
    assert said == reasons
    assert sum(len(record.captions) for record in listing.records) + sum(said.values()) == 1 + len(named)


@pytest.mark.parametrize("head", [",image,caption", ",bild,wort"])
def test_the_number_of_a_row_is_no_picture(tmp_path: Path, head: str) -> None:
    names = [f"img_{i}.jpg" for i in range(12)]
    rows = "".join(f"{i},{name},a thing numbered {i}\n" for i, name in enumerate(names[::-1]))
    listing = read_custom(written(pictures(tmp_path, *names), captions_csv=f"{head}\n{rows}"))
    assert found(listing) == {name: (f"a thing numbered {i}",) for i, name in enumerate(names[::-1])}


def test_guesses_are_said(tmp_path: Path) -> None:
    pictures(tmp_path, "x/a.jpg", "IMG_007.jpg")
    listing = read_custom(written(tmp_path, captions_csv="image,caption\ny/a.jpg,a dog\n7,a cat\n"))
    assert found(listing) == {"y/a.jpg": ("a dog",), "7": ("a cat",)}
    assert listing.read == [
        "1 pictures are found by their number alone, such as 7",
        "1 pictures are found in another folder than they say, such as y/a.jpg",
    ]


def test_captions_in_a_text_file_beside_each_picture(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES)
    written(tmp_path, a_txt="a dog, small\n\na dog\n", b_txt="two cats", c_caption="a red bus\n")
    listing = read_custom(tmp_path)
    assert found(listing) == WANTED
    assert listing.read == ["the captions are the lines of the text files beside the pictures"]


@pytest.mark.parametrize("name", ["split", "Set", "subset", "partition"])
def test_columns_that_say_the_split(tmp_path: Path, name: str) -> None:
    pictures(tmp_path, *NAMES)
    written(tmp_path, captions_csv=f"image,caption,{name}\na.jpg,one,train\nb.jpg,two,Valid\nc.jpg,three,test\n")
    assert {split: [r.name for r in part] for split, part in read_custom(tmp_path).splits.items()} == {
        "train": ["a.jpg"], "val": ["b.jpg"], "test": ["c.jpg"],
    }  # fmt: skip
    if name != "split":
        written(tmp_path, captions_csv=f"image,caption,{name}\na.jpg,one,red\nb.jpg,two,blue\nc.jpg,three,red\n")
        assert not read_custom(tmp_path).by.startswith("the column")


def test_captions_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    rows = ["a.jpg,a dog", "a.jpg,a dog", "a.jpg,", "a.jpg,!?", "b.jpg", f"b.jpg,{'long ' * 4_001}", "gone.jpg,a cat"]
    folder = written(pictures(tmp_path, *NAMES), captions_csv="\n".join(["image,caption", *rows]))
    listing = read_custom(folder)
    assert found(listing) == {"a.jpg": ("a dog",)}
    assert left_out(listing) == {
        "captions repeated for the same picture": 1, "captions without a word": 3,
        "captions of more than 20,000 characters": 1, "captions of pictures that are not there": 1,
        "pictures without a caption": 2,
    }  # fmt: skip
    assert LeftOut("captions of pictures that are not there", 1, ("gone.jpg",)) in listing.left_out.all


def test_a_row_that_cannot_be_told_apart_is_refused_with_its_number(tmp_path: Path) -> None:
    pictures(tmp_path, *NAMES)
    rows = "a.jpg,a dog, small,train\na.jpg,a dog,train\nb.jpg,two cats,val\nc.jpg,a red bus,test\n"
    written(tmp_path, captions_csv=f"image,caption,split\n{rows}")
    with pytest.raises(DataError, match=r"captions.csv, line 2: 4 cells, but the first row has 3; put .* quotation"):
        read_custom(tmp_path)


def test_what_was_chosen_is_said(tmp_path: Path) -> None:
    folder = written(
        pictures(tmp_path, *NAMES), captions_csv="nr;wort;bild\n1;a dog;a.jpg\n2;a cat;b.jpg\n", extra_csv="x,y\n",
        old_json={},
    )  # fmt: skip
    assert read_custom(folder).read == [
        "column bild names the pictures and wort holds the captions",
        "read captions.csv; there and not read: extra.csv, old.json (--data takes a file too)",
    ]
    assert found(read_custom(folder / "captions.csv")) == {"a.jpg": ("a dog",), "b.jpg": ("a cat",)}
    written(folder, captions_csv="image,caption\na.jpg,a dog, small\nb.jpg,a cat\n")
    assert read_custom(folder).read[0] == (
        "1 rows hold commas without quotation marks; they are read as part of 'caption'"
    )


def test_packed_files_and_spreadsheets(tmp_path: Path) -> None:
    import gzip

    pandas = pytest.importorskip("pandas")
    pictures(tmp_path, *NAMES)
    for name, text in (("captions.csv.gz", KAGGLE), ("captions.json.gz", json.dumps(COCO))):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        assert found(read_custom(tmp_path)) == WANTED
        (tmp_path / name).unlink()
    rows = [(name, caption) for name, captions in WANTED.items() for caption in captions]
    pandas.DataFrame(rows, columns=["image", "caption"]).to_parquet(tmp_path / "captions.parquet")
    assert found(read_custom(tmp_path)) == WANTED


def test_two_tables_of_equal_right_are_refused(tmp_path: Path) -> None:
    written(pictures(tmp_path, *NAMES), one_csv=KAGGLE, two_csv=KAGGLE, readme_txt="Thanks, everybody\n")
    with pytest.raises(DataError, match=r"found one.csv, two.csv; call it captions.csv, or give its path as --data"):
        read_custom(tmp_path)


# ---- splits


def records(*splits: str) -> Listing:
    return Listing([Record(Path(f"{i}.jpg"), f"{i}.jpg", ("a",), split) for i, split in enumerate(splits)], by="x.csv")


@pytest.mark.parametrize(
    ("splits", "sizes", "said"),
    [
        (["train", "val", "test"], (1, 1, 1), "as x.csv says"),
        (["train"] * 18 + ["val"] * 2, (16, 2, 2), "as x.csv says; 10% for the test held out of the training pictures"),
        (["train"] * 18 + ["test"] * 2, (16, 2, 2), "as x.csv says; 10% for validation held out of the training"),
        (["val"] * 20, (16, 2, 2), "10% for validation and 10% for the test held out of the pictures, by their names"),
        (["test"] * 4, (0, 0, 4), "as x.csv says"),
        ([""] * 19 + ["test"], (17, 2, 1), "as x.csv says; 10% for validation held out of the training pictures"),
    ],
)
def test_what_the_data_say_is_kept_and_the_rest_held_out(splits: list, sizes: tuple, said: str) -> None:
    parts, divided = divide(records(*splits))
    assert tuple(len(parts[split]) for split in ("train", "val", "test")) == sizes
    assert divided.startswith(said)


@pytest.mark.parametrize(("test", "held"), [(0.3, 6), (5, 5)])
def test_the_test_pictures_can_be_a_share_or_a_number(test: float, held: int) -> None:
    parts, _ = divide(records(*[""] * 20), test=test)
    assert [len(parts[split]) for split in ("train", "val", "test")] == [20 - 2 - held, 2, held]
    for wrong in (0, 20, -1):
        with pytest.raises(DataError, match="expected a share below 1 or a number below the 20 pictures"):
            divide(records(*[""] * 20), test=wrong)


def test_copies_and_groups_stay_on_one_side(tmp_path: Path) -> None:
    names = [f"{i:02}.png" for i in range(20)]
    pictures(tmp_path, *names)
    for i in range(20):  # each once more under another name, as another kind of file
        Image.open(tmp_path / names[i]).save(tmp_path / f"copy{i}.bmp")
    rows = [f"{name},number {i},{i // 4}" for i, name in enumerate(names)]
    rows += [f"copy{i}.bmp,again {i}," for i in range(20)]
    written(tmp_path, captions_csv="\n".join(["image,caption,place", *rows]))
    photos = load_photos(tmp_path, size=(8, 8))
    where = {photos.whole.files[i]: split for split, part in photos.parts.items() for i in part}
    assert len(where) == 40 and all(where[names[i]] == where[f"copy{i}.bmp"] for i in range(20))
    assert {split: len(part) for split, part in photos.parts.items()} == {"train": 32, "val": 4, "test": 4}
    assert "20 pictures are copies of others, pixel by pixel, and 0 nearly so" in photos.summary.read
    grouped = load_photos(tmp_path, size=(8, 8), columns=Columns(group="place"))
    where = {grouped.whole.files[i]: split for split, part in grouped.parts.items() for i in part}
    for place in range(5):
        assert len({where[name] for i in range(4 * place, 4 * place + 4) for name in (names[i], f"copy{i}.bmp")}) == 1
    assert "by their names, groups and copies together" in grouped.summary.divided


def test_near_copies_stay_on_one_side_and_are_counted_between_given_splits(tmp_path: Path) -> None:
    rows = ["image,caption,split"]
    for i in range(12):
        coarse = np.random.RandomState(i).randint(0, 255, (12, 12, 3), np.uint8)
        photo = Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)
        photo.save(tmp_path / f"{i}.png")
        photo.resize((70, 70)).save(tmp_path / f"small{i}.jpg", quality=60)
        rows += [f"{i}.png,see {i},train", f"small{i}.jpg,small {i},{'test' if i < 4 else 'train'}"]
    written(tmp_path, captions_csv="\n".join(row.rpartition(",")[0] for row in rows))
    photos = load_photos(tmp_path, size=(64, 64))
    where = {photos.whole.files[i]: split for split, part in photos.parts.items() for i in part}
    assert all(where[f"{i}.png"] == where[f"small{i}.jpg"] for i in range(12))
    assert "0 pictures are copies of others, pixel by pixel, and 12 nearly so" in photos.summary.read
    photos = load_photos(written(tmp_path, captions_csv="\n".join(rows)), size=(64, 64))
    assert photos.summary.warnings[0].startswith("4 of 4 test pictures are copies of training pictures, or nearly so")


def test_the_first_frames_of_animations_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    frames = [Image.new("RGB", (20, 10), (k, 9, 9)) for k in (10, 200)]
    frames[0].save(tmp_path / "e.gif", save_all=True, append_images=frames[1:])
    written(tmp_path, captions_csv="image,caption\n" + "\n".join(f"{n},see {n}" for n in "abcde"))
    for _ in range(2):  # the second time from what is kept on disk
        read = load_photos(tmp_path, size=(8, 8)).summary.read
        assert any(said.startswith("1 of the pictures is the first frame") for said in read)


def test_copies_between_given_splits_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    Image.open(tmp_path / "a.png").save(tmp_path / "again.png", compress_level=1)
    splits = ["train", "val", "test", "train", "test"]
    rows = [f"{n}.png,see,{s}" for n, s in zip(["a", "b", "c", "d", "again"], splits, strict=True)]
    photos = load_photos(written(tmp_path, captions_csv="\n".join(["image,caption,split", *rows])), size=(8, 8))
    assert photos.summary.warnings == (
        "1 of 2 test pictures are copies of training pictures, or nearly so, which flatters the figures",
    )


def test_test_pictures_of_another_folder_or_of_a_list(tmp_path: Path) -> None:
    folder, other = tmp_path / "album", tmp_path / "new"
    written(pictures(folder, *(f"{i}.png" for i in range(10))), captions_csv="image,caption\n" + "".join(
        f"{i}.png,see {i}\n" for i in range(10)))  # fmt: skip
    written(pictures(other, "x.png", "y.png"), captions_csv="image,caption\nx.png,an x\ny.png,a y\nz.png,a z\n")
    photos = load_photos(folder, size=(8, 8), test=str(other))
    assert [photos.whole.files[i] for i in photos.parts["test"]] == ["new/x.png", "new/y.png"]
    assert photos.summary.divided.startswith("as --test new says; ")
    names = written(tmp_path, names_txt="3.png\n7.png\nnone.png\n") / "names.txt"
    photos = load_photos(folder, size=(8, 8), test=str(names))
    assert sorted(photos.whole.files[i] for i in photos.parts["test"]) == ["3.png", "7.png"]
    assert LeftOut("names of names.txt that are no picture with a caption", 1, ("none.png",)) in photos.summary.left_out
    for wrong, said in (("nowhere", "no such path"), ("11", "a number below the 10 pictures")):
        with pytest.raises(DataError, match=said):
            load_photos(folder, size=(8, 8), test=wrong)


def test_a_zip_of_an_album_is_read(tmp_path: Path) -> None:
    album = written(pictures(tmp_path / "album", *NAMES), captions_txt=KAGGLE)
    with zipfile.ZipFile(tmp_path / "album.zip", "w") as archive:
        for file in album.iterdir():
            archive.write(file, f"album/{file.name}")
    for _ in range(2):
        photos = load_photos(tmp_path / "album.zip", size=(8, 8))
        assert sorted(photos.whole.files) == [*NAMES]
    assert photos.whole.name.endswith("album.zip")


# ---- scripts without spaces


@pytest.mark.parametrize(
    ("caption", "characters"),
    [
        ("一只狗在雪地里", list("一只狗在雪地里")),
        ("一只 狗，在跑。", ["一", "只", " ", "狗", " ", "在", "跑"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("A dog!", ["a", " ", "d", "o", "g"]),
        ("café", ["c", "a", "f", "é"]),
    ],
)
def test_characters(caption: str, characters: list[str]) -> None:
    assert split_characters(caption) == characters
    assert "".join(split_characters(caption)) == " ".join(split_words(caption))


@pytest.mark.parametrize(
    ("captions", "lacks"),
    [
        (["一只黑色的狗在雪地里奔跑", "两只狗在玩"], True),
        (["犬が雪の中を走っている", "赤いバス"], True),
        (["สุนัขสีดำวิ่งอยู่บนหิมะ"], True),
        (["一 只 黑色 的 狗 在 雪地 里 奔跑"], False),
        (["a dog in the snow", "two dogs"], False),
        (["ein Rindfleischetikettierungsgesetz"], False),
        (["개가 눈 속을 달린다"], False),
        ([], False),
    ],
)
def test_captions_without_spaces_are_noticed(captions: list[str], lacks: bool) -> None:
    assert lacks_spaces(map(split_words, captions)) is lacks


def test_chinese_is_said_and_learned_by_characters(tmp_path: Path) -> None:
    from image_captioning import load, train

    names = [f"{i}.png" for i in range(12)]
    rows = "".join(f"{name},一只黑色的狗在雪地里奔跑\n" for name in names)
    folder = written(pictures(tmp_path / "album", *names), captions_csv=f"image,caption\n{rows}")
    shown = []
    few = {
        "data": str(folder), "epochs": 30, "eval_every": 30, "hidden": 24, "word_size": 16, "attention_size": 8,
        "options": {"widths": [4, 8], "stem_stride": 2}, "beams": 1, "batch_size": 6, "size": 16,
        "learning_rate": 2e-2, "dropout": 0.0, "seed": 1,
    }  # fmt: skip
    words = load_photos(folder, size=(8, 8)).summary
    assert any("--tokenizer characters" in warning for warning in words.warnings)
    train("scenes", folder=tmp_path / "run", settings={**few, "tokenizer": "characters"}, show=shown.append)
    assert shown[0].warnings == () and "of 12.0 characters on average" in shown[0].read[0]
    predictor = load(tmp_path / "run", device="cpu")
    assert predictor.predict([folder / "0.png"])[0].captions[0] == "一只黑色的狗在雪地里奔跑"
    assert predictor.unknown_words("一只猫") == ["猫"]
    assert predictor.explain(folder / "0.png").caption == "一只黑色的狗在雪地里奔跑"


# ---- anything


WORDS = st.text(alphabet="ab ,;|\t\"'#é一.\\/-", max_size=12)
ROW = st.tuples(st.sampled_from(["a", "A.JPG", "b.jpg", "sub/c.jpg", "c.jpg", "c", "d.jpg", "./a.jpg#1", ""]), WORDS)


@given(st.lists(ROW, max_size=12), st.sampled_from(["csv", "jsonl", "json"]))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_caption_is_used_or_counted(tmp_path: Path, rows: list[tuple[str, str]], kind: str) -> None:
    import csv

    folder = tmp_path / kind
    if not folder.exists():
        pictures(folder, "a.jpg", "b.jpg", "sub/c.jpg", "x/d.jpg", "y/d.jpg")
    for file in folder.glob("captions.*"):
        file.unlink()
    rows = [("b.jpg", "a certain picture"), *rows]
    with (folder / f"captions.{kind}").open("w", encoding="utf-8", newline="") as stream:
        if kind == "csv":
            csv.writer(stream).writerows([("image", "caption"), *rows])
        else:
            values = [{"image": name, "caption": caption} for name, caption in rows]
            stream.write(json.dumps(values) if kind == "json" else "\n".join(map(json.dumps, values)))
    listing = read_custom(folder)
    counted = left_out(listing)
    bare = counted.pop("pictures without a caption", 0)
    assert sum(len(record.captions) for record in listing.records) + sum(counted.values()) == len(rows)
    assert len(listing.records) + bare == 5
    assert all(record.file in Album(folder).files.values() for record in listing.records)
    try:
        photos = load_photos(folder, size=(4, 4))
    except CnnError:
        return
    assert sorted(np.concatenate([*photos.parts.values()]).tolist()) == [*range(len(listing.records))]
