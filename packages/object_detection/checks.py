"""What annotations say of a picture against the picture itself: cut off, turned, left out, and all of it counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from cnn_core.data.images import read_image
from cnn_core.data.summary import Omissions, counted
from cnn_core.errors import DataError
from object_detection.record import Corners, Record

LEAST = 1.0  # pixels of an edge
OVERHANG = 1.5  # pixels outside the picture that are rounding and not worth a word
OVER = "boxes reaching out of their picture, cut off at its edge"
TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass
class Checked:
    """What became of all boxes: sentences for the user.

    Args:
        left_out: boxes and pictures that are not used.
        changed: what was repaired or is ignored, and how often.
    """

    left_out: Omissions
    changed: Counter[str] = field(default_factory=Counter)

    @property
    def sentences(self) -> list[str]:
        """What was repaired or is ignored."""
        return [counted(count, what) for what, count in self.changed.items()]


def check(file: Path, records: Sequence[Record], name: str, found: Checked) -> list[tuple[Corners, str, bool]] | None:
    """Return the usable boxes of a picture with label and "ignored"; None: the picture itself cannot be used.

    Args:
        file: the picture.
        records: what is said of it, each in pixels of its own size or in fractions.
        name: of the picture, for examples.
        found: gets what is left out or repaired.
    """
    try:
        width, height, turned = _size(file)
    except DataError as error:
        found.left_out.add(_reason(str(error), name), name)
        return None
    raw = (height, width) if turned else (width, height)
    kept: list[tuple[Corners, str, bool]] = []
    for record in records:
        if turned and record.size == raw and record.boxes and not record.fractions:
            found.left_out.add("pictures that their EXIF data turn, with boxes for the picture as it is stored", name)
            return None
        scale = (float(width), float(height)) if record.fractions else _rescaled(record, width, height)
        if scale is None:
            found.left_out.add("pictures whose annotation is for another shape of picture", name)
            return None
        if scale != (1.0, 1.0) and not record.fractions and record.boxes:
            found.changed["pictures of another size than their annotation says, their boxes scaled"] += 1
        for corners, label, ignored in zip(record.boxes, record.labels, record.ignored, strict=True):
            left, top, right, bottom = (value * scale[k % 2] for k, value in enumerate(corners))
            box = _repaired((left, top, right, bottom), width, height, name, found)
            if box is None:
                continue
            if not label:
                found.left_out.add("boxes without a class", name)
            elif (box, label, ignored) in kept:
                found.left_out.add("boxes given twice", name)
            else:
                kept.append((box, label, ignored))
    if crowds := sum(ignored for *_, ignored in kept):
        found.changed["boxes marked as a crowd or as difficult, neither learned nor measured"] += crowds
    return kept


def _repaired(box: Corners, width: int, height: int, name: str, found: Checked) -> Corners | None:
    """Return a box with its corners in order and inside the picture, or None."""
    left, top, right, bottom = box
    if not all(abs(value) < 1e9 for value in box):  # NaN and infinity too
        found.left_out.add("boxes whose numbers are none", name)
        return None
    if right < left or bottom < top:
        found.changed["boxes with exchanged corners, turned round"] += 1
        left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    if right - left < LEAST or bottom - top < LEAST:
        found.left_out.add("boxes without area", name)
        return None
    cut = (max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom))
    if cut[2] - cut[0] < LEAST or cut[3] - cut[1] < LEAST:
        found.left_out.add("boxes outside their picture", name)
        return None
    if max(-left, -top, right - width, bottom - height) > OVERHANG:
        found.changed[OVER] += 1
    return cut


def _rescaled(record: Record, width: int, height: int) -> tuple[float, float] | None:
    """Return the factors from the annotation's pixels to the picture's; None: they have different shapes."""
    if record.size is None or record.size == (width, height):
        return 1.0, 1.0
    x, y = width / record.size[0], height / record.size[1]
    return (x, y) if abs(x / y - 1) < 0.02 else None


def _size(file: Path) -> tuple[int, int, bool]:
    """Return the width and height of the upright picture, and whether it is stored on its side."""
    try:
        with Image.open(file) as image:  # the header alone
            width, height = image.size
            turned = image.getexif().get(0x0112) in TURNED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        picture = read_image(file)  # reads more kinds, and says what is wrong
        return picture.width, picture.height, False
    return (height, width, True) if turned else (width, height, False)


def _reason(message: str, name: str) -> str:
    reason = message.rpartition(f"{name}: ")[2].partition(" (")[0].partition(";")[0].partition(": ")
    return f"pictures that cannot be read: {reason[2] or reason[0]}"
