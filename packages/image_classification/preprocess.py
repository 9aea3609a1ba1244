"""The preprocessing from any picture to the network's input, as written in the weights card.

Training, evaluation, prediction and page all go through `InputContract`, so they cannot differ.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from cnn_core.data.fits import Fitted, Placement, fit_crop, fit_pad, fit_stretch
from cnn_core.data.images import ImageSource, read_image
from cnn_core.validation import Edge, Positive
from cnn_core.weights.card import Contract, Tuple, contract
from image_classification.image_set import Channels, Fit
from image_classification.objects import OBJECT_DETAIL, fit_objects

OBJECT_FITS = ("digit", "garment")
LECUN_BOX = 20 / 28
JPEG_DETAIL = 2  # JPEG files may be decoded smaller, down to this many times the network's input


@contract
class InputContract(Contract):
    """What a network expects of its pictures; stored as `input` in the weights card.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: (H, W) in pixels.
        mean: per channel (or one for all) on the scale 0..1, subtracted.
        std: likewise, divided by.
        fit: how a picture of another size is fitted to `size`. "crop": shorter side to size, centre cut out; "pad":
            longer side to size, rest black; "stretch": both sides to size; "digit": a drawn or
            photographed character, see `objects.fit_objects`; "garment": one object before a plain background.
            A picture of the right size and a dark background (any background for the first three) is left as it is.
        box: for "digit" and "garment", the part of the edge that the object's longer side takes; None: for digits
            LeCun's 20 of 28 pixels, for garments and for digits below 16 pixels (UCI's fill their 8 x 8) all of it.
        crop_share: for "crop", the part of the shorter side that is kept: 224 / 256 where networks of ImageNet take the
            centre of 224 pixels of pictures of 256.
        tta: test-time augmentation, see `tta_logits`: "none", "flip", "shift" or "flip-shift".
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"crop_share"})

    channels: Channels
    size: Annotated[tuple[Edge, Edge], Tuple]
    mean: Annotated[tuple[float, ...], Tuple] = (0.0,)
    std: Annotated[tuple[Positive, ...], Tuple] = (1.0,)
    fit: Fit = "crop"
    box: Annotated[float, Field(gt=0, le=1)] | None = None
    crop_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    tta: Literal["none", "flip", "shift", "flip-shift"] = "none"

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                counts = " or ".join(map(str, sorted({1, self.channels})))
                raise ValueError(f"{name}: expected numbers for {counts} channels, got {getattr(self, name)}")
        if self.fit in OBJECT_FITS and self.channels != 1:
            raise ValueError(f"fit: {self.fit!r} makes grey pictures and needs channels 1, got {self.channels}")
        return self

    def read(self, source: ImageSource, *, name: str | None = None) -> Image.Image:
        """Read a picture as every user of this contract does: JPEG files no larger than the input needs."""
        at_least = OBJECT_DETAIL if self.fit in OBJECT_FITS else JPEG_DETAIL * max(self.size)
        return read_image(source, name=name, at_least=at_least)

    def to_uint8(self, image: ImageSource) -> Tensor:
        """Return the network's view of one picture before normalisation: `-> uint8 [C, H, W]`."""
        return self.place(image)[0]

    def each_to_uint8(self, image: ImageSource) -> Tensor:
        """Return the network's view of every character of a picture, in reading order: `-> uint8 [M, C, H, W]`.

        Networks of other things see one thing, M = 1.

        Raises:
            DataError: as `place`.
        """
        if self.fit != "digit":
            return self.to_uint8(image)[None]
        found = self._objects(self.read(image).convert("L"))
        return torch.from_numpy(np.stack([np.asarray(pixels) for pixels, _ in found]))[:, None]

    def place(self, image: ImageSource) -> tuple[Tensor, Placement]:
        """Return the network's view of one picture, uint8 [C, H, W], and where it is in the picture.

        Raises:
            DataError: not a picture; or for "digit" and "garment" nothing but background.
        """
        picture = self.read(image).convert("L" if self.channels == 1 else "RGB")
        pixels, placement = self._fit(picture)
        array = np.array(pixels, dtype=np.uint8)  # a copy: torch must not write into PIL's memory
        tensor = torch.from_numpy(array)
        return (tensor[None] if self.channels == 1 else tensor.permute(2, 0, 1).contiguous()), placement

    def _fit(self, picture: Image.Image) -> Fitted:
        if self.fit == "crop":
            return fit_crop(picture, self.size, share=self.crop_share)
        if self.fit == "stretch":
            return fit_stretch(picture, self.size)
        if self.fit == "pad":
            return fit_pad(picture, self.size)
        return self._objects(picture)[0]

    def _objects(self, picture: Image.Image) -> list[Fitted]:
        share = self.box or (LECUN_BOX if self.fit == "digit" and min(self.size) >= 16 else 1.0)
        return fit_objects(picture, self.size, share=share, centre="mass" if self.fit == "digit" else "box")

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


class WithViews(nn.Module):
    """A network whose scores are averaged over test-time views (`tta_logits`): [B, C, H, W] -> [B, K]."""

    def __init__(self, model: nn.Module, tta: str) -> None:
        super().__init__()
        self.model, self.tta = model, tta

    def forward(self, x: Tensor) -> Tensor:
        return tta_logits(self.model, x, tta=self.tta)


def tta_logits(model: Callable[[Tensor], Tensor], x: Tensor, *, tta: str = "none") -> Tensor:
    """Return the scores of `x` [B, C, H, W] averaged over its views: `-> [B, K]`.

    "flip" averages the picture and its mirror image. "shift" gives half the weight to the picture and half to it moved
    by one pixel, down-right and up-left, with reflected edges; "flip-shift" does so with "flip" (Jordan 2024,
    arXiv:2404.00498).
    """
    if tta == "none":
        return model(x)
    if tta == "flip":
        return (model(x) + model(x.flip(-1))) / 2
    each = "flip" if tta == "flip-shift" else "none"
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    moved = [tta_logits(model, padded[..., i : i + x.shape[-2], i : i + x.shape[-1]], tta=each) for i in (0, 2)]
    return tta_logits(model, x, tta=each) / 2 + (moved[0] + moved[1]) / 4
