"""A split of pictures with boxes."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnn_core.data.fits import Placement
from cnn_core.data.images import read_image
from cnn_core.errors import DataError
from object_detection.contract import BoxContract, to_input
from object_detection.losses import NOTHING

SPLITS = ("train", "val", "train+val", "test")
MEMORY_SHARE = 0.5  # of the machine's memory that the pictures of a training may take
READERS = min(8, os.cpu_count() or 1)


class Fits(Protocol):
    """What a network takes, see `BoxContract.fit`."""

    def fit(self, picture: Image.Image) -> tuple[Tensor, Placement]: ...


@dataclass(frozen=True)
class Truth:
    """What is in one picture.

    Args:
        boxes: float32 [M, 4] in pixels of the picture: left, top, right, bottom; a pixel covers [x, x + 1).
        classes: int64 [M].
        ignored: bool [M]: not learned, and neither right nor wrong where it is found (crowds, "difficult").
    """

    boxes: Tensor
    classes: Tensor
    ignored: Tensor

    @classmethod
    def of(cls, boxes: Sequence[Sequence[float]], classes: Sequence[int], ignored: Sequence[bool] = ()) -> "Truth":
        """Make one of plain numbers; without `ignored` every box counts."""
        return cls(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(classes, dtype=torch.int64),
            torch.tensor(list(ignored) or [False] * len(classes), dtype=torch.bool),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class BoxSet:
    """One split of a set of pictures with boxes.

    Args:
        name: of the set, as in `DATA_SETS`, or the folder's path.
        split: one of `SPLITS`, or "all".
        labels: the K class names; class k means `labels[k]`.
        pictures: N files, or pictures where they are drawn.
        truths: N.
        files: N names to show in reports.
    """

    name: str
    split: str
    labels: tuple[str, ...]
    pictures: Sequence[Path | Image.Image] = field(repr=False)
    truths: Sequence[Truth] = field(repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.pictures)

    def item_name(self, index: int) -> str:
        return self.files[index] if self.files else f"{self.split}/{index}"

    def subset(self, indices: Sequence[int] | np.ndarray, split: str) -> "BoxSet":
        """Return the pictures at `indices`, in that order, as a split."""
        places = [int(i) for i in indices]
        return replace(
            self, split=split, pictures=[self.pictures[i] for i in places], truths=[self.truths[i] for i in places],
            files=tuple(self.files[i] for i in places) if self.files else (),
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Return class -> boxes that count."""
        each = (
            torch.cat([t.classes[~t.ignored] for t in self.truths]) if len(self) else torch.empty(0, dtype=torch.long)
        )
        return dict(zip(self.labels, each.bincount(minlength=len(self.labels)).tolist(), strict=True))

    def inputs(self, contract: BoxContract) -> tuple[Tensor, list[Placement], list[tuple[int, int]]]:
        """Return all pictures as a detector takes them: uint8 [N, 3, H, W], where they lie, their (width, height)."""
        found = self.prepared(contract)
        views = torch.stack([view for view, *_ in found]) if found else torch.empty(0, 3, *contract.size).byte()
        return views, [placement for _, placement, _ in found], [size for *_, size in found]

    def prepared(self, contract: Fits) -> list[tuple[Tensor, Placement, tuple[int, int]]]:
        """Return what a contract makes of each picture, where it lies there, and its (width, height)."""
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(lambda place: self.input(place, contract), range(len(self))))

    def input(self, index: int, contract: Fits) -> tuple[Tensor, Placement, tuple[int, int]]:
        """Return one of `prepared`."""
        picture = self.picture(index)
        view, placement = contract.fit(picture)
        return view, placement, picture.size

    def picture(self, index: int) -> Image.Image:
        """Return a picture upright; DataError if it cannot be read."""
        source = self.pictures[index]
        # A JPEG may be decoded smaller, which would change its own size: the boxes are in pixels of the whole.
        return source if isinstance(source, Image.Image) else read_image(source)


def check_memory(sets: Mapping[str, BoxSet], size: Sequence[int]) -> None:
    """Raise DataError if the pictures of splits, brought to an input of `size` (H, W), do not fit into memory.

    The message names the edge that would.
    """
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    limit = MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    count = sum(map(len, sets.values()))
    need = 3.0 * count * size[0] * size[1]
    if need > limit:
        name, edge = next(iter(sets.values())).name, int(max(size) * (limit / need) ** 0.5)
        raise DataError(
            f"{name}: {count:,} pictures at {size[1]} x {size[0]} pixels take {need / 2**30:.1f} GB, half of this "
            f"machine's memory is {limit / 2**30:.1f} GB; choose --height and --width of at most {edge}"
        )


def as_batch(truths: Sequence[Truth], placements: Sequence[Placement]) -> tuple[Tensor, Tensor]:
    """Return what is learned: boxes in pixels of the input, [N, M, 4], and classes, [N, M], `NOTHING` where none is."""
    most = max((int((~truth.ignored).sum()) for truth in truths), default=0)
    boxes, classes = torch.zeros(len(truths), most, 4), torch.full((len(truths), most), NOTHING)
    for row, (truth, placement) in enumerate(zip(truths, placements, strict=True)):
        kept = ~truth.ignored
        count = int(kept.sum())
        boxes[row, :count] = to_input(truth.boxes[kept], placement)
        classes[row, :count] = truth.classes[kept]
    return boxes, classes
