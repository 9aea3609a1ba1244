"""How fresh networks get their weights."""

from torch import nn


def init_he(network: nn.Module, *, dense: bool = False) -> None:
    """Give every convolution He's normal weights, so that ReLU keeps the variance from layer to layer.

    Standard deviation `sqrt(2 / fan_out)` with `fan_out = out_channels * cells of the kernel` (He et al. 2015,
    arXiv:1502.01852, equation 14); biases start at 0. Normalisation starts as the identity in torch anyway.

    Args:
        network: changed in place.
        dense: True treats dense layers likewise, with `sqrt(2 / fan_in)` (equation 10), so that nets with several of
            them train at any width; False leaves torch's own start.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif dense and isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
