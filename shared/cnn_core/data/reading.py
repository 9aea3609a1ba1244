"""Any number of inputs in batches: threads decode the next ones, and what cannot be read is said in its place."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from cnn_core.data.images import input_name, picture_files
from cnn_core.errors import CnnError, DataError

READERS = min(4, os.cpu_count() or 1)  # threads
V = TypeVar("V")


@dataclass(frozen=True)
class Unreadable:
    """An input of which it is known before reading that there is nothing in it."""

    name: str
    reason: str


def read_batches(
    inputs: Iterable[Any], view: Callable[[Any, str], V], *, size: int
) -> Iterator[tuple[list[str], list[V | str]]]:
    """Yield (names, views) of `size` inputs at a time; a view is the sentence that says why there is none, as text.

    Args:
        inputs: paths, bytes, pictures, `Unreadable`.
        view: (input, its name) -> what the network takes; raises CnnError where it cannot be read.
        size: of a batch; one batch is in memory.
    """
    inputs, count = iter(inputs), 0
    with ThreadPoolExecutor(READERS) as readers:
        while chunk := list(islice(inputs, size)):
            names = [input_name(entry, count + i) for i, entry in enumerate(chunk)]
            count += len(chunk)
            yield names, list(readers.map(partial(_try, view), chunk, names))


def pictures_in(inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Path | Unreadable]:
    """Yield files, and for a folder all pictures in it, subfolders included, in the order of their names."""
    for entry in inputs:
        if not os.path.isdir(entry):  # noqa: PTH112 (pathlib raises for names that no file can have)
            yield Path(entry)
            continue
        yield from picture_files(Path(entry)) or (Unreadable(str(entry), "the folder holds no pictures"),)


def pictures_of(folder: Path | str) -> list[Path]:
    """Return the pictures of a folder.

    Raises:
        DataError: no such folder, or no pictures in it.
    """
    files = picture_files(Path(folder))
    if not files:
        raise DataError(f"{folder}: expected a folder with pictures, found none in it")
    return files


def _try(view: Callable[[Any, str], V], entry: Any, name: str) -> V | str:
    if isinstance(entry, Unreadable):
        return entry.reason
    try:
        return view(entry, name)
    except CnnError as error:
        return str(error).removeprefix(f"{name}: ")
