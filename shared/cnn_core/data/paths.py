"""Paths as a user types them: with `~`, or in place of a data set's name; and the upload of a run.

    <run>/upload/<name>         what a visitor of the pages uploaded to train on, under its own name
    <run>/upload/features       what is computed once of it

The settings of such a run, its card and its messages hold only that name, and no path of this machine. An empty
folder says that the upload was removed when the training had ended.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from cnn_core.errors import DataError, unknown_name

UPLOAD = "upload"
_upload: ContextVar[Path | None] = ContextVar("upload", default=None)


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with its `~` expanded; a `~name` without such a user stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib raises a RuntimeError for an unknown name)


def given_path(path: str | os.PathLike[str]) -> Path:
    """Return what a path means: a bare name is the upload of the current run, if there is one."""
    name, given = os.fspath(path), _upload.get()
    if given is not None and name == Path(name).name not in ("", ".."):
        return given / name  # even if missing: another file of that name in the current folder is not meant
    return user_path(path)


def custom_path(
    name_or_path: str | os.PathLike[str], known: Iterable[str], *, expected: str, kinds: Sequence[str] = ("folder",)
) -> Path:
    """Return the path of a user's custom data.

    Args:
        name_or_path: a path: it is not a known name.
        known: names of the domain's data sets.
        expected: what should have been there, for the message.
        kinds: what custom data may be, the usual one first.

    Raises:
        DataError: there is nothing at this path, or it was uploaded for a run and is not there any more.
        UnknownNameError: it is not written as a path either.
    """
    name, path = os.fspath(name_or_path), given_path(name_or_path)
    if os.path.exists(path):  # noqa: PTH110 (pathlib raises for names that no file can have)
        return path
    if os.sep in name or name.startswith((".", "~")):
        raise DataError(f"there is no {' or '.join(kinds)} {name}; expected {expected}")
    if _upload.get() is not None:
        raise DataError(f"{name} was uploaded for this run and is not kept here; give its path with --data")
    raise unknown_name(f"data set or {kinds[0]}", name, known)


@contextmanager
def with_upload_of(run: Path) -> Iterator[None]:
    """Inside the `with`, a bare name is the upload of `run`, if there is one."""
    token = _upload.set(run / UPLOAD if (run / UPLOAD).is_dir() else None)
    try:
        yield
    finally:
        _upload.reset(token)


def beside_upload(name: str) -> Path | None:
    """Return the folder for what is computed from the run's upload and deleted with it; None: there is no upload."""
    given = _upload.get()
    return given / name if given is not None and any(given.iterdir()) else None
