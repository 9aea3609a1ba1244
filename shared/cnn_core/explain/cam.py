"""What the CAM methods share: the map of one layer and the gradient of the explained value there."""

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.explain.session import capturing, gradient
from cnn_core.explain.target import Score


def map_and_gradient(model: nn.Module, x: Tensor, score: Score, *, layer: str | None) -> tuple[Tensor, Tensor]:
    """Return the layer's map and d score / d map, both `[B, C, *S']` in float32.

    Captum's LayerGradCam is not used: an in-place ReLU after the layer silently changes the map that it captured.
    """
    # The input asks for a gradient so that a graph exists also where every parameter is frozen.
    if layer is None:
        raise CnnError("the option 'layer' is missing; `explain` chooses one")
    with capturing(model, [layer]) as maps:
        scores = score(model(x.requires_grad_().clone()))
    if layer not in maps:
        raise CnnError(f"layer {layer!r} takes no part in the forward pass; choose another layer")
    activation = maps[layer]
    if activation.ndim != x.ndim or len(activation) != len(x):
        raise CnnError(
            f"layer {layer!r} returns {list(activation.shape)}, which is not a map of the input; choose another"
        )
    return activation.detach().float(), gradient(scores, activation).float()


def weighted_sum(weights: Tensor, activation: Tensor) -> Tensor:
    """Return ReLU of the sum over channels of weights * activation: `[B, C, *S'] -> [B, *S']`."""
    return torch.relu((weights * activation).sum(1))
