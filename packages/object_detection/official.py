"""The official layouts and splits of published sets with boxes: PASCAL VOC's development kit, and COCO 2017.

Of VOC 2012 and COCO 2017 the boxes of the test split are kept by their publishers: here the official validation split
is the test, as in the literature, and validation data are held out of the training split.
"""

from collections.abc import Sequence
from pathlib import Path

from cnn_core.data.summary import Omissions
from cnn_core.errors import DataError
from object_detection.box_set import Truth
from object_detection.checks import LEAST
from object_detection.coco import read_coco
from object_detection.record import Record
from object_detection.voc import read_voc, voc_ids

CELLS = ("Platelets", "RBC", "WBC")
VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
COCO = (  # in the order of their numbers
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

Pictures = list[tuple[Path, Truth]]
Parts = dict[str, Pictures]  # "train", "val" (may be missing), "test"


def read_bccd(folder: Path, left_out: Omissions) -> Parts:
    """Read BCCD, one folder in VOC's layout."""
    return {part: _voc_pictures(folder, part, CELLS, left_out) for part in ("train", "val", "test")}


def read_voc2007(folder: Path, left_out: Omissions) -> Parts:
    """Read VOC 2007 of the development kit: its train, val and test."""
    return {part: _voc_pictures(folder / "VOC2007", part, VOC, left_out) for part in ("train", "val", "test")}


def read_voc2012(folder: Path, left_out: Omissions) -> Parts:
    """Read VOC 2012 of the development kit: its train, and its val as the test."""
    parts = {"train": "train", "test": "val"}
    return {part: _voc_pictures(folder / "VOC2012", name, VOC, left_out) for part, name in parts.items()}


def read_both_voc(folder: Path, left_out: Omissions) -> Parts:
    """Read VOC 07+12: train and val of both years, the test of 2007."""
    parts = read_voc2007(folder, left_out)
    for part in ("train", "val"):
        parts[part] += _voc_pictures(folder / "VOC2012", part, VOC, left_out)
    return parts


def read_coco2017(folder: Path, left_out: Omissions) -> Parts:
    """Read COCO 2017: train2017, and val2017 as the test."""
    return {
        part: _coco_pictures(folder, f"{name}2017", left_out) for part, name in (("train", "train"), ("test", "val"))
    }


def _voc_pictures(folder: Path, part: str, labels: Sequence[str], left_out: Omissions) -> Pictures:
    """Return the pictures of a list of VOC with their truth."""
    pictures = []
    for name in voc_ids(folder / "ImageSets" / "Main" / f"{part}.txt"):
        file = folder / "Annotations" / f"{name}.xml"
        if not file.is_file():
            raise DataError(f"{file} is missing: the data set is not complete; unpack it again")
        truth = _truth(read_voc(file), labels, file.name, left_out)
        pictures.append((folder / "JPEGImages" / f"{name}.jpg", truth))
    return pictures


def _coco_pictures(folder: Path, part: str, left_out: Omissions) -> Pictures:
    """Return the pictures that `instances_<part>.json` names with their truth."""
    file = folder / "annotations" / f"instances_{part}.json"
    return [
        (folder / part / Path(record.picture).name, _truth(record, COCO, record.picture, left_out))
        for record in read_coco(file)
    ]


def _truth(record: Record, labels: Sequence[str], name: str, left_out: Omissions) -> Truth:
    """Return what counts of a record; boxes without area are left out and counted."""
    unknown = sorted({*record.labels} - {*labels})
    if unknown:
        raise DataError(f"{name}: expected the classes {', '.join(labels)}, got {', '.join(unknown)}")
    good = [k for k, (a, b, c, d) in enumerate(record.boxes) if c - a >= LEAST and d - b >= LEAST]
    left_out.add("boxes without area", name, len(record.boxes) - len(good))
    return Truth.of(
        [record.boxes[k] for k in good], [labels.index(record.labels[k]) for k in good],
        [record.ignored[k] for k in good],
    )  # fmt: skip
