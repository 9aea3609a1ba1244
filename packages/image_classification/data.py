"""The picture sets by name, their official layouts and splits; custom pictures are a folder (see `folder`).

Splits: "test" is the official test set. "train" and "val" divide the official training set (stratified, fixed seed), so
that nothing is ever tuned on the test set; "train+val" is the official training set, whole and in its own order.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnn_core.data.classes.division import SplitOptions
from cnn_core.data.paths import custom_path
from cnn_core.data.sets import DataSet, find_set, missing_set
from cnn_core.data.splits import hold_out
from cnn_core.data.summary import DataSummary, class_counts
from cnn_core.errors import DataError, unknown_name
from cnn_core.weights.members import Members
from image_classification.download import get_cifar10, get_clothing, get_mnist_like
from image_classification.image_set import SPLITS, Channels, Fit, ImageSet
from image_classification.readers import read_cifar10, read_mnist_like

if TYPE_CHECKING:
    from image_classification.preprocess import InputContract

log = logging.getLogger(__name__)

SPLIT_SEED = 20240501  # any number; changing it changes every validation split and the digits' held-out third
VAL_FRACTION = 0.1
DIGITS_TEST_FRACTION = 1 / 3
CUSTOM_SIZE = (64, 64)  # (H, W) in pixels of custom pictures, unless a size is given


@dataclass(frozen=True, kw_only=True)
class PictureSet(DataSet):
    """A named set: what its pictures are, and how it is read.

    Args:
        labels: the K class names.
        counts: official numbers of training and test pictures.
        read: (set, its folder, official part "train" | "test") -> uint8 [N, C, H, W], int64 [N]; None: the set is a
            tree of class folders, divided by its publisher and read like a user's own pictures.
    """

    labels: tuple[str, ...]
    counts: tuple[int, int]
    read: Callable[[DataSet, Path, str], tuple[Tensor, Tensor]] | None = field(repr=False)


@dataclass(frozen=True)
class PictureData:
    """Splits of a set, what there is to know of them, and content hashes of a user's own pictures by split."""

    sets: dict[str, ImageSet]
    summary: DataSummary
    members: Members = field(default_factory=dict, repr=False)


def load_set(
    name_or_path: str | os.PathLike[str],
    *,
    split: str,
    size: int | tuple[int, int] | None = None,
    channels: Channels | None = None,
    fit: "Fit | InputContract" = "crop",
    data_root: str | os.PathLike[str] | None = None,
) -> ImageSet:
    """Load one split of a named set, or of a user's own pictures; see `load_data`."""
    return load_data(
        name_or_path, splits=(split,), size=size, channels=channels, fit=fit, data_root=data_root
    ).sets[split]  # fmt: skip


def load_data(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    size: int | tuple[int, int] | None = None,
    channels: Channels | None = None,
    fit: "Fit | InputContract" = "crop",
    data_root: str | os.PathLike[str] | None = None,
    options: SplitOptions | None = None,
) -> PictureData:
    """Load splits of a named set, or of a user's own pictures (see `folder`); every picture is read once.

    Args:
        name_or_path: a name of `DATA_SETS`, or a path. Write a folder with the name of a set as `./digits`.
        splits: some of `SPLITS`, see the module.
        size: edge or (H, W) of the returned pictures; None: the set's own size (folders: 64).
        channels: 1 (grey) or 3 (RGB); None: the set's own (folders: 3, or what `fit` needs).
        fit: how pictures of another size are fitted to `size`, see `InputContract`; or the contract of a network that
            is to take them, for everything but size and channels where these are given.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.
        options: how a user's own pictures are labelled and divided.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing (the message names the folder and the command that gets it) or damaged.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    if channels not in (None, 1, 3):
        raise DataError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    size = _pair(size)
    known = find_set(DATA_SETS, name_or_path)
    if known is None:
        return _load_custom(name_or_path, splits, size=size, channels=channels, fit=fit, options=options)
    if options is not None and options != SplitOptions():
        flags = "--test, --groups, --group-column and --label-column"
        raise DataError(f"{known.name} comes divided and labelled; {flags} are for a folder of your own pictures")
    folder = known.path(data_root)
    if known.read is None:
        if not folder.is_dir():
            raise missing_set(known, folder)
        return _load_custom(folder, splits, size=size, channels=channels, fit=fit, options=None)
    parts = {part: _read(known, folder, part) for part in {_part(split) for split in splits}}
    loaded = {}
    for split in splits:
        whole = replace(parts[_part(split)], split=split)
        if split in ("train", "val"):
            train, val = hold_out(whole.targets.numpy(), [VAL_FRACTION], seed=SPLIT_SEED)
            whole = whole.subset(train if split == "train" else val)
        loaded[split] = _fit(whole, size or whole.size, channels=channels or whole.channels, fit=fit)
    classes = class_counts(known.labels, {split: part.targets.tolist() for split, part in loaded.items()})
    counts = {split: len(part) for split, part in loaded.items()}
    return PictureData(loaded, DataSummary(known.name, "pictures", counts, classes, divided="as published"))


def _part(split: str) -> str:
    """Return the official part that a split is made from."""
    return "test" if split == "test" else "train"


def _read(known: PictureSet, folder: Path, part: str) -> ImageSet:
    if known.read is None:
        raise ValueError(f"{known.name} is read as a folder")
    images, targets = known.read(known, folder, part)
    official = known.counts[part == "test"]
    if len(images) != official:
        log.warning("%s: %d %s pictures, the official set has %d", known.name, len(images), part, official)
    return ImageSet(known.name, part, known.labels, images, targets)


def few_of_each(targets: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Return the ascending indices of `count` items of each class, or of all where a class has fewer."""
    random = np.random.RandomState(seed)
    members = [random.permutation(np.flatnonzero(targets == label))[:count] for label in np.unique(targets)]
    return np.sort(np.concatenate(members))


