"""A split of labelled sounds, whole in memory as 16-bit samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from audio_classification.contract import SoundContract

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


class Windows:
    """The inputs that sounds are heard in, cut when they are asked for: a long sound has several.

    Args:
        sounds: of which they are.
        contract: at the rate of `sounds`.
    """

    def __init__(self, sounds: SoundSet, contract: SoundContract) -> None:
        self._waves, self._contract = sounds.waves, contract
        starts = [contract.starts(len(wave)) for wave in sounds.waves]
        self._starts = [start for of_one in starts for start in of_one]
        self.owner = torch.repeat_interleave(torch.arange(len(starts)), torch.tensor([*map(len, starts)]).long())

    def __len__(self) -> int:
        return len(self._starts)

    def rows(self, index: Tensor) -> Tensor:
        """Return windows: `int64 [B] -> float32 [B, samples]`, from -1 to 1."""
        cuts = [
            self._contract.cut(torch.from_numpy(self._waves[owner]), self._starts[i])
            for i, owner in zip(index.tolist(), self.owner[index].tolist(), strict=True)
        ]
        return torch.stack(cuts).float() / 32768

    def mean_of_each(self, values: Tensor) -> Tensor:
        """Return the mean over the windows of every sound: `[W, K] -> [N, K]`."""
        count = len(self._waves)
        total = values.new_zeros(count, values.shape[1]).index_add_(0, self.owner.to(values.device), values)
        return total / torch.bincount(self.owner, minlength=count).to(values.device)[:, None]
