"""The domains, found through the entry points `cnn_showcase.domains` without importing them.

An entry point has the name of its package, which is also the `domain` of the cards of its weights. What such a
package holds is said in `cnn_core.domain`.
"""

import importlib
import importlib.util
import logging
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from cnn_core.errors import CnnError, unknown_name

log = logging.getLogger(__name__)

GROUP = "cnn_showcase.domains"


@lru_cache(maxsize=1)
def domain_folders() -> dict[str, Path]:
    """Return domain name -> folder of its package, without importing any."""
    folders = {}
    for point in entry_points(group=GROUP):
        try:
            spec = importlib.util.find_spec(point.module)
        except ModuleNotFoundError:  # of the package that the domain's package lies in
            spec = None
        if spec is not None and spec.submodule_search_locations:
            folders[point.name] = Path(next(iter(spec.submodule_search_locations)))
    return folders


def load_domain(name: str) -> ModuleType:
    """Import a domain by name.

    Raises:
        UnknownNameError: no such domain is installed.
        CnnError: its entry point has another name than its package.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise unknown_name("domain", name, points)
    module = points[name].module
    if module != name:
        raise CnnError(
            f"the entry point {name!r} leads to the package {module!r}; expected the package's own name, under which "
            "its weights are found again"
        )
    return importlib.import_module(module)


def loaded_domains() -> Iterator[tuple[str, ModuleType]]:
    """Import all domains and yield (name, package); one that cannot be imported is logged and left out."""
    for name in domain_folders():
        try:
            yield name, load_domain(name)
        except (ImportError, CnnError) as error:
            log.warning("the domain %s is left out: %s", name, error)


def recipe_files() -> dict[str, tuple[str, Path]]:
    """Return recipe name -> (domain, TOML file) over all domains.

    Where two domains use a name, the recipes are called `domain/name`.
    """
    files = [(d, f) for d, folder in domain_folders().items() for f in (folder / "recipes").glob("*.toml")]
    uses = Counter(file.stem for _, file in files)
    names = {file.stem if uses[file.stem] == 1 else f"{domain}/{file.stem}": (domain, file) for domain, file in files}
    return dict(sorted(names.items()))


def find_recipe(name: str) -> tuple[str, Path]:
    """Return (domain, TOML file) of a recipe by name, or raise UnknownNameError with the nearest names."""
    files = recipe_files()
    if name not in files:
        several = [known for known in files if known.endswith(f"/{name}")]
        raise unknown_name("recipe", name, several or files)
    return files[name]
