"""The preprocessing from any scan to the network's input, as written in the weights card."""

from collections.abc import Sequence
from math import prod
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from cnn_core.validation import Count, Positive
from cnn_core.weights.card import Contract, Tuple, contract

MAX_PATCH = 2**24  # cells of a patch
SAMPLE = 2**20  # voxels that a scan's own scale is taken from
FEWEST = 0.6  # of the usual pixels, from which on a scan is resampled; at 0.65 of them the answer is as good
ALIKE = 0.1  # spacings that differ less are not worth an interpolation

Length = Annotated[float, Field(ge=1e-3, le=1e3)]  # mm
Lengths = Annotated[tuple[Length, Length, Length], Tuple]
Offset = Annotated[float, Field(ge=-1000, le=1000)]  # voxels


@contract
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
        centre: for cubes cut out around the target: its average position, in voxels from the middle of the
            cube. The network then sees one patch around this point, and how far each voxel is from it. None: scans of
            any content.
        flips: axes that the scan is mirrored along to average the predictions.
        keep: what is left of each label: "all", its "largest" connected piece, the "central" piece, or
            the "lungs" (see `lungs`; for CT, with `body_pixels`).
        modality: of the training set, "CT" or another; "" unknown.
        usual_spacing: mm along X, Y, Z of the median training scan, where `spacing` is None because they are all alike;
            a scan that is not like them is resampled to it. None: unknown.
        usual_pixels: of a 2-D network, the pixels along an edge of the training slices, where their spacing is unknown
            (1 mm everywhere); a scan with far fewer or with more is resampled to so many. None: the spacing counts.
        usual_intensities: the 1 % and 99 % quantiles of the median training scan, HU for a CT, which tell whether a
            scan is of the same kind. None: unknown.
        body_pixels: of a 2-D network for CT: scans are shown without padding, table and air around the body, and the
            longer edge of the body has so many pixels, see `body`. None: as they are.
        plausible_ml: the smallest and largest volume of all that is labelled that a whole patient has. None: unknown.
        temperature: the scores are divided by it before they become probabilities, so that these are right as often as
            they say; fitted on validation cases.
        label_numbers: of each label, background first, its number in the mask files it was learned from, which masks
            of predictions hold too; empty: 0, 1, 2 ...
    """

    LATER = frozenset({
        "usual_spacing", "usual_pixels", "usual_intensities", "label_numbers", "body_pixels", "plausible_ml",
        "temperature",
    })  # fmt: skip

    dims: Literal[2, 3]
    low: float
    high: float
    mean: float
    std: Positive
    patch: Annotated[tuple[Count, ...], Tuple]
    spacing: Lengths | None = None
    own_scale: bool = False
    centre: Annotated[tuple[Offset, Offset, Offset], Tuple] | None = None
    flips: Annotated[tuple[int, ...], Tuple] = ()
    keep: Literal["all", "largest", "central", "lungs"] = "all"
    modality: str = ""
    usual_spacing: Lengths | None = None
    usual_pixels: Count | None = None
    usual_intensities: Annotated[tuple[float, float], Tuple] | None = None
    body_pixels: Annotated[int, Field(ge=16, le=4096)] | None = None
    plausible_ml: Annotated[tuple[float, float], Tuple] | None = None
    temperature: Positive = 1.0
    label_numbers: Annotated[tuple[Annotated[int, Field(ge=0, le=65535)], ...], Tuple] = ()

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        problems = []
        if not self.low < self.high:
            problems.append(f"expected low < high, got {self.low:g}, {self.high:g}")
        elif self.own_scale and not 0 <= self.low < self.high <= 1:
            problems.append(f"low, high: expected shares from 0 to 1, got {self.low:g}, {self.high:g}")
        if len(self.patch) != self.dims:
            problems.append(f"patch: expected {self.dims} edges, got {self.patch}")
        elif prod(self.patch) > MAX_PATCH:
            problems.append(f"patch: expected at most {MAX_PATCH:,} voxels, got {self.patch}")
        if self.centre is not None and self.dims != 3:
            problems.append(f"centre: is for 3-D networks, got dims {self.dims}")
        if not {*self.flips} <= {*range(self.dims)} or len({*self.flips}) < len(self.flips):
            problems.append(f"flips: expected different axes from 0 to {self.dims - 1}, got {self.flips}")
        if self.body_pixels is not None and (self.dims != 2 or self.own_scale or self.spacing is not None):
            problems.append("body_pixels: is for 2-D networks for CT without a spacing of their own")
        if self.keep == "lungs" and self.body_pixels is None:
            problems.append("keep: lungs are told apart in the body, so body_pixels is needed")
        if self.label_numbers and (self.label_numbers[0] != 0 or len({*self.label_numbers}) < len(self.label_numbers)):
            problems.append(f"label_numbers: expected 0 and different numbers, got {self.label_numbers}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def numbers_of(self, labels: int) -> tuple[int, ...]:
        """Return the number of each of `labels` labels in mask files, background first."""
        return self.label_numbers or tuple(range(labels))

    def working_spacing(
        self, spacing: tuple[float, float, float], shape: Sequence[int]
    ) -> tuple[float, float, float] | None:
        """Return the mm along X, Y, Z that a scan is resampled to; None: it stays as it is.

        A network knows sizes in voxels, so it is shown any scan in voxels of the size that it learned from, or, where
        that is unknown, with as many pixels across. Scans that are like those learned from stay as they are, as they
        did in training.

        Args:
            spacing: of the scan, in mm.
            shape: of the scan, in voxels.
        """
        wanted = self.spacing
        if wanted is None and self.usual_pixels is not None:
            edge = max(length * count for length, count in zip(spacing[:2], shape[:2], strict=True)) / self.usual_pixels
            if not all(1 / (1 + ALIKE) <= length / edge <= 1 / FEWEST for length in spacing[:2]):
                wanted = edge, edge, spacing[2]
        elif wanted is None and self.usual_spacing is not None:
            ratios = [length / usual for length, usual in zip(spacing, self.usual_spacing, strict=True)][: self.dims]
            if max(*ratios, *(1 / ratio for ratio in ratios)) > 1 + ALIKE:
                wanted = self.usual_spacing
        if wanted is None or self.dims == 3:
            return wanted
        return wanted[0], wanted[1], spacing[2]

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: the intensity, and with `centre` the distance from it."""
        return 1 if self.centre is None else 2

    @property
    def window(self) -> tuple[int, int, int]:
        """The patch as a block of a volume; in 2-D one slice thick."""
        return self.patch[0], self.patch[1], 1 if self.dims == 2 else self.patch[2]

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
        return sum((grid**2 for grid in grids), torch.zeros((), device=device)).sqrt() / (self.patch[0] / 2)
