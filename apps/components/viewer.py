"""A scan in three linked planes, what was found in it, and the labels as solid shapes; all moves happen in the browser.

Our own component instead of NiiVue: it draws in plain canvas, so it works without WebGL2, and is 400 lines instead of a
bundle of 5 MB.
"""

import gzip
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from components.browser import component

MOST_VOXELS = 5_000_000  # that are sent to a browser; larger scans are shown thinned out
CT_RANGE = (-1200, 3000)  # HU that the sliders reach
LEVELS = 4095  # of intensities that are no whole numbers


@dataclass(frozen=True, eq=False)
class View:
    """What is shown.

    Args:
        voxels: [X, Y, Z] in RAS order, HU for a CT.
        spacing: mm along X, Y, Z.
        mask: uint8 [X, Y, Z]; 0 is no label.
        labels: names of the labels 1, 2, ...
        colours: a colour (0 to 255) for each of them.
        windows: name -> centre and width in HU; empty: the scan is no CT, its own range is shown.
        heat: 0 to 1, [X, Y, Z]: shown in place of the labels; None: the labels are shown.
        start: the voxel to begin at; None: the middle of what is labelled.
    """

    voxels: np.ndarray
    spacing: Sequence[float]
    mask: np.ndarray
    labels: Sequence[str]
    colours: Sequence[tuple[int, int, int]]
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    heat: np.ndarray | None = None
    start: tuple[int, int, int] | None = None

    @property
    def step(self) -> int:
        """Of so many voxels along each axis one is sent."""
        return max(1, ceil((self.voxels.size / MOST_VOXELS) ** (1 / 3)))


def viewer(packed: bytes, *, key: str) -> None:
    """Show what `pack` made."""
    component("viewer")(key=key, data=packed)


def pack(view: View) -> bytes:
    """Return everything that the browser needs, as one block: a header in JSON, then the arrays, x running first."""
    thin = (slice(None, None, view.step),) * 3
    voxels, mask = view.voxels[thin], view.mask[thin]
    values, factor, offset = _whole_numbers(voxels, in_hu=bool(view.windows))
    arrays = [values.astype("<i2"), mask.astype(np.uint8)]
    if view.heat is not None:
        arrays.append((view.heat[thin].astype(np.float32).clip(0, 1) * 255).round().astype(np.uint8))
    body = b"".join(array.tobytes(order="F") for array in arrays)
    start = view.start or middle(view.mask)
    windows = {name: list(window) for name, window in view.windows.items()} or {"Whole range": _own_window(values)}
    low, high = (*CT_RANGE,) if view.windows else (int(values.min()), max(int(values.max()), int(values.min()) + 2))
    header = {
        "id": hashlib.sha256(body[: 2 * values.size]).hexdigest()[:16],
        "shape": list(values.shape),
        "spacing": [float(length) * view.step for length in view.spacing],
        "factor": [view.step] * 3,
        "labels": list(view.labels),
        "colours": [[0, 0, 0], *map(list, view.colours)],
        "windows": windows,
        "window": next(iter(windows.values())),
        "range": [low, high],
        "unit": "HU" if view.windows else "",
        "values": [factor, offset],
        "heat": view.heat is not None,
        "start": [min(place // view.step, edge - 1) for place, edge in zip(start, values.shape, strict=True)],
    }
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + gzip.compress(body, compresslevel=4, mtime=0)


def middle(mask: np.ndarray) -> tuple[int, int, int]:
    """Return a labelled voxel in the middle of what is labelled; the middle of the scan if nothing is.

    The slice with most labelled voxels is taken, and in it the labelled voxel nearest to their mean.
    """
    counts = np.count_nonzero(mask, axis=(0, 1))
    if not counts.any():
        x, y, z = (edge // 2 for edge in mask.shape)
        return x, y, z
    k = int(counts.argmax())
    cells = np.argwhere(mask[:, :, k])
    x, y = cells[((cells - cells.mean(0)) ** 2).sum(1).argmin()]
    return int(x), int(y), k


def _whole_numbers(voxels: np.ndarray, *, in_hu: bool) -> tuple[np.ndarray, float, float]:
    """Return int16 values with the factor and offset that make intensities of them again; HU stay HU."""
    if in_hu:
        return np.rint(voxels.clip(-32768, 32767)).astype(np.int16), 1.0, 0.0
    low, high = float(voxels.min()), float(voxels.max())
    if low >= -32768 and high <= 32767 and (voxels.dtype.kind in "iu" or high - low >= LEVELS / 4):
        return np.rint(voxels).astype(np.int16), 1.0, 0.0
    factor = max(high - low, 1e-12) / LEVELS
    return np.rint((voxels.astype(np.float64) - low) / factor).astype(np.int16), factor, low


def _own_window(values: np.ndarray) -> list[float]:
    low, high = np.percentile(values, [0.5, 99.5])
    return [round(float(low + high) / 2), max(2, round(float(high - low)))]
