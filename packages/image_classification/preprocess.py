"""The one preprocessing: from any picture to the network's input, as written in the weights card.

Training, evaluation, prediction and page all go through `InputContract`, so they cannot differ.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cnn_core.errors import ConfigError, DataError
from image_classification.images import ImageSource, read_image

FITS = ("crop", "pad", "stretch", "digit", "garment")
TTAS = ("none", "flip", "flip-shift")
DEFAULT_BOX = {"digit": 20 / 28, "garment": 1.0}
JPEG_DETAIL = 2  # JPEG files may be decoded smaller, down to this many times the network's input
NOISE = 8  # grey levels: a background that differs by less is taken as uniform


@dataclass(frozen=True)
class Placement:
    """Which part of a picture became which part of the input; all numbers are pixels (left, top, right, bottom)."""

    box: tuple[float, float, float, float]  # in the picture
    at: tuple[float, float, float, float]  # in the input

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

    def _axis(self, length: int, axis: int, *, device: torch.device) -> Tensor:
        centres = torch.arange(length, device=device, dtype=torch.float32) + 0.5
        scale = (self.at[axis + 2] - self.at[axis]) / (self.box[axis + 2] - self.box[axis])
        return (centres - self.box[axis]) * scale + self.at[axis]


@dataclass(frozen=True)
class InputContract:
    """What a network expects of its pictures; stored as `input` in the weights card.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: (H, W) in pixels.
        mean: per channel (or one for all) on the scale 0..1, subtracted.
        std: likewise, divided by.
        fit: how a picture of another size is brought to `size`. "crop": shorter side to size, centre cut out; "pad":
            longer side to size, rest filled with the mean; "stretch": both sides to size; "digit": a drawn or
            photographed character, see `_fit_object`; "garment": one object before a plain background, likewise.
            A picture of the right size and a dark background (any background for the first three) is left as it is.
        box: for "digit" and "garment", the part of the edge that the object's longer side takes; None: 20/28 (LeCun's
            20 of 28 pixels) and 1.
        tta: test-time augmentation, see `tta_logits`: "none", "flip" or "flip-shift".
    """

    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fit: str = "crop"
    box: float | None = None
    tta: str = "none"

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):
            value = getattr(self, name)
            if isinstance(value, Sequence) and not isinstance(value, str):
                object.__setattr__(self, name, tuple(value))
        problems = _problems(self)
        if problems:
            raise ConfigError("input contract", problems)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; `from_json` restores an equal contract."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "InputContract":
        """Build a contract from a card's `input` object; ConfigError lists everything that is wrong with it."""
        if not isinstance(values, Mapping):
            raise ConfigError("input contract", [f"expected an object with channels, size, ..., got {values!r}"])
        known = {field.name for field in fields(cls)}
        problems = [f"unknown key {key!r}" for key in values if key not in known]
        problems += [f"{key!r} is missing" for key in ("channels", "size") if key not in values]
        if problems:
            raise ConfigError("input contract", problems)
        return cls(**values)

    def read(self, source: ImageSource, *, name: str | None = None) -> Image.Image:
        """Read a picture as every user of this contract does: JPEG files no larger than the input needs."""
        return read_image(source, name=name, at_least=JPEG_DETAIL * max(self.size))

    def to_uint8(self, image: ImageSource) -> Tensor:
        """Return the network's view of one picture before normalisation: `-> uint8 [C, H, W]`."""
        return self.place(image)[0]

    def place(self, image: ImageSource) -> tuple[Tensor, Placement]:
        """Return the network's view of one picture, uint8 [C, H, W], and where in the picture it lies.

        Raises:
            DataError: not a picture; or for "digit" and "garment" nothing but background.
        """
        picture = image if isinstance(image, Image.Image) and image.mode in ("L", "RGB") else self.read(image)
        picture = picture.convert("L" if self.channels == 1 else "RGB")
        pixels, placement = FIT_FUNCTIONS[self.fit](picture, self)
        array = np.array(pixels, dtype=np.uint8)  # a copy: torch must not write into PIL's memory
        tensor = torch.from_numpy(array)
        return (tensor[None] if self.channels == 1 else tensor.permute(2, 0, 1).contiguous()), placement

    def normalize(self, images: Tensor) -> Tensor:
        """Bring `uint8 [B, C, H, W]` to `(x / 255 - mean) / std`, float32 on the same device and in the same layout."""
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        return images.float().mul_(1 / (255 * std)).sub_(mean / std)

    def prepare(self, images: Sequence[ImageSource]) -> Tensor:
        """Bring pictures of any kind and size to the network's input: `-> float32 [B, C, H, W]`."""
        if not len(images):
            return torch.empty(0, self.channels, *self.size)
        return self.normalize(torch.stack([self.to_uint8(image) for image in images]))


