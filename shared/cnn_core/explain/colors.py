"""Two colour scales that order by lightness, so that they read the same with any colour vision and in grey print.

The scales are drawn in OKLab (Ottosson 2020, "A perceptual color space for image processing") through a few anchor
colours, and sampled at equal perceptual distances.
"""

from functools import cache

import numpy as np

# Anchors as lightness, chroma, hue in degrees. EMBER for heat: from near black over violet and red to pale yellow.
EMBER = ((0.14, 0.03, 290), (0.36, 0.15, 300), (0.55, 0.20, 5), (0.70, 0.18, 40), (0.84, 0.15, 80), (0.96, 0.08, 105))
# TIDE for signed heat: blue against, white for nothing, orange in favour; both arms equally dark at their ends.
TIDE = ((0.54, 0.18, 258), (0.74, 0.13, 248), (0.97, 0.00, 248), (0.97, 0.00, 60), (0.76, 0.16, 60), (0.56, 0.15, 45))

_LAB_TO_LMS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.707614701],
    ]
)


@cache
def scale(signed: bool) -> np.ndarray:
    """Return a scale of 256 colours, lowest first: uint8 `[256, 3]` (RGB); TIDE if `signed`, else EMBER."""
    lightness, chroma, hue = np.array(TIDE if signed else EMBER, dtype=float).T
    corners = np.stack([lightness, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))], axis=1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    even = np.linspace(0, along[-1], 256)
    lab = np.stack([np.interp(even, along, axis) for axis in corners.T], axis=1)
    linear = np.clip((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table = np.round(encoded * 255).astype(np.uint8)
    table.setflags(write=False)  # one table is shared by all callers
    return table
