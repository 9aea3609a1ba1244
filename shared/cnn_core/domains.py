"""The domains, found through the entry points `cnn_showcase.domains` without importing them.

A domain is an import package with the folders `recipes` and `weights` and these names in its `__init__`:

    load(name, *, device="auto") -> Predictor     shipped weights or a run folder
    train(recipe, **overrides) -> Run             a recipe name, a TOML file or a recipe object
    RECIPE                                        the recipe's dataclass (cnn_core.train.config)
    make_task(recipe) -> Task                     what the epoch loop runs
    DATA_SETS                                     name -> object with a `description`
    get_data(name)                                download, verify, unpack
    commands                                      functions behind `cnn predict`, `cnn eval` (see cnn_core.cli)
"""

import importlib
import importlib.util
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from cnn_core.errors import unknown_name

GROUP = "cnn_showcase.domains"


@lru_cache(maxsize=1)
def domain_folders() -> dict[str, Path]:
    """Return domain name -> folder of its package, without importing any."""
    folders = {}
    for point in entry_points(group=GROUP):
        spec = importlib.util.find_spec(point.value)
        if spec is not None and spec.submodule_search_locations:
            folders[point.name] = Path(next(iter(spec.submodule_search_locations)))
    return folders


def load_domain(name: str) -> ModuleType:
    """Import a domain by name.

    Raises:
        UnknownNameError: no such domain is installed.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise unknown_name("domain", name, points)
    return importlib.import_module(points[name].value)


def recipe_files() -> dict[str, tuple[str, Path]]:
    """Return recipe name -> (domain, TOML file) over all domains; a name that two domains use raises ValueError."""
    found: dict[str, tuple[str, Path]] = {}
    for domain, folder in domain_folders().items():
        for file in sorted((folder / "recipes").glob("*.toml")):
            if file.stem in found:
                raise ValueError(f"recipe {file.stem!r} exists in {found[file.stem][0]} and in {domain}")
            found[file.stem] = (domain, file)
    return found


def find_recipe(name: str) -> tuple[str, Path]:
    """Return (domain, TOML file) of a recipe by name, or raise UnknownNameError with the nearest names."""
    files = recipe_files()
    if name not in files:
        raise unknown_name("recipe", name, files)
    return files[name]
