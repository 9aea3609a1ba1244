"""The files of a folder, a zip or a tar archive by their relative path, as a user brings them.

A zip is read where it is; a tar archive, which has no directory of its members, is unpacked beside it for as long as it
is read. What systems and archivers leave behind is passed over, and so are folders that merely wrap the content.
"""

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from pathlib import Path, PurePosixPath
from typing import cast

from cnn_core.data.archives import DAMAGE, check_directory, extract, is_tar
from cnn_core.data.folders import is_left_behind, walk
from cnn_core.data.paths import given_path
from cnn_core.data.splits import split_of_folder
from cnn_core.data.tables import SUFFIXES, table_suffix
from cnn_core.errors import DataError
from cnn_core.storage import readable_size

MEMBER_LIMIT = 256 * 1024**2  # bytes of one unpacked file: larger is a bomb, not a photo
MEMBERS_LIMIT = 500_000
OUTSIDE = "files outside the class folders"
NOTES = (".txt", ".json", ".xml", ".mat", ".md", ".html", ".pdf", ".yaml", ".yml", "")  # beside items, like tables
SWELLING = 100  # times its own size that an archive of items may unpack to, from a gigabyte on


@dataclass(frozen=True)
class Kind:
    """What the items are called, such as "pictures", and the suffixes of their files, in lower case."""

    many: str
    suffixes: frozenset[str]

    @property
    def one(self) -> str:
        """What a single item is called."""
        return self.many.removesuffix("s")

    def has(self, parts: tuple[str, ...]) -> bool:
        """Tell whether a file has the suffix of such an item."""
        return PurePosixPath(parts[-1]).suffix.lower() in self.suffixes

    def may_have(self, parts: tuple[str, ...]) -> bool:
        """Tell whether a file has the suffix of such an item, or none that says what it is."""
        return self.has(parts) or not PurePosixPath(parts[-1]).suffix


