"""The files of a folder or a zip archive by their relative path, without unpacking the archive anywhere."""

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path

from cnn_core.data.archives import DAMAGE, check_directory
from cnn_core.data.folders import walk
from cnn_core.data.paths import given_path
from cnn_core.errors import DataError
from cnn_core.storage import readable_size

IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # what file managers leave behind; hidden files are ignored as well
MEMBER_LIMIT = 256 * 1024**2  # bytes of one unpacked picture file: larger is a bomb, not a photo
MEMBERS_LIMIT = 500_000
SWELLING = 100  # times its own size that an archive of pictures may unpack to, from a gigabyte on


@dataclass(frozen=True)
class Files:
    """A tree of files.

    Args:
        name: of the folder or archive, for messages.
        paths: all files as path parts relative to the root, without hidden ones.
        folders: all folders likewise, the root left out.
        problems: (name, reason) of what could not be listed.
        archive: the open zip, or None for a folder.
        members: of a zip, the archive's own name of each path.
    """

    name: str
    root: Path
    paths: list[tuple[str, ...]]
    folders: set[tuple[str, ...]]
    problems: list[tuple[str, str]]
    archive: zipfile.ZipFile | None = None
    members: dict[tuple[str, ...], str] = field(default_factory=dict)

    def open(self, parts: tuple[str, ...]) -> Path | bytes:
        """Return what `read_image` takes: the path in a folder, the unpacked bytes of an archive's member.

        Raises:
            DataError: the member is damaged, encrypted or too large.
        """
        if self.archive is None:
            return self.root.joinpath(*parts)
        try:
            with self.archive.open(self.members[parts]) as stream:
                data = stream.read(MEMBER_LIMIT + 1)  # never more, whatever the header says
        except (*DAMAGE, OSError) as error:
            raise DataError(f"cannot be unpacked ({error})") from error
        if len(data) > MEMBER_LIMIT:
            raise DataError(f"unpacks to more than {MEMBER_LIMIT // 1024**2} MB, which no picture file has")
        return data


@contextmanager
def list_files(source: str | os.PathLike[str]) -> Iterator[Files]:
    """List a folder, or a zip archive by its directory.

    Raises:
        DataError: no such folder, a file that is not a zip, or an archive with unsafe names or too many members.
    """
    path = given_path(source)
    if os.path.isdir(path):  # noqa: PTH112 (pathlib raises for names that no file can have)
        yield _walk(path, str(source))
    elif not os.path.exists(path):  # noqa: PTH110
        raise DataError(f"there is no folder {source}; expected a folder (or zip) with one subfolder per class")
    elif not zipfile.is_zipfile(path):
        raise DataError(f"{source} is a file; expected a folder, or a zip, with one subfolder of pictures per class")
    else:
        with path.open("rb") as file:
            check_directory(str(source), file, MEMBERS_LIMIT)
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise DataError(f"{source}: the zip archive is damaged ({error}); make it again") from error
        with archive:
            yield _read_directory(archive, path, str(source))


def _hidden(part: str) -> bool:
    return part.startswith(".") or part in IGNORED


def _walk(root: Path, name: str) -> Files:
    paths, folders, problems = [], set(), []

    def report(folder: Path, reason: str) -> None:
        problems.append((folder.relative_to(root).as_posix(), reason))

    for folder, files in walk(root, hidden=_hidden, report=report):
        parts = folder.relative_to(root).parts
        folders.add(parts)
        paths += [(*parts, file) for file in files]
    return Files(name, root, sorted(paths), folders - {()}, problems)


def _read_directory(archive: zipfile.ZipFile, path: Path, name: str) -> Files:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)  # no more is read of them
    if unpacked > max(1024**3, SWELLING * path.stat().st_size):
        raise DataError(
            f"{name}: unpacks to {readable_size(unpacked)}, more than {SWELLING} times its size, which no pictures do; "
            "make the zip again from the pictures alone"
        )
    paths: dict[tuple[str, ...], str] = {}
    folders: set[tuple[str, ...]] = set()
    for member in members:
        parts = tuple(member.filename.rstrip("/").split("/"))
        if member.filename.startswith("/") or ".." in parts or "" in parts or "\\" in member.filename:
            raise DataError(f"{name}: the member {member.filename!r} points outside the archive; make the zip again")
        parts = tuple(dropwhile(".".__eq__, parts))  # some programs write ./cats/a.png
        if not parts or any(map(_hidden, parts)):
            continue
        folder_parts = parts if member.is_dir() else parts[:-1]
        folders.update(folder_parts[: i + 1] for i in range(len(folder_parts)))
        if not member.is_dir():
            paths[parts] = member.filename
    cut = len(_wrapper(paths, folders))
    names = {parts[cut:]: filename for parts, filename in paths.items()}
    return Files(name, path, sorted(names), {parts[cut:] for parts in folders if len(parts) > cut}, [], archive, names)


def _wrapper(paths: Iterable[tuple[str, ...]], folders: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the folders that merely wrap the content, as archives made of one folder have them.

    These are single folders, one in the other and without files, down to a folder that holds at least two.
    """
    prefix: tuple[str, ...] = ()
    while True:
        inner = [parts for parts in folders if len(parts) == len(prefix) + 1]
        if any(len(parts) == len(prefix) + 1 for parts in paths) or not inner:
            return ()  # files before any choice of folders: that is a class, not a wrapper
        if len(inner) > 1:
            return prefix
        prefix = inner[0]
