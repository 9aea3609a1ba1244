"""Errors that are meant for the user: each message says what was expected, what came, and what to do.

The command line prints the message alone and exits with 1; everything that is not a `CnnError` is a defect of ours.
"""

import importlib.metadata
import re
import shlex
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]  # where this file is not installed from a wheel


class CnnError(ValueError):
    """Base of every error whose message a user can act on."""


class UnknownNameError(CnnError):
    """An unknown name of a registry entry, recipe, weights or data set; the message lists the nearest ones."""

    def __init__(self, message: str, *, kind: str = "name", known: Iterable[str] = ()) -> None:
        self.kind, self.known = kind, list(known)
        super().__init__(message)


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
    return UnknownNameError(f"unknown {kind} {name!r}; {hint}", kind=kind, known=known)


def missing_package(package: str) -> CnnError:
    """Build the error for an import of `package`, or of a module of it, that is not installed; says what installs it.

    That is the smallest extra of this distribution that the package belongs to. Of a wheel it is the requirements
    themselves: no index has the distribution by name.
    """
    top = package.split(".")[0]
    sentence = f"this needs the package {top!r}, which is not installed"
    extras = _extras()
    name = top.replace("_", "-").lower()
    homes = [extra for extra, requirements in extras.items() if name in requirements]
    if not homes:
        return CnnError(f"{sentence}; install what provides it")
    extra = min(homes, key=lambda home: len(extras[home]))
    pip = [sys.executable, "-m", "pip", "install"]
    if not (CHECKOUT / "pyproject.toml").is_file():
        return CnnError(f"{sentence}; run: {shlex.join([*pip, *extras[extra].values()])}")
    if Path(sys.executable).is_relative_to(CHECKOUT):
        pip[0] = str(Path(sys.executable).relative_to(CHECKOUT))
    target = f".[{extra}]" if extra else "."
    return CnnError(f"{sentence}; run in the folder of cnn-showcase: {shlex.join([*pip, '--editable', target])}")


def _extras() -> dict[str, dict[str, str]]:
    """Return extra -> {distribution: its requirement}, from this distribution's metadata; "" is what all need."""
    extras: dict[str, dict[str, str]] = {}
    for line in importlib.metadata.requires("cnn-showcase") or ():
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)", marker)
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()
        extras.setdefault(extra[1] if extra else "", {})[name] = requirement.strip()
    return extras
