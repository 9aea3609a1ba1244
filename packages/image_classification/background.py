"""The plain background of a picture: its frame, and the plane through it. Grey pictures are [H, W] of 0 to 255."""

import numpy as np

COARSE = 128  # pixels of the coarse view in which an object is looked for
NOISE = 8  # grey levels: a background that differs by less is taken as uniform


def border(grey: np.ndarray) -> np.ndarray:
    """Return the values of the outermost frame of pixels, each corner once."""
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def background_plane(values: np.ndarray) -> np.ndarray:
    """Fit `a x + b y + c` to the frame of `values` [H, W], without the quarter of it that is farthest off (the object
    may touch the frame), and return it on every pixel: `-> float32 [H, W]`."""
    height, width = values.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    frame, terms = border(values), np.stack([border(x), border(y), np.ones_like(border(x))], axis=1)
    near = np.abs(frame - np.median(frame))
    kept = near <= np.percentile(near, 75)
    a, b, c = np.linalg.lstsq(terms[kept], frame[kept], rcond=None)[0]
    return np.clip(a * x + b * y + c, 0, 255).astype(np.float32)
