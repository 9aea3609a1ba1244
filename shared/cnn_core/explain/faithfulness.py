"""Is a heat map true to the model? Delete the hottest pixels first, or insert them first, and watch the answer.

Petsiuk, Das, Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", arXiv:1806.07421,
section 4.2. Differs from the paper: pixels are inserted into the same baseline that deletion leaves, not into a
blurred copy, so that both curves have the same two ends.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.explain.session import as_baseline, at_least, bare, check_input, evaluating
from cnn_core.explain.target import Score, Target, resolve


@dataclass(frozen=True)
class Faithfulness:
    """Areas under the curves, and the curves; low deletion and high insertion speak for the heat map."""

    deletion: Tensor  # [B]
    insertion: Tensor  # [B]
    deletion_curve: Tensor  # [B, steps + 1], from the whole input to the baseline
    insertion_curve: Tensor  # [B, steps + 1], from the baseline to the whole input


def faithfulness(
    model: nn.Module,
    x: Tensor,
    heat: Tensor,
    *,
    target: Target = None,
    baseline: float | Tensor = 0.0,
    steps: int = 16,
    rows: int = 64,
) -> Faithfulness:
    """Return the deletion and insertion areas of a heat map.

    Pixels of equal heat go in scan order, so a map with large flat parts is judged by its other parts alone.

    Args:
        model: a `Backbone`, or any module.
        x: `[B, C, *S]`.
        heat: `[B, *S]`, larger where the model looked.
        target: as in `explain`; the curve of a class is its probability, that of a function the function itself.
        baseline: the empty input; a number, or a tensor that broadcasts to `x`.
        steps: the pixels are moved in this many equal parts.
        rows: inputs per forward pass, at least one batch.

    Raises:
        CnnError: `x` is not an input of this model or not finite, or heat or target do not fit.
    """
    model = bare(model)
    check_input(model, x)
    heat = torch.as_tensor(heat, device=x.device)
    if heat.shape != (len(x), *x.shape[2:]) or not torch.isfinite(heat).all():
        raise CnnError(f"expected a finite heat map {[len(x), *x.shape[2:]]}, got {list(heat.shape)}")
    empty = as_baseline(baseline, x)
    fractions = torch.linspace(0, 1, at_least("steps", steps, 1) + 1).tolist()
    order = heat.flatten(1).argsort(dim=1, descending=True, stable=True)  # [B, P]
    rank = order.argsort(dim=1).reshape(heat.shape)[:, None]  # [B, 1, *S], 0 is the hottest pixel
    pixels = heat[0].numel()
    with torch.no_grad(), evaluating(model):
        score = resolve(model(x.clone()), target)
        curves = []
        for kept, moved in ((x, empty), (empty, x)):  # deletion, insertion
            inputs = [torch.where(rank < round(f * pixels), moved, kept) for f in fractions]
            curves.append(_curve(model, inputs, score, at_once=max(1, at_least("rows", rows, 1) // len(x))))
    areas = [torch.trapezoid(curve, dx=1 / steps) for curve in curves]
    return Faithfulness(*areas, *curves)


def _curve(model: nn.Module, inputs: list[Tensor], score: Score, *, at_once: int) -> Tensor:
    """Return the score of every sample at every step: list of `[B, C, *S]` -> `[B, steps + 1]`."""
    parts = []
    for i in range(0, len(inputs), at_once):
        answer = model(torch.cat(inputs[i : i + at_once]))
        values = score(answer if score.classes is None else answer.float().softmax(1))
        parts.append(values.reshape(-1, len(inputs[0])))  # [steps of this part, B]
    return torch.cat(parts).T
