"""How the layers of a network are wired: which layer takes what from which, found by running it.

Works on the operations that torch really runs, like `cnn_core.anatomy.flow`: a sum or a concatenation between the
layers becomes a node of its own, whatever module it is written in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnn_core.anatomy.trace import LayerRow, record


@dataclass(frozen=True)
class Node:
    """One layer as it ran, the input, or a place where several maps become one."""

    kind: str  # class of the layer; "input"; or the operation that joins: "add", "cat", "mul"
    inputs: tuple[int, ...]  # numbers of the nodes before it, all smaller than its own
    output_shape: tuple[int, ...]  # without the batch
    row: LayerRow | None  # None for the input and for joins


def trace_graph(
    model: nn.Module, input_shape: Sequence[int], *, dtype: torch.dtype = torch.float32
) -> tuple[list[LayerRow], list[Node]]:
    """Return the rows of `cnn_core.anatomy.trace` and the nodes from the input to the output; arguments as there.

    Raises:
        CnnError: the shape has a number below 1, or the network refuses it.
    """
    wiring = Wiring()
    rows, output = record(model, input_shape, dtype=dtype, watcher=wiring)
    return rows, wiring.finished(output) if isinstance(output, Tensor) else []


@dataclass
class _Draft:
    kind: str = ""
    inputs: list[int] = field(default_factory=list)
    output_shape: tuple[int, ...] = ()
    row: LayerRow | None = None


class Wiring(TorchDispatchMode):
    """While active, notes for every tensor which node made it."""

    def __init__(self) -> None:
        super().__init__()
        self._drafts: list[_Draft] = []
        self._made_by: dict[int, int] = {}  # id of a tensor -> number of its node
        self._alive: list[Tensor] = []  # keeps every tensor, so that no id is used twice; meta tensors weigh nothing
        self._running: list[int | None] = []  # nodes of the layers that are running; None: no operation yet

    def watch(self, x: Tensor) -> None:
        """Take `x` [B, C, *S] as the input."""
        self._note(x, self._new("input", x))

    def enter(self) -> None:
        """A layer begins to run."""
        self._running.append(None)

    def leave(self, row: LayerRow | None) -> None:
        """The layer that began last has run; one that did nothing (dropout in evaluation) leaves no node."""
        number = self._running.pop()
        if number is not None and row is not None:
            draft = self._drafts[number]
            draft.kind, draft.row, draft.output_shape = row.kind, row, row.output_shape

    def finished(self, output: Tensor) -> list[Node]:
        """Return the nodes between the input and `output`, in an order in which they could run."""
        last = self._made_by.get(id(output))
        if last is None:
            return []
        wanted = {last}
        for number in range(last, 0, -1):
            if number in wanted:
                wanted.update(self._drafts[number].inputs)
        fed = {0}
        for number in sorted(wanted):
            if fed.intersection(self._drafts[number].inputs):
                fed.add(number)
        numbers = {old: new for new, old in enumerate(sorted(wanted & fed))}
        return [
            Node(draft.kind, tuple(numbers[i] for i in draft.inputs if i in numbers), draft.output_shape, draft.row)
            for draft in (self._drafts[old] for old in numbers)
        ]

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        known = [self._made_by.get(id(a)) for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        sources = list(dict.fromkeys(number for number in known if number is not None))
        result = func(*args, **kwargs)
        outs = [out for out in tree_leaves(result) if isinstance(out, Tensor)]
        if sources and outs:
            number = self._maker(func, sources, outs[0])
            for out in outs:
                self._note(out, number)
        return result

    def _maker(self, func: Any, sources: list[int], out: Tensor) -> int:
        """Return the node that an operation belongs to: the running layer, a new join, or the node before."""
        if self._running:
            running = self._running[-1]
            number = self._running[-1] = self._new("", out) if running is None else running
        elif len(sources) == 1:
            return sources[0]
        else:
            number = self._new(func.overloadpacket.__name__.rstrip("_"), out)
        inputs = self._drafts[number].inputs
        inputs += [source for source in sources if source < number and source not in inputs]
        return number

    def _new(self, kind: str, out: Tensor) -> int:
        self._drafts.append(_Draft(kind, [], tuple(out.shape[1:])))
        return len(self._drafts) - 1

    def _note(self, x: Tensor, number: int) -> None:
        self._made_by[id(x)] = number
        self._alive.append(x)
