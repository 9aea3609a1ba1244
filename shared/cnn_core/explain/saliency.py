"""Gradient saliency: how much the explained value moves when a pixel moves.

Simonyan, Vedaldi, Zisserman 2014, "Deep Inside Convolutional Networks", arXiv:1312.6034, section 3.1. Differs from
the paper: nothing.
"""

from torch import Tensor, nn

from cnn_core.explain.registry import register_method
from cnn_core.explain.session import gradient
from cnn_core.explain.target import Score


@register_method(
    "gradient", signed=False, paper="Simonyan et al. 2014, saliency", url="https://arxiv.org/abs/1312.6034"
)
def saliency(model: nn.Module, x: Tensor, score: Score) -> Tensor:
    """Return the largest magnitude of the gradient over the channels: `[B, *S]`."""
    x.requires_grad_()
    return gradient(score(model(x.clone())), x).abs().amax(1)
