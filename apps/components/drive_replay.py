"""A drive replayed in the browser: the view from the car, the road from above, and a push of the car where it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from cnn_core.errors import DataError
from components.browser import component, is_number, named
from components.frame import plain_errors
from components.pictures import data_uri

COLUMNS = 12  # pictures in a row of the sheet


@dataclass(frozen=True, eq=False)
class Path:
    """Where a car went, seen from above.

    Args:
        name: in the legend.
        points: x and y in metres [T, 2].
        colour: 0 to 3.
        left: whether it ended beside the lane.
    """

    name: str
    points: np.ndarray
    colour: int
    left: bool


@dataclass(frozen=True, eq=False)
class Drive:
    """A drive, moment by moment.

    Args:
        pictures: the views uint8 [T, H, W, 3], twice as wide as high.
        metres: along the road [T].
        offsets: metres to the left of the lane's middle [T].
        angles: of the front wheels in degrees, left positive [T].
        seconds: between two moments.
        road: the middle of the road from above [N, 2].
        paths: of all cars that are shown; the last one's views are replayed.
        label: what is shown, for screen readers.
        said: how it ended, in one sentence.
        start: the moment that is shown first.
    """

    pictures: np.ndarray
    metres: Sequence[float]
    offsets: Sequence[float]
    angles: Sequence[float]
    seconds: float
    road: np.ndarray
    paths: Sequence[Path]
    label: str
    said: str
    start: int = 0


def drive_replay(shown: Drive, *, key: str, on_push: Callable[[float, int], None]) -> None:
    """Show a drive.

    Args:
        shown: the drive.
        key: of the widget.
        on_push: called with the metre and the side (1: left, -1: right) where the car is pushed, before the next run.
    """

    def pushed() -> None:
        value = st.session_state[key].push
        if value is not None:
            with plain_errors():
                on_push(*read_push(value))

    component("drive_replay")(key=key, data=_data(shown), on_push_change=pushed)


def read_push(value: Any) -> tuple[float, int]:
    """Check a push as the browser sends it: [metre, side].

    Raises:
        DataError: it is something else.
    """
    right = (
        isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
        and abs(value[0]) <= 1000 and value[1] in (-1, 1)
    )  # fmt: skip
    if not right:
        raise DataError("a push is a place on the road and a side; use the buttons below the picture")
    return float(value[0]), int(value[1])


def sheet(pictures: np.ndarray) -> np.ndarray:
    """Lay pictures [T, H, W, 3] side by side, `COLUMNS` in a row: uint8 [rows * H, COLUMNS * W, 3]."""
    count, height, width, _ = pictures.shape
    rows = -(-count // COLUMNS)
    full = np.zeros((rows * COLUMNS, height, width, 3), np.uint8)
    full[:count] = pictures
    return full.reshape(rows, COLUMNS, height, width, 3).swapaxes(1, 2).reshape(rows * height, COLUMNS * width, 3)


def _data(shown: Drive) -> dict[str, Any]:
    _, height, width, _ = shown.pictures.shape
    corners = np.concatenate([shown.road, *(path.points for path in shown.paths)])
    return named({
        "sheet": data_uri(sheet(shown.pictures), edge=10_000), "columns": COLUMNS, "width": width, "height": height,
        "metres": _rounded(shown.metres), "offsets": _rounded(shown.offsets), "angles": _rounded(shown.angles),
        "seconds": shown.seconds, "road": np.round(shown.road, 1).tolist(),
        "box": [corners.min(0).tolist(), corners.max(0).tolist()],
        "paths": [
            {"name": path.name, "points": np.round(path.points, 2).tolist(), "colour": path.colour, "left": path.left}
            for path in shown.paths
        ],
        "label": shown.label, "said": shown.said, "failed": shown.paths[-1].left, "start": shown.start,
    })  # fmt: skip


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]
