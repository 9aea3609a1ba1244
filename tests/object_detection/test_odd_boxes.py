"""Annotations as tools and people leave them: every box goes to its own picture, and what is not used is counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_boxes import as_voc, as_yolo, squares, voc_xml
from PIL import Image

from cnn_core.errors import DataError
from object_detection.coco import read_coco
from object_detection.folder import OwnBoxes, load_own
from object_detection.tables import read_boxes
from object_detection.voc import read_voc, voc_ids
from object_detection.yolo import yolo_labels

SHAPE = (100, 80)  # width, height of the pictures here
HEADER = "filename,label,xmin,ymin,xmax,ymax\n"
SIZED = "filename,width,height,class,xmin,ymin,xmax,ymax\n"  # as TensorFlow's and Roboflow's tables have them


def load(folder: Path) -> OwnBoxes:
    return load_own(folder, [])


def said(folder: Path) -> str:
    return " ".join(load(folder).summary.sentences)


def boxes_of(own: OwnBoxes) -> dict[str, list[tuple[str, list[float]]]]:
    """Return picture -> (class, corners) of its boxes."""
    return {
        name: [(own.whole.labels[k], box) for k, box in zip(truth.classes, truth.boxes.tolist(), strict=True)]
        for name, truth in zip(own.whole.files, own.whole.truths, strict=True)
    }


def picture(file: Path, *, seed: int = 0, turned: bool = False) -> None:
    """Save noise; turned: as a camera held upright stores it, 80 wide and 100 high once it is turned."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 255, (SHAPE[1], SHAPE[0], 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.fromarray(pixels).save(file, exif=exif)


def table(folder: Path, text: str, *, count: int = 3) -> Path:
    """Save pictures p0.png, p1.png ... and a table of their boxes."""
    for k in range(count):
        picture(folder / f"p{k}.png", seed=k)
    (folder / "boxes.csv").write_text(text)
    return folder


def coco(*names: str) -> dict:
    """Return COCO's table with a box of 10 to 30 + 10 k, in pixels, for picture k."""
    return {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(names)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "bbox": [10, 10, 20 + 10 * k, 20]} for k in range(len(names))
        ],
    }


def two_folders(folder: Path, layout: str, names: tuple[str, str]) -> Path:
    """Annotate two pictures of one name, of which only cam1/k.png is there; the boxes are 20 and 30 wide."""
    if layout == "voc":
        for name, right in zip(names, (30, 40), strict=True):
            file = (folder / "Annotations" / name).with_suffix(".xml")
            file.parent.mkdir(parents=True)
            file.write_text(voc_xml("k.png", [("cat", (10, 10, right, 30))], size=SHAPE))
        picture(folder / "JPEGImages" / "cam1" / "k.png")
        return folder
    picture(folder / "cam1" / "k.png")
    if layout == "coco":
        (folder / "boxes.json").write_text(json.dumps(coco(*names)))
    else:
        rows = [f"{name},cat,10,10,{right},30\n" for name, right in zip(names, (30, 40), strict=True)]
        (folder / "boxes.csv").write_text(HEADER + "".join(rows))
    return folder


@pytest.mark.parametrize("order", [("cam1/k.png", "cam2/k.png"), ("cam2/k.png", "cam1/k.png")])
@pytest.mark.parametrize("layout", ["voc", "coco", "csv"])
def test_boxes_of_a_missing_picture_do_not_land_on_one_of_its_name(
    layout: str, order: tuple[str, str], tmp_path: Path
) -> None:
    own = load(two_folders(tmp_path, layout, order))
    width = 20 if order[0] == "cam1/k.png" else 30
    (boxes,) = boxes_of(own).values()
    assert boxes == [("cat", [10, 10, 10 + width, 30])]
    missing = "Annotations/cam2/k.xml" if layout == "voc" else "cam2/k.png"
    assert f"missing ({missing})" in said(tmp_path) or f"missing that are annotated ({missing})" in said(tmp_path) or (
        f"missing that a table names ({missing})" in said(tmp_path)
    )  # fmt: skip


def test_a_name_that_two_records_claim_alike_is_nobodys(tmp_path: Path) -> None:
    table(tmp_path, HEADER + "a/p0.png,cat,1,1,20,20\nb/p0.png,cat,5,5,30,30\np1.png,cat,1,1,20,20\n")
    assert [*boxes_of(load(tmp_path))] == ["p1.png"]
    assert "2 pictures missing that a table names (a/p0.png, b/p0.png)" in said(tmp_path)


def test_a_path_of_another_machine_still_stands_for_the_picture(tmp_path: Path) -> None:
    table(tmp_path, HEADER + "C:\\Users\\me\\p0.png,cat,1,1,20,20\n/home/me/x/p1.png,cat,1,1,20,20\n")
    assert [*boxes_of(load(tmp_path))] == ["p0.png", "p1.png"]
    assert "2 pictures found by name in another folder than they say" in said(tmp_path)


