"""Found boxes as files: a table with a row a box, and COCO's JSON, which annotation tools read."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_core.data.tables import csv_text
from cnn_core.storage import write_text

if TYPE_CHECKING:
    from object_detection.predict import Detection

HEAD = ("filename", "label", "score", "xmin", "ymin", "xmax", "ymax")
TABLE_FILE, COCO_FILE = "boxes.csv", "boxes.coco.json"


def boxes_table(detections: Iterable["Detection"]) -> str:
    """Return the boxes of pictures as CSV, one row a box; a picture without any has a row without numbers."""
    rows: list[tuple[object, ...]] = [HEAD]
    for one in detections:
        if one.error is not None:
            continue
        for box in one.boxes:
            rows.append((one.input, box.label, round(box.score, 4), *(round(value, 1) for value in box.box)))
        if not one.boxes:
            rows.append((one.input, "", "", "", "", "", ""))
    return csv_text(rows)


def coco_of(detections: Iterable["Detection"], labels: Sequence[str]) -> dict[str, Any]:
    """Return the boxes of pictures as COCO has them: images, annotations (with a score) and categories."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for one in detections:
        if one.error is not None:
            continue
        images.append({
            "id": len(images) + 1, "file_name": one.input, "width": one.size[0], "height": one.size[1],
        })  # fmt: skip
        for box in one.boxes:
            left, top, right, bottom = (round(value, 1) for value in box.box)
            wide, high = round(right - left, 1), round(bottom - top, 1)
            annotations.append({
                "id": len(annotations) + 1, "image_id": len(images), "category_id": labels.index(box.label) + 1,
                "bbox": [left, top, wide, high], "area": round(wide * high, 1), "iscrowd": 0,
                "score": round(box.score, 4),
            })  # fmt: skip
    categories = [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def kept_in(
    folder: Path, detections: Iterable["Detection"], labels: Sequence[str], *, before: Iterable["Detection"] = ()
) -> Iterator["Detection"]:
    """Yield answers, and write them, behind those of `before`, into a folder when all are there."""
    answered = [*before]
    for one in detections:
        answered.append(one)
        yield one
    write_text(folder / TABLE_FILE, boxes_table(answered))
    write_text(folder / COCO_FILE, json.dumps(coco_of(answered, labels)) + "\n")
