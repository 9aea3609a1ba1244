"""A user's own pictures with boxes: every layout gives the same boxes, and what is wrong is said before training."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_boxes import SIZE, as_coco, as_csv, as_voc, as_yolo, squares, voc_xml
from PIL import Image

from cnn_core.data import cache
from cnn_core.data.archives import extract
from cnn_core.errors import DataError, UnknownNameError
from object_detection.coco import read_coco
from object_detection.folder import OwnBoxes, load_own
from object_detection.tables import read_boxes
from object_detection.voc import read_voc
from object_detection.yolo import yolo_labels

LAYOUTS = {"voc": as_voc, "coco": as_coco, "yolo": as_yolo, "csv": as_csv}


def load(folder: Path) -> OwnBoxes:
    return load_own(folder, [])


def said(folder: Path) -> str:
    return " ".join(load(folder).summary.sentences)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_boxes_that_were_drawn(layout: str, tmp_path: Path) -> None:
    made = squares(12)
    own = load(LAYOUTS[layout](tmp_path, made))
    assert own.whole.labels == ("blue", "red") and len(own.whole) == 12
    for name, truth in zip(own.whole.files, own.whole.truths, strict=True):
        boxes = made[int(Path(name).stem)][1]
        assert [own.whole.labels[k] for k in truth.classes] == [label for label, _ in boxes]
        assert np.allclose(truth.boxes, [corners for _, corners in boxes], atol=1e-3)
    assert [len(own.parts[split]) for split in ("train", "val", "test")] == [8, 2, 2]  # one of each class held out
    assert sorted(np.concatenate([*own.parts.values()])) == [*range(12)]
    assert "18 boxes" in " ".join(own.summary.sentences)


def test_splits_are_those_of_the_folders_and_files(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("valid", 2), ("test", 3)):
        as_coco(tmp_path / part, squares(count, seed=count))  # as Roboflow hands them out: equal names in each
    own = load(tmp_path)
    assert {split: len(index) for split, index in own.parts.items()} == {"train": 4, "val": 2, "test": 3}
    assert own.summary.divided == "as the folders say"
    names = own.split("test").files
    assert all(name.startswith("test/") for name in names)


def test_copies_stay_together(tmp_path: Path) -> None:
    made = squares(10)
    as_csv(tmp_path, [*made, *made])
    own = load(tmp_path)
    split_of = {int(i): split for split, index in own.parts.items() for i in index}
    stems = [int(Path(name).stem) for name in own.whole.files]
    places = {stem: split_of[i] for i, stem in enumerate(stems)}
    assert all(places[k] == places[k + 10] for k in range(10))


def row(*cells: object) -> str:
    return ",".join(map(str, cells)) + "\n"


PROBLEMS: dict[str, tuple[str, str]] = {  # a row of a table -> what is said of it
    "swapped": (row("00.png", "red", 40, 30, 10, 5), "1 box with exchanged corners, turned round"),
    "outside": (row("00.png", "red", 200, 200, 240, 230), "1 box outside their picture (photos/00.png)"),
    "overhanging": (row("00.png", "red", 60, 40, 120, 60), "1 box reaching out of their picture, cut off at its edge"),
    "flat": (row("00.png", "red", 10, 10, 10, 40), "1 box without area"),
    "missing": (row("99.png", "red", 1, 1, 20, 20), "1 picture missing that a table names (99.png)"),
    "unnamed": (row("00.png", "", 1, 1, 20, 20), "1 box without a class"),
    "twice": (row("00.png", "green", 1, 1, 20, 20) * 2, "1 box given twice"),
    "infinite": (row("00.png", "red", "inf", 1, 20, 20), "1 box whose numbers are none"),
    "case": (row("00.png", "Red", 1, 1, 20, 20), "'Red', 'red' differ in case"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_wrong_with_a_box_is_counted_and_said(problem: str, tmp_path: Path) -> None:
    folder = as_csv(tmp_path, squares(8))
    with (folder / "boxes.csv").open("a") as table:
        table.write(PROBLEMS[problem][0])
    assert PROBLEMS[problem][1] in said(folder)


def test_pictures_without_boxes_are_background_and_unnamed_ones_are_left_out(tmp_path: Path) -> None:
    folder = as_voc(tmp_path, squares(8))
    (folder / "Annotations" / "03.xml").write_text(voc_xml("03.png", []))
    Image.new("RGB", SIZE).save(folder / "JPEGImages" / "extra.png")
    text = said(folder)
    assert "1 picture without a box, learned as background" in text
    assert "1 picture that no annotation names (JPEGImages/extra.png)" in text
    yolo = as_yolo(tmp_path / "yolo", squares(8))
    (yolo / "labels" / "05.txt").unlink()
    assert "1 picture without a box" in said(yolo)


def test_fractions_and_pixels_are_told_apart_and_other_sizes_are_scaled(tmp_path: Path) -> None:
    made = squares(6)
    folder = as_csv(tmp_path, made)
    lines = (folder / "boxes.csv").read_text().splitlines()
    fractions = [lines[0]]
    for line in lines[1:]:
        name, label, *numbers = line.split(",")
        parts = [float(value) / SIZE[k % 2] for k, value in enumerate(numbers)]
        fractions.append(",".join([name, label, *map(str, parts)]))
    (folder / "boxes.csv").write_text("\n".join(fractions))
    own = load(folder)
    assert np.allclose(own.whole.truths[0].boxes, [corners for _, corners in made[0][1]], atol=1e-3)
    assert "fractions of their edges" in " ".join(own.summary.sentences)
    voc = as_voc(tmp_path / "voc", made)
    doubled = [(label, tuple(2 * v for v in corners)) for label, corners in made[0][1]]
    (voc / "Annotations" / "00.xml").write_text(voc_xml("00.png", doubled, size=(2 * SIZE[0], 2 * SIZE[1])))
    assert np.allclose(load(voc).whole.truths[0].boxes, [c for _, c in made[0][1]], atol=0.6)
    (voc / "Annotations" / "00.xml").write_text(voc_xml("00.png", doubled, size=(500, 100)))
    assert "annotation is for another shape of picture" in said(voc)


def test_tables_of_other_columns_are_read(tmp_path: Path) -> None:
    tables = {
        "plain.csv": "a.png,1,2,30,40,cat\nb.png,,,,,\n",  # RetinaNet's: no header, b is background
        "edges.csv": "image_id,class,x,y,w,h\na.png,cat,1,2,29,38\nb.png,,,,,\n",
        "listed.csv": 'image_id,width,height,bbox,label\na.png,96,64,"[1.0, 2.0, 29.0, 38.0]",cat\nb.png,96,64,,\n',
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
        first, second = read_boxes(tmp_path / name)
        assert (first.picture, first.boxes, first.labels) == ("a.png", [(1.0, 2.0, 30.0, 40.0)], ["cat"]), name
        assert (second.picture, second.boxes) == ("b.png", []), name
    (tmp_path / "wrong.csv").write_text("image,label\na.png,cat\n")
    with pytest.raises(DataError, match=r"expected columns for the picture .* and for its box .*got image, label"):
        read_boxes(tmp_path / "wrong.csv")
    (tmp_path / "letters.csv").write_text("filename,label,xmin,ymin,xmax,ymax\na.png,cat,1,2,x,4\n")
    with pytest.raises(DataError, match=r"letters.csv, line 2: expected numbers, got 1, 2, x, 4"):
        read_boxes(tmp_path / "letters.csv")


@pytest.mark.parametrize("head", ["image,label,cx,cy,w,h", "filename,class,x_center,y_center,width,height"])
def test_boxes_from_their_centre_are_read_and_it_is_said(head: str, tmp_path: Path) -> None:
    (tmp_path / "centre.csv").write_text(f"{head}\na.png,cat,15.5,21,29,38\nb.png,,,,,\n")
    remarks: list[str] = []
    first, second = read_boxes(tmp_path / "centre.csv", remarks)
    assert (first.boxes, second.boxes) == ([(1.0, 2.0, 30.0, 40.0)], [])
    columns = ", ".join(head.split(",")[2:])
    assert remarks == [f"centre.csv has the centre, width and height of each box ({columns})"]


def test_decimal_commas_are_read_and_counted(tmp_path: Path) -> None:
    rows = [
        "image;label;xmin;ymin;xmax;ymax;width;height",
        "a.png;cat;1,5;2;30,25;40;96,0;64,0",
        "b.png;cat;1;2;3;4;96;64",
    ]
    (tmp_path / "europe.csv").write_text("\n".join(rows) + "\n")
    remarks: list[str] = []
    first, second = read_boxes(tmp_path / "europe.csv", remarks)
    assert first.boxes == [(1.5, 2.0, 30.25, 40.0)] and second.boxes == [(1.0, 2.0, 3.0, 4.0)]
    assert first.size == second.size == (96, 64)
    assert remarks == ["1 row of europe.csv with decimal commas, 12,5 being read as 12.5"]
    (tmp_path / "both.csv").write_text("\n".join(rows).replace("1,5", "1.000,5"))
    with pytest.raises(DataError, match=r"both.csv, line 2: expected numbers, got 1.000,5"):
        read_boxes(tmp_path / "both.csv")


BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>'
SPY = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><filename>&b;</filename></annotation>'


@pytest.mark.parametrize("text", [BOMB, SPY])
def test_xml_with_entities_is_refused(text: str, tmp_path: Path) -> None:
    folder = as_voc(tmp_path, squares(3))
    (folder / "Annotations" / "00.xml").write_text(text)
    with pytest.raises(DataError, match=r"00.xml: holds a document type or entities.*remove the <!DOCTYPE"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation><object>", "not XML"),
        ("<html></html>", "expected <annotation> of PASCAL VOC, got <html>"),
        ("<annotation><object><name>a</name></object></annotation>", "object 1: expected <bndbox> with the numbers"),
        ("<annotation><object><bndbox/></object></annotation>", "object 1: has no <name>"),
        (
            f"<annotation><object><name>a</name><bndbox><xmin>{'9 ' * 10_000}</xmin></bndbox></object></annotation>",
            "object 1: expected <bndbox> with the numbers",
        ),
    ],
)
def test_a_damaged_voc_file_is_named_in_a_short_sentence(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text(text)
    with pytest.raises(DataError, match=words) as raised:
        read_voc(file)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["annotations"][0].update(image_id=999), "names the picture 999"),
        (lambda t: t["annotations"][0].update(category_id=1), "the category 1, one of which"),
        (lambda t: t["annotations"][0].update(bbox=[1, 2]), r"the box \[1, 2\], expected \[left, top, width, height\]"),
        (lambda t: t.pop("categories"), r"missing \['categories'\]"),
        (lambda t: t["images"][0].pop("file_name"), "not as COCO has it"),
        (lambda t: t["annotations"][0].update(bbox=5), "not JSON|not as COCO has it"),
        (lambda t: t["images"][0].update(width=float("inf")), "not as COCO has it"),
        (lambda t: t["images"].__setitem__(0, 1), "not as COCO has it"),
    ],
)
def test_a_damaged_coco_file_is_named(change: Callable[[dict], object], words: str, tmp_path: Path) -> None:
    file = as_coco(tmp_path, squares(3)) / "boxes.json"
    table = json.loads(file.read_text())
    change(table)
    file.write_text(json.dumps(table))
    with pytest.raises(DataError, match=words):
        [*read_coco(file)]


def test_outlines_of_coco_take_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    outline = json.dumps([[round(0.1 * k, 1) for k in range(600)]])
    entry = '{{"id": {0}, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 3, 4], "segmentation": {1}}}'
    with file.open("w") as stream:
        stream.write('{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "x"}], ')
        stream.write(f'"annotations": [{", ".join(entry.format(k, outline) for k in range(120))}]}}')
    tracemalloc.start()
    (record,) = read_coco(file)
    slim = tracemalloc.get_traced_memory()[1] / file.stat().st_size
    tracemalloc.reset_peak()
    json.loads(file.read_text())
    whole = tracemalloc.get_traced_memory()[1] / file.stat().st_size
    tracemalloc.stop()
    assert len(record.boxes) == 120
    assert slim < 3 < 6 < whole, (slim, whole)  # times the size of the file


def test_files_that_are_too_large_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coco = as_coco(tmp_path / "coco", squares(4))
    monkeypatch.setattr("object_detection.coco.LARGEST", (coco / "boxes.json").stat().st_size - 1)
    monkeypatch.setattr(json, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"boxes\.json: larger than 0 GiB; split it into several files"):
        load(coco)
    voc = as_voc(tmp_path / "voc", squares(4))
    (voc / "Annotations" / "00.xml").write_text("<annotation>" + " " * (17 << 20) + "</annotation>")
    with pytest.raises(DataError, match=r"00\.xml: larger than 16 MiB; one picture needs a few kilobytes"):
        load(voc)
    yolo = as_yolo(tmp_path / "yolo", squares(4))
    (yolo / "labels" / "00.txt").write_text("0 0.5 0.5 0.1 0.1\n" * 80_000)
    with pytest.raises(DataError, match=r"00\.txt: larger than 1 MiB"):
        load(yolo)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"images": ' + "[" * 200_000 + "]" * 200_000 + ', "annotations": [], "categories": []}', "not JSON"),
        ('{"images": [{"id": 1}, "annotations": ', "not JSON"),
        ('["images", "annotations", "categories"]', "expected one object with images"),
    ],
)
def test_json_that_is_nested_cut_short_or_a_list_is_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(DataError, match=words):
        [*read_coco(file)]


def test_pictures_that_are_missing_beside_xml_and_json_are_counted(tmp_path: Path) -> None:
    voc, coco = as_voc(tmp_path / "voc", squares(8)), as_coco(tmp_path / "coco", squares(8))
    (voc / "JPEGImages" / "03.png").unlink()
    (coco / "pictures" / "03.png").unlink()
    assert "1 annotation whose picture is missing (Annotations/03.xml)" in said(voc)
    assert "03.png" in said(coco) and "missing" in said(coco)
    assert len(load(voc).whole) == len(load(coco).whole) == 7


def test_annotations_without_anything_in_them(tmp_path: Path) -> None:
    coco = as_coco(tmp_path / "coco", squares(4))
    table = json.loads((coco / "boxes.json").read_text())
    (coco / "boxes.json").write_text(json.dumps({**table, "annotations": []}))
    with pytest.raises(DataError, match="not one usable box in 4 pictures"):
        load(coco)
    voc = as_voc(tmp_path / "voc", squares(4))
    (voc / "Annotations" / "00.xml").write_bytes(b"")
    with pytest.raises(DataError, match=r"00\.xml: not XML"):
        load(voc)
    csv = as_csv(tmp_path / "csv", squares(4))
    (csv / "boxes.csv").write_text("filename,label,xmin,ymin,xmax,ymax\n")
    with pytest.raises(DataError):
        load(csv)


def test_numbers_of_coco_and_voc_that_are_no_box_are_counted(tmp_path: Path) -> None:
    coco = as_coco(tmp_path / "coco", squares(8))
    table = json.loads((coco / "boxes.json").read_text())
    for entry, box in zip(
        table["annotations"], ([float("nan"), 1, 5, 5], [10, 10, 0, 9], [30, 30, -20, -20]), strict=False
    ):
        entry["bbox"] = box
    (coco / "boxes.json").write_text(json.dumps(table))
    text = said(coco)
    assert "1 box whose numbers are none" in text and "1 box without area" in text
    assert "1 box with exchanged corners, turned round" in text
    voc = as_voc(tmp_path / "voc", squares(8))
    (voc / "Annotations" / "00.xml").write_text(voc_xml("00.png", [("red", (40, 30, 10, 5)), ("Blue", (5, 5, 20, 20))]))
    text = said(voc)
    assert "1 box with exchanged corners, turned round" in text and "differ in case" in text


def test_a_file_of_yolo_that_is_none_is_named(tmp_path: Path) -> None:
    folder = as_yolo(tmp_path, squares(4))
    (folder / "labels" / "02.txt").write_text("7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"02.txt, line 1: class 7, but there are 2 names"):
        load(folder)
    (folder / "labels" / "02.txt").write_text("0 0.1 0.1 0.2 0.2 0.3 0.1 0.2 0.3\n")
    with pytest.raises(DataError, match="expected a class number and four fractions, got an outline"):
        load(folder)
    for number in ("²", "9" * 5000):  # digits that `int` refuses
        (folder / "labels" / "02.txt").write_text(f"{number} 0.5 0.5 0.1 0.1\n", "utf-8")
        with pytest.raises(DataError, match="expected a class number and four fractions"):
            load(folder)


def test_a_size_of_voc_that_is_no_number_is_none(tmp_path: Path) -> None:
    folder = as_voc(tmp_path, squares(2))
    file = folder / "Annotations" / "00.xml"
    for width in ("²", "9" * 5000):
        file.write_text(voc_xml("00.png", squares(1)[0][1]).replace(f"<width>{SIZE[0]}<", f"<width>{width}<"), "utf-8")
        assert read_voc(file).size is None


@pytest.mark.parametrize("names", ["names: {0: red, blue: blue}", "[" * 5000, "names: [" * 2000, "{1: 2, a: 3}: 4"])
def test_names_of_yolo_that_yaml_does_not_hold_are_no_crash(names: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(names)
    try:
        labels, _ = yolo_labels(tmp_path)
    except DataError as error:
        assert "not YAML" in str(error) or "expected the number of a class before each" in str(error)
    else:
        assert labels == {}


def test_a_row_that_is_too_short_is_named(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(
        "filename,label,xmin,ymin,xmax,ymax\na.png,red,1,2,3,4\nb.png,red,1,2\n" + "c.png,red,1,2,3,4\n" * 30
    )
    with pytest.raises(DataError, match="line 3"):
        read_boxes(tmp_path / "boxes.csv")
    (tmp_path / "boxes.csv").write_text('filename,bbox\na.png,"' + "[" * 20_000 + '"\n')
    with pytest.raises(DataError, match="line 2: expected numbers"):
        read_boxes(tmp_path / "boxes.csv")


def test_a_folder_without_annotations_says_what_is_expected(tmp_path: Path) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"expected pictures with boxes: .* found 1 pictures and none of these"):
        load(tmp_path)
    with pytest.raises(UnknownNameError):
        load_own("strets", ["streets"])


def test_the_first_pages_of_files_are_counted(tmp_path: Path) -> None:
    as_csv(tmp_path, squares(12))
    (file,) = tmp_path.rglob("03.png")
    with Image.open(file) as picture:
        picture.save(file, "TIFF", save_all=True, append_images=[Image.new("RGB", SIZE)])
    assert "1 of the pictures is the first frame or page of a file of several" in said(tmp_path)


def test_a_zip_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    as_voc(tmp_path / "data", squares(6))
    archive = shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path / "data")
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "root"))
    unpacked = []
    monkeypatch.setattr(cache, "extract", lambda *a, **k: (unpacked.append(a), extract(*a, **k)))
    assert len(load(Path(archive)).whole) == len(load(Path(archive)).whole) == 6
    assert len(unpacked) == 1
