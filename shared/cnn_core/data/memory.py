"""One epoch of one process, and the batches of a set that is held in memory, on the training device.

Sets of this repository are small next to main memory: CIFAR-10 is 150 MB as bytes. Keeping the bytes on the device and
turning a whole batch into floats at once is several times faster than a DataLoader with one sample at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.data.augment import apply, apply_with_mask, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.errors import CnnError
from cnn_core.nn.dims import channels_last


@dataclass(frozen=True)
class EpochContext:
    """One epoch of one process: its number, its source of randomness, and its share of every batch.

    The generator is the same in all processes: draw for the whole batch, then keep `[rank::world]`.
    """

    epoch: int
    generator: torch.Generator
    rank: int = 0
    world: int = 1


def take_share(count: int, context: EpochContext) -> slice:
    """Return the part of a batch of `count` samples that belongs to this process.

    A batch with fewer samples than there are processes (what is left of a set) is computed by all of them.
    """
    return slice(context.rank, count, context.world) if count >= context.world else slice(count)


class MemoryBatches:
    """Shuffled, augmented, normalised batches of a set held in memory.

    Args:
        inputs: [N, C, *S] uint8, or floats in the range 0 to 1, on the device they are used on.
        targets: [N] int64, or masks [N, *S] of whole numbers, which move with their inputs; on the same device.
        batch_size: samples per batch over all processes.
        normalize: float batch of range 0 to 1 -> network input.
        augment: what may be changed at random.

    Raises:
        CnnError: inputs and targets differ in number.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        normalize: Callable[[Tensor], Tensor],
        augment: AugmentConfig,
    ) -> None:
        if len(inputs) != len(targets):
            raise CnnError(f"every input needs one target, got {len(inputs)} inputs and {len(targets)} targets")
        if targets.ndim > 1 and targets.shape[1:] != inputs.shape[2:]:
            raise CnnError(
                f"masks must be as large as their inputs, {list(inputs.shape[2:])}, got {list(targets.shape)}"
            )
        self.inputs, self.targets = inputs, targets
        self.batch_size = min(batch_size, max(1, len(inputs)))
        self.normalize, self.augment = normalize, augment

    def __len__(self) -> int:
        """Return the number of full batches; the rest of an epoch, a different one each time, is left out."""
        return len(self.inputs) // self.batch_size

    def epoch(self, context: EpochContext) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process' share of each batch: inputs [B, C, *S] float32 channels-last, targets [B] or [B, *S]."""
        order = torch.randperm(len(self.inputs), generator=context.generator)
        size = tuple(self.inputs.shape[2:])
        for step in range(len(self)):
            indices = order[step * self.batch_size : (step + 1) * self.batch_size]
            draws = draw(
                self.augment,
                size,
                count=len(indices),
                generator=context.generator,
                indices=indices,
                epoch=context.epoch,
            )
            share = take_share(len(indices), context)
            mine = indices[share].to(self.inputs.device)
            x, targets = as_unit(self.inputs[mine]), self.targets[mine]
            if targets.ndim > 1:
                x, targets = apply_with_mask(x, targets.long(), draws[share], self.augment)
            else:
                x = apply(x, draws[share], self.augment)
            yield channels_last(self.normalize(x)), targets


def as_unit(x: Tensor) -> Tensor:
    """Return bytes as float32 in the range 0 to 1; floats are taken to be in it."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x.float()
