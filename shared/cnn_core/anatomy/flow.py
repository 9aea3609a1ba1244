"""Follow receptive fields and multiply-adds through a network, operation by operation.

Works below the modules, on the operations that torch really runs, so that additions, concatenations and functional
calls count like layers do. The tensors are on the meta device: shapes without numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from cnn_core.anatomy.receptive_field import ReceptiveField

aten = torch.ops.aten


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a map: how many cells it has and what they see."""

    field: ReceptiveField
    cells: int


Axes = tuple[Axis, ...]


def _per_axis(value: int | list[int], axes: int) -> list[int]:
    """Spread an operation's setting over the axes; 1-D poolings run as 2-D ones and carry one number too many."""
    values = [value] if isinstance(value, int) else list(value)
    return (values * axes if len(values) == 1 else values)[-axes:]


def _window(axes: Axes, out: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Axes:
    n = len(axes)
    settings = zip(*(_per_axis(value, n) for value in (kernel, stride or kernel, padding, dilation)), strict=True)
    return tuple(
        Axis(axis.field.through(k, stride=s, padding=p, dilation=d), cells)
        for axis, cells, (k, s, p, d) in zip(axes, out.shape[-n:], settings, strict=True)
    )


def _convolution(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    _, weight, _, stride, padding, dilation, transposed, *_ = args
    kernel = list(weight.shape[2:])
    if not transposed:
        return _window(axes, out, kernel, stride, padding, dilation)
    n = len(axes)
    settings = zip(kernel, *(_per_axis(value, n) for value in (stride, padding, dilation)), strict=True)
    return tuple(
        Axis(axis.field.through_transposed(k, stride=s, padding=p, dilation=d), cells)
        for axis, cells, (k, s, p, d) in zip(axes, out.shape[2:], settings, strict=True)
    )


def _filled(args: tuple[Any, ...], *defaults: int | None) -> list[Any]:
    """Return what follows the first argument of an operation, with `defaults` for what is left out."""
    return [*args[1:], *defaults[len(args) - 1 :]]


def _pooling(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    kernel, stride, padding, *_ = _filled(args, None, None, None)
    return _window(axes, out, kernel, stride, padding or 0)


def _max_pooling(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    kernel, stride, padding, dilation, *_ = _filled(args, None, None, 0, 1)
    return _window(axes, out, kernel, stride, padding or 0, dilation or 1)


def _adaptive(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    """Windows from `floor(i n / m)` to `ceil((i + 1) n / m)`: the widest one, and their mean distance."""
    result = []
    for axis, m in zip(axes, out.shape[-len(axes) :], strict=True):
        n, field = axis.cells, axis.field
        widest = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
        result.append(
            Axis(
                ReceptiveField(field.size + (widest - 1) * field.stride, field.stride * Fraction(n, m), field.start), m
            )
        )
    return tuple(result)


def _aligned(x: Tensor, axes: Axes) -> bool:
    """Tell whether the last axes of `x` are the spatial ones; a reshaping can have turned them into something else."""
    return tuple(x.shape[-len(axes) :]) == tuple(axis.cells for axis in axes)


def _joined(a: Axis, b: Axis) -> Axis:
    """Return what an operation on two maps sees; one with a single cell is spread over the other and has no stride."""
    field = a.field.merged(b.field)
    if a.cells != b.cells:
        field = replace(field, stride=max(a, b, key=lambda axis: axis.cells).field.stride)
    return Axis(field, max(a.cells, b.cells))


def _everything(axes: Axes) -> Axes:
    """Every output depends on every cell, as in a dense layer."""
    return tuple(Axis(axis.field.through(axis.cells, stride=axis.cells), 1) for axis in axes)


def _reduction(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    x, dim = args[0], args[1] if len(args) > 1 else None
    n = len(axes)
    reduced = {d % x.ndim for d in ([dim] if isinstance(dim, int) else dim or range(x.ndim))}
    spatial = range(x.ndim - n, x.ndim)
    return tuple(_everything((axis,))[0] if d in reduced else axis for d, axis in zip(spatial, axes, strict=True))


def _padding(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    before = [0] * len(axes)
    for i, cells in enumerate(args[1][::2][: len(axes)]):  # the last axis comes first
        before[-1 - i] = cells
    return tuple(
        Axis(axis.field.shifted(-cells), size)
        for axis, cells, size in zip(axes, before, out.shape[-len(axes) :], strict=True)
    )


def _slicing(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    x = args[0]
    dim, start, _, step = _filled(args, 0, None, None, 1)
    which = dim % x.ndim - (x.ndim - len(axes))
    if which < 0:
        return axes
    first = start or 0
    first = min(first + x.shape[dim] if first < 0 else first, x.shape[dim])
    changed = Axis(axes[which].field.shifted(first, step=step), out.shape[dim])
    return (*axes[:which], changed, *axes[which + 1 :])


def _interpolation(neighbours: int) -> Callable[[Axes, Tensor, tuple[Any, ...]], Axes]:
    def rule(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
        return tuple(
            Axis(axis.field.upsampled(Fraction(cells, axis.cells), neighbours=neighbours), cells)
            for axis, cells in zip(axes, out.shape[2:], strict=True)
        )

    return rule


def _dense(axes: Axes, out: Tensor, args: tuple[Any, ...]) -> Axes:
    return _everything(axes)


RULES: dict[Any, Callable[[Axes, Tensor, tuple[Any, ...]], Axes]] = {
    aten.convolution: _convolution,
    **dict.fromkeys([aten.max_pool2d_with_indices, aten.max_pool3d_with_indices], _max_pooling),
    **dict.fromkeys([aten.avg_pool2d, aten.avg_pool3d], _pooling),
    **dict.fromkeys(
        [aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d, aten.adaptive_max_pool2d, aten.adaptive_max_pool3d],
        _adaptive,
    ),
    **dict.fromkeys([aten.mm, aten.addmm, aten.bmm, aten.baddbmm], _dense),
    **dict.fromkeys([aten.mean, aten.sum, aten.amax, aten.amin], _reduction),
    **dict.fromkeys(
        [aten.constant_pad_nd]
        + [getattr(aten, f"{kind}_pad{d}d") for kind in ("reflection", "replication") for d in (1, 2, 3)],
        _padding,
    ),
    aten.slice: _slicing,
    **dict.fromkeys([aten.upsample_nearest1d, aten.upsample_nearest2d, aten.upsample_nearest3d], _interpolation(1)),
    **dict.fromkeys([aten.upsample_linear1d, aten.upsample_bilinear2d, aten.upsample_trilinear3d], _interpolation(2)),
    aten.upsample_bicubic2d: _interpolation(4),
}


def multiply_adds(operation: Any, args: tuple[Any, ...], out: Tensor) -> int:
    """Return the products that a convolution or matrix product adds up; other operations count as 0.

    The count behind the figures of papers and of torchvision: biases, normalisation, activations and pooling are left
    out. Convolution: cells out * in_channels / groups * out_channels * cells of the kernel.
    """
    if operation is aten.convolution:
        x, weight, transposed = args[0], args[1], args[6]
        maps = x if transposed else out
        return maps.numel() * weight.shape[1] * prod(weight.shape[2:])
    if operation in (aten.mm, aten.bmm):
        return out.numel() * args[0].shape[-1]
    if operation in (aten.addmm, aten.baddbmm):
        return out.numel() * args[1].shape[-1]
    return 0


def _batch_norm(args: tuple[Any, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return batch normalisation's shapes; torch works them out by running its formula, which takes most of a trace."""
    x = args[0]
    return torch.empty_like(x), x.new_empty(0), x.new_empty(0)


class Flow(TorchDispatchMode):
    """While active, notes for every tensor what its cells see of the tensors given to `watch`, and adds up the cost."""

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0
        self._axes: dict[int, Axes] = {}
        self._alive: list[Tensor] = []  # keeps every tensor, so that no id is used twice; meta tensors weigh nothing

    def watch(self, x: Tensor) -> None:
        """Take `x` [B, C, *S] as the input whose pixels are counted."""
        self._note(x, tuple(Axis(ReceptiveField(), cells) for cells in x.shape[2:]))

    def axes(self, x: Tensor) -> Axes | None:
        """Return what is known of `x`: one entry per spatial axis, or None if it does not depend on the input."""
        return self._axes.get(id(x))

    def _note(self, x: Tensor, axes: Axes) -> None:
        self._axes[id(x)] = axes
        self._alive.append(x)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        # A plain tensor that a module holds as an attribute stays behind when the module goes to the meta device.
        args, kwargs = tree_map(
            lambda a: a.to("meta") if isinstance(a, Tensor) and a.device.type != "meta" else a, (args, kwargs or {})
        )
        before = self._merged([a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)])
        result = _batch_norm(args) if func is aten.native_batch_norm.default else func(*args, **kwargs)
        outs = [out for out in tree_leaves(result) if isinstance(out, Tensor)]
        operation = func.overloadpacket
        if outs:
            self.multiply_adds += multiply_adds(operation, args, outs[0])
        if before is not None:
            rule = RULES.get(operation)
            if rule in (None, _dense) or _aligned(args[0], before):
                after = [before if rule is None else rule(before, out, args) for out in outs]
            else:
                after = [_everything(before)] * len(outs)
            for out, axes in zip(outs, after, strict=True):
                self._note(out, axes)
        return result

    def _merged(self, tensors: list[Tensor]) -> Axes | None:
        """Return the fields of an operation's inputs taken together."""
        known = [axes for axes in map(self.axes, tensors) if axes is not None]
        if not known:
            return None
        merged = known[0]
        for axes in known[1:]:
            merged = tuple(_joined(a, b) for a, b in zip(merged, axes, strict=True))
        return merged
