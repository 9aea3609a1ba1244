"""Numbers on their way to the browser."""

import base64
import hashlib
from typing import Any

import numpy as np


def packed(values: np.ndarray) -> str:
    """Return an array as the text that `unpack` in grids.js reads."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def named(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with an id that is another one whenever anything in it is."""
    return {**data, "id": hashlib.sha256(repr(data).encode()).hexdigest()[:16]}
