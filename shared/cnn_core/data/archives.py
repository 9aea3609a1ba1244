"""Unpacking zip and tar archives that may have been made to do harm.

Refused: paths that lead out of the folder, links and devices, two members of one name, more members or bytes than
allowed (counted while unpacking, whatever the headers claim), encrypted or damaged archives. The folder appears when
everything is unpacked, or not at all.
"""

import bz2
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from cnn_core.errors import CnnError, DataError, StorageError
from cnn_core.storage import check_space, readable_size, storage_errors, temporary_folder

MAX_MEMBERS = 500_000
MAX_BYTES = 64 * 1024**3
MAX_READ = 16 * 1024**2  # bytes that a tar header may make us read at once
CHUNK = 1024**2
LINK = "is a link or a device"

_OPENERS: dict[bytes, Callable[[BinaryIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open,
}  # fmt: skip
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    OverflowError, RecursionError, RuntimeError, ValueError,
)  # fmt: skip  # all that the three readers raise on bytes that make no sense


@dataclass(frozen=True)
class _Member:
    """One entry of an archive."""

    name: str  # as the archive has it
    problem: str | None  # why it is refused
    open: Callable[[], IO[bytes] | None] | None  # None: a folder


def extract(
    archive: Path | str, dest: Path | str, *, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_BYTES
) -> Path:
    """Unpack a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz (by its content) into the new folder `dest`; return it.

    Modes, owners and times are not kept.

    Args:
        archive: the file.
        dest: the folder; it must not exist, or be empty.
        max_members: files and folders allowed.
        max_bytes: bytes allowed, unpacked.

    Raises:
        DataError: not an archive, damaged, dangerous or too large; nothing is left behind.
        StorageError: no space, no permission, or `dest` is in the way.
    """
    archive, dest = Path(archive), Path(dest)
    with storage_errors(dest):
        if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
            raise StorageError(f"could not unpack to {dest}: it exists and is not an empty folder; remove it first")
    with (
        _reading(archive),
        archive.open("rb") as file,
        closing(_members(archive, file, max_members, max_bytes, dest)) as members,
        temporary_folder(dest) as folder,
    ):
        left = max_bytes
        for count, member in enumerate(members, start=1):
            if count > max_members:
                raise DataError(f"{archive}: more than {max_members} files; expected fewer, split the archive")
            left -= _unpack(archive, member, folder, left)
            if left < 0:
                raise _too_large(archive, max_bytes)
    return dest


def is_tar(path: Path) -> bool:
    """Tell whether a file is a tar archive, compressed or not, by its beginning."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
            with opener(file) if opener else nullcontext(file) as content:
                return content.read(262)[257:] == b"ustar"
    except (*DAMAGE, OSError):
        return False


def _unpack(archive: Path, member: _Member, folder: Path, left: int) -> int:
    """Write one member below `folder` and return its bytes; stops soon after `left` bytes."""
    path = folder / _inside(archive, member.name)
    if member.problem is not None:
        raise DataError(f"{archive}: {member.name[:200]!r} {member.problem}; such archives are not unpacked")
    source = member.open() if member.open else None
    with storage_errors(path):
        try:
            if source is None:
                path.mkdir(parents=True, exist_ok=True)
                return 0
            path.parent.mkdir(parents=True, exist_ok=True)
            target = path.open("xb")
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise DataError(
                f"{archive}: two members want the name {member.name[:200]!r} (or differ in upper and lower case only); "
                "such archives are not unpacked"
            ) from error
    written = 0
    with target, source:
        while written <= left and (chunk := source.read(CHUNK)):
            with storage_errors(path):
                target.write(chunk)
            written += len(chunk)
        with storage_errors(path):
            target.flush()
    return written


def _inside(archive: Path, name: str) -> PurePosixPath:
    """Return a member's path below the target folder, or raise DataError if it could lead out of it."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or re.match(r"[A-Za-z]:", name) or ".." in parts or any(ord(c) < 32 for c in name):
        raise DataError(f"{archive}: {name[:200]!r} leads out of the folder; such archives are not unpacked")
    return PurePosixPath(*(part for part in parts if part not in ("", ".")))


def _members(
    archive: Path, file: BinaryIO, max_members: int, max_bytes: int, dest: Path
) -> Generator[_Member, None, None]:
    start = file.read(6)
    file.seek(0)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        check_directory(archive, file, max_members)
        with zipfile.ZipFile(file) as opened:
            needed = sum(info.file_size for info in opened.infolist())
            if needed > max_bytes:
                raise _too_large(archive, max_bytes)
            check_space(dest, needed)
            for info in opened.infolist():
                plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
                problem = "is encrypted" if info.flag_bits & 1 else None
                source = None if info.is_dir() else partial(opened.open, info)
                yield _Member(info.filename, problem if plain else LINK, source)
        return
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    with (
        opener(file) if opener else nullcontext(file) as content,
        tarfile.open(fileobj=_Bounded(archive, content), mode="r:") as tar,
    ):
        for entry in tar:
            tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every member in memory
            problem = None if entry.isreg() or entry.isdir() else LINK
            yield _Member(entry.name, problem, None if entry.isdir() else partial(tar.extractfile, entry))


class _Bounded(io.RawIOBase):
    """What tarfile reads from; refuses the huge reads that a forged header may ask for."""

    def __init__(self, archive: Path, file: BinaryIO | io.BufferedIOBase) -> None:
        super().__init__()
        self.archive = archive
        self.file = file

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, place: int, whence: int = io.SEEK_SET, /) -> int:
        return self.file.seek(place, whence)

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= MAX_READ:
            raise DataError(f"{self.archive}: a header claims {size} bytes; the archive is damaged or made to do harm")
        return self.file.read(size)


def check_directory(archive: Path | str, file: BinaryIO, max_members: int) -> None:
    """Refuse a zip file by the directory at its end, which `zipfile` would read as a whole, a kilobyte per entry.

    Args:
        archive: its name, for the message.
        file: it, open; read from its start afterwards.
        max_members: files and folders allowed.

    Raises:
        DataError: the directory lists more of them, or takes more than a kilobyte for each allowed one.
    """
    record = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # as ZipFile will find it
    size = record[zipfile._ECD_SIZE] if record else 0  # type: ignore[attr-defined]  # a private name
    end = record[zipfile._ECD_LOCATION] if record else 0  # type: ignore[attr-defined]  # likewise
    file.seek(0)
    listed = 0
    if max_members < size <= 1024 * max_members:
        file.seek(max(0, end - size))
        listed = file.read(size).count(b"PK\x01\x02")
        file.seek(0)
    if size > 1024 * max_members or listed > max_members:
        raise DataError(f"{archive}: more than {max_members} files; expected fewer, split the archive")


def _too_large(archive: Path, max_bytes: int) -> DataError:
    return DataError(f"{archive}: more than {readable_size(max_bytes)} when unpacked; expected less, split the archive")


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Turn what the readers raise on damaged bytes into DataError."""
    try:
        yield
    except CnnError:
        raise
    except DAMAGE as error:
        raise DataError(f"{archive}: not a zip or tar archive, or damaged ({error}); get it again") from error
    except OSError as error:  # gzip and bz2 report damage so, too
        reason = error.strerror or error
        raise DataError(f"{archive}: could not be read ({reason}); check that it is there, or get it again") from error
