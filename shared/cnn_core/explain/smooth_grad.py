"""SmoothGrad: gradient saliency averaged over noisy copies of the input, which takes the speckle out.

Smilkov, Thorat, Kim, Viegas, Wattenberg 2017, "SmoothGrad: removing noise by adding noise", arXiv:1706.03825.
Differs from the paper: all samples of a batch get the same noise pattern, so that a batch equals its samples.
"""

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.explain.registry import register_method
from cnn_core.explain.session import at_least, gradient
from cnn_core.explain.target import Score


@register_method(
    "smooth-grad", signed=False, paper="Smilkov et al. 2017, SmoothGrad", url="https://arxiv.org/abs/1706.03825"
)
def smooth_grad(
    model: nn.Module, x: Tensor, score: Score, *, copies: int = 16, noise: float = 0.15, seed: int = 0
) -> Tensor:
    """Return the largest magnitude over the channels of the mean gradient: `[B, *S]`.

    Args:
        model: in evaluation mode.
        x: `[B, C, *S]`.
        score: the explained number of every sample.
        copies: noisy copies of the input.
        noise: standard deviation of the noise as a fraction of each input's range, maximum minus minimum.
        seed: of the noise.
    """
    if not (isinstance(noise, int | float) and 0 <= noise < float("inf")):
        raise CnnError(f"noise must be a finite number, at least 0, got {noise!r}")
    generator = torch.Generator().manual_seed(at_least("seed", seed, 0))
    flat = x.flatten(1)
    scale = noise * (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (x.ndim - 1))
    total = torch.zeros_like(x)
    for _ in range(at_least("copies", copies, 1)):
        pattern = torch.randn(x.shape[1:], generator=generator).to(x)
        noisy = (x + scale * pattern).requires_grad_()
        total += gradient(score(model(noisy.clone())), noisy)
    return (total / copies).abs().amax(1)
