"""LayerCAM: every cell of a layer has its own weight, so that early, fine-grained stages give a sharp picture too.

Jiang, Zhang, Hou, Cheng, Wei 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
doi:10.1109/TIP.2021.3089943, equation 6. Differs from the paper: one layer at a time, without fusing several.
"""

import torch
from torch import Tensor, nn

from cnn_core.explain.cam import map_and_gradient, weighted_sum
from cnn_core.explain.registry import register_method
from cnn_core.explain.target import Score


@register_method(
    "layer-cam", signed=False, paper="Jiang et al. 2021, LayerCAM", url="https://doi.org/10.1109/TIP.2021.3089943"
)
def layer_cam(model: nn.Module, x: Tensor, score: Score, *, layer: str | None = None) -> Tensor:
    """Return `[B, *S']` on the grid of `layer` (a stage, or any module by its path)."""
    activation, grad = map_and_gradient(model, x, score, layer=layer)
    return weighted_sum(torch.relu(grad), activation)
