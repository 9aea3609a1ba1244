"""The picture sets by name, their official layouts and splits; own pictures are a folder (see `folder`).

Splits: "test" is the official test set. "train" and "val" divide the official training set (stratified, fixed seed), so
that nothing is ever tuned on the test set; "train+val" is the official training set, whole and in its own order.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.data import files
from cnn_core.data.paths import own_path, user_path
from cnn_core.errors import DataError, unknown_name
from image_classification.download import get_cifar10, get_mnist_like
from image_classification.readers import check_labels, read_cifar, read_idx

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "train+val", "test")
SPLIT_SEED = 20240501  # any number; changing it changes every validation split and the digits' held-out third
VAL_FRACTION = 0.1
DIGITS_TEST_FRACTION = 1 / 3
OWN_SIZE = (64, 64)  # (H, W) in pixels of own pictures where nothing else is said


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
            raise DataError(
                f"{self.name}: targets must lie in 0..{len(self.labels) - 1}, for {len(self.labels)} labels"
            )
        if self.files and len(self.files) != len(images):
            raise DataError(f"{self.name}: {len(self.files)} file names for {len(images)} images")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures."""
        return self.images.shape[2], self.images.shape[3]

    def item_name(self, index: int) -> str:
        """Return the file name of picture `index`, or "split/index" in a set without files."""
        return self.files[index] if self.files else f"{self.split}/{index}"

    def subset(self, indices: Tensor | np.ndarray) -> "ImageSet":
        """Return the pictures at `indices` (integers), in that order."""
        indices = torch.as_tensor(indices, dtype=torch.int64)
        files = tuple(self.files[i] for i in indices.tolist()) if self.files else ()
        return replace(self, images=self.images[indices], targets=self.targets[indices], files=files)


@dataclass(frozen=True)
class DataSet:
    """One line of the table: what a set is, and how it is read.

    Args:
        folder: where its files lie under the data root; empty for a set that comes with the software.
        read: (data root, official part "train" | "test") -> uint8 [N, C, H, W], int64 [N].
        get: (folder, progress) -> downloads and unpacks it there; None for a set that comes with the software.
    """

    name: str
    description: str
    labels: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    counts: tuple[int, int]  # official numbers of training and test pictures
    licence: str
    folder: str
    read: Callable[[Path, str], tuple[Tensor, Tensor]] = field(repr=False)
    get: Callable[..., None] | None = field(default=None, repr=False)

    @property
    def how_to_get(self) -> str:
        """One line for lists and error messages."""
        return f"cnn data get {self.name}" if self.folder else "comes with the software"


