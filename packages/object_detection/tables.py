"""Boxes in tables: one row a box."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cnn_core.data.splits import SPLIT_COLUMNS, SPLIT_NAMES, said_splits
from cnn_core.data.summary import counted
from cnn_core.data.tables import look, numbered_rows
from cnn_core.errors import DataError
from object_detection.record import Corners, Record

PICTURE = (
    "image", "filename", "file_name", "file", "image_id", "imageid", "image_path", "path", "img", "image_name", "name",
)  # fmt: skip
LABEL = (  # words before numbers
    "label", "class", "class_name", "classname", "label_name", "labelname", "class_label", "category", "category_name",
    "species", "cls", "name", "type", "labels", "classes", "object", "object_name", "class_id", "classid",
    "category_id", "label_id", "labelid", "source",
)  # fmt: skip
CORNERS = (
    ("xmin", "x_min", "x1", "left"), ("ymin", "y_min", "y1", "top"), ("xmax", "x_max", "x2", "right"),
    ("ymax", "y_max", "y2", "bottom"),
)  # fmt: skip
EDGES = (  # "width" beside "w" is the picture's
    ("x", *CORNERS[0]), ("y", *CORNERS[1]), ("w", "bbox_width", "box_width", "bbox_w", "width"),
    ("h", "bbox_height", "box_height", "bbox_h", "height"),
)  # fmt: skip
CENTRES = (
    ("cx", "x_center", "x_centre", "xcenter", "xcentre", "center_x", "centre_x", "xc", "bbox_cx", "box_cx"),
    ("cy", "y_center", "y_centre", "ycenter", "ycentre", "center_y", "centre_y", "yc", "bbox_cy", "box_cy"), *EDGES[2:],
)  # fmt: skip
SIZE = (
    ("width", "image_width", "img_width", "image_w", "img_w"),
    ("height", "image_height", "img_height", "image_h", "img_h"),
)  # fmt: skip
BOX = ("bbox", "box")
PLAIN = 6  # columns of a table without a header: picture, left, top, right, bottom, class
ROUNDING = 1.5  # pixels between an edge of a box as its corners have it and as it is written
DECIMAL = re.compile(r"\s*[+-]?\d+,\d+\s*")  # as spreadsheets write 12.5 in much of Europe
ONE_CLASS = "object"  # the class of boxes without one


@dataclass(frozen=True)
class Columns:
    """The places of what a row says.

    Args:
        picture: its name.
        label: the class; None: there is no such column.
        box: four numbers, or a list of them.
        edges: whether the last two numbers are width and height.
        centre: whether the first two are then the centre of the box, not its left and top.
        size: the picture's width and height; empty: not written.
        split: train, val or test; None: there is no such column.
    """

    picture: int
    label: int | None
    box: list[int]
    edges: bool
    centre: bool = False
    size: list[int] = field(default_factory=list)
    split: int | None = None

    @property
    def used(self) -> set[int | None]:
        """The places of all of them."""
        return {self.picture, self.label, *self.box, *self.size, self.split}


def read_boxes(file: Path, said: list[str] | None = None) -> list[Record]:
    """Return the pictures that a table names; a row with empty numbers says that a picture has no box.

    The columns are a picture, a class, and left, top, right and bottom (`xmin, ymin, xmax, ymax`, `x1, y1, x2, y2`), or
    `x, y, width, height`, or `cx, cy, width, height` from the centre, or `bbox` with a list `x, y, width, height`.
    Other columns `width, height` are the picture's. Without a header they are picture, left, top, right, bottom, class.

    Args:
        file: the table.
        said: gets sentences on what was chosen in reading.

    Raises:
        DataError: the table cannot be read, has no such columns, or a number is none; names the line.
    """
    names = {name for group in (PICTURE, LABEL, BOX, *CORNERS, *EDGES, *CENTRES, *SIZE) for name in group}
    layout = look(file, names, content="a table of boxes")
    if [*layout.columns[1:]] == [str(k) for k in range(2, PLAIN + 1)]:  # the first row is a picture without boxes
        layout = replace(layout, header=False)
    columns = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in layout.columns]
    plain = not layout.header and len(columns) == PLAIN
    places = Columns(0, 5, [1, 2, 3, 4], edges=False) if plain else _places(columns, file)
    found: dict[str, Record] = {}
    sizes: dict[str, set[tuple[int, int]]] = defaultdict(set)
    splits: dict[str, list[str]] = defaultdict(list)
    commas = 0  # rows with decimal commas
    of_boxes = True  # whether width and height are those of the boxes
    for line, short in numbered_rows(file, layout):
        cells = [*short, *[""] * (len(columns) - len(short))]
        name = cells[places.picture].strip()
        if not name:
            raise DataError(f"{file.name}, line {line}: names no picture")
        record = found.setdefault(name, Record(name, [], [], [], source=file.name))
        if size := _size([_decimal(cells[k]) for k in places.size]):
            sizes[name].add(size)
        if places.split is not None and cells[places.split].strip() not in splits[name]:
            splits[name].append(cells[places.split].strip())
        texts = _listed(cells[places.box[0]]) if len(places.box) == 1 else [cells[k].strip() for k in places.box]
        if not any(texts):
            continue
        if len(places.box) == 4 and any(map(DECIMAL.fullmatch, texts)):
            texts, commas = [_decimal(text) for text in texts], commas + 1
        box = _corners(texts, places, where=f"{file.name}, line {line}")
        of_boxes = of_boxes and (size is None or _has_edges(box, size))
        record.boxes.append(box)
        record.labels.append(cells[places.label].strip() if places.label is not None else ONE_CLASS)
        record.ignored.append(False)
    said = [] if said is None else said
    if places.centre:
        named = ", ".join(columns[k] for k in places.box)
        said.append(f"{file.name} has the centre, width and height of each box ({named})")
    if commas:
        said.append(f"{counted(commas, 'rows')} of {file.name} with decimal commas, 12,5 being read as 12.5")
    if places.label is None and any(record.boxes for record in found.values()):
        rest = [name for k, name in enumerate(columns) if k not in places.used]
        unused = f" (not used: {', '.join(rest)})" if rest else ""
        said.append(f"no column of classes was found in {file.name}, so every box is {ONE_CLASS!r}{unused}")
    inside = [value <= 1 for record in found.values() for box in record.boxes for value in box]
    fractions = bool(inside) and sum(inside) > 0.99 * len(inside)
    several = sum(len(each) > 1 for each in sizes.values())
    if several and not of_boxes:
        said.append(f"{counted(several, 'pictures')} of several sizes in {file.name}, which are not used")
    known = {name: next(iter(each)) for name, each in sizes.items() if len(each) == 1 and not of_boxes}
    given = {} if places.split is None else _splits(splits, columns[places.split], file.name, said)
    return [
        replace(record, size=known.get(name), fractions=fractions, split=given.get(name, ""))
        for name, record in found.items()
    ]


def _splits(written: dict[str, list[str]], column: str, table: str, said: list[str]) -> dict[str, str]:
    """Return picture -> its split, of what a column has for it; nothing where that is no column of splits.

    Raises:
        DataError: another word stands among splits.
    """
    if said_splits(column, [word for cells in written.values() for word in cells], table=table) is None:
        return {}
    named = {name: [SPLIT_NAMES[word.lower()] for word in cells if word] for name, cells in written.items()}
    said.append(f"column {column!r} of {table} says which split a picture belongs to")
    if bare := sum(not each for each in named.values()):
        said.append(counted(bare, "pictures without a split in it, which are training pictures"))
    if moved := sum(len({*each}) > 1 for each in named.values()):
        said.append(counted(moved, "pictures named in several splits, which stay in the first"))
    return {name: each[0] for name, each in named.items() if each}


def _places(columns: Sequence[str], file: Path) -> Columns:
    """Return the places of what a row says.

    Raises:
        DataError: there are no columns for a picture and its box.
    """

    def place(names: Sequence[str], taken: Sequence[int | None] = ()) -> int | None:
        return next((columns.index(n) for n in names if n in columns and columns.index(n) not in taken), None)

    picture = place(PICTURE)
    label = place(LABEL, [picture])
    corners, centres, edges = ([place(names) for names in way] for way in (CORNERS, CENTRES, EDGES))
    numbers = next((way for way in (corners, centres, edges) if None not in way), [place(BOX)])
    if picture is None or None in numbers:
        raise DataError(
            f"{file.name}: expected columns for the picture (such as filename) and for its box (xmin, ymin, xmax, "
            f"ymax; or x, y, width, height; or cx, cy, width, height; or bbox), got {', '.join(columns)}"
        )
    chosen = [number for number in numbers if number is not None]
    size = [k for k in (place(names, chosen) for names in SIZE) if k is not None]
    size = size if len(size) == 2 else []
    split = place(SPLIT_COLUMNS, [picture, label, *chosen, *size])
    centre = numbers is centres
    return Columns(picture, label, chosen, edges=numbers is not corners, centre=centre, size=size, split=split)


def _decimal(text: str) -> str:
    return text.replace(",", ".") if DECIMAL.fullmatch(text) else text


def _size(cells: Sequence[str]) -> tuple[int, int] | None:
    """Return the width and height in two cells; None: there are none."""
    try:
        width, height = (float(cell) for cell in cells)
        return (int(width), int(height)) if width >= 1 and height >= 1 else None
    except (ValueError, OverflowError):
        return None


def _has_edges(box: Corners, size: tuple[int, int]) -> bool:
    return max(abs(box[2] - box[0] - size[0]), abs(box[3] - box[1] - size[1])) <= ROUNDING


def _listed(cell: str) -> list[str]:
    """Return the numbers in "[1, 2, 3, 4]" or "1 2 3 4"."""
    try:
        value = json.loads(cell) if cell.strip().startswith("[") else None
    except (ValueError, RecursionError):
        value = None
    return [str(entry) for entry in value] if isinstance(value, list) else re.split(r"[\s,;]+", cell.strip())


def _corners(texts: Sequence[str], places: Columns, where: str) -> Corners:
    values = numbers_of(texts, where)
    if len(values) != 4:
        raise DataError(f"{where}: expected four numbers for a box, got {len(values)}")
    left, top, right, bottom = values
    if places.centre:
        left, top = left - right / 2, top - bottom / 2
    return (left, top, left + right, top + bottom) if places.edges else (left, top, right, bottom)


def numbers_of(texts: Sequence[str], where: str) -> list[float]:
    """Return texts as numbers.

    Raises:
        DataError: one is none; begins with `where`.
    """
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, got {', '.join(texts)[:80]}") from error
