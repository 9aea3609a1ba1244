"""Boxes in tables (one row a box) and in the text files of YOLO (one file a picture)."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnn_core.data.folders import natural
from cnn_core.data.tables import look, numbered_rows
from cnn_core.errors import DataError, missing_package
from cnn_core.validation import whole_number
from object_detection.record import Corners, Record

PICTURE = ("image", "filename", "file_name", "file", "image_id", "image_path", "path", "img", "image_name", "name")
LABEL = ("label", "class", "class_name", "classname", "category", "name", "type", "source")
CORNERS = (
    ("xmin", "x_min", "x1", "left"), ("ymin", "y_min", "y1", "top"), ("xmax", "x_max", "x2", "right"),
    ("ymax", "y_max", "y2", "bottom"),
)  # fmt: skip
EDGES = (("x", "xmin", "left"), ("y", "ymin", "top"), ("width", "w", "bbox_width"), ("height", "h", "bbox_height"))
BOX = ("bbox", "box")
PLAIN = 6  # columns of a table without a header: picture, left, top, right, bottom, class
LARGEST = 1 << 20  # bytes of a text file of YOLO
ONE_CLASS = "object"  # the class of boxes without one


def read_boxes(file: Path) -> list[Record]:
    """Return the pictures that a table names; a row with empty numbers says that a picture has no box.

    The columns are a picture, a class, and left, top, right and bottom (`xmin, ymin, xmax, ymax`, `x1, y1, x2, y2`), or
    `x, y, width, height`, or `bbox` with a list of these four. Without a header they are picture, left, top, right,
    bottom, class.

    Raises:
        DataError: the table cannot be read, has no such columns, or a number is none; names the line.
    """
    names = {name for group in (PICTURE, LABEL, BOX, *CORNERS, *EDGES) for name in group}
    layout = look(file, names, content="a table of boxes")
    columns = [name.strip().lower() for name in layout.columns]
    plain = not layout.header and len(columns) == PLAIN
    picture, label, numbers, edges = (0, 5, [1, 2, 3, 4], False) if plain else _places(columns, file)
    found: dict[str, Record] = {}
    for line, short in numbered_rows(file, layout):
        cells = [*short, *[""] * (len(columns) - len(short))]
        name = cells[picture].strip()
        if not name:
            raise DataError(f"{file.name}, line {line}: names no picture")
        record = found.setdefault(name, Record(name, [], [], [], source=file.name))
        texts = _listed(cells[numbers[0]]) if len(numbers) == 1 else [cells[k].strip() for k in numbers]
        if not any(texts):
            continue
        record.boxes.append(_corners(texts, edges=edges, where=f"{file.name}, line {line}"))
        record.labels.append(cells[label].strip() if label is not None else ONE_CLASS)
        record.ignored.append(False)
    inside = [value <= 1 for record in found.values() for box in record.boxes for value in box]
    fractions = bool(inside) and sum(inside) > 0.99 * len(inside)
    return [Record(r.picture, r.boxes, r.labels, r.ignored, None, fractions, file.name) for r in found.values()]


def read_yolo(file: Path, labels: Sequence[str], picture: str) -> Record:
    """Read the text file of a picture: `class centre-x centre-y width height`, fractions of its edges.

    Args:
        file: empty: the picture has no box.
        labels: class names; empty: classes are called by their numbers.
        picture: its path.

    Raises:
        DataError: a line is not like that.
    """
    boxes: list[Corners] = []
    names: list[str] = []
    try:
        if file.stat().st_size > LARGEST:
            raise DataError(f"{file.name}: larger than {LARGEST >> 20} MiB; one picture needs a few kilobytes")
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file.name}: cannot be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        if not cells:
            continue
        where = f"{file.name}, line {number}"
        k = whole_number(cells[0])
        if len(cells) != 5 or k is None:
            kind = "an outline" if len(cells) > 6 and len(cells) % 2 else repr(line[:60])
            raise DataError(f"{where}: expected a class number and four fractions, got {kind}")
        if labels and k >= len(labels):
            raise DataError(f"{where}: class {k}, but there are {len(labels)} names")
        x, y, w, h = _floats(cells[1:], where)
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        names.append(labels[k] if labels else cells[0])
    return Record(picture, boxes, names, [False] * len(boxes), None, True, file.name)


def yolo_labels(folder: Path) -> tuple[list[str], str]:
    """Return the class names beside pictures with YOLO's text files, and the file that has them; none: ([], "")."""
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        names = _yaml_names(file)
        if names:
            return names, file.name
    for name in ("classes.txt", "obj.names", "_darknet.labels"):
        for place in (folder, folder / "labels", *sorted(p for p in folder.iterdir() if p.is_dir())):
            if (place / name).is_file():
                lines = (place / name).read_text("utf-8-sig").splitlines()
                return [line.strip() for line in lines if line.strip()], name
    return [], ""


def _yaml_names(file: Path) -> list[str]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise missing_package("pyyaml") from error
    try:
        table = yaml.safe_load(file.read_text("utf-8-sig")) if file.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{file.name}: not YAML ({str(error)[:200]})") from error
    names = table.get("names") if isinstance(table, dict) else None
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=lambda key: natural(str(key)))]
    return [str(name).strip() for name in names] if isinstance(names, list) else []


def _places(columns: Sequence[str], file: Path) -> tuple[int, int | None, list[int], bool]:
    """Return the places of picture, class and numbers, and whether the numbers end with width and height."""

    def place(names: Sequence[str], taken: Sequence[int | None] = ()) -> int | None:
        return next((columns.index(n) for n in names if n in columns and columns.index(n) not in taken), None)

    picture = place(PICTURE)
    label = place(LABEL, [picture])
    corners, edges = [place(names) for names in CORNERS], [place(names) for names in EDGES]
    listed = place(BOX)
    numbers = corners if None not in corners else edges if None not in edges else [listed]
    if picture is None or None in numbers:
        raise DataError(
            f"{file.name}: expected columns for the picture (such as filename) and for its box (xmin, ymin, xmax, "
            f"ymax; or x, y, width, height; or bbox), got {', '.join(columns)}"
        )
    chosen = [number for number in numbers if number is not None]
    return picture, label, chosen, numbers is not corners


def _listed(cell: str) -> list[str]:
    """Return the numbers in "[1, 2, 3, 4]" or "1 2 3 4"."""
    try:
        value = json.loads(cell) if cell.strip().startswith("[") else None
    except (ValueError, RecursionError):
        value = None
    return [str(entry) for entry in value] if isinstance(value, list) else re.split(r"[\s,;]+", cell.strip())


def _corners(texts: Sequence[str], *, edges: bool, where: str) -> Corners:
    values = _floats(texts, where)
    if len(values) != 4:
        raise DataError(f"{where}: expected four numbers for a box, got {len(values)}")
    left, top, right, bottom = values
    return (left, top, left + right, top + bottom) if edges else (left, top, right, bottom)


def _floats(texts: Sequence[str], where: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, got {', '.join(texts)[:80]}") from error


def texts_of(files: Sequence[Path]) -> Iterator[Path]:
    """Yield the text files that could be YOLO's: not lists of names or of pictures."""
    for file in files:
        if file.suffix.lower() == ".txt" and file.stem.lower() not in ("classes", "readme", "train", "val", "test"):
            yield file
