"""Where windows lie in a picture or volume, and how much each of their cells counts; the rules are MONAI's."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from typing import Literal

import torch
from torch import Tensor

from cnn_core.errors import CnnError

SLAB_VALUES = 2**24  # scores that are yielded at once by default: 64 MiB
SMALLEST_WEIGHT = 1e-3  # of a corner under the Gaussian, so that every cell gets an answer


@dataclass(frozen=True)
class WindowConfig:
    """How an input larger than the training patches goes through a network.

    Inputs of at most `whole` cells go through in one piece, which is several times cheaper than overlapping windows.
    """

    window: tuple[int, ...]  # *S of a window: the patch that the network was trained on
    overlap: float = 0.25  # fraction of the window that two neighbours share
    batch: int = 1  # windows per forward pass
    blend: Literal["gaussian", "constant"] = "gaussian"  # weight of a window's cells: high in the middle, or all alike
    flips: tuple[int, ...] = ()  # spatial axes; the scores are averaged over every combination of mirroring them
    whole: int = 0  # inputs of at most this many cells go through in one piece
    pad_value: float = 0.0  # around an input that is smaller than the window
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the network's arithmetic

    def problems(self) -> list[str]:
        """Return a sentence for everything that cannot be used."""
        found = []
        if not 1 <= len(self.window) <= 3 or min(self.window) < 1:
            found.append(f"window: expected one to three sizes of at least 1, got {list(self.window)}")
        if not 0 <= self.overlap < 1:
            found.append(f"overlap: expected a fraction from 0 to below 1, got {self.overlap}")
        if self.batch < 1:
            found.append(f"batch: expected at least 1 window, got {self.batch}")
        if self.blend not in ("gaussian", "constant"):
            found.append(f"blend: expected gaussian or constant, got {self.blend!r}")
        if self.precision not in ("float32", "bfloat16", "float16"):
            found.append(f"precision: expected float32, bfloat16 or float16, got {self.precision!r}")
        if len(set(self.flips)) != len(self.flips) or not set(self.flips) <= set(range(len(self.window))):
            found.append(f"flips: expected different axes below {len(self.window)}, got {list(self.flips)}")
        if self.whole < 0:
            found.append(f"whole: expected 0 or more cells, got {self.whole}")
        return found


@dataclass(frozen=True)
class Layout:
    """Windows over one input; positions count from the first cell of the padded input."""

    size: tuple[int, ...]  # of the input
    padded: tuple[int, ...]  # at least the window along every axis
    before: tuple[int, ...]  # cells added in front of the input
    window: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]  # per axis, ascending
    axis: int  # windows are visited along this one; what lies behind them is finished

    @property
    def count(self) -> int:
        """Number of windows."""
        return prod(map(len, self.starts))

    def rows(self) -> list[tuple[int, list[tuple[int, ...]]]]:
        """Return (start along `axis`, corners of all windows there), ascending."""
        others = [starts if i != self.axis else (None,) for i, starts in enumerate(self.starts)]
        return [
            (first, [tuple(first if s is None else s for s in corner) for corner in product(*others)])
            for first in self.starts[self.axis]
        ]


def lay_out(size: Sequence[int], config: WindowConfig, *, axis: int | None = None) -> Layout:
    """Lay windows over an input of `size`: steps of `window * (1 - overlap)`, the last one moved back to the edge.

    Args:
        size: *S.
        config: window, overlap, and the budget for going through in one piece.
        axis: the axis that windows advance along; None: the one for which the least has to be held at once.

    Raises:
        CnnError: the settings cannot be used, or the input has another number of axes or no cells.
    """
    size, problems = tuple(size), config.problems()
    if not problems and len(size) != len(config.window):
        problems.append(f"expected an input with {len(config.window)} axes, as the window has, got {list(size)}")
    if not problems and axis is not None and not 0 <= axis < len(size):
        problems.append(f"axis: expected 0 to {len(size) - 1}, got {axis}")
    if not problems and 0 in size:
        problems.append(f"the input is empty: {list(size)}")
    if problems:
        raise CnnError(f"sliding window: {'; '.join(problems)}")
    padded = tuple(map(max, size, config.window))
    before = tuple((p - s) // 2 for p, s in zip(padded, size, strict=True))
    window = padded if prod(padded) <= config.whole else config.window
    starts = tuple(_starts(p, w, config.overlap) for p, w in zip(padded, window, strict=True))
    if axis is None:
        axis = min(range(len(size)), key=lambda a: window[a] / padded[a])
    return Layout(size, padded, before, window, starts, axis)


def _starts(edge: int, window: int, overlap: float) -> tuple[int, ...]:
    step = window if window == edge else max(1, int(window * (1 - overlap)))
    return tuple(min(start, edge - window) for start in range(0, edge - window + step, step))


def importance(window: Sequence[int], blend: str, *, device: torch.device | None = None) -> Tensor:
    """Return the weight of each cell of a window: [*window] float32.

    "gaussian": a bell about the middle with a standard deviation of an eighth of each edge, at least 0.001.
    """
    if blend == "constant":
        return torch.ones(*window, device=device)
    bells = []
    for edge in window:
        distance = torch.arange(edge, dtype=torch.float32, device=device) - (edge - 1) / 2
        bells.append(torch.exp(-(distance**2) / (2 * (edge / 8) ** 2)))
    return reduce(lambda a, b: a.unsqueeze(-1) * b, bells).clamp_(min=SMALLEST_WEIGHT)


def held_bytes(layout: Layout, *, channels: int, num_classes: int, batch: int = 1) -> int:
    """Return about how many bytes `slabs` and `segment` hold besides the input, the maps and the network's own memory.

    The moving slab of float32 scores and weights, the finished slab with three numbers for each of its scores, and the
    windows of one pass with their scores twice.
    """
    plane = prod(layout.padded) // layout.padded[layout.axis]
    moving = plane * layout.window[layout.axis] * (num_classes + 1) if layout.count > 1 else 0
    finished = 4 * max(SLAB_VALUES, plane * num_classes)
    windows = batch * prod(layout.window) * (channels + 2 * num_classes)
    return 4 * (moving + finished + windows)
