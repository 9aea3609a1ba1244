"""PASCAL VOC and COCO in their official archives, from a server of our own: fetched once, read, and learned from."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import served
from made_boxes import SIZE, squares, voc_xml
from torchvision.models import get_model_weights

from cnn_core.cli import main
from cnn_core.data import coco
from cnn_core.errors import DataError
from object_detection import DATA_SETS, box_set, download, load, train
from object_detection.data import load_sets
from object_detection.official import COCO
from object_detection.published import NOTHING

NAMES = {"red": "car", "blue": "person"}
ARCHIVES = {  # path -> the lists in it with their pictures
    "voc2007/VOCtrainval_06-Nov-2007.tar": {"train": [1, 2, 3, 4], "val": [5, 6]},
    "voc2007/VOCtest_06-Nov-2007.tar": {"test": [7, 8]},
    "voc2012/VOCtrainval_11-May-2012.tar": {"train": [1, 2, 3, 4, 9], "val": [10]},
}
PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
TINY = {
    "model": "fastnet", "options": {"widths": [8, 16], "stem_stride": 2}, "pretrained": "none", "strides": [8, 16],
    "channels": 16, "depth": 1, "height": 64, "width": 96, "batch_size": 2, "epochs": 1, "ema": 0.0, "eval_every": 1,
}  # fmt: skip


def jpeg(number: int) -> bytes:
    block = io.BytesIO()
    squares(12)[number][0].save(block, "JPEG")
    return block.getvalue()


def annotation(number: int, *, year: str) -> str:
    """As VOC writes it: in 2012 with parts of persons, and the pictures with even numbers have one difficult box."""
    boxes = [(NAMES[label], corners) for label, corners in squares(12)[number][1]]
    text = voc_xml(f"{number:06}.jpg", boxes)
    if number % 2 == 0:
        text = text.replace("</name>", "</name><difficult>1</difficult>", 1)
    return text.replace("</bndbox></object>", f"</bndbox>{PART}</object>") if year == "2012" else text


def voc_archive(path: Path, lists: dict[str, list[int]]) -> None:
    year = path.parent.name[3:]
    numbers = sorted({number for part in lists.values() for number in part})
    whole = {"trainval": numbers, **lists} if "train" in lists else lists
    files: dict[str, bytes] = {}
    for part, listed in whole.items():
        text = "".join(f"{number:06}\n" for number in listed)
        files[f"ImageSets/Main/{part}.txt"] = text.encode()
        files[f"ImageSets/Main/car_{part}.txt"] = text.replace("\n", " -1\n").encode()
    for number in numbers:
        files[f"Annotations/{number:06}.xml"] = annotation(number, year=year).encode()
        files[f"JPEGImages/{number:06}.jpg"] = jpeg(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"VOCdevkit/VOC{year}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture
def voc_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root, parts = tmp_path / "server", {}
    for listed, (path, _) in download.PARTS.items():
        voc_archive(root / path, ARCHIVES[path])
        parts[listed] = (path, hashlib.md5((root / path).read_bytes()).hexdigest())
    monkeypatch.setattr(download, "PARTS", parts)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    with served(root) as address:
        monkeypatch.setattr(download, "ADDRESS", address)
        yield root


def test_voc_comes_once_in_its_layout_and_splits(
    voc_server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"the data set voc is not there: .*cnn data get voc"):
        load_sets("voc", splits=("test",))
    assert main(["data", "get", "voc"]) == 0
    assert "voc: 9 + 3 + 2 pictures" in capsys.readouterr().out
    for file in voc_server.rglob("*.tar"):
        file.unlink()
    kit = tmp_path / "data" / "VOCdevkit"
    assert sorted(p.name for p in kit.iterdir() if not p.name.startswith(".")) == ["VOC2007", "VOC2012"]
    for name in ("voc", "voc2007", "voc2012"):
        DATA_SETS[name].get(kit, None)  # the archives are gone: nothing is asked for
    counts = {name: DATA_SETS[name].count(kit) for name in ("voc", "voc2007", "voc2012")}
    assert counts == {"voc": "9 + 3 + 2 pictures", "voc2007": "4 + 2 + 2 pictures", "voc2012": "5 + 1 pictures"}
    sets, summary = load_sets("voc", splits=("train+val", "test"))
    assert len(sets["train+val"]) == 12 and summary.divided == "the official split"
    assert sets["test"].files == ("VOC2007/JPEGImages/000007.jpg", "VOC2007/JPEGImages/000008.jpg")
    for number, truth in zip((7, 8), sets["test"].truths, strict=True):
        drawn = squares(12)[number][1]
        assert truth.boxes.tolist() == [[float(v) for v in corners] for _, corners in drawn]
        assert [sets["test"].labels[k] for k in truth.classes] == [NAMES[label] for label, _ in drawn]
        assert truth.ignored.tolist() == [number % 2 == 0, *[False] * (len(drawn) - 1)]
    parts, summary = load_sets("voc2012", splits=("train", "val", "test"))
    assert {split: len(part) for split, part in parts.items()} == {"train": 4, "val": 1, "test": 1}
    assert "held out for validation" in summary.divided
    assert all(
        len(t) == len(squares(12)[int(Path(f).stem)][1])
        for t, f in zip(parts["train"].truths, parts["train"].files, strict=True)
    )  # no parts


def test_an_interrupted_download_goes_on_with_what_is_missing(voc_server: Path, tmp_path: Path) -> None:
    kit, test = tmp_path / "data" / "VOCdevkit", voc_server / "voc2007" / "VOCtest_06-Nov-2007.tar"
    whole = test.read_bytes()
    test.write_bytes(b"another file")
    with pytest.raises(DataError, match=r"VOCtest_06-Nov-2007\.tar.*another hash"):
        DATA_SETS["voc2007"].get(kit, None)
    assert (kit / "VOC2007/ImageSets/Main/trainval.txt").is_file()
    assert not (kit / "VOC2007/ImageSets/Main/test.txt").exists()
    with pytest.raises(DataError, match="the data set voc2007 is not there"):
        load_sets("voc2007", splits=("train",))
    test.write_bytes(whole)
    (voc_server / "voc2007" / "VOCtrainval_06-Nov-2007.tar").unlink()
    DATA_SETS["voc2007"].get(kit, None)
    assert DATA_SETS["voc2007"].count(kit) == "4 + 2 + 2 pictures"


def test_an_archive_without_its_list_is_refused(
    voc_server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, path = "VOC2012/ImageSets/Main/trainval.txt", "voc2012/VOCtrainval_11-May-2012.tar"
    voc_archive(voc_server / path, {"test": [1]})
    digest = hashlib.md5((voc_server / path).read_bytes()).hexdigest()
    monkeypatch.setattr(download, "PARTS", {**download.PARTS, listed: (path, digest)})
    with pytest.raises(DataError, match=r"holds no VOCdevkit/VOC2012/ImageSets/Main/trainval\.txt"):
        DATA_SETS["voc2012"].get(tmp_path / "data" / "VOCdevkit", None)
    assert not (tmp_path / "data" / "VOCdevkit" / "VOC2012").exists()


def test_a_detector_learns_from_voc_by_name(voc_server: Path, tmp_path: Path) -> None:
    DATA_SETS["voc2007"].fetch()
    outcome = train("my-boxes", folder=tmp_path / "run", settings={**TINY, "data": "voc2007"})
    assert outcome.card.metrics["map50"]["n"] == 2 and len(outcome.card.labels) == 20
    assert load(tmp_path / "run", device="cpu").predict(squares(1)[0][0])[0].error is None


def instances(numbers: list[int]) -> dict:
    """As COCO writes it: categories in the order of their numbers, of which some are left out."""
    ids = {"person": 1, "car": 3}
    names = get_model_weights("ssd300_vgg16").DEFAULT.meta["categories"]
    categories = [{"id": k, "name": name, "supercategory": "x"} for k, name in enumerate(names) if name not in NOTHING]
    images = [
        {"id": n, "file_name": f"{n:012}.jpg", "width": SIZE[0], "height": SIZE[1], "license": 1} for n in numbers
    ]
    annotations = [
        {"id": 100 * n + k, "image_id": n, "category_id": ids[NAMES[label]], "iscrowd": int(n == 3),
         "bbox": [a, b, c - a, d - b], "area": 1.0, "segmentation": [[a, b, c, b, c, d]]}
        for n in numbers for k, (label, (a, b, c, d)) in enumerate(squares(12)[n][1])
    ]  # fmt: skip
    if numbers[0] == 1:
        annotations.append({"id": 9999, "image_id": 1, "category_id": 90, "iscrowd": 0, "bbox": [5, 5, 0, 20]})
        images.append({"id": 12, "file_name": f"{0:012}.jpg", "width": SIZE[0], "height": SIZE[1]})  # without a box
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def coco_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root, parts = tmp_path / "server", {}
    splits = {"train2017": [1, 2, 3, 4, 5], "val2017": [6, 7]}
    for part, (path, _) in coco.PARTS.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            if part == "annotations":
                for split, numbers in splits.items():
                    archive.writestr(f"annotations/instances_{split}.json", json.dumps(instances(numbers)))
            else:
                for number in [*splits[part], *([0] if part == "train2017" else [])]:
                    archive.writestr(f"{part}/{number:012}.jpg", jpeg(number))
        parts[part] = (path, hashlib.md5(file.read_bytes()).hexdigest())
    monkeypatch.setattr(coco, "PARTS", parts)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    with served(root) as address:
        monkeypatch.setattr(coco, "ADDRESS", address)
        yield root


def test_coco_comes_in_its_layout_and_splits_and_can_be_learned_from(
    coco_server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "get", "coco"]) == 0
    assert "coco: 6 + 2 pictures" in capsys.readouterr().out
    sets, summary = load_sets("coco", splits=("train", "val", "test"))
    assert {split: len(part) for split, part in sets.items()} == {"train": 5, "val": 1, "test": 2}
    assert sets["test"].files == ("val2017/000000000006.jpg", "val2017/000000000007.jpg")
    text = " ".join(summary.sentences)
    assert "1 box without area" in text and "1 picture without a box, learned as background" in text
    whole, _ = load_sets("coco", splits=("train+val",))
    by_file = dict(zip(whole["train+val"].files, whole["train+val"].truths, strict=True))
    third = by_file["train2017/000000000003.jpg"]
    assert third.ignored.all() and third.boxes.tolist() == [[float(v) for v in c] for _, c in squares(12)[3][1]]
    assert [COCO[k] for k in third.classes] == [NAMES[label] for label, _ in squares(12)[3][1]]
    outcome = train("my-boxes", folder=tmp_path / "run", settings={**TINY, "data": "coco"})
    assert outcome.card.labels == [*COCO] and outcome.card.metrics["map50"]["n"] == 2
    (tmp_path / "data" / "coco" / "val2017" / "000000000007.jpg").unlink()
    with pytest.raises(DataError, match=r"000000000007\.jpg: there is no such file"):
        train("my-boxes", folder=tmp_path / "again", settings={**TINY, "data": "coco"})


def test_coco_without_its_photos_is_not_there(coco_server: Path, tmp_path: Path) -> None:
    DATA_SETS["coco"].fetch()
    for file in (tmp_path / "data" / "coco" / "val2017").iterdir():
        file.unlink()
    (tmp_path / "data" / "coco" / "val2017").rmdir()
    with pytest.raises(DataError, match=r"the data set coco is not there: expected .*val2017"):
        load_sets("coco", splits=("train",))
    DATA_SETS["coco"].fetch()
    assert (tmp_path / "data" / "coco" / "val2017").is_dir()


def test_the_classes_of_coco_are_those_of_torchvision() -> None:
    names = get_model_weights("fasterrcnn_resnet50_fpn").DEFAULT.meta["categories"]
    assert [name for name in names if name not in NOTHING] == [*COCO]


def test_a_set_that_does_not_fit_into_memory_is_refused(
    voc_server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DATA_SETS["voc2007"].fetch()
    monkeypatch.setattr(box_set, "MEMORY_SHARE", 1e-9)
    with pytest.raises(DataError, match=r"voc2007: 8 pictures at 96 x 64 pixels take .* GB.*--height and --width of"):
        train("my-boxes", folder=tmp_path / "run", settings={**TINY, "data": "voc2007"})
