"""What a file of annotations says of one picture, before it is compared with the picture."""

from dataclasses import dataclass

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Record:
    """What a file says of one picture, before it is checked.

    Args:
        picture: its file name or path, as written.
        boxes: (left, top, right, bottom) in pixels, or in fractions of the picture's edges.
        labels: one for each box.
        ignored: likewise: crowds and "difficult" ones.
        size: (width, height) as written; None: not written.
        fractions: boxes are fractions.
        source: the file that says it, for messages.
        split: train, val or test, where the file says so.
    """

    picture: str
    boxes: list[Corners]
    labels: list[str]
    ignored: list[bool]
    size: tuple[int, int] | None = None
    fractions: bool = False
    source: str = ""
    split: str = ""
