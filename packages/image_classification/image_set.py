"""A split of labelled pictures, whole in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cnn_core.errors import DataError

Channels = Literal[1, 3]  # grey, colour
Fit = Literal["crop", "pad", "stretch", "digit", "garment"]  # how a picture of another size is fitted

SPLITS = ("train", "val", "train+val", "test")


@dataclass(frozen=True)
class ImageSet:
    """One split of a labelled picture set, whole in memory.

    Args:
        name: of the set, as in `DATA_SETS`, or the folder's path.
        split: one of `SPLITS`.
        labels: the K class names; target k means `labels[k]`.
        images: uint8 [N, C, H, W].
        targets: int64 [N] in 0..K-1.
        files: N names to show in reports, or nothing where the set has no files (then the index is the name).
    """

    name: str
    split: str
    labels: tuple[str, ...]
    images: Tensor = field(repr=False)
    targets: Tensor = field(repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        images, targets = self.images, self.targets
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(f"{self.name}: expected uint8 images [N, C, H, W], got {images.dtype} {list(images.shape)}")
        if targets.dtype != torch.int64 or targets.shape != images.shape[:1]:
            raise DataError(
                f"{self.name}: expected {len(images)} int64 targets, got {targets.dtype} {list(targets.shape)}"
            )
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < len(self.labels):
            raise DataError(f"{self.name}: targets must be in 0..{len(self.labels) - 1}, for {len(self.labels)} labels")
        if self.files and len(self.files) != len(images):
            raise DataError(f"{self.name}: {len(self.files)} file names for {len(images)} images")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> Channels:
        count = self.images.shape[1]
        if count == 1:
            return 1
        if count == 3:
            return 3
        raise DataError(f"{self.name}: expected pictures with 1 or 3 channels, got {count}")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures."""
        return self.images.shape[2], self.images.shape[3]

    def item_name(self, index: int) -> str:
        """Return the file name of picture `index`, or "split/index" in a set without files."""
        return self.files[index] if self.files else f"{self.split}/{index}"

    def with_labels(self, labels: Sequence[str]) -> "ImageSet":
        """Return the same pictures with the same class names in another order."""
        if tuple(labels) == self.labels:
            return self
        place = torch.tensor([list(labels).index(label) for label in self.labels], dtype=torch.int64)
        return replace(self, labels=tuple(labels), targets=place[self.targets])

    def subset(self, indices: Tensor | np.ndarray) -> "ImageSet":
        """Return the pictures at `indices` (integers), in that order."""
        indices = torch.as_tensor(indices, dtype=torch.int64)
        files = tuple(self.files[i] for i in indices.tolist()) if self.files else ()
        return replace(self, images=self.images[indices], targets=self.targets[indices], files=files)
