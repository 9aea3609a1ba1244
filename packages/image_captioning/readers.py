"""Files of captions: tables, JSON Lines, and JSON as COCO, Karpathy and others write it."""

import ast
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from cnn_core.data.decoding import read_at_most
from cnn_core.data.images import SUFFIXES
from cnn_core.data.splits import said_splits
from cnn_core.data.tables import Layout, encoding_of, lines, look, opened, records, rows, table_suffix
from cnn_core.errors import DataError
from image_captioning.album import Album

JSON_LIMIT = 2 << 30  # bytes of an annotations file; COCO's have 90 MB
EVIDENCE = 200  # rows whose names are looked up to find the column of the pictures
FILE_NAMES = (
    "image", "file_name", "filename", "file", "picture", "photo", "path", "filepath", "image_path", "img", "image_file",
    "image_id", "image_name", "img_id", "name",
)  # fmt: skip
CAPTION_NAMES = (
    "caption", "captions", "text", "sentence", "sentences", "description", "comment", "raw", "title", "alt_text",
)  # fmt: skip
SENTENCE_KEYS = ("raw", "caption", "sentence", "text")  # of a caption that is an object


@dataclass(frozen=True)
class Entry:
    """What a file says of a picture: its name, captions, and the split and group it belongs to."""

    name: str
    captions: tuple[str, ...]
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Columns:
    """The columns that are wanted; None: chosen by their names and contents.

    `remembered` ones were chosen for other data: they are taken where there are columns of these names.
    """

    image: str | None = None
    caption: str | None = None
    group: str | None = None
    remembered: bool = False


@dataclass
class Source:
    """A file of captions that was read."""

    file: Path
    entries: list[Entry]
    said: list[str] = field(default_factory=list)  # what was chosen in reading it
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> captions
    by: str = ""  # what in it says which split a picture belongs to


def read_source(file: Path, album: Album, columns: Columns) -> Source:
    """Read a file of captions of any kind.

    Raises:
        DataError: it cannot be read, or holds no pictures with captions.
    """
    if table_suffix(file) == ".json":
        return read_json(file, album, columns)
    wanted = (columns.image, columns.caption, columns.group)
    known = (*FILE_NAMES, *CAPTION_NAMES, "split")
    layout = look(file, known, wanted=wanted, content="a table of captions")
    if layout.delimiter is None:
        return _objects(file, list(records(file, layout)), album, columns)
    return _table(file, layout, album, columns)


# ---- tables


def _table(file: Path, layout: Layout, album: Album, columns: Columns) -> Source:
    table, names = list(rows(file, layout)), list(layout.columns)
    first, rest = (names, table) if layout.header else (table[0], table[1:])
    if layout.header and _names_picture(first, album):
        table, names = [first, *table], [str(i + 1) for i in range(len(names))]
    elif (
        not layout.header
        and not _names_picture(first, album)
        and any(_names_picture(row, album) for row in rest[:EVIDENCE])
    ):
        table, names = rest, [cell.strip() or str(i) for i, cell in enumerate(first, start=1)]
    filled = [[*row, *[""] * (len(names) - len(row))] for row in table]
    divided, splits = _splits(file.name, names, columns, lambda at: [row[at] for row in filled])
    values = [[row[i] for row in filled[:EVIDENCE]] for i in range(len(names))]
    place = _places(file.name, names, columns, values, album, split=divided)
    opened_at = layout.dialect.open_column if layout.dialect else None
    if opened_at is not None and opened_at not in place.captions:
        raise DataError(
            f"{file.name}: some rows have more cells than the {len(names)} columns ({', '.join(names)}), and what they "
            f"hold would be read as part of {names[opened_at]!r}; put captions with delimiters into quotation marks"
        )
    source = Source(file, [], [*layout.remarks, *place.said(names)], by=place.by(names))
    for cells, split in zip(filled, splits, strict=True):
        captions = [caption for i in place.captions for caption in _listed(cells[i])]
        captions = [caption for caption in captions if caption.strip()] or [""]
        group = cells[place.group].strip() if place.group is not None else ""
        source.entries.append(Entry(cells[place.image].strip(), tuple(captions), split, group))
    return source


def _names_picture(cells: Sequence[str], album: Album) -> bool:
    return any(PurePath(cell.split("#")[0]).suffix.lower() in SUFFIXES or _hit(cell, album) == 2 for cell in cells)


def _hit(cell: object, album: Album) -> int:
    """Return 2 for the name of a picture, 1 for a number that one has, which a row's number may be too, else 0."""
    match = album.find(cell) if isinstance(cell, str) else None
    return 0 if match is None or match.file is None else 2 - match.by_number


def _listed(cell: str) -> list[str]:
    """Return the captions of a cell: one, or those of a list as JSON or Python write it."""
    text = cell.strip()
    if text.startswith("[") and text.endswith("]"):
        for read in (json.loads, ast.literal_eval):
            try:
                values = read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
                return values
    return [cell]