def _problems(contract: InputContract) -> list[str]:
    """Return one sentence for each field that cannot be used."""
    problems = []
    if contract.channels not in (1, 3):
        problems.append(f"channels must be 1 or 3, got {contract.channels!r}")
    size = contract.size
    if not (isinstance(size, tuple) and len(size) == 2 and all(type(n) is int and 1 <= n <= 4096 for n in size)):
        problems.append(f"size must be (H, W) with 1 to 4096 pixels each, got {size!r}")
    for name, positive in (("mean", False), ("std", True)):
        value = getattr(contract, name)
        numbers = isinstance(value, tuple) and all(
            isinstance(n, int | float) and math.isfinite(n) and (n > 0 or not positive) for n in value
        )
        if not numbers or len(value) not in (1, contract.channels):
            kind = "positive numbers" if positive else "numbers"
            problems.append(f"{name} must hold 1 or {contract.channels} {kind}, got {value!r}")
    if contract.fit not in FITS:
        problems.append(f"fit must be one of {', '.join(FITS)}, got {contract.fit!r}")
    elif contract.fit in DEFAULT_BOX and contract.channels != 1:
        problems.append(f"fit {contract.fit!r} makes grey pictures and needs channels 1, got {contract.channels!r}")
    if contract.box is not None and not (isinstance(contract.box, int | float) and 0 < contract.box <= 1):
        problems.append(f"box must lie in 0..1, got {contract.box!r}")
    if contract.tta not in TTAS:
        problems.append(f"tta must be one of {', '.join(TTAS)}, got {contract.tta!r}")
    return problems


def _fit_crop(picture: Image.Image, contract: InputContract) -> tuple[Image.Image, Placement]:
    height, width = contract.size
    scale = max(height / picture.height, width / picture.width)
    left = (picture.width - width / scale) / 2
    top = (picture.height - height / scale) / 2
    box = (
        max(left, 0.0),
        max(top, 0.0),
        min(picture.width - left, picture.width),
        min(picture.height - top, picture.height),
    )
    return _resize(picture, (width, height), box), Placement(box, (0, 0, width, height))


def _fit_stretch(picture: Image.Image, contract: InputContract) -> tuple[Image.Image, Placement]:
    height, width = contract.size
    box = (0, 0, picture.width, picture.height)
    return _resize(picture, (width, height), box), Placement(box, (0, 0, width, height))


def _fit_pad(picture: Image.Image, contract: InputContract) -> tuple[Image.Image, Placement]:
    height, width = contract.size
    scale = min(height / picture.height, width / picture.width)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    mean = contract.mean * contract.channels if len(contract.mean) == 1 else contract.mean
    fill = tuple(min(255, max(0, round(255 * m))) for m in mean)
    canvas = Image.new(picture.mode, (width, height), fill[0] if contract.channels == 1 else fill)
    box = (0, 0, picture.width, picture.height)
    canvas.paste(_resize(picture, inner, box), (left, top))
    return canvas, Placement(box, (left, top, left + inner[0], top + inner[1]))


def _resize(picture: Image.Image, size: tuple[int, int], box: tuple[float, ...]) -> Image.Image:
    """Resize the part `box` to `size` (width, height): bilinear, averaging over all covered pixels when shrinking."""
    return picture.resize(size, Image.Resampling.BILINEAR, box=box)