def test_an_annotation_whose_inner_name_is_another_pictures_is_missing(tmp_path: Path) -> None:
    folder = as_voc(tmp_path, squares(4))
    (folder / "Annotations" / "09.xml").write_text(voc_xml("00.png", [("red", (1, 1, 20, 20))]))
    assert "1 annotation whose picture is missing (Annotations/09.xml)" in said(folder)


def test_the_size_of_the_picture_in_a_table_scales_its_boxes(tmp_path: Path) -> None:
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"  # as TensorFlow's and Roboflow's tables have them
    table(
        tmp_path, header + "p0.png,200,160,cat,20,20,60,80\np1.png,100,80,cat,20,20,60,80\np2.png,300,80,cat,1,1,9,9\n"
    )
    assert boxes_of(load(tmp_path)) == {"p0.png": [("cat", [10, 10, 30, 40])], "p1.png": [("cat", [20, 20, 60, 80])]}
    assert "1 picture of another size than their annotation says, their boxes scaled" in said(tmp_path)
    assert "1 picture whose annotation is for another shape of picture (p2.png)" in said(tmp_path)


def test_a_turned_picture_with_the_size_as_stored_is_left_out_as_in_voc(tmp_path: Path) -> None:
    table(
        tmp_path,
        "filename,width,height,class,xmin,ymin,xmax,ymax\np0.png,100,80,cat,1,1,20,20\np1.png,100,80,cat,1,1,9,9",
    )
    picture(tmp_path / "p1.png", turned=True)
    assert "1 picture that their EXIF data turn, with boxes for the picture as it is stored (p1.png)" in said(tmp_path)


def test_width_and_height_are_not_the_pictures_where_they_are_the_boxes(tmp_path: Path) -> None:
    header = "filename,xmin,ymin,xmax,ymax,width,height,class\n"
    table(tmp_path, header + "p0.png,10,10,30,50,20,40,cat\np0.png,40,10,70,50,30,40,cat\np1.png,1,1,9,9,8,8,cat\n")
    own = boxes_of(load(tmp_path))
    assert own["p0.png"] == [("cat", [10, 10, 30, 50]), ("cat", [40, 10, 70, 50])]
    table(tmp_path, header + "p0.png,10,10,30,50,100,80,cat\np0.png,40,10,70,50,50,40,cat\np1.png,1,1,9,9,50,40,cat\n")
    own = boxes_of(load(tmp_path))
    assert own["p0.png"] == [("cat", [10, 10, 30, 50]), ("cat", [40, 10, 70, 50])]
    assert own["p1.png"] == [("cat", [2, 2, 18, 18])]
    assert "1 picture of several sizes in boxes.csv" in said(tmp_path)


def test_w_and_h_are_the_boxes_where_width_and_height_stand_beside_them(tmp_path: Path) -> None:
    table(tmp_path, "image,x,y,w,h,width,height,label\np0.png,10,10,5,5,100,80,cat\np1.png,20,20,10,10,200,160,cat\n")
    assert boxes_of(load(tmp_path)) == {"p0.png": [("cat", [10, 10, 15, 15])], "p1.png": [("cat", [10, 10, 15, 15])]}
    table(tmp_path, "image,x,y,width,height,label\np0.png,10,10,5,6,cat\n")
    assert boxes_of(load(tmp_path)) == {"p0.png": [("cat", [10, 10, 15, 16])]}


@pytest.mark.parametrize(
    "column", ["class_id", "label_name", "species", "category_name", "category_id", "cls", "Class Name", "Label-ID"]
)
def test_a_column_of_classes_has_many_names(column: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"image_id,{column},xmin,ymin,xmax,ymax\na.png,7,1,2,3,4\n")
    (record,) = read_boxes(tmp_path / "a.csv")
    assert record.labels == ["7"]


def test_a_table_without_classes_says_so_and_which_columns_it_has(tmp_path: Path) -> None:
    table(tmp_path, "filename,xmin,ymin,xmax,ymax,animal,score\np0.png,1,1,20,20,cat,0.5\np1.png,1,1,20,20,dog,0.7\n")
    text = "no column of classes was found in boxes.csv, so every box is 'object' (not used: animal, score)"
    assert text in said(tmp_path)
    assert "no column of classes" not in said(table(tmp_path, HEADER + "p0.png,cat,1,1,20,20\n"))