def load_set(
    name_or_path: str | os.PathLike[str],
    *,
    split: str,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    box: float | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> ImageSet:
    """Load one split of a named set, or of a folder (or zip) of class folders; see `load_sets`."""
    return load_sets(
        name_or_path, splits=(split,), size=size, channels=channels, fit=fit, box=box, data_root=data_root
    )[split]  # fmt: skip


def load_sets(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    box: float | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> dict[str, ImageSet]:
    """Load splits of a named set, or of a folder (or zip) of class folders; every picture is read once.

    Args:
        name_or_path: a name of `DATA_SETS`, or a path. A folder that bears a set's name is written `./digits`.
        splits: some of `SPLITS`, see the module.
        size: edge or (H, W) that the pictures are brought to; None: the set's own size (folders: 64).
        channels: 1 (grey) or 3 (RGB); None: the set's own (folders: 3, or what `fit` needs).
        fit: how pictures of another size are brought to `size`, see `InputContract`.
        box: of the fits "digit" and "garment", likewise.
        data_root: where the sets lie; None: `CNN_DATA_DIR` or the platform's user data folder.

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
    known = DATA_SETS.get(str(name_or_path).replace("-", "_"))
    if known is None:
        return _load_own(name_or_path, splits, size=size, channels=channels, fit=fit, box=box)
    root = _root(data_root) if known.folder else Path()
    parts = {part: _read(known, root, part) for part in {_part(split) for split in splits}}
    loaded = {}
    for split in splits:
        whole = replace(parts[_part(split)], split=split)
        if split in ("train", "val"):
            train, val = stratified_split(whole.targets.numpy(), VAL_FRACTION)
            whole = whole.subset(train if split == "train" else val)
        loaded[split] = _fit(whole, size or whole.size, channels=channels or whole.channels, fit=fit, box=box)
    return loaded


def _part(split: str) -> str:
    """Return the official part that a split is made from."""
    return "test" if split == "test" else "train"


def _read(known: DataSet, root: Path, part: str) -> ImageSet:
    images, targets = known.read(root, part)
    official = known.counts[part == "test"]
    if len(images) != official:
        log.warning("%s: %d %s pictures, the official set has %d", known.name, len(images), part, official)
    return ImageSet(known.name, part, known.labels, images, targets)


def get_data(
    name: str,
    *,
    data_root: str | os.PathLike[str] | None = None,
    progress: files.Progress | None = None,
) -> str:
    """Download, verify and unpack a set, unless it is there and sound; return a sentence that says where it is.

    Args:
        name: of `DATA_SETS`.
        data_root: where the sets lie; None: as in `load_set`.
        progress: as in `cnn_core.data.files.fetch`.

    Raises:
        UnknownNameError: no such set.
        DataError: it could not be downloaded; says what to do.
        StorageError: no space or no permission.
    """
    known = DATA_SETS.get(name.replace("-", "_"))
    if known is None:
        raise unknown_name("data set", name, DATA_SETS)
    if known.get is None:
        return f"{known.name} comes with the software: there is nothing to get"
    root = _root(data_root)
    try:
        counts = [len(known.read(root, part)[0]) for part in ("train", "test")]
        if counts == list(known.counts):
            return f"{known.name} is there already: {root / known.folder}"
    except DataError as error:
        log.info("%s", error)
    known.get(root / known.folder, progress=progress)
    train, test = (len(known.read(root, part)[0]) for part in ("train", "test"))
    return f"{known.name}: {train:,} training and {test:,} test pictures in {root / known.folder}"


def stratified_split(targets: np.ndarray, fraction: float, *, seed: int = SPLIT_SEED) -> tuple[np.ndarray, np.ndarray]:
    """Divide 0..N-1 into (rest, held), both ascending: `held` has round(n * fraction) of each class's n items.

    The same on every machine and version: numpy guarantees the stream of RandomState for ever.
    """
    random = np.random.RandomState(seed)
    held = np.zeros(len(targets), dtype=bool)
    for label in np.unique(targets):
        members = np.flatnonzero(targets == label)
        held[random.permutation(members)[: round(len(members) * fraction)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def few_of_each(targets: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Return the ascending indices of `count` items of each class, or of all where a class has fewer."""
    random = np.random.RandomState(seed)
    members = [random.permutation(np.flatnonzero(targets == label))[:count] for label in np.unique(targets)]
    return np.sort(np.concatenate(members))


def _load_own(
    path: str | os.PathLike[str],
    splits: Sequence[str],
    *,
    size: tuple[int, int] | None,
    channels: int | None,
    fit: str,
    box: float | None,
) -> dict[str, ImageSet]:
    own_path(path, DATA_SETS, expected="a folder (or zip) with one subfolder per class")
    from image_classification.folder import load_folder  # decoding brings Pillow along: only for own pictures
    from image_classification.preprocess import OBJECT_FITS, InputContract

    channels = channels or (1 if fit in OBJECT_FITS else 3)
    contract = InputContract(channels=channels, size=size or OWN_SIZE, fit=fit, box=box)
    data = load_folder(path, contract, splits=splits)
    if data.report.skipped:
        log.warning("%s", data.report)
    return data.sets


def _fit(image_set: ImageSet, size: tuple[int, int], *, channels: int, fit: str, box: float | None) -> ImageSet:
    """Bring a set to another size or channel count, picture by picture, exactly as prediction does."""
    if (size, channels) == (image_set.size, image_set.channels):
        return image_set
    from image_classification.preprocess import InputContract

    contract = InputContract(channels=channels, size=size, fit=fit, box=box)
    images = torch.stack([contract.to_uint8(image) for image in image_set.images])
    return replace(image_set, images=images)


def _pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise DataError(f"size must lie in 1..4096 pixels, got {size}")
    return height, width


def _root(data_root: str | os.PathLike[str] | None) -> Path:
    return files.data_root() if data_root is None else user_path(data_root)


def _missing(name: str, path: Path) -> DataError:
    return DataError(
        f"the data set {name} is not there: expected {path}; "
        f"get it with `cnn data get {name}`, or set CNN_DATA_DIR to the folder that holds it"
    )


# Loaders: (data root, "train" | "test") -> uint8 [N, C, H, W], int64 [N].


def _read_digits(_: Path, part: str) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]  # [N, 1, 8, 8], 0..16 -> 0..255
    rest, held = stratified_split(bunch.target, DIGITS_TEST_FRACTION)
    chosen = held if part == "test" else rest
    return torch.from_numpy(images[chosen]), torch.from_numpy(bunch.target[chosen].astype(np.int64))


def _mnist_like(name: str, folder: str) -> Callable[[Path, str], tuple[Tensor, Tensor]]:
    """Return the loader of a set in MNIST's four IDX files under `folder`, as torchvision lays them out."""

    def read(root: Path, part: str) -> tuple[Tensor, Tensor]:
        prefix = "t10k" if part == "test" else "train"
        paths = []
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            plain = root / folder / f"{prefix}-{kind}"
            path = next((p for p in (plain, plain.with_name(plain.name + ".gz")) if p.is_file()), None)
            if path is None:
                raise _missing(name, plain)
            paths.append(path)
        images, labels = read_idx(paths[0], ndim=3), read_idx(paths[1], ndim=1)
        if len(images) != len(labels):
            raise DataError(f"{paths[0]} holds {len(images)} pictures, {paths[1].name} {len(labels)} labels")
        check_labels(labels.numpy(), 10, paths[1])
        return images[:, None], labels.long()  # [N, 1, 28, 28], [N]

    return read


def _read_cifar10(root: Path, part: str) -> tuple[Tensor, Tensor]:
    folder = root / "cifar-10-batches-bin"
    names = ["test_batch.bin"] if part == "test" else [f"data_batch_{i}.bin" for i in range(1, 6)]
    for file in names:
        if not (folder / file).is_file():
            raise _missing("cifar10", folder / file)
    images, targets = zip(*(read_cifar(folder / file) for file in names), strict=True)
    return torch.cat(images), torch.cat(targets)


CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TEN = tuple("0123456789")

_TABLE = (
    DataSet("digits", "handwritten digits of UCI, embedded in scikit-learn; the test split is our fixed third",
            TEN, 1, (8, 8), (1198, 599), "CC BY 4.0", "", _read_digits),
    DataSet("mnist", "handwritten digits, LeCun et al. 1998",
            TEN, 1, (28, 28), (60_000, 10_000), "CC BY-SA 3.0",
            "MNIST/raw", _mnist_like("mnist", "MNIST/raw"), partial(get_mnist_like, class_name="MNIST")),
    DataSet("fashion_mnist", "pictures of clothes from a shop's catalogue, Xiao et al. 2017",
            CLOTHES, 1, (28, 28), (60_000, 10_000), "MIT",
            "FashionMNIST/raw", _mnist_like("fashion_mnist", "FashionMNIST/raw"),
            partial(get_mnist_like, class_name="FashionMNIST")),
    DataSet("cifar10", "small photos of animals and vehicles, Krizhevsky 2009; binary version",
            CIFAR10, 3, (32, 32), (50_000, 10_000), "none stated; research use",
            "cifar-10-batches-bin", _read_cifar10, get_cifar10),
)  # fmt: skip
DATA_SETS: dict[str, DataSet] = {line.name: line for line in _TABLE}
