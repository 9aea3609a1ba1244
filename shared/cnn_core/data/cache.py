"""Arrays that are computed once and kept on disk, memory-mapped: features of frozen networks, decoded pictures.

One `.npy` file per array under `features/` of the data root, or beside what was uploaded for a run, to go with it. It
takes its name when it is complete, so a broken-off computation leaves nothing that looks like a result. Deleting the
folder costs nothing but the time to fill it again.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path

import numpy as np

from cnn_core.data.archives import extract
from cnn_core.data.files import data_root
from cnn_core.data.paths import beside_upload
from cnn_core.storage import atomic_path, check_space

log = logging.getLogger(__name__)


def cache_key(*parts: object) -> str:
    """Return 32 hexadecimal digits that depend on every part: bytes, arrays, or anything with a faithful `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        data: bytes | memoryview
        if isinstance(part, np.ndarray):
            data = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
            kind = f"{part.dtype} {part.shape}"
        else:
            data = part if isinstance(part, bytes) else repr(part).encode()
            kind = type(part).__name__
        digest.update(f"{kind} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()[:32]


def unpacked(path: Path, kind: str) -> Path:
    """Return the folder of an archive, which is unpacked once beside the arrays; a folder as it is.

    Args:
        path: the archive or folder.
        kind: begins the name of the new folder.

    Raises:
        DataError: the archive is damaged, dangerous or too large.
        StorageError: it cannot be unpacked.
    """
    if path.is_dir():
        return path
    status = path.stat()
    place = cache_folder() / f"{kind}-{cache_key(str(path.resolve()), status.st_mtime_ns, status.st_size)}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        extract(path, place)
    return place


def cache_folder() -> Path:
    """Return `features` beside the run's upload, or under the data root."""
    return beside_upload("features") or data_root() / "features"


def cached_array(
    key: str, parts: Iterable[np.ndarray], *, shape: Sequence[int], dtype: str, folder: Path | None = None
) -> np.ndarray:
    """Return the array of that key, memory-mapped, from the cache or else made of `parts`.

    What is written into it stays in memory.

    Args:
        key: says what is in it, see `cache_key`; the same key means the same values.
        parts: consecutive rows, iterated over only if the array is not there; memory holds one part at a time.
        shape: of the whole.
        dtype: of the whole, such as "float16".
        folder: where the files lie; None: `features` beside the run's upload, or under the data root.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
        ValueError: the parts do not add up to `shape`.
    """
    shape = tuple(shape)
    file = (folder or cache_folder()) / f"{key}.npy"
    kept = _open(file, shape, dtype)
    if kept is not None:
        return kept
    size = prod(shape) * np.dtype(dtype).itemsize
    check_space(file, size)
    with atomic_path(file, needed=size) as temporary:
        whole = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.dtype(dtype), shape=shape)
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here; in the middle of the map it ends the process
            with temporary.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, temporary.stat().st_size)
        filled = 0
        for part in parts:
            if filled + len(part) > len(whole) or part.shape[1:] != shape[1:]:
                raise ValueError(f"rows {list(part.shape)} at {filled} do not fit into {list(shape)}")
            whole[filled : filled + len(part)] = part
            filled += len(part)
        if filled != len(whole):
            raise ValueError(f"expected {len(whole)} rows, got {filled}")
        whole.flush()
        del whole
    return np.load(file, mmap_mode="c", allow_pickle=False)


def _open(file: Path, shape: tuple[int, ...], dtype: str) -> np.ndarray | None:
    """Return the array of a file, or None if there is none or it is not what is expected."""
    if not file.is_file():
        return None
    try:
        kept = np.load(file, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        log.warning("%s is damaged (%s); computing it again", file, error)
        return None
    if kept.shape != shape or kept.dtype != np.dtype(dtype):
        log.warning("%s holds %s %s instead of %s %s; computing it again", file, kept.dtype, kept.shape, dtype, shape)
        return None
    return kept