def _fit_object(picture: Image.Image, contract: InputContract) -> tuple[Image.Image, Placement]:
    """Bring one object before a plain background into the form of the MNIST family: bright on black, in a box.

    As LeCun et al. (1998, section III.A) describe it for MNIST: the object's bounding box is scaled, keeping its aspect
    ratio, to fit a box of 20 x 20 in the 28 x 28 frame (`contract.box`), then placed with its centre of mass in the
    middle pixel (index 14 of 28, as measured on the set); the shift stops where the object would leave the frame. A
    "garment" is placed with its box in the middle and keeps its brightness; a "digit" is brightened until its
    brightest pixel is 255.
    """
    height, width = contract.size
    grey = np.asarray(picture)
    if grey.shape == contract.size and not _light_background(grey):
        return picture, Placement((0, 0, width, height), (0, 0, width, height))
    ink = _bright_on_black(grey)
    digit = contract.fit == "digit"
    left, top, right, bottom = box = _bounding_box(ink > (0.2 * ink.max() if digit else 0))
    share = contract.box or DEFAULT_BOX[contract.fit]
    scale = share * min(height / (bottom - top), width / (right - left))
    inner_width, inner_height = (max(1, round(scale * edge)) for edge in (right - left, bottom - top))
    small = np.asarray(_resize(Image.fromarray(ink), (inner_width, inner_height), box))  # float [h, w]
    if digit:
        small = small * (255 / float(small.max()))
    if digit:
        x, y = _centre_of_mass(small)
        x0, y0 = math.floor(width // 2 + 1 - x), math.floor(height // 2 + 1 - y)  # rounded: middle + 0.5 - x
        x0, y0 = min(max(x0, 0), width - inner_width), min(max(y0, 0), height - inner_height)
    else:
        x0, y0 = (width - inner_width) // 2, (height - inner_height) // 2
    canvas = np.zeros((height, width), dtype=np.uint8)
    canvas[y0 : y0 + inner_height, x0 : x0 + inner_width] = np.clip(np.rint(small), 0, 255)
    return Image.fromarray(canvas), Placement(box, (x0, y0, x0 + inner_width, y0 + inner_height))


def _border(grey: np.ndarray) -> np.ndarray:
    """Return the values of the outermost frame of pixels, each corner once."""
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def _light_background(grey: np.ndarray) -> bool:
    """Tell whether the frame of a picture is light: its median is, and hardly a pixel of it is black."""
    border = _border(grey)
    return float(np.median(border)) >= 128 and float((border < 32).mean()) < 0.05


def _bright_on_black(grey: np.ndarray) -> np.ndarray:
    """Return float32 [H, W] in 0..255 with the background (the frame's median) at 0 and the object above it.

    The object is what deviates from the background: darker things become bright, on a dark background brighter things
    stay bright; whichever of the two is more. What deviates no more than the frame itself does is background.
    """
    values = grey.astype(np.float32)
    border = _border(values)
    background = float(np.median(border))
    darker, brighter = np.maximum(background - values, 0), np.maximum(values - background, 0)
    if darker.sum() > brighter.sum():
        ink = darker * (255 / max(background, 1.0))
    else:
        ink = brighter * (255 / max(255 - background, 1.0))
    noise = max(float(NOISE), 2 * float(np.percentile(np.abs(border - background), 90)))
    ink[ink <= noise] = 0
    if not ink.any():
        raise DataError("the picture holds nothing but background; draw or show one object on a plain background")
    return ink


def _bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _centre_of_mass(values: np.ndarray) -> tuple[float, float]:
    """Return (x, y) of the centre of mass in pixels from the left and upper edge (a pixel's middle is at +0.5)."""
    total = float(values.sum())
    x = float((values.sum(axis=0) * (np.arange(values.shape[1]) + 0.5)).sum()) / total
    y = float((values.sum(axis=1) * (np.arange(values.shape[0]) + 0.5)).sum()) / total
    return x, y


FIT_FUNCTIONS: dict[str, Callable[[Image.Image, InputContract], tuple[Image.Image, Placement]]] = {
    "crop": _fit_crop,
    "pad": _fit_pad,
    "stretch": _fit_stretch,
    "digit": _fit_object,
    "garment": _fit_object,
}


def tta_logits(model: Callable[[Tensor], Tensor], x: Tensor, *, tta: str = "none") -> Tensor:
    """Return the scores of `x` [B, C, H, W] averaged over its views: `-> [B, K]`.

    "flip" averages the picture and its mirror image. "flip-shift" gives half the weight to these and half to the same
    two moved by one pixel, down-right and up-left, with reflected edges (Jordan 2024, arXiv:2404.00498).
    """
    if tta == "none":
        return model(x)
    mirrored = (model(x) + model(x.flip(-1))) / 2
    if tta == "flip":
        return mirrored
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    moved = [tta_logits(model, padded[..., i : i + x.shape[-2], i : i + x.shape[-1]], tta="flip") for i in (0, 2)]
    return mirrored / 2 + (moved[0] + moved[1]) / 4
