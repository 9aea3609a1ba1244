"""Paths as a user types them: with `~`, and where a data set's name could stand as well."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnn_core.errors import DataError, unknown_name


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with its `~` replaced by the home folder, as it is where nobody bears the name behind it."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib raises a RuntimeError for an unknown name)


def own_path(
    name_or_path: str | os.PathLike[str], known: Iterable[str], *, expected: str, kinds: Sequence[str] = ("folder",)
) -> Path:
    """Return where a user's own data lie.

    Args:
        name_or_path: what was asked for, and is no known name.
        known: names of the domain's data sets.
        expected: what should have been there, for the message.
        kinds: what own data may be, the usual one first.

    Raises:
        DataError: there is nothing at this path.
        UnknownNameError: nor is it written as a path.
    """
    name, path = os.fspath(name_or_path), user_path(name_or_path)
    if os.path.exists(path):  # noqa: PTH110 (pathlib raises for names that no file can have)
        return path
    if os.sep in name or name.startswith((".", "~")):
        raise DataError(f"there is no {' or '.join(kinds)} {name}; expected {expected}")
    raise unknown_name(f"data set or {kinds[0]}", name, known)
