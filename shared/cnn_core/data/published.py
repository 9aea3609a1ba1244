"""From the archive of a publisher to the folder of a set: checked, in one step, one process after the other."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_core.data.archives import MAX_BYTES, MAX_MEMBERS, extract
from cnn_core.data.files import UNPUBLISHED, Progress, fetch
from cnn_core.errors import DataError
from cnn_core.storage import folder_lock, storage_errors, temporary_folder

LOCK_TIMEOUT = 600.0  # seconds to wait for another process that unpacks beside it
WHOLE = ".whole"  # what an archive holds besides the part that is wanted, while it is unpacked


@contextmanager
def fetched(url: str, *, name: str, folder: Path, progress: Progress | None = None) -> Iterator[Path]:
    """Yield an archive whose publisher gives no hash, from `folder / name` or else downloaded to there.

    The block checks what is in it; where it raises DataError, the archive is removed, to be fetched again.

    Raises:
        DataError, StorageError: as `fetch`.
    """
    archive = fetch(url, name=name, folder=folder, sha256=UNPUBLISHED, progress=progress)
    try:
        yield archive
    except DataError:
        archive.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a new empty folder to fill; on leaving it takes the place of `folder` and of all that was there.

    If the block raises, what was there stays. Other processes that replace a folder beside it wait.

    Raises:
        StorageError: no space, no permission, or somebody else has been at it for ten minutes.
    """
    folder = Path(os.path.realpath(folder))  # of a link its target
    with folder_lock(folder.parent, timeout=LOCK_TIMEOUT), temporary_folder(folder) as fresh:
        yield fresh
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(
    archive: Path,
    folder: Path,
    *,
    inside: str = "",
    check: Callable[[Path], object] | None = None,
    max_members: int = MAX_MEMBERS,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Replace `folder` by what lies in the folder `inside` of an archive; see `unpack_part` and `replacing`.

    Args:
        archive: the file.
        folder: of the set.
        inside: a folder in the archive.
        check: raises DataError where the unpacked folder that it is given is not the set; then nothing is replaced.
        max_members: files and folders allowed in the archive.
        max_bytes: bytes allowed, unpacked.
    """
    with replacing(folder) as fresh:
        unpack_part(archive, fresh, inside=inside, max_members=max_members, max_bytes=max_bytes)
        if check is not None:
            check(fresh)


def unpack_part(
    archive: Path, target: Path, *, inside: str = "", max_members: int = MAX_MEMBERS, max_bytes: int = MAX_BYTES
) -> None:
    """Unpack what lies in the folder `inside` of an archive to the empty folder `target`, which is made if needed.

    Args:
        archive: the file.
        target: the folder.
        inside: a folder in the archive, such as "train"; `*` stands for one name, as the outer folder of GitHub's
            archives has that of a commit in it; "": the whole archive.
        max_members: files and folders allowed in the archive.
        max_bytes: bytes allowed, unpacked.

    Raises:
        DataError: the archive is damaged, dangerous or too large, or holds no such folder, or several.
        StorageError: it cannot be written.
    """
    if not inside:
        extract(archive, target, max_members=max_members, max_bytes=max_bytes)
        return
    whole = extract(archive, target / WHOLE, max_members=max_members, max_bytes=max_bytes)
    found = [path for path in whole.glob(inside) if path.is_dir()]
    if len(found) != 1:
        raise DataError(f"{archive} holds no folder {inside}; delete it and get the set again")
    with storage_errors(target):
        for entry in found[0].iterdir():
            entry.rename(target / entry.name)
        shutil.rmtree(whole)


def check_contents(folder: Path, *patterns: str, sha256: str) -> None:
    """Compare the names and bytes of files with those published, whatever archive they came in.

    Args:
        folder: of the set.
        patterns: of the files below it, as for `Path.glob`.
        sha256: what `contents_sha256` gives for them.

    Raises:
        DataError: they differ; says how many files there are.
    """
    found, count = contents_sha256(folder, *patterns)
    if found != sha256:
        raise DataError(
            f"the archive does not hold the set as published: expected {' and '.join(patterns)} with the contents "
            f"sha256:{sha256}, got {count:,} files with sha256:{found}; get it again, or report that it has changed"
        )


def contents_sha256(folder: Path, *patterns: str) -> tuple[str, int]:
    """Return a hash over the paths and bytes of files below a folder, in the order of their paths, and their number."""
    files = {file.relative_to(folder).as_posix(): file for pattern in patterns for file in folder.glob(pattern)}
    digest = hashlib.sha256()
    for name in sorted(files):
        with files[name].open("rb") as stream:
            digest.update(f"{name}\n{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest(), len(files)
