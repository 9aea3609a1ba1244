"""Sliding-window inference that holds one moving slab of scores instead of the whole volume.

Equal to `monai.inferers.sliding_window_inference` where the settings agree. Windows are visited plane by plane along
one axis; as soon as no later window reaches a plane, its scores are divided by their weights and handed out.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.data.memory import channels_last
from cnn_core.errors import CnnError
from cnn_core.inference.windows import SLAB_VALUES, Layout, WindowConfig, importance, lay_out
from cnn_core.nn.dims import last_axes
from cnn_core.nn.precision import checked_autocast


class StoppedError(CnnError):
    """The caller's progress function returned False."""


@dataclass(frozen=True)
class Advance:
    """How far an inference is."""

    done: int  # windows
    total: int
    seconds: float

    @property
    def fraction(self) -> float:
        """Part that is done, 0 to 1."""
        return self.done / self.total

    @property
    def seconds_left(self) -> float:
        """Estimate from the mean time per window."""
        return self.seconds / max(1, self.done) * (self.total - self.done)


@dataclass(frozen=True)
class Slab:
    """Finished scores: those of the planes `begin` to `end` of the input along `axis`."""

    axis: int  # spatial axis, 0 to n - 1
    begin: int
    end: int
    scores: Tensor  # [B, K, *S] float32, as long as end - begin along the axis

    def place(self, axes: int) -> tuple[slice, ...]:
        """Return the index of the slab in an array [*S] that has `axes` axes before the spatial ones."""
        return (*[slice(None)] * (axes + self.axis), slice(self.begin, self.end))


Observer = Callable[[Advance], bool | None]


def sliding_window(model: nn.Module, x: Tensor, config: WindowConfig, *, progress: Observer | None = None) -> Tensor:
    """Return the blended scores of the whole input: `[B, C, *S] -> [B, K, *S]` float32, on the device of `x`.

    Raises:
        CnnError: as `slabs`.
        StoppedError: `progress` returned False.
    """
    found = slabs(model, x, config, progress=progress, values=sys.maxsize)
    slab = next(found)
    if slab.end - slab.begin == x.shape[2 + slab.axis]:
        return slab.scores
    scores = slab.scores.new_empty(*slab.scores.shape[:2], *x.shape[2:])
    scores[slab.place(2)] = slab.scores
    for slab in found:
        scores[slab.place(2)] = slab.scores
    return scores


def slabs(
    model: nn.Module,
    x: Tensor,
    config: WindowConfig,
    *,
    axis: int | None = None,
    values: int = SLAB_VALUES,
    progress: Observer | None = None,
) -> Iterator[Slab]:
    """Yield finished slabs of scores in order along one axis; together they are the whole input, each plane once.

    At any time the scores of one window thickness are held (`windows.held_bytes`), on the device of `x`; windows go to
    the device of the model. The model is put into evaluation mode.

    Args:
        model: `[B, C, *window] -> [B, K, *window]`.
        x: [B, C, *S], any number format; windows of it become float32.
        config: windows, overlap, blending, flips, budget.
        axis: the axis to go along; None: the one for which the least is held.
        values: most scores in one slab; a slab has at least one plane.
        progress: called after every forward pass; returning False ends the iteration.

    Raises:
        CnnError: the settings do not fit the input, or the model answers with another size.
        StoppedError: `progress` returned False.
    """
    if x.ndim < 3:
        raise CnnError(f"sliding window: expected an input [B, C, *S], got {list(x.shape)}")
    if not len(x):
        raise CnnError("sliding window: the batch is empty")
    layout = lay_out(x.shape[2:], config, axis=axis)
    return _slabs(_Runner(model, x, config, layout, progress), layout, values)


def _slabs(runner: "_Runner", layout: Layout, values: int) -> Iterator[Slab]:
    axis, window = layout.axis, layout.window
    if layout.count == 1:  # nothing to blend
        for _, scores in runner(layout.rows()[0][1]):
            for begin, end in _parts(scores, axis, scores.shape[2 + axis], values):
                yield from _cut(scores.narrow(2 + axis, begin, end - begin).to(runner.x.device), begin, layout)
        return
    weight = importance(window, runner.config.blend, device=runner.x.device)
    rows = layout.rows()
    total = weight.new_zeros(0)  # until the first scores tell how many classes there are
    weights = weight.new_zeros(_with(layout.padded, axis, window[axis]))
    for i, (first, corners) in enumerate(rows):
        for corner, scores in runner(corners):
            if not len(total):
                total = weights.new_zeros(*scores.shape[:2], *weights.shape)
            place = _place(_with(corner, axis, 0), window)
            total[last_axes(place)] += scores.to(weight.device) * weight
            weights[place] += weight
        finished = rows[i + 1][0] - first if i + 1 < len(rows) else window[axis]
        for begin, end in _parts(total, axis, finished, values):
            part = total.narrow(2 + axis, begin, end - begin) / weights.narrow(axis, begin, end - begin)
            yield from _cut(part, first + begin, layout)
        _move_on(total, 2 + axis, finished)
        _move_on(weights, axis, finished)


