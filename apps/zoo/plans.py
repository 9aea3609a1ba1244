"""What there is in the zoo, and a survey of one network at one input: rows, graph, totals. Nothing is computed."""

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from cnn_core.anatomy import LayerRow, Node, is_inside, total, trace_graph
from cnn_core.errors import CnnError
from cnn_core.models import create_model, list_models, model_spec
from cnn_core.models.registry import ModelSpec
from zoo.series import Series, as_series

MOST_CELLS = 2**31 - 1  # of an input; beyond it torch cannot count
LARGE = 200  # pixels: networks for such inputs were made for the 1000 classes of ImageNet


@dataclass(frozen=True)
class Survey:
    """One network on one input."""

    entry: ModelSpec
    classes: int
    input_shape: tuple[int, ...]
    rows: tuple[LayerRow, ...]
    nodes: tuple[Node, ...]
    series: Series
    stages: tuple[str, ...]  # paths of the named stages, in order
    parameters: int
    multiply_adds: int  # of one example

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.nodes[-1].output_shape

    @property
    def layers(self) -> int:
        """Convolutions and dense layers on the longest way from the input to the output, as papers count depth."""
        depth = [0] * len(self.nodes)
        for i, node in enumerate(self.nodes):
            weighty = "Conv" in node.kind or node.kind == "Linear"
            depth[i] = max((depth[j] for j in node.inputs), default=0) + weighty
        return depth[-1]

    @property
    def sees(self) -> tuple[int, ...] | None:
        """Edges of what one cell of the last map sees of the input, in pixels; None without maps."""
        maps = [r for r in self.rows if len(r.output_shape) == len(self.input_shape) and prod(r.output_shape[1:]) > 1]
        if not maps or not maps[-1].receptive_field:
            return None
        return tuple(-(-field.size.numerator // field.size.denominator) for field in maps[-1].receptive_field)

    @property
    def activation_numbers(self) -> int:
        """Numbers in the largest layer's input and output together, for one example."""
        sizes = [prod(node.output_shape) for node in self.nodes]
        pairs = [
            prod(node.output_shape) + sum(sizes[i] for i in node.inputs) for node in self.nodes if node.kind != "input"
        ]
        return max(pairs, default=0)


def zoo_entries() -> dict[str, ModelSpec]:
    """Return name -> entry of every registered network, oldest first."""
    entries = map(model_spec, [*list_models(), *list_models(segments=True)])
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: (entry.year, _natural(entry.name)))}


def _classes(entry: ModelSpec) -> int:
    """Return how many classes a network is surveyed with."""
    if entry.segments:
        return 2
    if entry.name == "pilotnet":
        return 1  # it steers
    return 1000 if len(entry.input_shape) == 3 and entry.input_shape[-1] >= LARGE else 10


def build(name: str, input_shape: tuple[int, ...]) -> nn.Module:
    """Build a network of the zoo with fresh weights for inputs of `input_shape` = (C, *S).

    Raises:
        UnknownNameError: no such network.
        CnnError: it does not exist for this number of axes, or not for this size.
    """
    entry, dims = model_spec(name), len(input_shape) - 1
    if dims not in entry.spatial_dims:
        raise CnnError(f"{name} is defined for spatial_dims {entry.spatial_dims}, not {dims}")
    if min(input_shape) < 1 or prod(input_shape) > MOST_CELLS:
        shown = "x".join(map(str, input_shape))
        raise CnnError(f"expected an input of 1 to {MOST_CELLS:,} numbers, got {shown}; choose another size")
    return create_model(
        name, spatial_dims=dims, in_channels=input_shape[0], num_classes=_classes(entry), input_size=input_shape[1:]
    )


def survey(name: str, *, size: int | None = None, spatial_dims: int | None = None) -> Survey:
    """Survey a network on an input with `size` cells along each of `spatial_dims` axes; None: as in its paper.

    The channels are the paper's. Takes a second for the deepest ones, whatever the size.

    Raises:
        UnknownNameError: no such network.
        CnnError: it does not exist for this number of axes, or refuses the size.
    """
    entry = model_spec(name)
    channels, *own = entry.input_shape
    dims = len(own) if spatial_dims is None else spatial_dims
    shape = (channels, *([own[0] if size is None else size] * dims))
    with torch.device("meta"):  # shapes without numbers: no input is too large
        model = build(name, shape)
    rows, nodes = trace_graph(model, shape)
    sums = total(rows)
    stages = tuple(path for path in _stage_paths(model) if any(is_inside(row.name, path) for row in rows))
    return Survey(
        entry,
        _classes(entry),
        shape,
        tuple(rows),
        tuple(nodes),
        as_series(nodes),
        stages,
        sums.parameters,
        sums.multiply_adds,
    )


def _stage_paths(model: nn.Module) -> list[str]:
    """Return the paths of the named stages in a network, first to last."""
    encoder = getattr(model, "encoder", model)
    inside = "encoder.stages" if encoder is not model else "stages"
    stages = [f"{inside}.{name}" for name, _ in encoder.get_submodule("stages").named_children()]
    ups = [f"ups.{i}" for i in range(len(getattr(model, "ups", ())))]
    return [*stages, *ups, "head"]


def _natural(name: str) -> tuple[str, int, str]:
    """Order resnet20 before resnet101."""
    letters = name.rstrip("0123456789_bn") or name
    digits = "".join(c for c in name[len(letters) :] if c.isdigit())
    return letters, int(digits or 0), name
