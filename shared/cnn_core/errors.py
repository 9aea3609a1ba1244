"""Errors that are meant for the user: each message says what was expected, what came, and what to do.

The command line prints the message alone and exits with 1; everything that is not a `CnnError` is a defect of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class CnnError(ValueError):
    """Base of every error whose message a user can act on."""


class UnknownNameError(CnnError):
    """A name that no registry entry, recipe, weights or data set bears; the message lists the nearest ones."""


class ConfigError(CnnError):
    """Settings that cannot be used; `problems` lists all of them, not the first one."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"{source}: " + "; ".join(problems))


class DataError(CnnError):
    """Data that is missing, damaged, or not what its layout promises."""


class WeightsError(CnnError):
    """Weights that do not verify, do not fit their model, or do not fit their card."""


class StorageError(CnnError):
    """A file that could not be written: disk full, no permission, lock held by another process."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for an unknown `name` of `kind` ("model", "recipe", ...), nearest known names first."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
    return UnknownNameError(f"unknown {kind} {name!r}; {hint}")
