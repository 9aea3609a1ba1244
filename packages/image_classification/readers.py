"""Readers of the two binary layouts in which the classic picture sets are published: IDX and the CIFAR records.

IDX is read by torchvision, after its header was checked against the bytes on disk: torchvision only asserts, and trusts
a header's sizes. The CIFAR records are read here: torchvision reads only the pickled version of the set, and nothing
here unpickles.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.data.sets import DataSet, missing_set
from cnn_core.errors import DataError

IDX_LIMIT = 1 << 30  # bytes of one IDX array: twenty times MNIST; a larger header is damaged or not meant for memory
CIFAR_EDGE = 32
CIFAR_RECORD = 1 + 3 * CIFAR_EDGE * CIFAR_EDGE  # one label byte, then the red, green and blue planes


def read_mnist_like(entry: DataSet, folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Read MNIST's IDX files, plain or gzipped: `"train" | "test" -> uint8 [N, 1, 28, 28], int64 [N]`.

    Raises:
        DataError: a file is missing or damaged, or a label is outside 0..9.
    """
    paths = []
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        plain = folder / f"{'t10k' if part == 'test' else 'train'}-{kind}"
        path = next((p for p in (plain, plain.with_name(plain.name + ".gz")) if p.is_file()), None)
        if path is None:
            raise missing_set(entry, plain)
        paths.append(path)
    images, labels = read_idx(paths[0], ndim=3), read_idx(paths[1], ndim=1)
    if len(images) != len(labels):
        raise DataError(f"{paths[0]} holds {len(images)} pictures, {paths[1].name} {len(labels)} labels")
    check_labels(labels.numpy(), 10, paths[1])
    return images[:, None], labels.long()  # [N, 1, 28, 28], [N]


def read_cifar10(entry: DataSet, folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Read the binary version of CIFAR-10: `"train" | "test" -> uint8 [N, 3, 32, 32], int64 [N]`."""
    names = ["test_batch.bin"] if part == "test" else [f"data_batch_{i}.bin" for i in range(1, 6)]
    for name in names:
        if not (folder / name).is_file():
            raise missing_set(entry, folder / name)
    images, targets = zip(*(read_cifar(folder / name) for name in names), strict=True)
    return torch.cat(images), torch.cat(targets)


def read_idx(path: Path, *, ndim: int) -> Tensor:
    """Read an IDX file of unsigned bytes (LeCun's MNIST page), plain or gzipped, as a uint8 tensor of `ndim` axes.

    Raises:
        DataError: not an IDX file of bytes with `ndim` axes, or a size that differs from what the header declares.
    """
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            shape = _idx_shape(stream.read(4 + 4 * ndim), path, ndim)
            expected = math.prod(shape)
            if path.suffix != ".gz":
                _check_size(path, expected, path.stat().st_size - 4 - 4 * ndim)
                return read_sn3_pascalvincent_tensor(str(path))
            # One byte more than allowed, so that surplus shows without being unpacked.
            data = stream.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); delete it and get the set again") from error
    _check_size(path, expected, len(data))
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(shape)


def _check_size(path: Path, expected: int, came: int) -> None:
    if came != expected:
        held = "more" if path.suffix == ".gz" and came > expected else f"{came:,} bytes"
        raise DataError(
            f"{path} is damaged or incomplete: its header promises {expected:,} bytes of data, it holds {held}; "
            "delete it and get the set again"
        )


def _idx_shape(header: bytes, path: Path, ndim: int) -> tuple[int, ...]:
    """Return the shape that an IDX header declares: two zero bytes, type 8 (unsigned byte), axes, then 32-bit sizes."""
    magic = bytes([0, 0, 8, ndim])
    if len(header) < 4 + 4 * ndim or header[:4] != magic:
        raise DataError(
            f"{path} is not an IDX file of bytes with {ndim} axes: expected it to begin with {magic.hex(' ')}, "
            f"got {header[:4].hex(' ') or 'nothing'}; delete it and get the set again"
        )
    shape = struct.unpack(f">{ndim}I", header[4:])
    if not 0 < math.prod(shape) <= IDX_LIMIT:
        raise DataError(f"{path} declares the shape {shape}, which no set of this kind has; delete it and get it again")
    return shape


def read_cifar(path: Path, *, num_classes: int = 10) -> tuple[Tensor, Tensor]:
    """Read one file of CIFAR-10's binary version: `-> uint8 [N, 3, 32, 32], int64 [N]`.

    Raises:
        DataError: a size that is not a whole number of 3,073-byte records, or a label outside `0..num_classes - 1`.
    """
    try:
        size = path.stat().st_size
        if size == 0 or size % CIFAR_RECORD:
            raise DataError(
                f"{path} is damaged or incomplete: expected a whole number of {CIFAR_RECORD}-byte records, "
                f"got {size:,} bytes; delete it and get the set again"
            )
        records = np.fromfile(path, dtype=np.uint8).reshape(-1, CIFAR_RECORD)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); delete it and get the set again") from error
    check_labels(records[:, 0], num_classes, path)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, CIFAR_EDGE, CIFAR_EDGE)  # [N, 3, 32, 32]
    return torch.from_numpy(images), torch.from_numpy(records[:, 0].astype(np.int64))


def check_labels(labels: np.ndarray, num_classes: int, path: Path) -> None:
    """Raise DataError naming the first label of `path` that is not in `0..num_classes - 1`."""
    wrong = np.flatnonzero(labels >= num_classes)
    if len(wrong):
        raise DataError(
            f"{path}: record {wrong[0]} has the label {labels[wrong[0]]}, expected 0 to {num_classes - 1}; "
            "the file is damaged or another set: delete it and get the set again"
        )
