"""Small pictures with coloured squares, and their boxes in every layout."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Boxes = list[tuple[str, tuple[int, int, int, int]]]
SIZE = (96, 64)  # width, height
COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def squares(count: int, *, seed: int = 0) -> list[tuple[Image.Image, Boxes]]:
    """Return pictures with one or two squares of 14 to 24 pixels on grey noise."""
    random = np.random.RandomState(seed)
    made = []
    for number in range(count):
        pixels = random.randint(90, 150, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
        boxes: Boxes = []
        for half in range(1 + number % 2):
            label = sorted(COLOURS)[random.randint(2)]
            edge = random.randint(14, 25)
            left, top = half * 48 + random.randint(0, 48 - edge), random.randint(0, SIZE[1] - edge)
            pixels[top : top + edge, left : left + edge] = COLOURS[label]
            boxes.append((label, (left, top, left + edge, top + edge)))
        made.append((Image.fromarray(pixels), boxes))
    return made


def save(folder: Path, made: Sequence[tuple[Image.Image, Boxes]], *, suffix: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (picture, _) in enumerate(made):
        picture.save(folder / f"{number:02}.{suffix}")


def voc_xml(name: str, boxes: Boxes, *, size: tuple[int, int] = SIZE) -> str:
    """VOC counts pixels from 1 and both ends belong to the box."""
    entries = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
        "</bndbox></object>"
        for label, (a, b, c, d) in boxes
    )
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{shape}{entries}</annotation>"


def as_voc(folder: Path, made: Sequence[tuple[Image.Image, Boxes]]) -> Path:
    save(folder / "JPEGImages", made)
    (folder / "Annotations").mkdir()
    for number, (_, boxes) in enumerate(made):
        (folder / "Annotations" / f"{number:02}.xml").write_text(voc_xml(f"{number:02}.png", boxes))
    return folder


def as_coco(folder: Path, made: Sequence[tuple[Image.Image, Boxes]]) -> Path:
    save(folder / "pictures", made)
    labels = sorted(COLOURS)
    annotations = [
        {"id": 100 * i + j, "image_id": i, "category_id": 7 + labels.index(label), "iscrowd": 0,
         "bbox": [a, b, c - a, d - b], "area": (c - a) * (d - b), "segmentation": [[a, b, c, b, c, d]]}
        for i, (_, boxes) in enumerate(made) for j, (label, (a, b, c, d)) in enumerate(boxes)
    ]  # fmt: skip
    images = [{"id": i, "file_name": f"{i:02}.png", "width": SIZE[0], "height": SIZE[1]} for i in range(len(made))]
    categories = [{"id": 7 + k, "name": label, "supercategory": "x"} for k, label in enumerate(labels)]
    table = {"images": images, "annotations": annotations, "categories": categories, "info": {}}
    (folder / "boxes.json").write_text(json.dumps(table))
    return folder


def as_yolo(folder: Path, made: Sequence[tuple[Image.Image, Boxes]]) -> Path:
    save(folder / "images", made)
    (folder / "labels").mkdir()
    labels = sorted(COLOURS)
    for number, (_, boxes) in enumerate(made):
        lines = [
            f"{labels.index(label)} {(a + c) / 2 / SIZE[0]} {(b + d) / 2 / SIZE[1]} {(c - a) / SIZE[0]} "
            f"{(d - b) / SIZE[1]}"
            for label, (a, b, c, d) in boxes
        ]
        (folder / "labels" / f"{number:02}.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text(f"nc: 2\nnames: {labels}\n")
    return folder


def as_csv(folder: Path, made: Sequence[tuple[Image.Image, Boxes]]) -> Path:
    save(folder / "photos", made)
    rows = ["filename,label,xmin,ymin,xmax,ymax"]
    for number, (_, boxes) in enumerate(made):
        rows += [f"{number:02}.png,{label},{a},{b},{c},{d}" for label, (a, b, c, d) in boxes]
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder
