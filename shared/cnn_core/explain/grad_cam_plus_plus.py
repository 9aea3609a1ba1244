"""Grad-CAM++: as Grad-CAM, but positive gradients count, weighted so that several objects of a class all show.

Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, "Grad-CAM++: Improved Visual Explanations for Deep
Convolutional Networks", arXiv:1710.11063, equations 14 and 19. Differs from the paper: nothing; the score is taken
as exp(logit), as there, where its constant factor drops out of the picture.
"""

import torch
from torch import Tensor, nn

from cnn_core.explain.cam import map_and_gradient, weighted_sum
from cnn_core.explain.registry import register_method
from cnn_core.explain.target import Score


@register_method(
    "grad-cam++", signed=False, paper="Chattopadhay et al. 2018, Grad-CAM++", url="https://arxiv.org/abs/1710.11063"
)
def grad_cam_plus_plus(model: nn.Module, x: Tensor, score: Score, *, layer: str | None = None) -> Tensor:
    """Return `[B, *S']` on the grid of `layer` (a stage, or any module by its path)."""
    activation, grad = map_and_gradient(model, x, score, layer=layer)
    cells = tuple(range(2, grad.ndim))
    below = 2 + activation.sum(cells, keepdim=True) * grad  # equation 19, divided through by grad ** 2
    # Where a map has negative sums the denominator can reach zero; such a cell gets no weight.
    alpha = torch.where(below.abs() > 1e-6, 1 / below, 0.0)
    return weighted_sum((alpha * torch.relu(grad)).sum(cells, keepdim=True), activation)
