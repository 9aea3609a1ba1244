"""The stage that convolutional networks repeat, convolution, ReLU, pooling, and what each layer of it puts out."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError

POOLS = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}


def stage(kernel: Tensor, *, pool: str = "max", window: int = 2) -> nn.Sequential:
    """Build convolution (padding 1, no bias), ReLU and pooling for one grey picture.

    Args:
        kernel: weights [3, 3].
        pool: "max" or "mean".
        window: edge of the pooling's window, and its stride.

    Raises:
        CnnError: an unknown pooling or a kernel of another size.
    """
    if pool not in POOLS:
        raise CnnError(f"pool must be max or mean, got {pool!r}")
    if kernel.shape != (3, 3):
        raise CnnError(f"expected a kernel of 3 x 3, got {list(kernel.shape)}")
    conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
    with torch.no_grad():
        conv.weight.copy_(kernel[None, None])
    return nn.Sequential(OrderedDict(convolution=conv, relu=nn.ReLU(), pooling=POOLS[pool](window)))


@torch.no_grad()
def outputs(layers: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Return what each layer puts out for `x` [C, H, W], in order."""
    results = []
    x = x.unsqueeze(0)
    for layer in layers:
        x = layer(x)
        results.append(x.squeeze(0))
    return results
