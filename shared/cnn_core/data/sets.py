"""A domain's table of data sets: where each lies, what is there, and how to get it."""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cnn_core.data.files import LOCK_TIMEOUT, Progress
from cnn_core.data.files import data_root as default_root
from cnn_core.data.paths import user_path
from cnn_core.errors import DataError
from cnn_core.storage import file_lock

S = TypeVar("S", bound="DataSet")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One line of a domain's table of data sets.

    Args:
        name: as in `cnn list data`.
        description: what is in it.
        licence: of the data.
        source: who published it, for those who have to get it.
        folder: of its files, under the data root; empty: it comes with the software.
        layout: the files that are expected there, for messages.
        count: folder -> a description of what is there; raises DataError where it is missing or damaged.
        official: what `count` says of the whole set; empty: whatever is there is taken for it.
        get: (folder, progress) -> downloads and unpacks it there, or says what to download by hand; None: it is not
            offered for download.
        unavailable: why no command can get it and what there is instead, a sentence for messages.
    """

    name: str
    description: str
    licence: str = "research data; no explicit licence"
    source: str = ""
    folder: str = ""
    layout: str = ""
    count: Callable[[Path], str] = field(default=str, repr=False)
    official: str = ""
    get: Callable[[Path, Progress | None], object] | None = field(default=None, repr=False)
    unavailable: str = field(default="", repr=False)

    @property
    def how_to_get(self) -> str:
        """One line for lists and error messages."""
        if not self.folder:
            return "comes with the software"
        if self.get:
            return f"cnn data get {self.name}"
        if self.unavailable:
            return f"not published; cnn data get {self.name} says why"
        return f"{self.layout} in <data>/{self.folder}; published by {self.source}"

    def path(self, data_root: str | os.PathLike[str] | None = None) -> Path:
        """Return the folder of its files; None: under `CNN_DATA_DIR` or the platform's user data folder."""
        return (default_root() if data_root is None else user_path(data_root)) / self.folder

    def fetch(self, *, data_root: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> str:
        """Download, verify and unpack the set, unless it is there and sound; return a sentence that says where it is.

        Raises:
            DataError: it could not be downloaded, or is not offered and not there; says what to do.
            StorageError: no space or no permission.
        """
        if not self.folder:
            return f"{self.name} comes with the software: there is nothing to get"
        folder = self.path(data_root)
        there = self._there(folder)
        if there or self.get is None:
            return there
        busy = f"another process has been getting {self.name} for an hour; wait for it or end it"
        lock = folder.parent / f".{folder.name}.get.lock"
        with file_lock(lock, folder, timeout=LOCK_TIMEOUT, busy=busy):
            try:
                there = self._there(folder)  # another process may have finished meanwhile
                if not there:
                    self.get(folder, progress)
            finally:
                with contextlib.suppress(OSError):  # it is not needed from now on; Windows removes no open files
                    lock.unlink()
        return there or f"{self.name}: {self.count(folder)} in {folder}"

    def _there(self, folder: Path) -> str:
        """Return the sentence for a whole set that is there; empty where it is not, and can be got."""
        try:
            there = self.count(folder)
        except DataError as error:
            if self.unavailable:
                raise missing_set(self, folder) from error
            if self.get is None:
                raise
            return ""
        whole = self.get is None or self.official in ("", there)
        return f"{self.name} is there already: {there} in {folder}" if whole else ""


def find_set(sets: Mapping[str, S], name_or_path: object) -> S | None:
    """Return the set of this name (- and _ are the same), or None."""
    return sets.get(str(name_or_path).replace("-", "_"))


def missing_set(entry: DataSet, path: Path) -> DataError:
    """Return the error for a set whose file or folder `path` is not there."""
    if entry.get:
        advice = f"expected {path}; get it with `cnn data get {entry.name}`"
    elif entry.unavailable:
        advice = f"expected {entry.layout} in {path}; {entry.unavailable}"
    else:
        advice = f"expected {entry.layout} in {path}; get it from {entry.source}"
    return DataError(
        f"the data set {entry.name} is not there: {advice}, or set CNN_DATA_DIR to the folder that holds it"
    )
