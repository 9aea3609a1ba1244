"""Trainings as command lines. Loads no torch."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def train_command(recipe: str, settings: Mapping[str, Any], seeds: Sequence[int] = ()) -> str:
    """Compose the command line that trains the same again."""
    words = ["cnn", "train", recipe, *setting_flags(settings)]
    return shlex.join(words + (["--seeds", *map(str, seeds)] if seeds else []))


def setting_flags(settings: Mapping[str, Any]) -> list[str]:
    """Return changed settings as the words of a command line."""
    words = []
    for key, value in settings.items():
        flag = key.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return words
