"""One epoch as a process sees it: what its batches are drawn with, and which part of each is its own."""

from dataclasses import dataclass

import torch


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
