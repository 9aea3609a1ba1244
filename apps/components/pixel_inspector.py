"""A picture and the numbers it is made of, under a frame that is moved in the browser; grey pixels can be painted."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_core.errors import DataError
from components.browser import component, is_whole, named, packed, sent


def inspector_key(name: str, picture: np.ndarray) -> str:
    """Return a key that only this picture has: what is painted on one must not stick to the next."""
    return f"pixels-{name}-{hashlib.sha256(picture.tobytes()).hexdigest()[:12]}"


def pixel_inspector(
    picture: np.ndarray, *, key: str, label: str, factor: Sequence[float], shift: Sequence[float], digits: int
) -> np.ndarray:
    """Show a picture and return it as the user has painted it.

    Args:
        picture: uint8 [H, W], whose pixels can be painted, or [H, W, 3].
        key: of the widget, from `inspector_key`; what was painted is kept under it for the session.
        label: what screen readers call the picture.
        factor, shift: the number shown for a pixel v is factor * v + shift, one of each per channel.
        digits: behind the point.

    Raises:
        DataError: what came from the browser is no painting of this picture.
    """
    found = sent(key, "edits")
    edits = read_edits([] if found is None else found, size=picture.shape[0] * picture.shape[1])
    edits = edits if picture.ndim == 2 else {}
    painted = paint(picture, edits)
    height, width = picture.shape[:2]
    about = {
        "picture": key, "original": packed(picture), "height": height, "width": width,
        "channels": 1 if picture.ndim == 2 else 3, "factor": list(factor), "shift": list(shift), "digits": digits,
        "editable": picture.ndim == 2, "label": label, "start": [height // 2 - 7, width // 2 - 7],
        "says": f"{height} × {width} pixels" + (" × 3 colours" if picture.ndim == 3 else ""),
    }  # fmt: skip
    # The id leaves the edits out: the browser has them first, and would lose those made while Python was at work.
    data = {**named(about), "pixels": packed(painted), "edits": [[i, v] for i, v in edits.items()]}
    component("pixel_inspector")(key=key, data=data, on_edits_change=lambda: None)
    return painted


def read_edits(value: Any, *, size: int) -> dict[int, int]:
    """Check changed pixels as the browser sends them, [[index, value], ...].

    Raises:
        DataError: they are something else.
    """
    right = (
        isinstance(value, list)
        and len(value) <= size
        and all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and is_whole(pair[0], 0, size - 1)
            and is_whole(pair[1], 0, 255)
            for pair in value
        )
    )
    if not right:
        raise DataError("the painted pixels are not those of this picture; put them back and paint again")
    return {int(i): int(v) for i, v in value}


def paint(picture: np.ndarray, edits: dict[int, int]) -> np.ndarray:
    """Return a picture with some pixels changed."""
    painted = picture.copy()
    for i, value in edits.items():
        painted.flat[i] = value
    return painted
