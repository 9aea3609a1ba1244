"""From a network and a volume to a mask, a probability map and an uncertainty map, by MONAI's sliding windows.

`monai.inferers.sliding_window_inference` holds the scores of the whole volume, with `buffer_steps` too: of five labels
and 512 x 512 x 300 voxels 2.2 GB, of 62 labels 20 GB. Here it is called for one row of windows after the other along
the last axis, and a row's scores are handed out as soon as no later row reaches them. The result is that of one call,
since the weights of a window are the product of a Gaussian along each axis.
"""

import math
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError, unknown_name
from cnn_core.nn.dims import channels_last, last_axes

MAPS = ("foreground", "confidence", "entropy")
SIGMA = 0.125  # of the Gaussian, as a part of the window's edge
PIECE = 2**24  # scores that maps are made of at once: 64 MiB


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


Observer = Callable[[Advance], bool | None]


@dataclass(frozen=True)
class Windows:
    """How a volume goes through a network."""

    size: tuple[int, int, int]  # voxels of a window
    overlap: float = 0.25  # part of the window that two neighbours share
    flips: tuple[int, ...] = ()  # axes; the scores are averaged over every combination of mirroring them
    whole: int = 0  # volumes of at most this many voxels go through in one piece, which is several times cheaper
    pad_value: float = 0.0  # around a volume that is smaller than the window

    def starts(self, edge: int, axis: int) -> list[int]:
        """Return where windows begin along an axis, as MONAI lays them: the last one moved back to the edge."""
        window = self.size[axis]
        last, step = max(0, edge - window), max(1, int(window * (1 - self.overlap)))
        return [min(start, last) for start in range(0, last + step, step)] if last else [0]


@dataclass(frozen=True)
class Segmentation:
    """The mask and the maps of a volume; maps that were not requested are None."""

    mask: Tensor  # [X, Y, Z] uint8, the most probable label
    classes: int = 0  # K of the network; 0: unknown
    foreground: Tensor | None = None  # [X, Y, Z] float16: probability that it is not label 0
    confidence: Tensor | None = None  # [X, Y, Z] float16: probability of the label in the mask
    entropy: Tensor | None = None  # [X, Y, Z] float16: 0 certain ... 1 all labels alike


