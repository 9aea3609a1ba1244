"""Annotations that can be read in two ways: their boxes are in the right unit, split and class, or it is said."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_core.data.summary import Omissions
from cnn_core.errors import DataError
from object_detection.folder import OwnBoxes, load_own

HEADER = "filename,label,xmin,ymin,xmax,ymax\n"
NAMES = [f"p{k}.png" for k in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of 100 x 80 pixels."""
    for k, name in enumerate(NAMES):
        pixels = np.random.default_rng(k).integers(0, 255, (80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def rows(label: str, *box: object) -> str:
    return "".join(f"{name},{label},{','.join(map(str, box))}\n" for name in NAMES)


def boxes(own: OwnBoxes, place: int = 0) -> list[tuple[str, list[float]]]:
    truth = own.whole.truths[place]
    return [(own.whole.labels[k], box) for k, box in zip(truth.classes, truth.boxes.tolist(), strict=True)]


def texts(folder: Path, line: str, names: str = "names: [cat, dog]") -> None:
    for k in range(4):
        (folder / f"p{k}.txt").write_text(line)
    (folder / "data.yaml").write_text(names)


@pytest.mark.parametrize("pixels", ["a.csv", "c.csv"])  # before and after the fractions
def test_tables_in_different_units_keep_their_boxes(pixels: str, folder: Path) -> None:
    (folder / pixels).write_text(HEADER + rows("cat", 10, 20, 40, 60))
    (folder / "b.csv").write_text(HEADER + rows("bird", 0.5, 0.25, 0.75, 0.5))
    own = load_own(folder, [])
    assert sorted(boxes(own)) == [("bird", [50, 20, 75, 40]), ("cat", [10, 20, 40, 60])]
    assert f"4 pictures named in several tables ({' and '.join(sorted([pixels, 'b.csv']))})" in own.summary.read[1]


def test_boxes_that_mostly_reach_out_of_their_pictures_are_doubted(folder: Path) -> None:
    (folder / "a.csv").write_text("filename,label,bbox\n" + rows("cat", '"[50, 40, 90, 70]"'))  # right, bottom
    assert boxes(own := load_own(folder, [])) == [("cat", [50, 40, 100, 80])]
    assert any(said.startswith("4 of 4 boxes reach out of their picture") for said in own.summary.warnings)
    (folder / "a.csv").write_text("filename,label,bbox\n" + rows("cat", '"[50, 40, 40, 30]"'))
    assert not any("reach out" in said for said in load_own(folder, []).summary.warnings)


def test_the_first_row_of_a_table_without_a_header_may_be_a_picture_without_boxes(folder: Path) -> None:
    rest = "".join(f"{name},10,20,40,60,cat\n" for name in NAMES[1:])
    (folder / "a.csv").write_text(f"{NAMES[0]},,,,,\n{rest}")
    own = load_own(folder, [])
    assert [boxes(own, k) for k in range(2)] == [[], [("cat", [10, 20, 40, 60])]]


def test_pictures_of_one_name_that_share_a_file_of_yolo_are_said(folder: Path) -> None:
    texts(folder, "0 0.5 0.5 0.2 0.5")
    Image.open(folder / "p0.png").save(folder / "p0.jpg")
    own = load_own(folder, [])
    assert len(own.whole) == 5
    assert "1 file of several pictures of one name, which all get its boxes: p0.txt" in own.summary.read[1]


def test_the_lists_beside_yolo_say_which_split_a_picture_belongs_to(folder: Path) -> None:
    texts(folder, "0 0.5 0.5 0.2 0.5")
    (folder / "train.txt").write_text("./p0.png\n/content/data/p2.png\n")
    (folder / "val.txt").write_text("./p1.png\n")
    (folder / "test.txt").write_text("./p3.png\n")
    own = load_own(folder, [])
    assert {part: places.tolist() for part, places in own.parts.items()} == {"train": [0, 2], "val": [1], "test": [3]}
    assert "the lists test.txt, train.txt, val.txt say which split" in own.summary.read[1]


def test_names_of_yolo_in_data_yaml_count_before_those_of_other_files(folder: Path) -> None:
    texts(folder, "0 0.5 0.5 0.2 0.5")
    (folder / "args.yaml").write_text("names: [x, y]")
    own = load_own(folder, [])
    assert own.whole.labels == ("cat",)
    assert "class names from data.yaml (others are in args.yaml)" in own.summary.read[1]


@pytest.mark.parametrize(("box", "said"), [([], "[]"), (None, "[]"), ([1, 2, 3, 4, 45], "[1, 2, 3, 4, 45]")])
def test_an_annotation_of_coco_without_four_numbers_is_named(box: object, said: str, folder: Path) -> None:
    table = {
        "images": [{"id": 1, "file_name": "p0.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": box}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "a.json").write_text(json.dumps(table))
    with pytest.raises(DataError) as caught:
        load_own(folder, [])
    assert f"a.json: an annotation of p0.png has the box {said}, expected [left, top, width, height]" in str(
        caught.value
    )


def test_boxes_that_are_all_difficult_are_nothing_to_learn(folder: Path) -> None:
    for k in range(4):
        (folder / f"p{k}.xml").write_text(
            "<annotation><object><name>cat</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin>"
            "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
        )
    with pytest.raises(DataError, match="not one usable box in 4 pictures; 4 boxes marked as a crowd"):
        load_own(folder, [])


def test_what_two_readers_leave_out_is_joined() -> None:
    one, other = Omissions(), Omissions()
    one.add("texts", "a")
    other.add("texts", "b", count=3)
    other.add("pictures", count=2)
    one.join(other)
    assert [(entry.reason, entry.count, entry.examples) for entry in one.all] == [
        ("texts", 4, ("a", "b")), ("pictures", 2, ())
    ]  # fmt: skip
