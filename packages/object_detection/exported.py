"""The detector as one file answers: boxes with scores and classes, doubles suppressed, all in plain tensor operations.

Suppression is greedy, as that of torchvision's `nms`, found as the fixed point of "a box stays unless a better one that
stays overlaps it" (Zheng et al. 2020, Enhancing Geometric Factors in Model Learning and Inference, arXiv:2005.03572):
the operator of torchvision takes one picture, and how many boxes it returns depends on it, so that no batch of any
size could be exported.
"""

import torch
from torch import Tensor, nn

from object_detection.contract import BoxContract
from object_detection.finding import inside
from object_detection.model import Detector, boxes_of, locations, scores_of

ROUNDS = 16  # of suppression: exact where no chain of boxes that overlap, each weaker than the last, is longer


class Exported(nn.Module):
    """`[B, 3, H, W] -> [B, N, 6]`: left, top, right, bottom in pixels of the input, score, class of every location.

    A location's class is its likeliest one. Where there is no box, or a better one of the class overlaps it, all six
    numbers are 0.

    Args:
        model: the detector.
        contract: its size, threshold and overlap.
    """

    def __init__(self, model: Detector, contract: BoxContract) -> None:
        super().__init__()
        self.model, self.size = model, contract.size
        self.threshold, self.overlap = contract.threshold, contract.overlap
        self.places: Tensor
        self.register_buffer("places", locations(contract.size, contract.strides)[0])

    def forward(self, x: Tensor) -> Tensor:
        output = self.model(x)
        scores, classes = scores_of(output).max(-1)  # [B, N]
        boxes = inside(boxes_of(output, self.places), self.size)  # [B, N, 4]
        there = scores >= self.threshold
        better = (scores[:, :, None] > scores[:, None]) & (classes[:, :, None] == classes[:, None])  # [B, j, i]
        beaten = (better & (_iou(boxes) > self.overlap)).float()
        stays = there.float()
        for _ in range(ROUNDS):
            losses = (stays[:, None] @ beaten)[:, 0]  # [B, N]: better boxes that stay and overlap
            stays = there.float() * (losses < 0.5).float()
        found = torch.cat([boxes, scores[..., None], classes[..., None].float()], -1)
        return found * stays[..., None]  # [B, N, 6]


def _iou(boxes: Tensor) -> Tensor:
    """Return the IoU of all pairs: [B, N, 4] -> [B, N, N]; torchvision's takes one picture."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    inner = (high - low).clamp(min=0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    return inner / (area[:, :, None] + area[:, None] - inner).clamp(min=1e-6)