def segment(
    model: nn.Module,
    x: Tensor,
    windows: Windows,
    *,
    maps: Sequence[str] = (),
    progress: Observer | None = None,
) -> Segmentation:
    """Segment one volume; besides it and the result, the scores of one row of windows are held.

    Args:
        model: `[1, 1, *window] -> [1, K, *window]` with 2 to 256 labels; it is put into evaluation mode.
        x: [X, Y, Z], any numbers.
        windows: see Windows.
        maps: any of "foreground", "confidence", "entropy".
        progress: called after every forward pass; returning False ends it.

    Raises:
        CnnError: the network does not have 2 to 256 labels, or returns another size.
        StoppedError: `progress` returned False.
    """
    for name in maps:
        if name not in MAPS:
            raise unknown_name("map", name, MAPS)
    mask = torch.empty(x.shape, dtype=torch.uint8)
    made = {name: torch.empty(x.shape, dtype=torch.float16) for name in MAPS if name in maps}
    classes = 0
    with torch.inference_mode():
        for first, scores in scores_in_rows(model, x, windows, progress=progress):
            classes = len(scores)
            step = max(1, PIECE // scores[..., 0].numel())
            for begin in range(0, scores.shape[-1], step):
                part = scores[..., begin : begin + step]
                place = (..., slice(first + begin, first + begin + part.shape[-1]))
                mask[place] = most_probable(part)
                for name, values in _maps(part, made).items():
                    made[name][place] = values.to(torch.float16)
    return Segmentation(mask, classes, **made)


def scores_in_rows(
    model: nn.Module, x: Tensor, windows: Windows, *, progress: Observer | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first plane, scores [K, X, Y, planes] float32) in order along the last axis, each plane once.

    Arguments and errors are those of `segment`.
    """
    network = _Network(model, x.shape, windows, progress)
    if network.whole:
        room = [max(0, window - edge) for window, edge in zip(windows.size, x.shape, strict=True)]
        pad = [part for more in reversed(room) for part in (more // 2, more - more // 2)]
        scores = network(F.pad(x[None, None].float(), pad, value=windows.pad_value))[0].to(x.device)
        yield 0, scores[last_axes(slice(m // 2, m // 2 + edge) for m, edge in zip(room, x.shape, strict=True))]
        return
    from monai.inferers import sliding_window_inference  # four seconds, and a scan that fits does without

    *in_plane, bell = gaussians(windows.size)
    weights = torch.outer(*in_plane)[..., None].expand(windows.size)
    edge, starts = windows.size[2], windows.starts(x.shape[2], 2)
    kept: tuple[Tensor, Tensor] | None = None  # what the rows before say of planes that this one reaches too
    for first, following in zip(starts, [*starts[1:], None], strict=True):
        row = sliding_window_inference(
            x[None, None, ..., first : first + edge].float(), windows.size, 1, network, overlap=windows.overlap,
            roi_weight_map=weights, cval=windows.pad_value, sw_device=network.device, device=x.device,
        )[0]  # fmt: skip
        weight = bell[: row.shape[-1]].clone()
        row *= weight
        if kept is not None:
            before, before_weight = kept
            row[..., : before.shape[-1]] += before
            weight[: len(before_weight)] += before_weight
        done = row.shape[-1] if following is None else following - first
        kept = row[..., done:].clone(), weight[done:]
        yield first, row[..., :done].div_(weight[:done])


def gaussians(window: Sequence[int]) -> list[Tensor]:
    """Return the weights along each axis of a window: a bell of an eighth of the edge, as MONAI's "gaussian"."""
    from monai.data.utils import compute_importance_map

    return [compute_importance_map((edge,), mode="gaussian", sigma_scale=SIGMA) for edge in window]


class _Network:
    """Passes windows through the network, averages over mirror images, and reports the progress."""

    def __init__(self, model: nn.Module, shape: Sequence[int], windows: Windows, progress: Observer | None) -> None:
        self.model, self.progress = model.eval(), progress
        self.whole = math.prod(map(max, shape, windows.size)) <= windows.whole
        counts = [len(windows.starts(edge, axis)) for axis, edge in enumerate(shape)]
        self.total = 1 if self.whole else math.prod(counts)
        axes = [2 + axis for axis in windows.flips]
        self.views = [view for n in range(len(axes) + 1) for view in combinations(axes, n)]
        self.device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        self.done, self.started = 0, time.perf_counter()

    def __call__(self, window: Tensor) -> Tensor:
        """Return scores: `[1, 1, *window] -> [1, K, *window]` float32."""
        window = window.to(self.device)
        total = self._scores(window, self.views[0])
        for view in self.views[1:]:
            total.add_(self._scores(window, view))
        self.done += 1
        advance = Advance(self.done, self.total, time.perf_counter() - self.started)
        if self.progress is not None and self.progress(advance) is False:
            raise StoppedError(f"stopped after {self.done} of {self.total} windows, as requested")
        return total.div_(len(self.views))

    def _scores(self, window: Tensor, view: tuple[int, ...]) -> Tensor:
        """Return the network's scores of a window that is mirrored along the axes of `view`, mirrored back."""
        scores = self.model(channels_last(window.flip(view) if view else window))
        if scores.shape[2:] != window.shape[2:] or not 2 <= scores.shape[1] <= 256:
            size = list(window.shape[2:])
            raise CnnError(f"expected scores of 2 to 256 classes for {size} voxels, got {list(scores.shape)}")
        return scores.float().flip(view) if view else scores.float()


class WithMirrors(nn.Module):
    """A network whose scores are averaged over mirror images, as predictions are: for export.

    `[B, C, *S] -> [B, K, *S]`, or `[B, K]` where `masks` is False.

    Args:
        network: the network.
        axes: of S, every combination of which is mirrored.
        masks: its scores are mirrored back.
    """

    def __init__(self, network: nn.Module, axes: Sequence[int], *, masks: bool = True) -> None:
        super().__init__()
        self.network, self.masks = network, masks
        places = [2 + axis for axis in axes]
        self.views = [view for n in range(len(places) + 1) for view in combinations(places, n)]

    def forward(self, x: Tensor) -> Tensor:
        total = self.network(x)
        for view in self.views[1:]:
            scores = self.network(x.flip(view))
            total = total + (scores.flip(view) if self.masks else scores)
        return total / len(self.views)


def most_probable(scores: Tensor) -> Tensor:
    """Return the label with the highest score, the first of equal ones: `[K, *S] -> uint8 [*S]`."""
    if len(scores) == 2:  # takes a tenth of argmax along the first axis
        return (scores[1] > scores[0]).to(torch.uint8)
    return scores.argmax(0).to(torch.uint8)


def _maps(scores: Tensor, wanted: Container[str]) -> dict[str, Tensor]:
    """Compute the wanted maps of scores [K, *S]."""
    maps: dict[str, Tensor] = {}
    if not any(name in wanted for name in MAPS):
        return maps
    log_probs = scores.log_softmax(0)
    probabilities = log_probs.exp()
    if "foreground" in wanted:
        maps["foreground"] = 1 - probabilities[0]
    if "confidence" in wanted:
        maps["confidence"] = probabilities.amax(0)
    if "entropy" in wanted:
        maps["entropy"] = probabilities.mul_(log_probs).sum(0).neg_().div_(math.log(len(scores)))
    return maps
