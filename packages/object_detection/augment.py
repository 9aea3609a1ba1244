"""Boxes move with their pictures: what `cnn_core.data.augment` does to a batch, done to the boxes in it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cnn_core.data.augment import Draws
from object_detection.losses import NOTHING

VISIBLE = 0.35  # share of a box that must stay inside the input for it to be learned


def move_boxes(boxes: Tensor, classes: Tensor, draws: Draws, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return boxes and classes as they are after `draws`: cut off at the edges, those mostly outside dropped.

    A turned box becomes the smallest upright one around its four corners.

    Args:
        boxes: [B, M, 4] in pixels of the input.
        classes: [B, M].
        draws: of B samples, as given to `cnn_core.data.augment.apply`; an elastic change is not followed.
        size: (H, W).
    """
    if not boxes.shape[1]:
        return boxes, classes
    edges = torch.tensor([size[1], size[0]], dtype=boxes.dtype)  # x first
    corners = boxes[..., [0, 1, 2, 1, 2, 3, 0, 3]].unflatten(-1, (4, 2))  # [B, M, 4, 2]
    mirrored = torch.zeros(len(boxes), 2, dtype=torch.bool)  # x first
    if draws.flip is not None:
        mirrored[:, 0] = draws.flip
    if draws.flips is not None:
        mirrored = draws.flips.flip(-1)
    corners = torch.where(mirrored[:, None, None], edges - corners, corners)
    if draws.matrix is not None:
        offset = torch.zeros(len(boxes), 2) if draws.offset is None else draws.offset
        away = corners - edges / 2 - offset[:, None, None]  # `matrix` leads from the output to the input
        corners = torch.einsum("bij,bmcj->bmci", torch.linalg.inv(draws.matrix), away) + edges / 2
    if draws.shift is not None:
        corners = corners + draws.shift.flip(-1)[:, None, None]
    whole = torch.cat([corners.amin(2), corners.amax(2)], -1)
    cut = torch.minimum(whole.clamp_min(0), edges.repeat(2))
    area = (whole[..., 2:] - whole[..., :2]).prod(-1)
    left = (cut[..., 2:] - cut[..., :2]).clamp_min(0).prod(-1)
    return cut, torch.where(left > VISIBLE * area.clamp_min(1e-6), classes, NOTHING)