def _load_custom(
    path: str | os.PathLike[str],
    splits: Sequence[str],
    *,
    size: tuple[int, int] | None,
    channels: Channels | None,
    fit: "Fit | InputContract",
    options: SplitOptions | None,
) -> PictureData:
    custom_path(path, DATA_SETS, expected="a folder (or zip) with one subfolder per class")
    from image_classification.folder import load_folder  # imports Pillow, which named sets do not need
    from image_classification.preprocess import OBJECT_FITS

    channels = channels or (1 if fit in OBJECT_FITS else 3)
    contract = _contract(size or CUSTOM_SIZE, channels, fit)
    data = load_folder(path, contract, splits=splits, options=options or SplitOptions())
    return PictureData(data.sets, data.summary, data.members)


def _fit(image_set: ImageSet, size: tuple[int, int], *, channels: Channels, fit: "Fit | InputContract") -> ImageSet:
    """Convert a set to another size or channel count, picture by picture, exactly as prediction does."""
    cut = not isinstance(fit, str) and fit.crop_share < 1
    if (size, channels) == (image_set.size, image_set.channels) and not cut:
        return image_set
    contract = _contract(size, channels, fit)
    images = torch.stack([contract.to_uint8(image) for image in image_set.images])
    return replace(image_set, images=images)


def _contract(size: tuple[int, int], channels: Channels, fit: "Fit | InputContract") -> "InputContract":
    """Return a contract for the pixels alone, of no mean and deviation."""
    from image_classification.preprocess import InputContract

    if isinstance(fit, str):
        return InputContract(channels=channels, size=size, fit=fit)
    return InputContract(channels, size, fit=fit.fit, box=fit.box, crop_share=fit.crop_share)


def _pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise DataError(f"size must be in 1..4096 pixels, got {size}")
    return height, width


def _read_digits(_: DataSet, __: Path, part: str) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]  # [N, 1, 8, 8], 0..16 -> 0..255
    rest, held = hold_out(bunch.target, [DIGITS_TEST_FRACTION], seed=SPLIT_SEED)
    chosen = held if part == "test" else rest
    return torch.from_numpy(images[chosen]), torch.from_numpy(bunch.target[chosen].astype(np.int64))


def _official(name: str, folder: str, *, read: Callable[..., tuple[Tensor, Tensor]], **about: Any) -> PictureSet:
    """Return a set that can be downloaded."""
    summary = "{:,} training and {:,} test pictures"

    def count(place: Path) -> str:
        return summary.format(*(len(read(DATA_SETS[name], place, part)[0]) for part in ("train", "test")))

    return PictureSet(
        name=name, folder=folder, read=read, count=count, official=summary.format(*about["counts"]), **about
    )


def _count_photos(folder: Path) -> str:
    """Say how many photos a tree of class folders has in its three parts."""
    counts = {name: sum(1 for _ in (folder / name).glob("*/*.jp*g")) for name in ("train", "validation", "val", "test")}
    if not all((counts["train"], counts["validation"] + counts["val"], counts["test"])):
        raise missing_set(DATA_SETS["clothing"], folder)
    return PHOTOS.format(counts["train"], counts["validation"] + counts["val"], counts["test"])


PHOTOS = "{:,} training, {:,} validation and {:,} test photos"
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TEN = tuple("0123456789")

DATA_SETS: dict[str, PictureSet] = {
    entry.name: entry
    for entry in (
        PictureSet(
            name="digits",
            description="handwritten digits of UCI, embedded in scikit-learn; the test split is our fixed third",
            licence="CC BY 4.0", labels=TEN, counts=(1198, 599), read=_read_digits,
        ),
        _official(
            "mnist", "MNIST/raw", description="handwritten digits, LeCun et al. 1998", licence="CC BY-SA 3.0",
            labels=TEN, counts=(60_000, 10_000), read=read_mnist_like, get=partial(get_mnist_like, class_name="MNIST"),
        ),
        _official(
            "fashion_mnist", "FashionMNIST/raw",
            description="pictures of clothes from a shop's catalogue, Xiao et al. 2017", licence="MIT", labels=CLOTHES,
            counts=(60_000, 10_000), read=read_mnist_like, get=partial(get_mnist_like, class_name="FashionMNIST"),
        ),
        _official(
            "cifar10", "cifar-10-batches-bin",
            description="small photos of animals and vehicles, Krizhevsky 2009; binary version",
            licence="none stated; research use", labels=CIFAR10, counts=(50_000, 10_000), read=read_cifar10,
            get=get_cifar10,
        ),
        PictureSet(
            name="clothing", folder="clothing", description="photos of clothes that people took, Grigorev 2020",
            licence="CC0", counts=(3068, 372), read=None, get=get_clothing, count=_count_photos,
            official=PHOTOS.format(3068, 341, 372), labels=("dress", "hat", "longsleeve", "outwear", "pants", "shirt",
                                                            "shoes", "shorts", "skirt", "t-shirt"),
        ),
    )
}  # fmt: skip
