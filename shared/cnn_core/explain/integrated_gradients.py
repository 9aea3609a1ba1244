"""Integrated gradients: the gradient integrated on the straight path from an empty input to the real one.

Sundararajan, Taly, Yan 2017, "Axiomatic Attribution for Deep Networks", arXiv:1703.01365. Differs from the paper:
nothing; Captum computes it, with Gauss-Legendre quadrature. Completeness: the heat of a sample sums to
score(x) - score(baseline), up to the error of the quadrature.
"""

from torch import Tensor, nn

from cnn_core.explain.registry import register_method
from cnn_core.explain.session import as_baseline, at_least
from cnn_core.explain.target import Score


@register_method(
    "integrated-gradients", signed=True, paper="Sundararajan et al. 2017, IG", url="https://arxiv.org/abs/1703.01365"
)
def integrated_gradients(
    model: nn.Module, x: Tensor, score: Score, *, baseline: float | Tensor = 0.0, steps: int = 32, rows: int = 64
) -> Tensor:
    """Return the sum of the attributions over the channels: `[B, *S]`.

    Args:
        model: in evaluation mode.
        x: `[B, C, *S]`.
        score: the explained number of every sample.
        baseline: the empty input; a number, or a tensor that broadcasts to `x`.
        steps: points of the quadrature; more make the sum more complete.
        rows: inputs per forward pass, at least one batch; fewer need less memory.
    """
    from captum.attr import IntegratedGradients  # takes over a second to import

    # Captum steps through whole copies of the batch, which is what `score` needs. The copy is for layers in place.
    attribute = IntegratedGradients(lambda inputs: score(model(inputs.clone()))).attribute
    heat = attribute(
        x,
        baselines=as_baseline(baseline, x),
        n_steps=at_least("steps", steps, 1),
        internal_batch_size=max(at_least("rows", rows, 1), len(x)),
    )
    return heat.sum(1)
