"""Standard output of the commands."""

import argparse
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any


def write_json(options: argparse.Namespace, answer: Mapping[str, Any]) -> None:
    """Print the one JSON object of `--json`."""
    print(to_json(answer), file=options.out)


def to_json(answer: Mapping[str, Any]) -> str:
    """Return `answer` as JSON; NaN and infinity, which JSON has not, become null."""
    return json.dumps(_finite(answer), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Fraction):  # a receptive field may begin between two pixels
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value
