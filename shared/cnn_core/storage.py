"""Writing files so that a reader sees the old one or the new one, never half of one.

A write goes to a temporary file in the same folder, is flushed to the disk, and then takes the final name in one step.
What a killed process leaves behind is a hidden temporary file, which the next write into the folder removes.
"""

import contextlib
import errno
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_core.errors import StorageError
from cnn_core.processes import exists

LOCK_FILE = ".lock"
PREFIX = ".writing."  # of temporary files and folders
STALE_AFTER = 24 * 3600.0  # seconds after which a temporary file of another machine counts as abandoned

_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node())[:24] or "host"  # separates containers that share a folder
_live: set[str] = set()  # temporary files that this process is writing now


@contextmanager
def atomic_path(path: Path | str, *, needed: int | None = None) -> Iterator[Path]:
    """Yield a temporary path (nothing is there yet) to write a file to; on leaving, it becomes `path` in one step.

    If the block raises, the temporary file is removed and what was at `path` stays as it was. Missing parent folders
    are made. A symbolic link is followed; an existing file's permissions are kept. The block should do nothing but
    write: every OSError in it is taken for a failed write.

    Args:
        path: the final file.
        needed: bytes that will be written, for the message when the disk is full.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or `path` is a folder.
    """
    final = Path(os.path.realpath(path))
    with storage_errors(final, needed=needed), _temporary(final) as temporary:
        if final.is_dir():
            raise StorageError(f"could not write {final}: a folder of that name exists; choose another name")
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if final.exists():
            temporary.chmod(stat.S_IMODE(final.stat().st_mode))
        temporary.replace(final)
        sync_folder(final.parent)


@contextmanager
def temporary_folder(path: Path | str) -> Iterator[Path]:
    """Yield a new folder beside `path`; on leaving, it becomes `path`, which must not exist or be an empty folder.

    If the block raises, the new folder is removed with all that is in it.

    Raises:
        StorageError: no space, no permission, or something is in the way at `path`.
    """
    final = Path(os.path.realpath(path))
    with _temporary(final) as temporary:
        with storage_errors(final):
            temporary.mkdir()
        yield temporary
        with storage_errors(final):
            if final.is_dir():
                final.rmdir()
            temporary.rename(final)
            sync_folder(final.parent)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path` atomically; raises StorageError as `atomic_path` does."""
    with atomic_path(path, needed=len(data)) as temporary, temporary.open("xb") as file:
        file.write(data)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` atomically as UTF-8 with line feeds; raises StorageError as `atomic_path` does."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def storage_errors(path: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn the OSErrors of the block (disk full, no permission ...) into a StorageError about writing `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(_sentence(path, error, needed)) from error


def check_space(path: Path, needed: int) -> None:
    """Raise StorageError if there is no room for `needed` bytes at `path`, whose folder need not exist yet."""
    with storage_errors(path, needed=needed):
        if needed > _free_bytes(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def folder_lock(folder: Path, *, timeout: float = 60.0) -> Iterator[None]:
    """Keep other processes and threads that use this lock out of `folder`, which is made if needed.

    The lock ends with the process, however that ends; its empty file `.lock` stays.

    Raises:
        StorageError: somebody else has held the lock for `timeout` seconds, or the folder cannot be written.
    """
    busy = f"somebody else is writing to {folder}; wait for them, end them, or choose another folder"
    with file_lock(folder / LOCK_FILE, folder, timeout=timeout, busy=busy):
        yield


@contextmanager
def file_lock(lock_file: Path, target: Path, *, timeout: float, busy: str) -> Iterator[None]:
    """Hold a lock file, whose folder is made if needed, while `target` is written.

    Raises:
        StorageError: with the sentence `busy`, somebody else has held the lock for `timeout` seconds; or the lock file
            cannot be written.
    """
    import filelock

    lock = filelock.FileLock(lock_file, timeout=timeout, poll_interval=0.02)
    with storage_errors(target):
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise StorageError(busy) from error
    try:
        yield
    finally:
        lock.release()


def readable_size(count: int) -> str:
    """Return a number of bytes for people: `1536 -> "1.5 kB"` (1 kB is 1024 bytes)."""
    if count < 1024:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TB"


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, where the system can."""
    if os.name != "posix":
        return  # Windows opens no folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # network file systems that know no fsync of a folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(final: Path) -> Iterator[Path]:
    """Yield a fresh path beside `final`, after removing what dead processes left there; it is removed on leaving."""
    with storage_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(final.parent)
    # The suffix stays: some writers choose the format by it.
    temporary = final.parent / f"{PREFIX}{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp{final.suffix[:16]}"
    _live.add(str(temporary))
    try:
        yield temporary
    finally:
        _remove(temporary)
        _live.discard(str(temporary))


def _remove(path: Path) -> None:
    """Remove a file or folder if it is there and can be; a disk that is full or gone must not hide the first error."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _remove_leftovers(folder: Path) -> None:
    """Remove abandoned temporary files and folders `.writing.<host>-<pid>-<token>.tmp*` of `folder`."""
    pattern = re.compile(re.escape(PREFIX) + r"(?P<host>[A-Za-z0-9]+)-(?P<pid>[0-9]+)-[0-9a-f]{8}\.tmp")
    for entry in os.scandir(folder):
        match = pattern.match(entry.name)
        if match is None:
            continue
        # Another process may be cleaning the same folder, or own the file: then it is not ours to remove.
        with contextlib.suppress(OSError):
            old = time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_AFTER
            if old or (match["host"] == _HOST and _is_dead(int(match["pid"]), entry.path)):
                _remove(Path(entry.path))


def _is_dead(pid: int, path: str) -> bool:
    """Tell whether the process that began to write `path` is gone."""
    if pid == os.getpid():
        return path not in _live  # restarted containers give out the same low number again and again
    return exists(pid) is False


def _sentence(path: Path, error: OSError, needed: int | None) -> str:
    folder = path.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        cause = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "your disk quota is used up",
            errno.EFBIG: "the file is larger than this system allows (see `ulimit -f`)",
        }[error.errno]
        need = f"{readable_size(needed)} ({needed} bytes) needed, " if needed is not None else ""
        return (
            f"could not write {path}: {cause}, {need}{_free(folder)} free; free some space or choose a folder on "
            "another disk; nothing was changed"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"could not write {path}: no permission to write in {folder}; choose a folder of your own or change its "
            "permissions"
        )
    return f"could not write {path}: {error.strerror or error}; choose another file name or folder"


def _free_bytes(folder: Path) -> int:
    """Return the free space where `folder` is or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _free(folder: Path) -> str:
    try:
        return readable_size(_free_bytes(folder))
    except OSError:
        return "an unknown amount"
