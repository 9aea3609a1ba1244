"""From the detector's output to boxes: scores, suppression of doubles, back to the picture's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from cnn_core.data.fits import Placement
from object_detection.contract import BoxContract, to_picture
from object_detection.model import boxes_of, scores_of

LOWEST = 0.02  # score below which a box is nothing, whatever the threshold
CANDIDATES = 1000  # per picture, before suppression
MOST = 300  # boxes of a picture


@dataclass(frozen=True)
class Found:
    """The boxes of one picture, the best first.

    Args:
        boxes: float32 [M, 4] in pixels of the picture.
        scores: float32 [M].
        classes: int64 [M].
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def above(self, threshold: float) -> "Found":
        """Return the boxes from a score on."""
        kept = self.scores >= threshold
        return Found(self.boxes[kept], self.scores[kept], self.classes[kept])


def boxes_in(
    output: Tensor, places: Tensor, contract: BoxContract, placements: Sequence[Placement],
    sizes: Sequence[tuple[int, int]],
) -> list[Found]:  # fmt: skip
    """Return what was found in every picture of a batch, from the score `LOWEST` on.

    Args:
        output: of the network, [B, N, K + 5], on any device.
        places: [N, 2].
        contract: its `overlap` is that of suppression, class by class.
        placements: where the B pictures lie in their inputs.
        sizes: their (width, height).
    """
    output = output.float().cpu()
    scores, boxes = scores_of(output), inside(boxes_of(output, places), contract.size)
    return [_one(*entry, contract.overlap) for entry in zip(scores, boxes, placements, sizes, strict=True)]


def inside(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Return boxes `[..., 4]` cut off at the edges of an input of `size` (H, W)."""
    return torch.stack([boxes[..., k].clamp(0, size[1 - k % 2]) for k in range(4)], -1)


def _one(scores: Tensor, boxes: Tensor, placement: Placement, size: tuple[int, int], overlap: float) -> Found:
    place, label = (scores >= LOWEST).nonzero(as_tuple=True)
    values = scores[place, label]
    if len(values) > CANDIDATES:
        values, best = values.topk(CANDIDATES)
        place, label = place[best], label[best]
    kept = batched_nms(boxes[place], values, label, overlap)
    found, values, label = to_picture(boxes[place[kept]], placement, size), values[kept], label[kept]
    real = (found[:, 2:] - found[:, :2] > 0).all(-1)  # nothing is found in the black beside the picture
    return Found(found[real][:MOST], values[real][:MOST], label[real][:MOST])
