"""The per-layer trace of any network: what each layer puts out, what it costs, and what it sees of the input."""

import copy
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cnn_core.anatomy.flow import Flow
from cnn_core.anatomy.receptive_field import ReceptiveField
from cnn_core.errors import CnnError

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class LayerRow:
    """One layer as it ran; a layer that runs twice has two rows, the second without parameters."""

    name: str  # path in the network
    kind: str  # class of the layer
    output_shape: tuple[int, ...]  # without the batch
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    padding: tuple[int, ...] | str | None
    parameters: int
    multiply_adds: int  # of one example
    receptive_field: tuple[ReceptiveField, ...] | None  # one per spatial axis; None: does not depend on the input


@dataclass(frozen=True)
class Total:
    """Sums over the rows of a trace."""

    parameters: int
    multiply_adds: int


def is_inside(name: str, path: str) -> bool:
    """Tell whether the layer `name` is, or lies in, the module at `path`."""
    return name == path or name.startswith(f"{path}.")


def total(rows: Iterable[LayerRow]) -> Total:
    """Add up parameters and multiply-adds."""
    rows = list(rows)
    return Total(sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows))


def trace(model: nn.Module, input_shape: Sequence[int], *, dtype: torch.dtype = torch.float32) -> list[LayerRow]:
    """Run the network on one example without numbers and return one row per layer, in the order of running.

    The model is neither changed nor run: a copy of it without weights is. Cheap for any size (about 0.3 s for
    ResNet-50). Layers are modules without children or with parameters of their own; `nn.Identity` is left out.

    Args:
        model: any network that takes one tensor and does not decide on the values in it.
        input_shape: one input without the batch, [C, *S].
        dtype: of the input, `torch.long` for token numbers.

    Raises:
        CnnError: the shape has a number below 1, or the network refuses it.
    """
    return record(model, input_shape, dtype=dtype)[0]


class Watcher(Protocol):
    """Looks on while a network runs for its trace, entered as a context."""

    def watch(self, x: Tensor) -> None:
        """The input, before the network runs."""

    def enter(self) -> None:
        """A layer begins."""

    def leave(self, row: LayerRow | None) -> None:
        """The layer that began last has ended; None: it puts out no tensor."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> Any: ...


def record(
    model: nn.Module, input_shape: Sequence[int], *, dtype: torch.dtype = torch.float32, watcher: Watcher | None = None
) -> tuple[list[LayerRow], Any]:
    """Return the rows of `trace`, and what the network put out; arguments and errors as there."""
    shape = tuple(input_shape)
    if not shape or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise CnnError(f"expected an input shape of whole numbers from 1 such as 3x224x224, got {input_shape}")
    model = _without_weights(model).eval()
    with torch.no_grad():
        x = torch.empty((1, *shape), dtype=dtype, device="meta")
        flow = Flow()
        flow.watch(x)
        recorder = _Recorder(flow, watcher)
        with ExitStack() as contexts, flow:
            for name, module in model.named_modules():
                if not isinstance(module, nn.Identity) and (not list(module.children()) or module._parameters):
                    contexts.enter_context(module.register_forward_pre_hook(recorder.enter))
                    contexts.enter_context(module.register_forward_hook(recorder.leave))
                    recorder.names[module] = name
            if watcher is not None:
                watcher.watch(x)
                contexts.enter_context(watcher)
            output = _run(model, x)
    return recorder.finished(), output


def _run(model: nn.Module, x: Tensor) -> Any:
    """Run the network; what torch says of a shape that does not fit becomes a message for the user."""
    try:
        return model(x)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise CnnError(
            f"the network cannot run on an input of shape {'x'.join(map(str, x.shape[1:]))}: {reason}"
        ) from error


def _without_weights(model: nn.Module) -> nn.Module:
    """Return a copy on the meta device, without hooks; no weight is copied on the way."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
        for buffer in module._buffers.values():
            if buffer is not None:
                memo[id(buffer)] = buffer.detach().to("meta")
        for hooks in HOOKS:
            memo[id(getattr(module, hooks))] = OrderedDict()
    return copy.deepcopy(model, memo)


class _Recorder:
    """Forward hooks that write the rows."""

    def __init__(self, flow: Flow, watcher: Watcher | None) -> None:
        self.flow, self.watcher = flow, watcher
        self.names: dict[nn.Module, str] = {}
        self.rows: list[LayerRow] = []
        self._open: list[int] = []  # multiply-adds before each layer that is running
        self._inner: list[int] = []  # multiply-adds of the layers inside it
        self._counted: set[int] = set()  # parameters that a row has

    def enter(self, module: nn.Module, args: Any) -> None:
        self._open.append(self.flow.multiply_adds)
        self._inner.append(0)
        if self.watcher is not None:
            self.watcher.enter()

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        row = self._row(module, output)
        if row is not None:
            self.rows.append(row)
        if self.watcher is not None:
            self.watcher.leave(row)

    def _row(self, module: nn.Module, output: Any) -> LayerRow | None:
        spent = self.flow.multiply_adds - self._open.pop()
        own = spent - self._inner.pop()
        if self._inner:
            self._inner[-1] += spent
        tensors = [out for out in tree_leaves(output) if isinstance(out, Tensor)]
        if not tensors:
            return None
        axes = self.flow.axes(tensors[0])
        new = [p for p in module.parameters(recurse=False) if id(p) not in self._counted]
        self._counted.update(map(id, new))
        return LayerRow(
            name=self.names[module],
            kind=type(module).__name__,
            output_shape=tuple(tensors[0].shape[1:]),
            kernel=_numbers(module, "kernel_size"),
            stride=_numbers(module, "stride"),
            padding=_setting(module, "padding"),
            parameters=sum(p.numel() for p in new),
            multiply_adds=own,
            receptive_field=None if axes is None else tuple(axis.field for axis in axes),
        )

    def finished(self) -> list[LayerRow]:
        """Return the rows, with one more for products that no layer with a name of its own has computed."""
        rest = self.flow.multiply_adds - total(self.rows).multiply_adds
        if rest:
            self.rows.append(LayerRow("(between the layers)", "", (), None, None, None, 0, rest, None))
        return self.rows


def _numbers(module: nn.Module, name: str) -> tuple[int, ...] | None:
    value = _setting(module, name)
    return value if isinstance(value, tuple) else None


def _setting(module: nn.Module, name: str) -> tuple[int, ...] | str | None:
    """Return kernel size, stride or padding of a convolution or pooling, one number per spatial axis."""
    kind = type(module).__name__
    value = getattr(module, name, None)
    if value is None or not ("Conv" in kind or "Pool" in kind):
        return None
    return (value,) * int(kind[-2]) if isinstance(value, int) and kind[-2:] in ("1d", "2d", "3d") else value
