"""One validation of everything that comes from files and command lines: pydantic's checks, said in our sentences.

Settings and cards are frozen dataclasses whose annotations say what may stand in a field; cross-checks are
`model_validator`s. Everything is strict: true is not a number, "3" is not 3, NaN and infinity are refused.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

T = TypeVar("T")

LARGEST_INT = 2**53  # what JSON readers and float64 still tell apart
SHOWN = 60  # characters of a wrong value

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def _finite(value: JsonValue) -> JsonValue:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ValueError("expected finite numbers") from None
    return value


def whole_number(text: str) -> int | None:
    """Return the whole number from 0 that a text writes in ASCII digits; None: it is none, or beyond `LARGEST_INT`.

    `int` takes "²", which is a digit too, for none, and refuses thousands of digits: by a ValueError, both.
    """
    fits = text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_INT))
    return int(text) if fits and int(text) <= LARGEST_INT else None


def matching(pattern: str, words: str) -> AfterValidator:
    """Return the check of a text that `pattern` matches as a whole; `words` say to people what is expected."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError(f"expected {words}, got {_shown(text)}")
        return text

    return AfterValidator(check)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


Count = Annotated[int, Field(ge=1, le=LARGEST_INT)]
Natural = Annotated[int, Field(ge=0, le=LARGEST_INT)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Edge = Annotated[int, Field(ge=1, le=4096)]  # of a picture, in pixels
Share = Annotated[float, Field(ge=0, lt=1)]  # from 0 to below 1
Text = Annotated[str, matching(r".*\S.*", "a text that is not empty")]
Options = Annotated[dict[str, JsonValue], AfterValidator(_finite)]  # plain values of any depth


class Settings:
    """Base of dataclasses that `parse` checks; making one by hand does not."""

    __pydantic_config__ = STRICT


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def parse(kind: type[T], values: Any) -> T:
    """Return the dataclass `kind` made from plain values, as they come out of TOML, JSON and command lines.

    Raises:
        ValidationError: everything that is wrong; `sentences` says it.
    """
    text = json.dumps(values, default=lambda value: math.nan)  # TOML's dates become what no field takes
    dataclass: type = kind
    return _adapter(dataclass).validate_json(text.encode("utf-8", "surrogatepass"))


def sentences(
    error: ValidationError, *, known: Iterable[str] = (), homes: Mapping[str, str] | None = None
) -> list[str]:
    """Return one sentence for each thing that is wrong: its place, what was expected, what came.

    Args:
        error: of pydantic.
        known: names that an unknown field may have been meant for.
        homes: field name -> section, tells where a misplaced field belongs.
    """
    return [_sentence(problem, [*known], homes or {}) for problem in error.errors(include_url=False)]


def _sentence(problem: Mapping[str, Any], known: list[str], homes: Mapping[str, str]) -> str:
    place, message = ".".join(map(str, problem["loc"])), problem["msg"]
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return unknown_field(str(problem["loc"][-1]), known, homes)
    if problem["type"] in ("missing", "missing_argument"):
        return f"{place!r} is missing"
    if problem["type"] == "json_invalid":  # of values that were plain: half a character, or nested too deeply
        return f"expected plain JSON values ({problem['ctx']['error']})"
    if problem["type"] == "value_error":
        return f"{place}: {problem['ctx']['error']}" if place else str(problem["ctx"]["error"])
    if problem["type"] == "dataclass_type":
        message = f"Input should be a table [{place}]" if place else "Input should be a table"
    message = re.sub(r"^Input should be (?=greater|less)", "expected a number ", message)
    message = re.sub(r"^(Input should|String should|List should|Tuple should) (be|have)", r"expected", message)
    where = f"{place}: " if place else ""
    return f"{where}{message}, got {_shown(problem['input'])}"


def unknown_field(name: str, known: Collection[str], homes: Mapping[str, str]) -> str:
    """Return a sentence about a field that does not exist where it was written, with the nearest names."""
    if name in homes:
        return f"{name}: belongs into the table [{homes[name]}]"
    near = get_close_matches(name[:100], {*known, *homes}, n=2, cutoff=0.6)
    return f"unknown field {name!r:.80}" + (f", did you mean {' or '.join(near)}?" if near else "")
