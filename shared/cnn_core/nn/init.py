"""How fresh networks get their weights."""

from torch import nn


def init_he(network: nn.Module, *, dense_std: float | None = None) -> None:
    """Give every convolution He's normal weights, so that ReLU keeps the variance of the gradient.

    Standard deviation `sqrt(2 / fan_out)` with `fan_out = out_channels * cells of the kernel` (He et al. 2015,
    arXiv:1502.01852, equation 14); biases start at 0. Normalisation starts as the identity in torch anyway.

    Args:
        network: changed in place.
        dense_std: standard deviation of the dense layers' normal weights, with biases 0; None leaves torch's own
            uniform start, which suits nets with one or two dense layers.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and dense_std is not None:
            nn.init.normal_(module.weight, std=dense_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
