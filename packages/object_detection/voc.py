"""PASCAL VOC: one XML file per picture (Everingham et al. 2010), read without entities, which could fill the memory.

Pixels are counted from 1 and both ends belong to a box.
"""

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from cnn_core.errors import DataError, missing_package
from cnn_core.validation import whole_number
from object_detection.record import Record

MARK = re.compile(r"\s+(-1|0|1)$")  # behind a name in the list of a class
LARGEST = 16 << 20  # bytes of one XML file


def read_voc(file: Path) -> Record:
    """Read the XML file of a picture.

    Raises:
        DataError: it is damaged, no annotation of VOC, or holds entities or a document type.
        CnnError: defusedxml is not installed.
    """
    root = _parsed(file)
    if root.tag != "annotation":
        raise DataError(f"{file.name}: expected <annotation> of PASCAL VOC, got <{str(root.tag)[:40]}>")
    boxes, labels, ignored = [], [], []
    for number, entry in enumerate(root.iter("object"), start=1):
        name = (entry.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{file.name}, object {number}: has no <name>")
        left, top, right, bottom = _numbers(entry.find("bndbox"), ("xmin", "ymin", "xmax", "ymax"), file, number)
        boxes.append((left - 1, top - 1, right, bottom))
        labels.append(name)
        ignored.append((entry.findtext("difficult") or "0").strip() == "1")
    size = root.find("size")
    shape = None
    if size is not None:
        width, height = (whole_number((size.findtext(name) or "").strip()) for name in ("width", "height"))
        shape = (width, height) if width and height else None
    picture = (root.findtext("filename") or "").strip() or file.stem
    return Record(picture, boxes, labels, ignored, shape, source=file.name)


def voc_ids(file: Path, known: Container[str] = ()) -> Iterator[str]:
    """Yield the names in a list of ImageSets/Main; of a class's list those with its mark 1, 0 and -1 alike.

    Args:
        file: the list, one name a line; names may hold spaces.
        known: names that may end in a space and a number themselves.
    """
    try:
        for line in file.read_text("utf-8-sig").splitlines():
            name = line.strip()
            if name:
                yield name if name in known else MARK.sub("", name)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as a list of pictures ({error})") from error


def _parsed(file: Path) -> Any:
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ModuleNotFoundError as error:
        raise missing_package("defusedxml") from error
    try:
        if file.stat().st_size > LARGEST:
            raise DataError(f"{file.name}: larger than {LARGEST >> 20} MiB; one picture needs a few kilobytes")
        return fromstring(file.read_bytes(), forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            f"{file.name}: holds a document type or entities, which annotations do not need and which can fill the "
            "memory or read other files; remove the <!DOCTYPE ...> part"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(f"{file.name}: not XML ({error}); save the annotation again") from error
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read ({error.strerror})") from error


def _numbers(entry: Any, names: tuple[str, ...], file: Path, number: int) -> list[float]:
    values = [] if entry is None else [entry.findtext(name) for name in names]
    try:
        return [float(value) for value in values if value is not None] if None not in values and values else _none()
    except ValueError as error:
        raise DataError(
            f"{file.name}, object {number}: expected <bndbox> with the numbers {', '.join(names)}, "
            f"got {str(values)[:80]}"
        ) from error


def _none() -> list[float]:
    raise ValueError("a number is missing")
