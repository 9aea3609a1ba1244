"""What a computer sees: the scales on which pixels are written."""

from dataclasses import dataclass

from views.lab_parts.picture import Picture

MEAN, STD = 0.1307, 0.3081  # of the pixels of MNIST's training set, as in the cards of the networks trained on it


@dataclass(frozen=True)
class Scale:
    """A way to write a pixel v: factor * v + shift, with so many digits; `code` computes it from `picture`."""

    title: str
    factor: float
    shift: float
    digits: int
    latex: str
    code: str


SCALES = {
    "bytes": Scale("0 to 255", 1, 0, 0, r"v \in \{0, 1, \dots, 255\}", "numbers = picture"),
    "unit": Scale("0 to 1", 1 / 255, 0, 2, r"x = \frac{v}{255}", "numbers = unit(picture)"),
    "normalised": Scale(
        "As the input of a network", 1 / (255 * STD), -MEAN / STD, 2, r"z = \frac{v / 255 - \mu}{\sigma}",
        f"numbers = normalised(picture, mean={MEAN}, std={STD})",
    ),
}  # fmt: skip


def snippet(picture: Picture, scale: Scale, top: int, left: int) -> str:
    """Return the code that gives the numbers under the frame."""
    return f"""\
import numpy as np
from PIL import Image, ImageOps

from lab.pixels import normalised, unit

{picture.code}
{scale.code}
print(picture.shape, numbers.min(), numbers.max())
print(numbers[{top}:{top + 14}, {left}:{left + 14}].round({scale.digits}))
"""