def _parts(scores: Tensor, axis: int, planes: int, values: int) -> Iterator[tuple[int, int]]:
    """Cut `planes` planes of `scores` [B, K, *S] into pieces of at most `values` numbers."""
    step = max(1, values * scores.shape[2 + axis] // scores.numel())
    for begin in range(0, planes, step):
        yield begin, min(planes, begin + step)


def _place(corner: Sequence[int], window: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + edge) for start, edge in zip(corner, window, strict=True))


def _move_on(x: Tensor, axis: int, finished: int) -> None:
    """Drop the first `finished` planes along `axis`, in place, and put as many empty ones behind the rest."""
    rest = x.shape[axis] - finished
    for begin in range(0, rest, finished):  # pieces that do not overlap what they are copied over
        count = min(finished, rest - begin)
        x.narrow(axis, begin, count).copy_(x.narrow(axis, begin + finished, count))
    x.narrow(axis, rest, finished).zero_()


def _cut(scores: Tensor, first: int, layout: Layout) -> Iterator[Slab]:
    """Take the padding off scores that begin at plane `first` of the padded input; nothing if they are all padding."""
    axis, offset = layout.axis, layout.before[layout.axis] - first
    begin = max(0, -offset)
    end = min(layout.size[axis], scores.shape[2 + axis] - offset)
    if begin < end:
        index = [slice(b, b + edge) for b, edge in zip(layout.before, layout.size, strict=True)]
        index[axis] = slice(begin + offset, end + offset)
        yield Slab(axis, begin, end, scores[last_axes(index)])


def _with(size: tuple[int, ...], axis: int, edge: int) -> tuple[int, ...]:
    """Return `size` with another number at `axis`."""
    return (*size[:axis], edge, *size[axis + 1 :])


class _Runner:
    """Passes windows through the network, a batch at a time, and tells how far it is."""

    def __init__(
        self, model: nn.Module, x: Tensor, config: WindowConfig, layout: Layout, progress: Observer | None
    ) -> None:
        self.model, self.x, self.config, self.layout, self.progress = model.eval(), x, config, layout, progress
        parameter = next(model.parameters(), None)
        self.device = x.device if parameter is None else parameter.device
        self.done, self.started = 0, time.perf_counter()

    def __call__(self, corners: list[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """Yield (corner, scores [B, K, *window] float32) for every window."""
        for i in range(0, len(corners), self.config.batch):
            group = corners[i : i + self.config.batch]
            scores = self._scores(torch.cat([self._window(corner) for corner in group]))
            self.done += len(group)
            yield from zip(group, scores.split(len(self.x)), strict=True)
            del scores
            if self.progress is not None:
                advance = Advance(self.done, self.layout.count, time.perf_counter() - self.started)
                if self.progress(advance) is False:
                    raise StoppedError(f"stopped after {self.done} of {self.layout.count} windows, as asked")

    def _window(self, corner: tuple[int, ...]) -> Tensor:
        """Cut one window out of the input, padded where it reaches over the edge."""
        index: list[slice] = []
        pad: list[int] = []
        for start, edge, size, before in zip(
            corner, self.layout.window, self.layout.size, self.layout.before, strict=True
        ):
            begin, end = start - before, start - before + edge
            index.append(slice(max(0, begin), min(size, end)))
            pad = [max(0, -begin), max(0, end - size), *pad]
        window = self.x[last_axes(index)].to(self.device, torch.float32)
        return F.pad(window, pad, value=self.config.pad_value) if any(pad) else window

    @torch.no_grad()
    def _scores(self, windows: Tensor) -> Tensor:
        """Average the network's scores over the asked mirror images: [b, C, *window] -> [b, K, *window]."""
        axes = [2 + axis for axis in self.config.flips]
        views = [view for n in range(len(axes) + 1) for view in combinations(axes, n)]
        total = self._scores_of(windows, views[0])
        for view in views[1:]:
            total.add_(self._scores_of(windows, view))
        return total if len(views) == 1 else total.div_(len(views))

    def _scores_of(self, windows: Tensor, view: tuple[int, ...]) -> Tensor:
        """Return the network's scores of windows that are mirrored along the axes of `view`, mirrored back."""
        with self._precision():
            scores = self.model(channels_last(windows.flip(view) if view else windows))
        if not isinstance(scores, Tensor) or scores.shape[2:] != windows.shape[2:] or len(scores) != len(windows):
            got = list(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise CnnError(f"sliding window: expected scores [{len(windows)}, K, *{self.layout.window}], got {got}")
        return scores.float().flip(view) if view else scores.float()

    def _precision(self) -> AbstractContextManager[object]:
        if self.config.precision == "float32":
            return nullcontext()
        return checked_autocast(self.device.type, getattr(torch, self.config.precision))
