"""The one preprocessing: from any scan to the network's input, as written in the weights card."""

from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal

import torch
from torch import Tensor

from cnn_core.weights.contract import Contract

MAX_PATCH = 2**24  # cells of a patch
SAMPLE = 2**20  # voxels that a scan's own scale is taken from


@dataclass(frozen=True)
class VolumeContract(Contract):
    """How a scan becomes the network's input; stored as `input` in the weights card.

    Args:
        dims: 2: axial slices one by one, 3: volumes.
        spacing: mm along X, Y, Z that scans are resampled to, in 2-D along X and Y only; None: as it is.
        low: intensities below are raised to it (HU for a CT); it becomes 0 on the unit scale.
        high: those above are lowered to it; it becomes 1.
        mean: of the training set on the unit scale; becomes 0 for the network.
        std: likewise; becomes 1.
        own_scale: intensities have no common unit (MR): low and high are shares of each scan's own intensities, 0 to 1.
        patch: `dims` edges in voxels: what the network was trained on, and the window that slides.
        centre: for cubes cut out around what is looked for: where it lies on average, in voxels from the middle of the
            cube. The network then sees one patch around this point, and how far each voxel is from it. None: scans of
            any content.
        flips: axes that the scan is mirrored along to average the answers.
        keep: what is left of each label: "all", its "largest" connected piece, or the piece that lies "central".
        modality: of the training set, "CT" or another; "" unknown.
        usual_spacing: mm along X, Y, Z of the median training scan, where `spacing` is None; it changes no input, but
            answers say when a scan is far from it. None: unknown.
    """

    dims: Literal[2, 3]
    low: float
    high: float
    mean: float
    std: float
    patch: tuple[int, ...]
    spacing: tuple[float, float, float] | None = None
    own_scale: bool = False
    centre: tuple[float, float, float] | None = None
    flips: tuple[int, ...] = ()
    keep: Literal["all", "largest", "central"] = "all"
    modality: str = ""
    usual_spacing: tuple[float, float, float] | None = None

    def problems(self) -> list[str]:
        found = []
        if self.dims not in (2, 3) or isinstance(self.dims, bool):
            return [f"dims: expected 2 or 3, got {self.dims!r}"]
        numbers = (self.low, self.high, self.mean, self.std)
        if not all(_is_number(value) for value in numbers):
            found.append(f"low, high, mean, std: expected four numbers, got {numbers!r:.80}")
        elif not (self.low < self.high and self.std > 0):
            found.append(f"expected low < high and std > 0, got {self.low:g}, {self.high:g}, {self.std:g}")
        patch = self.patch
        if not _is_tuple(patch, self.dims, lambda n: type(n) is int and n >= 1):
            found.append(f"patch: expected {self.dims} whole numbers of at least 1, got {patch!r:.80}")
        elif prod(patch) > MAX_PATCH:
            found.append(f"patch: expected at most {MAX_PATCH:,} voxels, got {patch}")
        if not found and self.own_scale and not 0 <= self.low < self.high <= 1:
            found.append(f"low, high: expected shares from 0 to 1, got {self.low:g}, {self.high:g}")
        for name in ("spacing", "usual_spacing"):
            lengths = getattr(self, name)
            if lengths is not None and not _is_tuple(lengths, 3, lambda n: _is_number(n) and 1e-3 <= n <= 1e3):
                found.append(f"{name}: expected three lengths from 0.001 to 1000 mm, got {lengths!r:.80}")
        if self.centre is not None and not (
            self.dims == 3 and _is_tuple(self.centre, 3, lambda n: _is_number(n) and abs(n) <= 1000)
        ):
            found.append(f"centre: expected three offsets in voxels, of a 3-D network, got {self.centre!r:.80}")
        flips = self.flips
        axes = range(self.dims)
        if not isinstance(flips, tuple) or not all(n in axes for n in flips) or len({*flips}) < len(flips):
            found.append(f"flips: expected different axes from 0 to {self.dims - 1}, got {flips!r:.80}")
        if self.keep not in ("all", "largest", "central"):
            found.append(f"keep: expected all, largest or central, got {self.keep!r:.80}")
        if not isinstance(self.modality, str) or not isinstance(self.own_scale, bool):
            found.append("modality: expected a text; own_scale: true or false")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, without a `usual_spacing` that is not known: older cards have none."""
        values = super().to_json()
        return {name: value for name, value in values.items() if name != "usual_spacing" or value is not None}

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: the intensity, and with `centre` the distance from it."""
        return 1 if self.centre is None else 2

    @property
    def window(self) -> tuple[int, int, int]:
        """The patch as a block of a volume; in 2-D one slice thick."""
        return (*self.patch, 1) if self.dims == 2 else self.patch

    def ends(self, voxels: Tensor) -> tuple[float, float]:
        """Return the intensities that become 0 and 1: those of the set, or the scan's own quantiles."""
        if not self.own_scale:
            return self.low, self.high
        flat = voxels.flatten()
        sample = flat[:: -(-len(flat) // SAMPLE)].float()
        low, high = (float(torch.quantile(sample, share)) for share in (self.low, self.high))
        return low, max(high, low + 1e-6)

    def unit(self, voxels: Tensor, ends: tuple[float, float] | None = None) -> Tensor:
        """Return intensities on the scale from 0 to 1, float32 of the same shape.

        Args:
            voxels: of one scan, or of a part of one scan, HU for a CT.
            ends: what `ends` returned for the whole scan; None: computed from `voxels`.
        """
        low, high = self.ends(voxels) if ends is None else ends
        return voxels.float().clamp(low, high).sub_(low).div_(high - low)

    def inputs(self, x: Tensor) -> Tensor:
        """Return the network's inputs for patches on the unit scale: `[B, 1, *S] -> [B, in_channels, *S]`."""
        x = (x - self.mean) / self.std
        if self.centre is None:
            return x
        return torch.cat([x, self.distance(tuple(x.shape[2:]), x.device).expand_as(x)], dim=1)

    def distance(self, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
        """Return how far each cell of a patch of `shape` is from its middle, [*shape], 1 at half the first edge."""
        axes = [torch.arange(edge, device=device) - (edge - 1) / 2 for edge in shape]
        grids = torch.meshgrid(*axes, indexing="ij")
        return sum(grid**2 for grid in grids).sqrt() / (self.patch[0] / 2)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_tuple(values: object, length: int, fits: Any) -> bool:
    return isinstance(values, tuple) and len(values) == length and all(map(fits, values))
