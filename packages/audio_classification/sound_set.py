"""A split of labelled sounds, whole in memory as 16-bit samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

SPLITS = ("train", "val", "train+val", "test")


@dataclass(frozen=True)
class SoundSet:
    """One split of a labelled set of sounds, all at one rate.

    Args:
        name: of the set, as in `DATA_SETS`, or the folder's path.
        split: one of `SPLITS`, or "all".
        labels: the K class names; target k means `labels[k]`.
        rate: samples per second.
        waves: N arrays, int16 [T_i].
        targets: int64 [N] in 0..K-1.
        files: N names to show in reports.
        groups: N speakers or sources, which stay together in splits; empty: unknown.
    """

    name: str
    split: str
    labels: tuple[str, ...]
    rate: int
    waves: list[np.ndarray] = field(repr=False)
    targets: Tensor = field(repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    groups: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.waves)

    @property
    def seconds(self) -> np.ndarray:
        """The length of every sound: float64 [N]."""
        return np.array([len(wave) for wave in self.waves]) / self.rate

    def item_name(self, index: int) -> str:
        return self.files[index] if self.files else f"{self.split}/{index}"

    def subset(self, indices: Sequence[int] | np.ndarray, split: str) -> "SoundSet":
        """Return the sounds at `indices`, in that order, as a split."""
        places = [int(i) for i in indices]
        return replace(
            self, split=split, waves=[self.waves[i] for i in places], targets=self.targets[torch.tensor(places).long()],
            files=tuple(self.files[i] for i in places) if self.files else (),
            groups=tuple(self.groups[i] for i in places) if self.groups else (),
        )  # fmt: skip
