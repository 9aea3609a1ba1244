"""Trainings as command lines. Loads no torch."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def train_command(recipe: str, settings: Mapping[str, Any], seeds: Sequence[int] = ()) -> str:
    """Compose the command line that trains the same again."""
    words = ["cnn", "train", recipe, *_flags(settings)]
    return shlex.join(words + (["--seeds", *map(str, seeds)] if seeds else []))


def compare_command(weights: str, data: str, settings: Mapping[str, Any]) -> str:
    """Compose the command line that compares the same ways of transfer again."""
    return shlex.join(["cnn", "compare", weights, "--data", data, *_flags(settings)])


def _flags(settings: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for key, value in settings.items():
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list | tuple):
            words += [f"--{flag}", *map(str, value)]
        elif isinstance(value, Mapping):  # `options`, of the model
            pairs = [f"{name}={item if isinstance(item, str) else json.dumps(item)}" for name, item in value.items()]
            words += [word for pair in pairs for word in ("--option", pair)]
        else:
            words += [f"--{flag}", str(value)]
    return words
