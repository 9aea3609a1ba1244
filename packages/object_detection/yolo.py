"""The text files of YOLO: one file a picture, one line a box, and the names of the classes beside them."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path

from cnn_core.errors import DataError, missing_package
from cnn_core.validation import whole_number
from object_detection.record import Corners, Record
from object_detection.tables import numbers_of

LARGEST = 1 << 20  # bytes of a text file
OF_DATA = ("data", "dataset")  # files of names that count before others
NAMED = 6  # entries that a message shows


def read_yolo(file: Path, labels: Mapping[int, str], picture: str) -> Record:
    """Read the text file of a picture: `class centre-x centre-y width height`, fractions of its edges.

    Args:
        file: empty: the picture has no box.
        labels: number -> class name; empty: classes are called by their numbers.
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
        if labels and k not in labels:
            numbers = f" (of {', '.join(map(str, [*labels][:NAMED]))}{', ...' * (len(labels) > NAMED)})"
            raise DataError(f"{where}: class {k}, but there are {len(labels)} names{numbers}; it needs one")
        x, y, w, h = numbers_of(cells[1:], where)
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        names.append(labels[k] if labels else cells[0])
    return Record(picture, boxes, names, [False] * len(boxes), None, True, file.name)


def yolo_labels(folder: Path) -> tuple[dict[int, str], str]:
    """Return the class names beside pictures with YOLO's text files, and the file that has them; none: ({}, "").

    A line or an entry without a name keeps its number.

    Raises:
        DataError: a file of names is damaged.
    """
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")], key=lambda f: (f.stem not in OF_DATA, f.name))
    named = {file.name: names for file in files if (names := _yaml_names(file))}
    if named:
        first = next(iter(named))
        others = [name for name, names in named.items() if names != named[first]]
        return named[first], first + (f" (others are in {', '.join(others)})" if others else "")
    for name in ("classes.txt", "obj.names", "_darknet.labels"):
        for place in (folder, folder / "labels", *sorted(p for p in folder.iterdir() if p.is_dir())):
            if (place / name).is_file():
                lines = (place / name).read_text("utf-8-sig").splitlines()
                return {number: line.strip() for number, line in enumerate(lines) if line.strip()}, name
    return {}, ""


def _yaml_names(file: Path) -> dict[int, str]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise missing_package("pyyaml") from error
    try:
        # BaseLoader makes nothing but texts, lists and tables: a class called "yes" or "1e3" stays a word.
        text = file.read_text("utf-8-sig") if file.stat().st_size <= LARGEST else ""
        table = yaml.BaseLoader(text).get_single_data()
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{file.name}: not YAML ({str(error)[:200]})") from error
    names = table.get("names") if isinstance(table, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        return {}
    numbered: dict[int, str] = {}
    for key, name in names.items():
        number = whole_number(str(key).strip())
        if number is None or number in numbered:
            first = [*names][:NAMED]
            raise DataError(f"{file.name}: expected the number of a class before each of its names, got {first}")
        numbered[number] = str(name).strip()
    return {number: name for number, name in sorted(numbered.items()) if name}


def texts_of(files: Sequence[Path]) -> Iterator[Path]:
    """Yield the text files that could be YOLO's: not lists of names or of pictures."""
    for file in files:
        if file.suffix.lower() == ".txt" and file.stem.lower() not in ("classes", "readme", "train", "val", "test"):
            yield file


def is_yolo(file: Path) -> bool:
    """Tell whether a text file holds lines of YOLO's, or none and lies in `labels`."""
    try:
        with file.open("rb") as stream:
            lines = [line.split() for line in stream.read(LARGEST).decode("utf-8-sig").splitlines()]
        rows = [line for line in lines if line]
        fits = [len(row) >= 5 and all(map(isfinite, map(float, row))) for row in rows]
    except (OSError, ValueError):
        return False
    return all(fits) if fits else "labels" in file.parts
