"""The size of a network in numbers."""

from torch import nn


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers the network learns or could learn, each shared one once; buffers do not count."""
    return sum(parameter.numel() for parameter in model.parameters())
