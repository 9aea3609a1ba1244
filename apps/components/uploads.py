"""Uploads: bytes under a name that somebody chose, made files of this machine."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_core.data.archives import extract
from cnn_core.errors import CnnError, DataError
from cnn_core.storage import storage_errors, write_bytes


def safe_name(name: str) -> str:
    """Return the name of an upload without folders, and without signs that a file or a command could stumble over."""
    name = re.sub(r"[^\w.()+ -]", "_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".- ")
    stem, _, ending = name.rpartition(".")
    return f"{stem[:50]}.{ending[:10]}" if stem else f"data.{ending[:10]}"


@contextmanager
def as_file(name: str, data: bytes) -> Iterator[Path]:
    """Yield an upload as a file, which is gone afterwards; what goes wrong within is said of the upload's own name.

    Raises:
        DataError: in place of any CnnError within.
        StorageError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="cnn-showcase-") as folder:
        path = Path(folder) / safe_name(name)
        with storage_errors(path):
            path.write_bytes(data)
        with _called(name, path):
            yield path


def unpack_upload(name: str, data: bytes, place: Path, *, max_members: int, max_bytes: int) -> None:
    """Make an uploaded archive the folder `place`: of an archive of one folder, what is in that folder.

    Args:
        name: of the upload, for messages.
        data: of the archive.
        place: must not exist; the folder above it is used for what is temporary.
        max_members: files and folders allowed.
        max_bytes: bytes allowed, unpacked.

    Raises:
        DataError: not an archive, damaged, dangerous or too large.
        StorageError: no space, or no permission.
    """
    archive, inside = place.parent / f".archive{place.suffix}", place.parent / ".unpacked"
    write_bytes(archive, data)
    with _called(name, archive):
        extract(archive, inside, max_members=max_members, max_bytes=max_bytes)
    found = [entry for entry in inside.iterdir() if not entry.name.startswith((".", "__"))]
    (found[0] if len(found) == 1 and found[0].is_dir() else inside).rename(place)
    archive.unlink()
    shutil.rmtree(inside, ignore_errors=True)


@contextmanager
def _called(name: str, path: Path) -> Iterator[None]:
    """Within: errors say `name` for `path`."""
    try:
        yield
    except CnnError as error:
        said = str(error).replace(str(path), name)
        raise DataError(said if path.name in name else said.replace(path.name, name)) from error
