"""The preprocessing from any picture to the detector's input and back, as written in the weights card."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor

from cnn_core.data.fits import Placement, fit_pad
from cnn_core.validation import Count, Edge, Positive, Share
from cnn_core.weights.card import Contract, Tuple, contract

DOMAIN_NAME = "object_detection"

Three = Annotated[tuple[float, float, float], Tuple]
Deviations = Annotated[tuple[Positive, Positive, Positive], Tuple]
Size = Annotated[tuple[Edge, Edge], Tuple]
Strides = Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=6)]


@contract
class BoxContract(Contract):
    """What a detector expects of its pictures, and which of its boxes are shown; `input` in the weights card.

    Args:
        size: (H, W) of the input; a picture is brought into it whole, the rest is black.
        strides: input pixels from location to location on each level of the pyramid, finest first, each a multiple of
            the one before.
        mean: of each channel over 0..1, subtracted.
        std: likewise, divided by.
        threshold: the score from which on a box is shown.
        overlap: IoU from which on the weaker of two boxes of a class is dropped.
        chosen_on: the data that the threshold was chosen on, in words; empty: it was given.
    """

    LATER = frozenset({"chosen_on"})
    size: Size
    strides: Strides
    mean: Three = (0.5, 0.5, 0.5)
    std: Deviations = (0.5, 0.5, 0.5)
    threshold: Share = 0.4
    overlap: Share = 0.6
    chosen_on: str = ""

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        coarsest = self.strides[-1]
        if any(edge % coarsest for edge in self.size):
            raise ValueError(f"size: expected multiples of the largest stride, {coarsest}, got {list(self.size)}")
        if any(b <= a or b % a for a, b in zip(self.strides, self.strides[1:], strict=False)):
            raise ValueError(f"strides: expected each to be a multiple of the one before, got {list(self.strides)}")
        return self

    def fit(self, picture: Image.Image) -> tuple[Tensor, Placement]:
        """Return the input before normalisation, uint8 [3, H, W], and where the picture lies in it."""
        canvas, placement = fit_pad(picture.convert("RGB"), self.size)
        return torch.from_numpy(np.array(canvas)).permute(2, 0, 1).contiguous(), placement

    def normalize(self, x: Tensor) -> Tensor:
        """Bring a batch of the range 0..1 to the network's input: `[B, 3, H, W] -> same`."""
        mean, std = (torch.tensor(values, device=x.device).view(3, 1, 1) for values in (self.mean, self.std))
        return (x - mean) / std


def to_input(boxes: Tensor, placement: Placement) -> Tensor:
    """Carry boxes [M, 4] (left, top, right, bottom) of a picture into its input."""
    corner, scale, start = _affine(placement)
    return (boxes - corner) * scale + start


def to_picture(boxes: Tensor, placement: Placement, size: Sequence[int]) -> Tensor:
    """Carry boxes [M, 4] of an input back into the picture of `size` (width, height), cut off at its edges."""
    corner, scale, start = _affine(placement)
    limits = torch.tensor([*size, *size], dtype=torch.float32)
    return torch.minimum(((boxes - start) / scale + corner).clamp_min(0), limits)


def _affine(placement: Placement) -> tuple[Tensor, Tensor, Tensor]:
    box, at = torch.tensor(placement.box), torch.tensor(placement.at, dtype=torch.float32)
    scale = (at[2:] - at[:2]) / (box[2:] - box[:2])
    return box[:2].repeat(2), scale.repeat(2), at[:2].repeat(2)
