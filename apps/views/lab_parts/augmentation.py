"""Every augmentation on one picture."""

import numpy as np

from components.pictures import Figure
from views.lab_parts.picture import Picture

STRENGTHS = {"0.5": "Gentle", "1": "Usual", "2": "Strong"}


def run(picture: Picture, seed: int, strength: float) -> list[Figure]:
    """Return the picture and its changed versions, with what was drawn."""
    import torch

    from lab.augmentations import AUGMENTATIONS, augmented
    from lab.pixels import unit

    values = unit(picture.values)
    x = torch.from_numpy(values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0).copy())
    shown = [Figure(picture.values, "As it came", picture.title, pixels=True)]
    for number, one in enumerate(AUGMENTATIONS):
        found = augmented(x, one, seed=seed * 100 + number, strength=strength)
        pixels = np.round(255 * found.picture.numpy()).astype(np.uint8)
        pixels = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
        shown.append(
            Figure(pixels, f"{one.title}: {found.description}", f"{one.title} {found.description}", pixels=True)
        )
    return shown


def snippet(picture: Picture, seed: int, strength: float) -> str:
    """Return the code that makes the same changes."""
    to_channels = "unit(picture)[None]" if picture.mode == "L" else "np.moveaxis(unit(picture), -1, 0).copy()"
    return f"""\
import numpy as np
import torch
from PIL import Image, ImageOps

from lab.augmentations import AUGMENTATIONS, augmented
from lab.pixels import unit

{picture.code}
x = torch.from_numpy({to_channels})
changed = {{
    one.title: augmented(x, one, seed={seed} * 100 + number, strength={strength})
    for number, one in enumerate(AUGMENTATIONS)
}}
for title, found in changed.items():
    print(title, found.description, tuple(found.picture.shape))
"""
