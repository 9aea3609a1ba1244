"""What a unit could see and what it does see: the theoretical receptive field, and the effective one by gradient.

Luo, Li, Urtasun, Zemel 2016, "Understanding the effective receptive field in deep convolutional neural networks",
arXiv:1701.04128.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.anatomy.receptive_field import ReceptiveField
from cnn_core.anatomy.trace import is_inside, trace
from cnn_core.errors import CnnError
from cnn_core.explain.session import evaluating
from cnn_core.models.backbone import Backbone


@dataclass(frozen=True)
class StageField:
    """A stage's map for one input, and what its cells see along each spatial axis (None: everything)."""

    name: str
    output: Tensor  # [C, *S']
    fields: tuple[ReceptiveField, ...] | None

    @property
    def field(self) -> ReceptiveField:
        """What a cell sees along the first axis; CnnError if it sees everything."""
        if not self.fields:
            raise CnnError(f"the cells of {self.name} see the whole input")
        return self.fields[0]


def stage_fields(model: Backbone, x: Tensor) -> list[StageField]:
    """Return the map and the theoretical receptive field of every stage for one input [C, *S]."""
    rows = trace(model, tuple(x.shape))
    with torch.no_grad(), evaluating(model):
        maps = model.forward_features(x.unsqueeze(0))
    fields = []
    for info, output in zip(model.feature_info, maps, strict=True):
        last = [row for row in rows if is_inside(row.name, f"stages.{info.name}")]
        fields.append(StageField(info.name, output[0], last[-1].receptive_field if last else None))
    return fields


def effective_field(model: Backbone, x: Tensor, *, stage: int, position: Sequence[int]) -> Tensor:
    """Return how much every pixel moves a unit: the gradient's magnitude [*S], from 0 to 1.

    The unit is the sum over the channels at one position; the magnitude is summed over the input's channels. All zero
    when no pixel moves it.

    Args:
        model: any backbone; it is used in evaluation mode and its weights get no gradient.
        x: one input [C, *S], as the network takes it.
        stage: number of the stage.
        position: cell of the stage's map, one index per spatial axis.

    Raises:
        CnnError: no such stage or position.
    """
    with evaluating(model), torch.enable_grad():
        x = x.detach().clone().requires_grad_(True)
        maps = model.forward_features(x.unsqueeze(0))
        if not 0 <= stage < len(maps):
            raise CnnError(f"expected a stage from 0 to {len(maps) - 1}, got {stage}")
        sizes = maps[stage].shape[2:]
        if len(position) != len(sizes) or any(not 0 <= i < n for i, n in zip(position, sizes, strict=True)):
            raise CnnError(f"expected a position inside the map {tuple(sizes)}, got {tuple(position)}")
        unit = maps[stage][0]
        for i in reversed(position):
            unit = unit[..., i]
        (gradient,) = torch.autograd.grad(unit.sum(), x)
    magnitude = gradient.abs().sum(0)
    return magnitude / magnitude.max().clamp_min(torch.finfo(magnitude.dtype).tiny)