@dataclass(frozen=True)
class _Places:
    image: int
    captions: list[int]
    split: int | None
    group: int | None
    chosen: bool  # by their contents, not by name or wish

    def by(self, columns: Sequence[str]) -> str:
        """Return what says which split a picture belongs to."""
        return "" if self.split is None else f"the column {columns[self.split]}"

    def said(self, columns: Sequence[str]) -> list[str]:
        """Return a sentence on columns that were chosen by what is in them."""
        if not self.chosen:
            return []
        captions = ", ".join(columns[i] for i in self.captions)
        return [f"column {columns[self.image]} names the pictures and {captions} holds the captions"]


def _splits(
    name: str, columns: Sequence[str], wanted: Columns, cells: Callable[[int], Sequence[str]]
) -> tuple[int | None, list[str]]:
    """Return the column that says splits, and the split of every row, "" where nothing is said."""
    asked = {column.lower() for column in (wanted.image, wanted.caption, wanted.group) if column}
    for at, column in enumerate(columns):
        if column.lower() not in asked and (parts := said_splits(column, cells(at), table=name)):
            return at, parts
    return None, [""] * len(cells(0))


def _places(
    name: str, columns: Sequence[str], wanted: Columns, values: Sequence[Sequence[Any]], album: Album, *,
    split: int | None,
) -> _Places:  # fmt: skip
    """Find the columns of a table.

    Args:
        name: of the file.
        columns: their names.
        wanted: those that are asked for.
        values: per column the first cells.
        album: whose names the column of the pictures has.
        split: the column that says splits, which is none of the others.

    Raises:
        DataError: a column that is asked for is not there, or there are no two for pictures and captions.
    """
    folded = [column.lower() for column in columns]
    image = _asked(name, columns, wanted.image, remembered=wanted.remembered)
    caption = _asked(name, columns, wanted.caption, remembered=wanted.remembered)
    group = _asked(name, columns, wanted.group, remembered=wanted.remembered)
    chosen = False
    if image is None:
        known = _by_name(folded, FILE_NAMES)
        free = [i for i in range(len(columns)) if i not in (caption, group, split)]
        hits = {i: sum(_hit(value, album) for value in values[i]) for i in free}
        ranked = [i for i in known if hits.get(i)] or sorted((i for i in free if hits[i]), key=lambda i: -hits[i])
        image = next(iter(ranked or [i for i in known if i in free] or _others(folded, free, CAPTION_NAMES)), None)
        chosen = image is not None and image not in known
    if caption is None:
        free = [i for i in range(len(columns)) if i not in (image, group, split)]
        known = [i for i in _by_name(folded, CAPTION_NAMES) if i in free]
        words = {i: sum(len(str(v).split()) for v in values[i]) for i in free}
        caption = next(iter(known or sorted(free, key=lambda i: -words[i])), None)
        chosen |= caption is not None and caption not in known
    if image is None or caption is None or image == caption:
        raise DataError(
            f"{name}: expected two columns, image and caption, found {', '.join(columns) or 'none'}; --image-column "
            "and --caption-column name them"
        )
    stem = folded[caption].rstrip("0123456789_")
    several = [i for i, n in enumerate(folded) if n.rstrip("0123456789_") == stem and i != image and stem]
    captions = several if wanted.caption is None and caption in several else [caption]
    return _Places(image, captions, split, group, chosen)


def _asked(name: str, columns: Sequence[str], wanted: str | None, *, remembered: bool) -> int | None:
    folded = [column.lower() for column in columns]
    if wanted is None or (remembered and wanted.lower() not in folded):
        return None
    if wanted.lower() not in folded:
        raise DataError(f"{name} has no column {wanted!r}; its columns are {', '.join(columns)}")
    return folded.index(wanted.lower())


