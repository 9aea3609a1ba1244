"""Boxes in tables: one row a box."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from cnn_core.data.tables import look, numbered_rows
from cnn_core.errors import DataError
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
    values = numbers_of(texts, where)
    if len(values) != 4:
        raise DataError(f"{where}: expected four numbers for a box, got {len(values)}")
    left, top, right, bottom = values
    return (left, top, left + right, top + bottom) if edges else (left, top, right, bottom)


def numbers_of(texts: Sequence[str], where: str) -> list[float]:
    """Return texts as numbers.

    Raises:
        DataError: one is none; begins with `where`.
    """
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, got {', '.join(texts)[:80]}") from error
