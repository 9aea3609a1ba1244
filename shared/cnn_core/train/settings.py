"""The settings of a run, in its recipe.json: it can only be resumed with the same ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnn_core.errors import ConfigError
from cnn_core.train.config import to_table


def check_settings(folder: Path, recipe: Any) -> None:
    """Compare a recipe with the one that the run in `folder` was begun with, if it left one.

    Raises:
        ConfigError: they differ in what is computed, or recipe.json is damaged.
    """
    file = folder / "recipe.json"
    if not file.exists():
        return
    defaults = json.loads(json.dumps(to_table(type(recipe)())))
    changed = _differences(_with_defaults(_read_settings(file), defaults), json.loads(json.dumps(to_table(recipe))))
    if changed:
        raise ConfigError(str(folder), [f"cannot resume with other settings: {line}" for line in changed])


def _read_settings(file: Path) -> Mapping[str, Any]:
    """Read a run's recipe.json; ConfigError if it is damaged."""
    try:
        settings = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or brackets without end
        problem = str(error)
    else:
        if isinstance(settings, Mapping):
            return settings
        problem = f"it holds {type(settings).__name__} in place of an object"
    raise ConfigError(
        str(file),
        [
            f"expected the settings of the run as JSON, but the file is damaged ({problem})",
            "delete it and resume with the settings that the run began with, or choose another folder with --run",
        ],
    )


def _with_defaults(before: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the settings that there were not yet when a run was begun: then they were as they are by default."""
    return {
        section: {**values, **before[section]} if isinstance(values, Mapping) and section in before else values
        for section, values in {**defaults, **{k: v for k, v in before.items() if not isinstance(v, Mapping)}}.items()
    }


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Compare two resolved recipes; where a run computes, on how many devices, and what is said of it may change."""
    free = {"device", "devices", "num_nodes", "strategy", "compile", "micro_batch"}
    lines = []
    for section in (s for s in {**before, **now} if s not in ("description", "licence", "limits")):
        old, new = before.get(section), now.get(section)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            names = sorted({**old, **new})
            lines += [
                f"{n} was {old.get(n)}, now {new.get(n)}" for n in names if old.get(n) != new.get(n) and n not in free
            ]
        elif old != new:
            lines.append(f"{section} was {old}, now {new}")
    return lines