def test_a_column_says_which_split_a_picture_belongs_to(tmp_path: Path) -> None:
    rows = [("train", 0), ("Train", 0), ("valid", 1), ("test", 2), ("train", 3), ("test", 3), ("", 4)]
    text = "filename,label,xmin,ymin,xmax,ymax,split\n" + "".join(
        f"p{k}.png,cat,{1 + i},1,40,40,{split}\n" for i, (split, k) in enumerate(rows)
    )
    own = load(table(tmp_path, text, count=5))
    found = {part: [own.whole.files[i] for i in own.parts[part]] for part in ("train", "val", "test")}
    assert found == {"train": ["p0.png", "p3.png", "p4.png"], "val": ["p1.png"], "test": ["p2.png"]}
    assert own.summary.divided == "as the tables say"
    assert "column 'split' of boxes.csv says which split" in said(tmp_path)
    assert "1 picture named in several splits, which stay in the first" in said(tmp_path)
    assert "1 picture without a split in it, which are training pictures" in said(tmp_path)
    (tmp_path / "boxes.csv").write_text(text.replace("valid", "second"))
    with pytest.raises(DataError, match="expected train, val or test in the column 'split', got 'second'"):
        load(tmp_path)


def test_copies_in_given_splits_are_told_where_there_are_many_subfolders_too(tmp_path: Path) -> None:
    rows = []
    for k in range(18):  # three a film; the last two are copies of training pictures
        part = "train" if k < 9 else "val" if k < 12 else "test"
        name = f"{part}/film{k // 3}/p{k}.png"
        picture(tmp_path / name, seed=k % 16)
        rows.append(f"{name},cat,1,1,40,40\n")
    (tmp_path / "boxes.csv").write_text(HEADER + "".join(rows))
    assert "2 test pictures are copies of training pictures" in said(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("data.yaml", "names: {0: car, 2: dog, 3: tree}", {0: "car", 2: "dog", 3: "tree"}),
        ("data.yaml", "names:\n  1: car\n  2: dog\n", {1: "car", 2: "dog"}),
        ("data.yaml", "names: [yes, no, maybe, 1e3]", {0: "yes", 1: "no", 2: "maybe", 3: "1e3"}),
        ("data.yaml", "names: [car, '', dog]", {0: "car", 2: "dog"}),
        ("classes.txt", "car\n\ndog\n", {0: "car", 2: "dog"}),
    ],
)
def test_classes_of_yolo_keep_their_numbers(file: str, text: str, expected: dict, tmp_path: Path) -> None:
    folder = as_yolo(tmp_path, squares(2))
    (folder / "data.yaml").unlink()
    (folder / file).write_text(text)
    assert yolo_labels(folder) == (expected, file)
    for name in ("00", "01"):
        (folder / "labels" / f"{name}.txt").write_text("2 0.5 0.5 0.5 0.5\n")
    assert load(folder).whole.labels == (expected[2],)
    if 1 not in expected:
        (folder / "labels" / "01.txt").write_text("1 0.5 0.5 0.5 0.5\n")
        with pytest.raises(DataError, match=r"01.txt, line 1: class 1, but there are \d names \(of 0, 2.*it needs one"):
            load(folder)


@pytest.mark.parametrize(
    ("part", "entry", "words"),
    [
        ("images", {"id": 1, "file_name": "p2.png"}, "the picture id 1 is given twice, to 'p1.png' and to 'p2.png'"),
        ("categories", {"id": 1, "name": "dog"}, "the category id 1 is given twice, to 'cat' and to 'dog'.*of its own"),
    ],
)
def test_an_id_of_coco_that_is_given_twice_is_refused(part: str, entry: dict, words: str, tmp_path: Path) -> None:
    made = coco("p0.png", "p1.png")
    made[part] += [made[part][-1]]  # the same once more says nothing new
    (tmp_path / "a.json").write_text(json.dumps(made))
    assert len([*read_coco(tmp_path / "a.json")]) == 2
    made[part].append(entry)
    (tmp_path / "a.json").write_text(json.dumps(made))
    with pytest.raises(DataError, match=words):
        [*read_coco(tmp_path / "a.json")]


def test_crowds_that_are_texts_are_read_and_ignored_boxes_are_counted(tmp_path: Path) -> None:
    made = coco("p0.png", "p1.png", "p2.png")
    for entry, value in zip(made["annotations"], ("0", "1", 1), strict=True):
        entry["iscrowd"] = value
    (tmp_path / "a.json").write_text(json.dumps(made))
    assert [record.ignored for record in read_coco(tmp_path / "a.json")] == [[False], [True], [True]]
    for k in range(3):
        picture(tmp_path / f"p{k}.png", seed=k)
    assert "2 boxes marked as a crowd or as difficult, neither learned nor measured" in said(tmp_path)


