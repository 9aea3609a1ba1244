"""Readers of the two binary layouts in which the classic picture sets are published: IDX and the CIFAR records.

Both check the declared sizes against the bytes on disk before anything is allocated, and neither unpickles anything.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.errors import DataError

IDX_LIMIT = 1 << 30  # bytes of one IDX array: twenty times MNIST; a larger header is damaged or not meant for memory
CIFAR_EDGE = 32
CIFAR_RECORD = 1 + 3 * CIFAR_EDGE * CIFAR_EDGE  # one label byte, then the red, green and blue planes


def read_idx(path: Path, *, ndim: int) -> Tensor:
    """Read an IDX file of unsigned bytes (LeCun's MNIST page), plain or gzipped, as a uint8 tensor of `ndim` axes.

    Raises:
        DataError: not an IDX file of bytes with `ndim` axes, or a size that differs from what the header declares.
    """
    try:
        if path.suffix != ".gz":
            return _read_plain_idx(path, ndim)
        with gzip.open(path, "rb") as stream:
            shape = _idx_shape(stream.read(4 + 4 * ndim), path, ndim)
            expected = math.prod(shape)
            data = stream.read(expected + 1)  # one byte more than allowed, so that surplus shows without being unpacked
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); delete it and get the set again") from error
    if len(data) != expected:
        came = "more" if len(data) > expected else f"{len(data):,} bytes"
        raise _wrong_size(path, expected, came)
    return torch.from_numpy(np.frombuffer(bytearray(data), dtype=np.uint8).reshape(shape))


def _read_plain_idx(path: Path, ndim: int) -> Tensor:
    header_size = 4 + 4 * ndim
    with path.open("rb") as stream:
        shape = _idx_shape(stream.read(header_size), path, ndim)
    expected, came = math.prod(shape), path.stat().st_size - header_size
    if came != expected:
        raise _wrong_size(path, expected, f"{came:,} bytes")
    return torch.from_numpy(np.fromfile(path, dtype=np.uint8, offset=header_size).reshape(shape))


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


def _wrong_size(path: Path, expected: int, came: str) -> DataError:
    return DataError(
        f"{path} is damaged or incomplete: its header promises {expected:,} bytes of data, it holds {came}; "
        "delete it and get the set again"
    )


def read_cifar(path: Path, *, num_classes: int = 10) -> tuple[Tensor, Tensor]:
    """Read one file of CIFAR-10's binary version: `-> uint8 [N, 3, 32, 32], int64 [N]`.

    Raises:
        DataError: a size that is no whole number of 3,073-byte records, or a label outside `0..num_classes - 1`.
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
