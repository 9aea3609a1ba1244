"""Freezing a part of a network for transfer learning."""

from types import MethodType

from torch import nn


def freeze(module: nn.Module) -> None:
    """Keep `module` as it is: no gradients, and dropout and normalisation stay in evaluation mode.

    `model.train()` on a parent would switch its batch normalisation back to the statistics of the small new set, so
    the module's own `train` is replaced by one that does nothing.
    """
    module.requires_grad_(False)
    module.eval()
    module.train = MethodType(lambda self, mode=True: self, module)  # type: ignore[method-assign]  # of this module alone