def test_captions_beside_the_boxes_of_coco_are_left_out(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / "val" / f"p{k}.png", seed=k)
    made = coco("p0.png", "p1.png", "p2.png")
    captions = [{"id": 1, "image_id": 0, "caption": "a cat"}]
    (tmp_path / "annotations").mkdir()
    keypoints = {**made, "annotations": [{**entry, "keypoints": [1, 2, 2]} for entry in made["annotations"]]}
    for name, content in (
        ("instances", made), ("person_keypoints", keypoints),
        ("captions", {"images": made["images"], "annotations": captions}),
    ):  # fmt: skip
        (tmp_path / "annotations" / f"{name}_train.json").write_text(json.dumps(content))
    assert [len(boxes) for boxes in boxes_of(load(tmp_path)).values()] == [1, 1, 1]
    assert "no boxes are in captions_train.json, which has captions" in said(tmp_path)
    assert "3 boxes given twice" in said(tmp_path)


def voc_lists(folder: Path, stems: dict[str, str], lists: dict[str, str]) -> Path:
    """Save a picture and its XML file for each name, and lists of ImageSets/Main."""
    for k, (stem, name) in enumerate(stems.items()):
        picture(folder / "JPEGImages" / name, seed=k)
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"{stem}.xml").write_text(voc_xml(name, [("cat", (1, 1, 40, 40))], size=SHAPE))
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name, text in lists.items():
        (folder / "ImageSets" / "Main" / name).write_text(text, "utf-8")
    return folder


def test_lists_of_voc_have_names_in_many_forms(tmp_path: Path) -> None:
    stems = {stem: f"{stem}.png" for stem in ("img 5", "img 1", "img_2", "img_3", "img_4")}
    lists = {"train.txt": "\ufeffimg 5\nimg 1\nimg_9\n", "val.txt": "img_2.png\n", "test.txt": "img_3 -1\nimg_4  1\n"}
    own = load(voc_lists(tmp_path, stems, lists))
    found = {part: [Path(own.whole.files[i]).stem for i in own.parts[part]] for part in ("train", "val", "test")}
    assert found == {"train": ["img 1", "img 5"], "val": ["img_2"], "test": ["img_3", "img_4"]}
    assert "1 line of train.txt in ImageSets/Main without an annotated picture (img_9)" in said(tmp_path)
    assert [*voc_ids(tmp_path / "ImageSets" / "Main" / "test.txt")] == ["img_3", "img_4"]


def test_a_height_of_nothing_in_voc_is_no_size(tmp_path: Path) -> None:
    folder = as_voc(tmp_path, squares(3))
    file = folder / "Annotations" / "00.xml"
    file.write_text(file.read_text().replace("<height>64<", "<height>0<"))
    assert read_voc(file).size is None
    assert len(load(folder).whole) == 3


def test_text_files_of_yolo_find_their_picture_in_any_case_or_are_counted(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / f"p{k}.png", seed=k)
    (tmp_path / "P0.TXT").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "p1.txt").write_text("0 0.5 0.5 0.2 0.5\n")
    (tmp_path / "p7.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "notes.txt").write_text("taken in the rain\n")
    own = boxes_of(load(tmp_path))
    assert own["p0.png"] == [("0", [25, 20, 75, 60])]
    assert own["p1.png"] == [("0", [pytest.approx(40, abs=1e-4), 20, pytest.approx(60, abs=1e-4), 60])]
    assert own["p2.png"] == []
    assert "1 file of YOLO whose picture is missing (p7.txt)" in said(tmp_path)
    assert "2 files of YOLO, no class names" in said(tmp_path)


def test_the_layout_that_annotates_most_pictures_is_read(tmp_path: Path) -> None:
    folder = as_voc(tmp_path, squares(8))
    (folder / "Annotations" / "07.xml").unlink()
    (folder / "JPEGImages" / "07.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (folder / "boxes.csv").write_text(HEADER + "zz.png,red,1,1,9,9\n")
    own = load(folder)
    assert own.whole.labels == ("blue", "red") and len(own.whole) == 7
    assert "7 XML files of PASCAL VOC" in said(folder) and "Not used: 1 file of YOLO" in said(folder)
    assert "Not used: boxes from boxes.csv" in said(folder) and "zz.png" not in said(folder)
    assert "1 picture that no annotation names (JPEGImages/07.png)" in said(folder)


def test_a_table_that_cannot_be_read_beside_others_is_named(tmp_path: Path) -> None:
    table(tmp_path, HEADER + "p0.png,cat,1,1,20,20\n")
    (tmp_path / "more.csv").write_text(HEADER + "p1.png,cat,1,1,x,20\n")
    assert "not used: more.csv, line 2: expected numbers, got 1, 1, x, 20" in said(tmp_path)


def test_several_labels_of_a_box_are_said(tmp_path: Path) -> None:
    labels = ("dog", "wet", "dog;wet")
    rows = [f"p{k}.png,{labels[k % 3]},1,1,30,30\n" for k in range(9)]
    assert "1 label seems to be several in one cell" in said(table(tmp_path, HEADER + "".join(rows), count=9))
