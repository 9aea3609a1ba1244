"""COCO's JSON (Lin et al. 2014, arXiv:1405.0312): one file for many pictures, `instances_val2017.json` and its kin.

Outlines, which make up most of such a file, are dropped while it is parsed: the memory is about twice the file's size.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnn_core.errors import DataError
from object_detection.record import Record

LARGEST = 2 << 30  # bytes
CROWD = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
KEPT = ("id", "file_name", "width", "height")  # of a picture


def is_coco(file: Path) -> bool:
    """Tell whether a JSON file looks like one of COCO's, from its first and last bytes."""
    head, ends = _ends(file)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and any(
        name in ends for name in (b'"annotations"', b'"images"', b'"categories"')
    )


def is_captions(file: Path) -> bool:
    """Tell whether a JSON file of COCO's holds captions and no boxes, likewise."""
    ends = _ends(file)[1]
    return b'"caption"' in ends and b'"bbox"' not in ends and b'"categories"' not in ends


def _ends(file: Path) -> tuple[bytes, bytes]:
    """Return the first bytes of a file, and the first and last; none where it cannot be read."""
    try:
        with file.open("rb") as stream:
            head = stream.read(1 << 16)
            stream.seek(max(0, file.stat().st_size - (1 << 16)))
            return head, head + stream.read()
    except OSError:
        return b"", b""


def read_coco(file: Path) -> Iterator[Record]:
    """Yield a record of every picture that is named, those without boxes too.

    Raises:
        DataError: the file is damaged, too large, or its parts do not fit each other.
    """
    table = _parsed(file)
    parts: dict[str, Any] = {name: table.get(name) for name in ("images", "annotations", "categories")}
    wrong = [name for name, part in parts.items() if not isinstance(part, list)]
    if wrong:
        raise DataError(f"{file.name}: expected lists called images, annotations and categories; missing {wrong}")
    try:
        labels = _by_id([(entry["id"], str(entry["name"]).strip()) for entry in parts["categories"]], "category", file)
        pictures = _by_id([(entry["id"], entry) for entry in parts["images"]], "picture", file)
        boxes: dict[Any, list[tuple[Any, ...]]] = {number: [] for number in pictures}
        for entry in parts["annotations"]:
            if entry[0] not in boxes or entry[1] not in labels:
                raise DataError(
                    f"{file.name}: an annotation names the picture {entry[0]!r} and the category {entry[1]!r}, one of "
                    "which the file does not have"
                )
            boxes[entry[0]].append(entry)
        for number, picture in pictures.items():
            yield _record(picture, boxes[number], labels, file.name)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(f"{file.name}: an entry is not as COCO has it ({type(error).__name__}: {error})") from error


def _by_id(entries: list[tuple[Any, Any]], kind: str, file: Path) -> dict[Any, Any]:
    """Return id -> entry.

    Raises:
        DataError: two different entries have one id.
    """
    found: dict[Any, Any] = {}
    for number, entry in entries:
        if found.setdefault(number, entry) != entry:
            one, other = (each if kind == "category" else each["file_name"] for each in (found[number], entry))
            raise DataError(
                f"{file.name}: the {kind} id {number!r} is given twice, to {one!r} and to {other!r}, so nobody knows "
                "which of them its boxes are of; give each an id of its own"
            )
    return found


def _is_crowd(value: Any) -> bool:
    """Return what `iscrowd` says: 0 and 1, which some tools write as texts."""
    return bool(int(value or 0)) if not isinstance(value, str) else CROWD[value.strip().lower()]


def _record(picture: dict[str, Any], entries: list[tuple[Any, ...]], labels: dict[Any, str], source: str) -> Record:
    if odd := [entry[-1] for entry in entries if len(entry[-1]) != 4]:
        raise DataError(
            f"{source}: an annotation of {picture['file_name']} has the box {[*odd[0]]}, expected [left, top, width, "
            "height]; make boxes of outlines first"
        )
    corners = [(float(x), float(y), float(x) + float(w), float(y) + float(h)) for *_, (x, y, w, h) in entries]
    size = (int(picture["width"]), int(picture["height"])) if picture.get("width") and picture.get("height") else None
    return Record(
        str(picture["file_name"]), corners, [labels[entry[1]] for entry in entries],
        [_is_crowd(entry[2]) for entry in entries], size, source=source,
    )  # fmt: skip


def _parsed(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST:
            raise DataError(f"{file.name}: larger than {LARGEST >> 30} GiB; split it into several files")
        with file.open(encoding="utf-8-sig") as stream:
            table = json.load(stream, object_hook=_slim)
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{file.name}: not JSON ({str(error)[:200]}); write it again") from error
    if not isinstance(table, dict):
        raise DataError(f"{file.name}: expected one object with images, annotations and categories")
    return table


def _slim(entry: dict[str, Any]) -> Any:
    """Return of an annotation (picture, category, crowd, box), of a picture what is used, everything else as it is."""
    if "bbox" in entry and "image_id" in entry:
        return entry["image_id"], entry.get("category_id"), entry.get("iscrowd", 0), tuple(entry["bbox"] or ())
    if "file_name" in entry:
        return {name: entry[name] for name in KEPT if name in entry}
    entry.pop("segmentation", None)
    return entry
