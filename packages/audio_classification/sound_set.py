"""A split of labelled sounds, whole in memory as 16-bit samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from audio_classification.contract import SoundContract
from audio_classification.reading import heard_in, is_silent

SPLITS = ("train", "val", "train+val", "test")
FULL = 32768  # full scale of 16-bit samples


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

    Silent windows do not count in the mean of a sound; `heard` (bool [W]) tells which do. A sound that is silent
    altogether has nothing else, and there all count.
    """

    def __init__(self, sounds: SoundSet, contract: SoundContract) -> None:
        self._waves, self._contract = sounds.waves, contract
        starts = [contract.starts(len(wave), heard_in(wave, full=FULL)) for wave in sounds.waves]
        self._starts = [start for of_one in starts for start in of_one]
        self.owner = torch.repeat_interleave(torch.arange(len(starts)), torch.tensor([*map(len, starts)]).long())
        heard = [self._audible(wave, of_one) for wave, of_one in zip(self._waves, starts, strict=True)]
        self.heard = torch.tensor([value for of_one in heard for value in of_one], dtype=torch.bool)

    def _audible(self, wave: np.ndarray, starts: list[int]) -> list[bool]:
        if len(starts) == 1:
            return [True]
        length = self._contract.samples
        heard = [not is_silent(wave[max(0, start) : start + length], full=FULL) for start in starts]
        return heard if any(heard) else [True] * len(starts)

    def __len__(self) -> int:
        return len(self._starts)

    def rows(self, index: Tensor) -> Tensor:
        """Return windows: `int64 [B] -> float32 [B, samples]`, from -1 to 1."""
        cuts = [
            self._contract.cut(torch.from_numpy(self._waves[owner]), self._starts[i])
            for i, owner in zip(index.tolist(), self.owner[index].tolist(), strict=True)
        ]
        return torch.stack(cuts).float() / FULL

    def mean_of_each(self, values: Tensor) -> Tensor:
        """Return the mean over the windows of every sound in which something is heard: `[W, K] -> [N, K]`."""
        count, owner = len(self._waves), self.owner[self.heard]
        heard = values[self.heard.to(values.device)]
        total = values.new_zeros(count, values.shape[1]).index_add_(0, owner.to(values.device), heard)
        return total / torch.bincount(owner, minlength=count).to(values.device)[:, None]

    def silent_said(self) -> tuple[str, ...]:
        """Return a sentence on the silent windows, if there are any."""
        silent = int((~self.heard).sum())
        if not silent:
            return ()
        return (f"{silent:,} of {len(self):,} windows are silent and do not count in the mean of a sound",)
