"""From the bytes of a picture to the numbers that a network is given."""

import numpy as np

HIGHEST = 255  # of a byte


def unit(pixels: np.ndarray) -> np.ndarray:
    """Return bytes 0 to 255 as float32 on the scale 0 to 1."""
    return np.asarray(pixels, np.float32) / HIGHEST


def normalised(pixels: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Return bytes on the scale of a network: 0 to 1, minus the mean of the training pixels, by their deviation."""
    return (unit(pixels) - np.float32(mean)) / np.float32(std)
