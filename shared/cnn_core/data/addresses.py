"""Files that lie elsewhere, at an address such as `s3://bucket/folder`, through pyarrow's file systems or fsspec's."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from cnn_core.data.folders import is_left_behind
from cnn_core.errors import DataError

_ADDRESS = re.compile(r"(?!https?://)[a-z][a-z0-9+.-]+://\S", re.IGNORECASE)


def is_address(text: object) -> bool:
    """Tell whether a text is an address of files, other than those of the web."""
    return bool(_ADDRESS.match(str(text)))


def file_system(address: str) -> tuple[Any, str]:
    """Return the pyarrow file system of an address, or of a local path, and the path in it.

    Raises:
        DataError: neither pyarrow nor fsspec can use the address.
    """
    from pyarrow import ArrowInvalid, fs

    if not is_address(address):
        return fs.LocalFileSystem(), str(Path(address).absolute())
    try:
        return fs.FileSystem.from_uri(address)
    except ArrowInvalid:  # an unknown scheme
        import fsspec

        try:
            found, path = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise DataError(f"{address}: expected an address that pyarrow or fsspec knows ({error})") from error
        return fs.PyFileSystem(fs.FSSpecHandler(found)), path
    except (OSError, NotImplementedError) as error:
        raise DataError(f"{address}: cannot be reached ({error})") from error


def files_at(address: str, suffixes: tuple[str, ...]) -> tuple[list[str], int]:
    """Return the paths of the files at an address in the order of their names, and how many others were left out.

    Args:
        address: of one file, whatever its name, or of a folder; hidden files in it are no files.
        suffixes: how the names of the files in a folder end, in lower case.

    Raises:
        DataError: there is nothing at the address, or no such file.
    """
    from pyarrow.fs import FileSelector, FileType

    found, root = file_system(address)
    try:
        if found.get_file_info(root).type == FileType.File:
            return [root], 0
        entries = found.get_file_info(FileSelector(root, recursive=True))
    except OSError as error:
        raise DataError(f"{address}: cannot be read ({error})") from error
    paths = [entry.path for entry in entries if entry.type == FileType.File]
    depth = len(PurePosixPath(root).parts)
    paths = [path for path in paths if not any(map(is_left_behind, PurePosixPath(path).parts[depth:]))]
    kept = sorted((path for path in paths if path.lower().endswith(suffixes)), key=PurePosixPath)
    if not kept:
        endings = " ".join(suffixes) or "none, give files by their addresses"
        raise DataError(
            f"{address}: expected files with one of the endings {endings}; found none, and {len(paths)} others"
        )
    return kept, len(paths) - len(kept)


def named(address: str, path: str) -> str:
    """Return the address of a path in the file system of an address: of `s3://a/b?region=x` and `a/b/c`, `s3://a/b/c`."""
    return f"{address.partition('://')[0]}://{path}"
