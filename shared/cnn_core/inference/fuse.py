"""Fold batch normalisation into the convolution before it: the same answers, fewer passes over memory."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cnn_core.data.memory import channels_last
from cnn_core.nn.blocks import ConvNormAct

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fuse(model: nn.Module) -> nn.Module:
    """Return a copy of `model` for inference: evaluation mode, batch normalisation inside convolutions, channels-last.

    The scores equal the model's up to rounding. Normalisation that depends on the input (instance) stays.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for unit in model.modules():
        norm = getattr(unit, "norm", None)
        if isinstance(unit, ConvNormAct) and isinstance(norm, BATCH_NORMS):
            unit.conv = fuse_conv_bn_eval(unit.conv, norm)
            del unit.norm
    for parameter in model.parameters():
        parameter.data = channels_last(parameter.data)
    return model
