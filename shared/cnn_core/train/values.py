"""Checking plain values, as they come out of TOML, JSON and command lines, against the type hints of dataclasses."""

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any, Literal

WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", types.NoneType: "nothing"}
LARGEST_WHOLE = 2**53  # what JSON readers and float64 still tell apart


def build_section(section: type, table: Mapping[str, Any], problems: list[str], *, homes: Mapping[str, str]) -> Any:
    """Build the dataclass `section` from `table`; what does not fit is left at its default and described in `problems`.

    Args:
        section: a dataclass whose fields have defaults.
        table: field name -> value.
        problems: sentences are added here.
        homes: field name -> section, over all sections of the recipe: tells where a misplaced field belongs.
    """
    hints = typing.get_type_hints(section)
    names = [f.name for f in dataclasses.fields(section)]
    values = {}
    for name, value in table.items():
        if name not in names:
            problems.append(unknown_setting(name, names, homes))
        elif accept(value, hints[name], name, problems):
            whole_for_real = isinstance(value, int) and hints[name] in (float, float | None)
            values[name] = float(value) if whole_for_real else value
    return section(**values)


def accept(value: Any, hint: Any, name: str, problems: list[str]) -> bool:
    """Check one value; add a sentence to `problems` and return False if it does not fit `hint`."""
    if fits(value, hint):
        return True
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    problems.append(f"{name}: expected {words(hint)}, got {shown}")
    return False


def unknown_setting(name: str, known: Collection[str], homes: Mapping[str, str]) -> str:
    """Return a sentence about a setting that does not exist where it was written."""
    if name in homes:
        return f"{name}: belongs into the table [{homes[name]}]"
    near = next(filter(None, (difflib.get_close_matches(name, names, n=2, cutoff=0.6) for names in (known, homes))), [])
    return f"unknown setting {name!r}" + (f", did you mean {' or '.join(near)}?" if near else "")


def words(hint: Any) -> str:
    """Say a type hint in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(words(option) for option in inner)
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin in (list, tuple):
        return f"a list, each {words(inner[0])}"
    if origin is dict:
        return "a table of numbers, texts and lists"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a value may stand where `hint` is declared; truth values, NaN and infinity are no numbers."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, option) for option in inner)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in inner)
    if origin in (tuple, list):
        return isinstance(value, list | tuple) and all(fits(v, inner[0]) for v in value)
    if origin is dict:
        return isinstance(value, Mapping) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if hint is Any:
        return _plain(value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_WHOLE
    return isinstance(value, hint)


def _plain(value: Any) -> bool:
    """Tell whether JSON can hold the value: no dates (TOML has them), no NaN, no objects."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(v) for key, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | bool) or fits(value, float)
