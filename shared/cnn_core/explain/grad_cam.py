"""Grad-CAM: channels of one layer, weighted by the mean gradient of the explained value in them.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization", arXiv:1610.02391, equations 1 and 2. Differs from the paper: nothing.
"""

from torch import Tensor, nn

from cnn_core.explain.cam import map_and_gradient, weighted_sum
from cnn_core.explain.registry import register_method
from cnn_core.explain.target import Score


@register_method(
    "grad-cam", signed=False, paper="Selvaraju et al. 2017, Grad-CAM", url="https://arxiv.org/abs/1610.02391"
)
def grad_cam(model: nn.Module, x: Tensor, score: Score, *, layer: str | None = None) -> Tensor:
    """Return `[B, *S']` on the grid of `layer` (a stage, or any module by its path)."""
    activation, grad = map_and_gradient(model, x, score, layer=layer)
    return weighted_sum(grad.flatten(2).mean(2).reshape(*grad.shape[:2], *[1] * (grad.ndim - 2)), activation)
