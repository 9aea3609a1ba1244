"""Trainings as command lines. Loads no torch."""

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
    words = []
    for key, value in settings.items():
        flag = key.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return words