def _by_name(folded: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the columns with a known name, with or without a number at its end, in the order of these names."""
    matches = [i for i, column in enumerate(folded) if column.rstrip("0123456789_") in known]
    return sorted(matches, key=lambda i: known.index(folded[i].rstrip("0123456789_")))


def _others(folded: Sequence[str], places: Iterable[int], known: Sequence[str]) -> list[int]:
    return [i for i in places if folded[i].rstrip("0123456789_") not in known]


# ---- JSON


def read_json(file: Path, album: Album | None = None, columns: Columns | None = None) -> Source:
    """Read COCO's or Karpathy's JSON, an object of {picture: captions}, or a list of objects.

    Without an album, COCO's alone.

    Raises:
        DataError: it is something else, or damaged.
    """
    if file.stat().st_size > JSON_LIMIT:
        raise DataError(f"{file.name} has more than {JSON_LIMIT >> 30} GiB; this is not a captions file")
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as stream:
            values = json.loads(read_at_most(stream.read, JSON_LIMIT).decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"could not read {file}: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name} is not UTF-8 ({error}); JSON must be; save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.name} is not JSON: {error}") from error
    if isinstance(values, dict) and "images" in values and ("annotations" in values or album is None):
        return _coco(file, values)
    if album is None or columns is None:
        return _coco(file, values)
    if isinstance(values, dict) and isinstance(values.get("images"), list):
        return _karpathy(file, values["images"])
    if isinstance(values, dict):
        lists = [v for v in values.values() if isinstance(v, list) and v and all(isinstance(e, dict) for e in v)]
        if len(lists) == 1 and not any(album.find(key).file for key in values):
            return _objects(file, lists[0], album, columns)
        return Source(file, [Entry(str(name), _texts(captions)) for name, captions in values.items()])
    if isinstance(values, list) and all(isinstance(value, dict) for value in values):
        return _objects(file, values, album, columns)
    raise DataError(
        f'{file.name}: expected {{"picture.jpg": ["caption", ...]}}, a list of objects with image and caption, or the '
        "JSON of COCO or Karpathy"
    )


def _coco(file: Path, values: Any) -> Source:
    try:
        pairs = [(_id(image["id"]), str(image["file_name"])) for image in values["images"]]
        captions = [(entry.get("id"), _id(entry["image_id"]), entry["caption"]) for entry in values["annotations"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{file.name} is not a COCO captions file ({error!r}): expected {{"images": [{{"id", "file_name"}}], '
            '"annotations": [{"image_id", "caption"}]}'
        ) from error
    names = dict(pairs)
    if len(names) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise DataError(f"{file.name}: {len(twice)} image ids occur twice{such_as(twice)}; give each picture its own")
    source = Source(file, [Entry(name, ()) for name in names.values()])
    seen: set[object] = set()
    unknown = []
    for key, image, caption in captions:
        if key is not None and key in seen:
            source.left_out["captions with the id of another one"] += 1
        elif image not in names:
            unknown.append(image)
        else:
            source.entries.append(Entry(names[image], _texts(caption)))
        seen.add(key)
    if unknown and len(unknown) == len(captions):
        raise DataError(
            f"{file.name}: {len(unknown)} captions are of image ids that it does not list{such_as(unknown)}"
        )
    if unknown:
        source.left_out[f"captions of image ids that are not listed{such_as(unknown)},"] += len(unknown)
    return source


def _id(value: object) -> str:
    """Return an id as text: 7, 7.0, "7" and "0007" are one."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return text.lstrip("0") or "0" if text.isdecimal() else text


def _karpathy(file: Path, images: Sequence[Any]) -> Source:
    """Read the splits of Karpathy and Fei-Fei 2015; "restval", the rest of COCO's validation, is for training."""
    entries = []
    for number, image in enumerate(images, start=1):
        name = image.get("filename") or image.get("file_name") if isinstance(image, dict) else None
        if not name or "sentences" not in image:
            raise DataError(f"{file.name}, image {number}: expected an object with filename and sentences")
        folder = str(image.get("filepath") or "")
        entries.append(Entry(f"{folder}/{name}" if folder else str(name), _texts(image["sentences"])))
    splits = said_splits("split", [str(image.get("split") or "") for image in images], table=file.name)
    if splits is None:
        return Source(file, entries)
    return Source(file, [replace(e, split=s) for e, s in zip(entries, splits, strict=True)], by="its split")


def _objects(file: Path, objects: Sequence[Mapping[str, Any]], album: Album, columns: Columns) -> Source:
    """Read objects with the keys image and caption, or with names of pictures as keys."""
    counts = Counter(key for row in objects for key in row)
    names = list(counts)
    if not names:
        raise DataError(f"{file.name} is empty; expected one JSON object per line")
    known = {*FILE_NAMES, columns.image or ""}
    if not any(name.lower() in known for name in names) and any(album.find(name).file for name in names[:EVIDENCE]):
        return Source(file, [Entry(key, _texts(value)) for row in objects for key, value in row.items()])
    first = objects[:EVIDENCE]
    divided, splits = _splits(file.name, names, columns, lambda at: [str(row.get(names[at]) or "") for row in objects])
    values = [[row.get(name) for row in first] for name in names]
    place = _places(file.name, names, columns, values, album, split=divided)
    source = Source(file, [], place.said(names), by=place.by(names))
    for row, split in zip(objects, splits, strict=True):
        captions = [text for i in place.captions if names[i] in row for text in _texts(row[names[i]])]
        group = str(row.get(names[place.group]) or "") if place.group is not None else ""
        captions = [caption for caption in captions if caption.strip()] or [""]
        source.entries.append(Entry(str(row.get(names[place.image], "")), tuple(captions), split, group))
    return source


def _texts(value: object) -> tuple[str, ...]:
    """Return the captions in a value: a text, an object with one, or a list of these; "" for anything else."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping):
        found = next((value[key] for key in SENTENCE_KEYS if isinstance(value.get(key), str)), None)
        return (found or "",)
    if isinstance(value, list):
        return tuple(text for entry in value for text in (_texts(entry) if not isinstance(entry, list) else ("",)))
    return ("",)


def such_as(names: Sequence[object]) -> str:
    """Return the first of some names as the end of a sentence."""
    shown = ", ".join(str(name)[:60] for name in names[:3])
    return f", such as {shown}" if shown else ""


def text_lines(file: Path) -> Iterable[str]:
    """Yield the lines of a text file of any encoding."""
    with opened(file, encoding_of(file)) as stream:
        yield from (line.rstrip("\r\n") for line in lines(file, stream))
