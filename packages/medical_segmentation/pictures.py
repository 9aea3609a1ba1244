"""Scans, masks and heat as PNG pictures, the patient upright: right side of the patient on the left, front on top."""

import math
from collections.abc import Sequence
from colorsys import hsv_to_rgb
from pathlib import Path

import numpy as np
from PIL import Image

from cnn_core.explain import heat_limits, overlay
from cnn_core.storage import atomic_path
from medical_segmentation.scan import Scan

WINDOWS = {  # HU: centre, width
    "lung": (-600.0, 1500.0),
    "soft tissue": (40.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
FIRST_COLOURS = ((230, 85, 60), (70, 150, 240), (120, 190, 70), (245, 190, 60), (170, 110, 220), (60, 190, 180))
GOLDEN = 0.618034  # of the circle of hues: each is far from all before it
TONES = ((0.75, 0.95), (0.5, 0.8), (0.9, 0.7))  # saturation and value, in turn
OPACITY = 0.45
MAX_EDGE = 768  # pixels of a picture

Colour = tuple[int, int, int]


def _further(k: int) -> Colour:
    red, green, blue = hsv_to_rgb(k * GOLDEN % 1, *TONES[k % len(TONES)])
    return round(255 * red), round(255 * green), round(255 * blue)


# Of the labels 1 to 255, no two alike.
COLOURS: tuple[Colour, ...] = (*FIRST_COLOURS, *map(_further, range(len(FIRST_COLOURS), 255)))


def window_grey(plane: np.ndarray, window: str | tuple[float, float] | None = None) -> np.ndarray:
    """Return intensities as grey: `[X, Y] -> uint8 [X, Y]`.

    Args:
        plane: HU, or any numbers.
        window: a name of `WINDOWS`, or (centre, width); None: between the 0.5 % and 99.5 % quantiles.
    """
    if window is None:
        low, high = np.percentile(plane, [0.5, 99.5])
    else:
        centre, width = WINDOWS[window] if isinstance(window, str) else window
        low, high = centre - width / 2, centre + width / 2
    scaled = (plane.astype(np.float32) - low) / max(high - low, 1e-6)
    return (scaled.clip(0, 1) * 255).round().astype(np.uint8)


def upright(plane: np.ndarray) -> np.ndarray:
    """Return an axial plane [X, Y, ...] (RAS) as rows and columns, as radiologists look at it: from the feet."""
    return np.flip(np.swapaxes(plane, 0, 1), (0, 1))


def painted(grey: np.ndarray, mask: np.ndarray, *, opacity: float = OPACITY) -> np.ndarray:
    """Lay the colours of labels on grey: `uint8 [X, Y], labels [X, Y] -> uint8 [X, Y, 3]`."""
    table = np.zeros((256, 3), np.float32)
    table[1:] = COLOURS
    colour, share = table[mask], opacity * (mask > 0)[..., None]
    return (grey[..., None] * (1 - share) + colour * share).round().astype(np.uint8)


def fullest_slice(mask: np.ndarray) -> int:
    """Return the axial slice with the most labelled voxels; the middle one if there are none."""
    counts = np.count_nonzero(mask, axis=(0, 1))
    return int(counts.argmax()) if counts.any() else mask.shape[2] // 2


def save_overlay(scan: Scan, mask: np.ndarray, path: Path) -> None:
    """Write the fullest axial slice with its labels in colour; StorageError if it cannot be written."""
    k = fullest_slice(mask)
    picture = painted(_grey(scan, k), mask[:, :, k])
    save_png(upright(picture), path, spacing=(scan.spacing[1], scan.spacing[0]))


def heat_slice(scan: Scan, heat: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the number of the axial slice with the most heat [X, Y, Z], and the slice with it: uint8 [H, W, 3]."""
    k = int(heat.astype(np.float32).sum((0, 1)).argmax())
    return k, overlay(
        upright(_grey(scan, k)).copy(), upright(heat[:, :, k]).astype(np.float32), limits=heat_limits(heat)
    )


def in_hu(scan: Scan) -> bool:
    """Return whether the windows of a CT suit a scan: it says that it is one, or says nothing and holds air."""
    return scan.modality == "CT" or (not scan.modality and float(scan.voxels.min()) < -100)


def _grey(scan: Scan, k: int) -> np.ndarray:
    return window_grey(scan.voxels[:, :, k], "lung" if in_hu(scan) else None)


def save_png(picture: np.ndarray, path: Path, *, spacing: Sequence[float] = (1.0, 1.0)) -> None:
    """Write rows and columns as PNG, stretched so that lengths are right, at most `MAX_EDGE` pixels along an edge."""
    height, width = (edge * length for edge, length in zip(picture.shape, spacing, strict=False))
    finest = min(spacing)
    scale = min(max(1.0, 256 / max(picture.shape[:2])), MAX_EDGE * finest / max(height, width))
    size = (max(1, math.floor(width / finest * scale)), max(1, math.floor(height / finest * scale)))
    image = Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BILINEAR)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")
