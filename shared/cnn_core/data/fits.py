"""How a picture of any size becomes one of the network's size: which part of it is taken, and where it is put.

torchvision's `transforms.v2` rounds the resized edges and the corner of the crop to whole pixels, and does not say
which part of the picture that is, which heat maps need. Of 60 photos of clothing at 224 pixels, 41 come out differently
by its Resize and CenterCrop, by 2 of 255 levels on average.
"""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class Placement:
    """Which part of a picture became which part of the input; all numbers are pixels (left, top, right, bottom)."""

    box: Box  # in the picture
    at: Box  # in the input

    def to_picture(self, heat: Tensor, size: tuple[int, int]) -> Tensor:
        """Carry a map over the input back to the picture: `[H, W] -> [H', W']` with (H', W') = `size`.

        Bilinear between the input's pixel centres; 0 where the network saw nothing of the picture.
        """
        height, width = heat.shape
        x = self._axis(size[1], 0, device=heat.device)  # where each picture column lies in the input, in pixels
        y = self._axis(size[0], 1, device=heat.device)
        grid = torch.stack(torch.meshgrid(x * (2 / width) - 1, y * (2 / height) - 1, indexing="xy"), dim=-1)[None]
        full = F.grid_sample(heat[None, None].float(), grid, padding_mode="border", align_corners=False)[0, 0]
        seen_x = (x >= self.at[0]) & (x <= self.at[2])
        seen_y = (y >= self.at[1]) & (y <= self.at[3])
        return full * (seen_y[:, None] & seen_x[None, :])  # [H', W']

    def scaled(self, x: float, y: float) -> "Placement":
        """Return the placement for the same picture at `x` times its width and `y` times its height."""
        left, top, right, bottom = self.box
        return Placement((left * x, top * y, right * x, bottom * y), self.at)

    def _axis(self, length: int, axis: int, *, device: torch.device) -> Tensor:
        centres = torch.arange(length, device=device, dtype=torch.float32) + 0.5
        scale = (self.at[axis + 2] - self.at[axis]) / (self.box[axis + 2] - self.box[axis])
        return (centres - self.box[axis]) * scale + self.at[axis]


Fitted = tuple[Image.Image, Placement]  # the network's view and where in the picture it lies


def fit_crop(picture: Image.Image, size: tuple[int, int], *, share: float = 1.0) -> Fitted:
    """Bring `share` of the shorter side to `size` (H, W) and cut out the centre."""
    height, width = size
    scale = max(height / picture.height, width / picture.width) / share
    x, y = max(0.0, (picture.width - width / scale) / 2), max(0.0, (picture.height - height / scale) / 2)
    box = (x, y, picture.width - x, picture.height - y)
    return resize(picture, (width, height), box), Placement(box, (0, 0, width, height))


def fit_stretch(picture: Image.Image, size: tuple[int, int]) -> Fitted:
    """Bring both sides to `size` (H, W), each by its own factor."""
    height, width = size
    box = (0, 0, picture.width, picture.height)
    return resize(picture, (width, height), box), Placement(box, (0, 0, width, height))


def fit_pad(picture: Image.Image, size: tuple[int, int]) -> Fitted:
    """Bring the longer side to `size` (H, W), centre the picture, and leave the rest black."""
    height, width = size
    scale = min(height / picture.height, width / picture.width)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = Image.new(picture.mode, (width, height))
    box = (0, 0, picture.width, picture.height)
    canvas.paste(resize(picture, inner, box), (left, top))
    return canvas, Placement(box, (left, top, left + inner[0], top + inner[1]))


def resize(picture: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """Resize the part `box` to `size` (width, height): bilinear, averaging over all covered pixels when shrinking."""
    return picture.resize(size, Image.Resampling.BILINEAR, box=box)