@dataclass(frozen=True)
class Files:
    """A tree of files.

    Args:
        name: of the folder or archive, for messages.
        kind: of the items.
        root: the folder, or the archive.
        paths: all files as path parts relative to the root, without hidden ones.
        folders: all folders likewise, the root left out.
        problems: (name, reason) of what could not be listed.
        archive: the open zip, or None for a folder.
        members: of a zip, the archive's own name of each path, with the wrapper.
        wrapper: folders around the content, which are left off the paths.
        tables: with the wrapper: tables beside the content, or beside folders around it.
        texts: likewise: text files, which may list the items of a split.
    """

    name: str
    kind: Kind
    root: Path
    paths: list[tuple[str, ...]]
    folders: set[tuple[str, ...]]
    problems: list[tuple[str, str]]
    archive: zipfile.ZipFile | None = None
    members: dict[tuple[str, ...], str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()
    tables: tuple[tuple[str, ...], ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()

    def open(self, parts: tuple[str, ...]) -> Path | bytes:
        """Return the path in a folder, or the unpacked bytes of an archive's member.

        Raises:
            DataError: the member is damaged, encrypted or too large.
        """
        if self.archive is None:
            return self.root.joinpath(*self.wrapper, *parts)
        return self._unpack(self.members[self.wrapper + parts])

    def content(self, table: tuple[str, ...]) -> bytes:
        """Return the bytes of one of `tables`, or of another file, with the wrapper.

        Raises:
            DataError: it cannot be read, or as `open`.
        """
        try:
            return (
                self.root.joinpath(*table).read_bytes() if self.archive is None else self._unpack(self.members[table])
            )
        except OSError as error:
            raise DataError(f"{table[-1]} cannot be read ({error.strerror})") from error

    def _unpack(self, member: str) -> bytes:
        archive = cast("zipfile.ZipFile", self.archive)
        try:
            with archive.open(member) as stream:
                data = stream.read(MEMBER_LIMIT + 1)  # never more, whatever the header says
        except (*DAMAGE, OSError) as error:
            raise DataError(f"cannot be unpacked ({error})") from error
        if len(data) > MEMBER_LIMIT:
            raise DataError(f"unpacks to more than {MEMBER_LIMIT // 1024**2} MB, which no {self.kind.one} file has")
        return data


@contextmanager
def list_files(source: str | os.PathLike[str], kind: Kind) -> Iterator[Files]:
    """List a folder, or a zip or tar archive.

    Raises:
        DataError: no such folder, a file that is no archive, or an archive with unsafe names or too many members.
    """
    path = given_path(source)
    if os.path.isdir(path):  # noqa: PTH112 (pathlib raises for names that no file can have)
        yield _walk(path, str(source), kind)
    elif not os.path.exists(path):  # noqa: PTH110
        raise DataError(f"there is no folder {source}; expected a folder (or zip) with one subfolder per class")
    elif zipfile.is_zipfile(path):
        with path.open("rb") as file:
            check_directory(str(source), file, MEMBERS_LIMIT)
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise DataError(f"{source}: the zip archive is damaged ({error}); make it again") from error
        with archive:
            yield _read_directory(archive, path, str(source), kind)
    elif is_tar(path):
        with tempfile.TemporaryDirectory(prefix="cnn-showcase-") as place:
            limit = max(1024**3, SWELLING * path.stat().st_size)
            yield _walk(extract(path, Path(place) / "tar", max_bytes=limit), str(source), kind)
    else:
        with path.open("rb") as file:
            cut = " (it begins like a zip, but its end is missing: copy it again)" if file.read(2) == b"PK" else ""
        raise DataError(
            f"{source} is a file; expected a folder, a zip or a tar, with one subfolder of {kind.many} per class{cut}"
        )


def _walk(root: Path, name: str, kind: Kind) -> Files:
    paths, folders, problems = [], set(), []

    def report(folder: Path, reason: str) -> None:
        problems.append((folder.relative_to(root).as_posix(), reason))

    for folder, files in walk(root, hidden=is_left_behind, report=report):
        parts = folder.relative_to(root).parts
        folders.add(parts)
        paths += [(*parts, file) for file in files]
    return _unwrapped(Files(name, kind, root, paths, folders - {()}, problems))


def _read_directory(archive: zipfile.ZipFile, path: Path, name: str, kind: Kind) -> Files:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)  # no more is read of them
    if unpacked > max(1024**3, SWELLING * path.stat().st_size):
        raise DataError(
            f"{name}: unpacks to {readable_size(unpacked)}, more than {SWELLING} times its size, which no "
            f"{kind.many} do; make the zip again from the {kind.many} alone"
        )
    paths: dict[tuple[str, ...], str] = {}
    folders: set[tuple[str, ...]] = set()
    problems = []
    for member in members:
        slashed = member.filename.replace("\\", "/")  # old programs of Windows write backslashes
        parts = tuple(slashed.rstrip("/").split("/"))
        if slashed.startswith("/") or ".." in parts or "" in parts or parts[0].endswith(":"):
            raise DataError(f"{name}: the member {member.filename!r} points outside the archive; make the zip again")
        parts = tuple(dropwhile(".".__eq__, parts))  # some programs write ./cats/a.png
        if not parts or any(map(is_left_behind, parts)):
            continue
        is_folder = slashed.endswith("/")
        folder_parts = parts if is_folder else parts[:-1]
        folders.update(folder_parts[: i + 1] for i in range(len(folder_parts)))
        if is_folder:
            continue
        if parts in paths:
            problems.append(("/".join(parts), "files with the name of another one in the archive"))
        paths[parts] = member.filename
    return _unwrapped(Files(name, kind, path, [*paths], folders, problems, archive, paths))


def _unwrapped(files: Files) -> Files:
    """Leave off the folders that merely wrap the content, as archives made of one folder have them.

    These are single folders, one in the other and without items, down to a folder that holds at least two; a folder
    whose neighbours hold `NOTES` and tables alone (`images` beside `meta`) is single, too. Empty neighbours, and those
    with other files, may be classes whose items cannot be read.
    """
    wrapper = _wrapper(files.paths, files.folders, files.kind)
    cut = len(wrapper)
    inside = sorted(parts[cut:] for parts in files.paths if parts[:cut] == wrapper)
    near = sorted(parts for parts in files.paths if len(parts) <= cut + 2)
    tables = [parts for parts in near if is_table(parts)]
    texts = [parts for parts in near if parts[-1].lower().endswith(".txt")]
    beside = [("/".join(parts), OUTSIDE) for parts in files.paths if parts[:cut] != wrapper and parts not in tables]
    folders = {parts[cut:] for parts in files.folders if len(parts) > cut}
    problems = [*files.problems, *sorted(beside)]
    return replace(
        files, paths=inside, folders=folders, problems=problems, wrapper=wrapper, tables=tuple(tables),
        texts=tuple(texts),
    )  # fmt: skip


def _is_note(parts: tuple[str, ...]) -> bool:
    return is_table(parts) or PurePosixPath(parts[-1]).suffix.lower() in NOTES


def _folders_above(paths: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {parts[:depth] for parts in paths for depth in range(1, len(parts))}


def _wrapper(paths: Iterable[tuple[str, ...]], folders: set[tuple[str, ...]], kind: Kind) -> tuple[str, ...]:
    filled = {parts[:-1] for parts in paths if kind.has(parts)}
    above = _folders_above(parts for parts in paths if kind.has(parts))
    notes = _folders_above(parts for parts in paths if _is_note(parts))
    others = _folders_above(parts for parts in paths if not _is_note(parts))
    prefix: tuple[str, ...] = ()
    while True:
        inner = [parts for parts in folders if parts[:-1] == prefix]
        if prefix in filled or not inner:
            return ()  # items before any choice of folders: that is a class, not a wrapper
        if len(inner) > 1:
            beside = {parts for parts in inner if parts not in above}
            inner = [parts for parts in inner if parts in above]
            if not beside <= notes - others:
                return prefix
            if len(inner) != 1 or inner[0] in filled or split_of_folder(inner[0][-1]) is not None:
                return prefix
            if sum(parts[:-1] == inner[0] for parts in above) < 2:
                return prefix
        prefix = inner[0]


def is_table(parts: tuple[str, ...]) -> bool:
    """Tell whether a file may be a table of labels."""
    return table_suffix(Path(parts[-1])) in SUFFIXES
