"""What the stages put out, and what the first convolution looks for."""

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.explain.session import bare, capturing, check_input, evaluating, stage_names


def feature_maps(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the map after each stage of a backbone, finest first: stage name -> `[B, C_i, *S_i]`, without gradient.

    Raises:
        CnnError: `x` is not an input of this model or not finite, or the model names no stages.
    """
    model = bare(model)
    if not stage_names(model):
        raise CnnError("this model names no stages; feature maps need a Backbone")
    check_input(model, x)
    # The inputs' copy: a first layer may work in place. Inference mode off: the maps are for any use afterwards.
    with torch.inference_mode(False), torch.no_grad(), evaluating(model), capturing(model, stage_names(model)) as maps:
        model(x.detach().clone())
    return dict(maps)


def first_conv(model: nn.Module) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """Return the first convolution in the order in which the model's modules are defined.

    Raises:
        CnnError: the model has none (a dense network).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return module
    raise CnnError("this network has no convolution, so it has no filters to show")


def filters(model: nn.Module) -> Tensor:
    """Return the weights of the first convolution for display: `[C_out, C_in, *K]` in 0..1, 0.5 where a weight is 0.

    Every filter is scaled by its own largest magnitude; a filter of zeros is 0.5 everywhere. `C_in` is that of one
    group.

    Raises:
        CnnError: the model has no convolution, or its weights are not finite.
    """
    weight = first_conv(model).weight.detach().float()
    if not torch.isfinite(weight).all():
        raise CnnError("the first convolution has weights that are NaN or infinite; the weights are damaged")
    largest = weight.flatten(1).abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny)
    return 0.5 + 0.5 * weight / largest.reshape(-1, *[1] * (weight.ndim - 1))
