"""Random patches of volumes that are held in memory, some of them around labelled cells.

Most of a scan is background; patches drawn uniformly would seldom show the target. As in nnU-Net (Isensee et
al. 2021, doi:10.1038/s41592-020-01008-z), a part of the samples is centred on a cell of a random class.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.data.augment import apply_with_mask, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.memory import EpochContext, as_unit, take_share
from cnn_core.errors import CnnError
from cnn_core.nn.dims import channels_last, last_axes
from medical_segmentation.metrics import IGNORED

REMEMBERED = 10_000  # cells of each class in each volume that patches may be centred on


class PatchBatches:
    """Random, augmented, normalised patches with their masks; what an epoch holds follows from its generator alone.

    Args:
        volumes: each [C, *S], of any size, on the device they are used on; uint8, or floats in the range 0 to 1.
        masks: each [*S], whole numbers, on the same device; 0 is background.
        patch: spatial size of the patches; smaller volumes are surrounded by zeros.
        batch_size: patches per batch over all processes.
        steps: batches per epoch.
        normalize: float batch of range 0 to 1 -> network input.
        augment: what may be changed at random.
        foreground: probability that a patch is centred on a labelled cell: of a random volume that has any, of a random
            one of its classes. 0: all patches are uniform.
        margin: cells cut on every side beyond the patch, augmented and taken off again, so that rotation and shift
            bring in real cells.

    Raises:
        CnnError: volumes and masks do not fit each other, or a setting is out of range; all that is wrong is listed.
    """

    def __init__(
        self,
        volumes: Sequence[Tensor],
        masks: Sequence[Tensor],
        *,
        patch: Sequence[int],
        batch_size: int,
        steps: int,
        normalize: Callable[[Tensor], Tensor],
        augment: AugmentConfig,
        foreground: float = 0.33,
        margin: int = 0,
    ) -> None:
        self.volumes, self.masks = list(volumes), list(masks)
        self.patch, self.batch_size, self.steps = tuple(patch), batch_size, steps
        self.normalize, self.augment, self.foreground, self.margin = normalize, augment, foreground, margin
        problems = self._problems()
        if problems:
            raise CnnError(f"patches: {'; '.join(problems)}")
        self.cells = [_labelled(mask) for mask in self.masks]
        self.labelled = [i for i, cells in enumerate(self.cells) if cells]

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.steps

    def epoch(self, context: EpochContext) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process' share of each batch: [B, C, *patch] float32 channels-last, masks [B, *patch] int64."""
        share = take_share(self.batch_size, context)
        size = tuple(edge + 2 * self.margin for edge in self.patch)
        middle = last_axes(slice(self.margin, self.margin + edge) for edge in self.patch)
        for step in range(self.steps):
            places = [self._place(context.generator) for _ in range(self.batch_size)]
            indices = torch.arange(step * self.batch_size, (step + 1) * self.batch_size)
            draws = draw(
                self.augment,
                size,
                count=self.batch_size,
                generator=context.generator,
                indices=indices,
                epoch=context.epoch,
            )
            mine = places[share]
            x = torch.stack([as_unit(_cut(self.volumes[i], start, size, self.margin)) for i, start in mine])
            mask = torch.stack([_cut(self.masks[i], start, size, self.margin) for i, start in mine])
            x, mask = apply_with_mask(x, mask, draws[share], self.augment)
            yield channels_last(self.normalize(x[middle])), mask[middle].long()

    def _place(self, generator: torch.Generator) -> tuple[int, list[int]]:
        """Draw a volume and the first cell of a patch in it."""
        focused = bool(torch.rand((), generator=generator) < self.foreground)  # drawn even where nothing is labelled
        if not (focused and self.labelled):
            i = _integer(len(self.volumes), generator)
            room = [s - p for s, p in zip(self.masks[i].shape, self.patch, strict=True)]
            return i, [min(0, r) + _integer(abs(r) + 1, generator) for r in room]
        i = self.labelled[_integer(len(self.labelled), generator)]
        of_class = self.cells[i][_integer(len(self.cells[i]), generator)]
        flat = int(of_class[_integer(len(of_class), generator)])
        start: list[int] = []
        for edge, patch in zip(reversed(self.masks[i].shape), reversed(self.patch), strict=True):
            flat, cell = divmod(flat, edge)
            low, high = min(0, edge - patch), max(0, edge - patch)
            start.insert(0, min(max(cell - patch // 2, low), high))
        return i, start

    def _problems(self) -> list[str]:
        problems = []
        if not self.volumes or len(self.volumes) != len(self.masks):
            problems.append(
                f"expected one or more volumes and a mask for each, got {len(self.volumes)} and {len(self.masks)}"
            )
        for i, (volume, mask) in enumerate(zip(self.volumes, self.masks, strict=False)):
            if volume.shape[1:] != mask.shape or mask.ndim != len(self.patch) or 0 in volume.shape:
                problems.append(
                    f"volume {i}: expected [C, *S] and a mask [*S] with {len(self.patch)} axes and cells in each, got "
                    f"{list(volume.shape)} and {list(mask.shape)}"
                )
            elif volume.shape[0] != self.volumes[0].shape[0]:
                problems.append(f"volume {i}: {volume.shape[0]} channels, the first one has {self.volumes[0].shape[0]}")
            if volume.dtype != torch.uint8 and not volume.is_floating_point():
                problems.append(f"volume {i}: expected uint8, or floats in the range 0 to 1, got {volume.dtype}")
            if mask.is_floating_point() or mask.is_complex():
                problems.append(f"mask {i}: expected whole numbers, got {mask.dtype}")
        if min(self.patch, default=0) < 1:
            problems.append(f"patch: expected sizes of at least 1, got {list(self.patch)}")
        for name, least in (("batch_size", 1), ("steps", 1), ("margin", 0)):
            if getattr(self, name) < least:
                problems.append(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if not 0 <= self.foreground <= 1:
            problems.append(f"foreground: expected a probability, got {self.foreground}")
        return problems


def _labelled(mask: Tensor) -> list[Tensor]:
    """Return the flat positions of each class above 0, at most REMEMBERED of each, evenly spread, on the CPU."""
    flat = mask.flatten()
    positions = []
    for label in flat.unique().tolist():
        if 0 < label != IGNORED:
            cells = (flat == label).nonzero().flatten()
            if len(cells) > REMEMBERED:
                cells = cells[
                    torch.linspace(0, len(cells) - 1, REMEMBERED, dtype=torch.float64).long().to(cells.device)
                ]
            positions.append(cells.cpu())
    return positions


def _cut(x: Tensor, start: Sequence[int], size: Sequence[int], margin: int) -> Tensor:
    """Cut [..., *size] that begins `margin` cells before `start`; zeros where there is nothing."""
    index: list[slice] = []
    pad: list[int] = []
    edges = x.shape[x.ndim - len(size) :]
    for first, length, edge in zip(start, size, edges, strict=True):
        begin, end = first - margin, first - margin + length
        index.append(slice(max(0, begin), max(0, min(edge, end))))
        pad = [max(0, -begin), max(0, end - edge), *pad]
    x = x[last_axes(index)]
    return F.pad(x, pad) if any(pad) else x


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
