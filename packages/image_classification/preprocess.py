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

from cnn_core.data.fits import Fitted, Placement, fit_crop, fit_pad, fit_stretch
from cnn_core.data.images import ImageSource, read_image
from cnn_core.errors import ConfigError
from image_classification.objects import OBJECT_DETAIL, fit_object

FITS = ("crop", "pad", "stretch", "digit", "garment")
TTAS = ("none", "flip", "flip-shift")
OBJECT_FITS = ("digit", "garment")
LECUN_BOX = 20 / 28
JPEG_DETAIL = 2  # JPEG files may be decoded smaller, down to this many times the network's input


@dataclass(frozen=True)
class InputContract:
    """What a network expects of its pictures; stored as `input` in the weights card.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: (H, W) in pixels.
        mean: per channel (or one for all) on the scale 0..1, subtracted.
        std: likewise, divided by.
        fit: how a picture of another size is brought to `size`. "crop": shorter side to size, centre cut out; "pad":
            longer side to size, rest black; "stretch": both sides to size; "digit": a drawn or
            photographed character, see `objects.fit_object`; "garment": one object before a plain background, likewise.
            A picture of the right size and a dark background (any background for the first three) is left as it is.
        box: for "digit" and "garment", the part of the edge that the object's longer side takes; None: for digits
            LeCun's 20 of 28 pixels, for garments and for digits below 16 pixels (UCI's fill their 8 x 8) all of it.
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
        at_least = OBJECT_DETAIL if self.fit in OBJECT_FITS else JPEG_DETAIL * max(self.size)
        return read_image(source, name=name, at_least=at_least)

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
        pixels, placement = self._fit(picture)
        array = np.array(pixels, dtype=np.uint8)  # a copy: torch must not write into PIL's memory
        tensor = torch.from_numpy(array)
        return (tensor[None] if self.channels == 1 else tensor.permute(2, 0, 1).contiguous()), placement

    def _fit(self, picture: Image.Image) -> Fitted:
        if self.fit == "crop":
            return fit_crop(picture, self.size)
        if self.fit == "stretch":
            return fit_stretch(picture, self.size)
        if self.fit == "pad":
            return fit_pad(picture, self.size)
        share = self.box or (LECUN_BOX if self.fit == "digit" and min(self.size) >= 16 else 1.0)
        return fit_object(picture, self.size, share=share, centre="mass" if self.fit == "digit" else "box")

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
    elif contract.fit in OBJECT_FITS and contract.channels != 1:
        problems.append(f"fit {contract.fit!r} makes grey pictures and needs channels 1, got {contract.channels!r}")
    if contract.box is not None and not (isinstance(contract.box, int | float) and 0 < contract.box <= 1):
        problems.append(f"box must lie in 0..1, got {contract.box!r}")
    if contract.tta not in TTAS:
        problems.append(f"tta must be one of {', '.join(TTAS)}, got {contract.tta!r}")
    return problems


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
