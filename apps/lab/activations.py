"""Activations and softmax as functions of one number, with their derivatives."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.errors import CnnError, unknown_name


@dataclass(frozen=True)
class Activation:
    """A function that is applied to every number of a map."""

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    latex: str
    does: str  # one sentence


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


ACTIVATIONS = (
    Activation("relu", "ReLU", F.relu, r"\max(0, x)", "Negative becomes zero, positive stays: cheap, and its slope is "
               "1 however large x is."),
    Activation("leaky", "Leaky ReLU", _leaky, r"\max(0.1\,x, x)", "A tenth of what is negative passes, so that the "
               "gradient never vanishes altogether."),
    Activation("sigmoid", "Sigmoid", torch.sigmoid, r"\frac{1}{1 + e^{-x}}", "Squeezes everything between 0 and 1; "
               "far from zero its slope is almost nothing, and so is what is learned there."),
    Activation("tanh", "Tanh", torch.tanh, r"\tanh(x)", "A sigmoid from -1 to 1, centred: what LeNet used."),
    Activation("gelu", "GELU", F.gelu, r"x\,\Phi(x)", "x times the probability that a standard normal number is "
               "below x: a ReLU without the corner."),
)  # fmt: skip


def find_activation(name: str) -> Activation:
    """Return an activation by its name, or raise UnknownNameError with the nearest names."""
    for activation in ACTIVATIONS:
        if activation.name == name:
            return activation
    raise unknown_name("activation", name, [activation.name for activation in ACTIVATIONS])


def curve(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the activation of every number of `x` and its derivative there, by autograd.

    At 0 the derivative of ReLU is 0 and that of leaky ReLU 0.1, as torch has them.
    """
    x = x.detach().clone().requires_grad_(True)
    y = find_activation(name).function(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), slope


def softmax(scores: Tensor, temperature: float = 1.0) -> Tensor:
    """Return `exp(s_i / T) / sum_j exp(s_j / T)` over the last axis.

    Raises:
        CnnError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise CnnError(f"the temperature must be above 0, got {temperature}")
    return torch.softmax(scores / temperature, dim=-1)


def cross_entropy(probabilities: Tensor, label: int) -> float:
    """Return `-log p_label`, the loss of a prediction [K] whose right class is `label`, in nats."""
    return -float(probabilities[label].log())
