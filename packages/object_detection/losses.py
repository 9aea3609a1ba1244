"""Which location learns which box, and the loss: focal loss of the classes, generalised IoU, quality.

The assignment is that of FCOS (arXiv:1904.01355, section 3 with centre sampling); focal loss: Lin et al. 2017,
arXiv:1708.02002; generalised IoU: Rezatofighi et al. 2019, arXiv:1902.09630. Both losses are torchvision's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from object_detection.model import boxes_of

RADIUS = 1.5  # strides from the centre of a box within which locations learn it
REACH = 4.0  # strides: the farthest edge that a level learns; the next level begins there
NOTHING = -1  # class of a row without a box, and of a location that learns background


def assign(boxes: Tensor, classes: Tensor, places: Tensor, strides: Tensor) -> Tensor:
    """Return which box every location learns: int64 [B, N], `NOTHING` for background.

    A location learns a box if it lies within `RADIUS` strides of its centre and inside it (a box smaller than a stride
    is given the locations next to its centre), and the box's farthest edge is in the level's reach. Of several boxes
    the smallest wins.

    Args:
        boxes: [B, M, 4] in pixels of the input.
        classes: int64 [B, M]; `NOTHING`: no box.
        places: [N, 2].
        strides: [N].
    """
    if not boxes.shape[1]:
        return torch.full((len(boxes), len(places)), NOTHING, device=places.device)
    low, high = boxes[:, None, :, :2], boxes[:, None, :, 2:]  # [B, 1, M, 2]
    step = strides[None, :, None, None]
    half = torch.minimum(torch.maximum((high - low) / 2, step / 2), RADIUS * step)
    near = ((places[None, :, None] - (low + high) / 2).abs() <= half).all(-1)  # [B, N, M]
    farthest = torch.maximum(places[None, :, None] - low, high - places[None, :, None]).amax(-1)  # [B, N, M]
    levels = strides.unique()  # finest first
    before = torch.cat([levels.new_zeros(1), levels[:-1]])[torch.searchsorted(levels, strides)]
    begins = REACH * before[None, :, None]
    ends = torch.where(strides == strides.max(), torch.inf, REACH * strides)[None, :, None]
    suits = near & (farthest > begins) & (farthest <= ends) & (classes[:, None] != NOTHING)
    area = (high - low).clamp_min(0).prod(-1).expand(suits.shape)
    smallest, index = torch.where(suits, area, torch.inf).min(-1)
    return torch.where(smallest < torch.inf, index, NOTHING)


def detection_loss(output: Tensor, boxes: Tensor, classes: Tensor, places: Tensor, strides: Tensor) -> Tensor:
    """Return the loss of a batch: the sum of the three terms over locations, divided by the number that learn a box.

    Args:
        output: of the network, [B, N, K + 5].
        boxes: [B, M, 4] in pixels of the input.
        classes: int64 [B, M]; `NOTHING`: no box.
        places: [N, 2], as `strides` [N] from `model.locations`.
    """
    output = output.float()
    chosen = assign(boxes, classes, places, strides)  # [B, N]
    learns = chosen != NOTHING
    targets = torch.zeros_like(output[..., :-5])  # [B, N, K]
    sample, location = learns.nonzero(as_tuple=True)
    wanted = chosen[sample, location]
    targets[sample, location, classes[sample, wanted]] = 1.0
    count = max(1, len(sample))
    loss = sigmoid_focal_loss(output[..., :-5], targets, reduction="sum") / count
    if not len(sample):
        return loss + 0.0 * output[..., -5:].sum()  # every parameter gets a gradient
    found, truth = boxes_of(output, places)[sample, location], boxes[sample, wanted]
    loss = loss + generalized_box_iou_loss(found, truth, reduction="sum") / count
    quality = F.binary_cross_entropy_with_logits(output[sample, location, -5], _iou(found.detach(), truth))
    return loss + quality


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU of pairs of boxes: [P, 4], [P, 4] -> [P]."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp_min(0).prod(-1)
    area = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1)
    return inner / (area - inner).clamp_min(1e-6)
