"""The domains, found through the entry points `cnn_showcase.domains` without importing them.

A domain is an import package with the folders `recipes` and `weights` and these names in its `__init__`:

    RECIPE                                        the recipe's dataclass (cnn_core.train.config), with a section `model`
    load(name, *, device="auto") -> Predictor     shipped weights or a run folder
    make_task(recipe) -> Task                     what the epoch loop runs
    DATA_SETS                                     name -> object with `name`, `description` and `how_to_get`
    get_data(name) -> folder                      download, verify, unpack

and, behind the commands of the same names:

    train(recipe, *, folder, name, seeds, resume, observe, command) -> Outcome (cnn_core.train.finish)
    evaluate_weights(name, *, data, split, device) -> {"data", "split", "n", "metrics"}
    predict_items(name, inputs, *, device) -> an iterator of one dict per input, in the order of the inputs and as soon
                                              as it is known: "input", and the answer or "error"; one that writes
                                              files of its own also takes `output`, a folder or None
    explain_to_file(name, input, output, *, method, device) -> a sentence
    compare(name, data, *, folder, settings) -> one dict per way of transfer
"""

import importlib
import importlib.util
from collections import Counter
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
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise unknown_name("domain", name, points)
    return importlib.import_module(points[name].module)


def recipe_files() -> dict[str, tuple[str, Path]]:
    """Return recipe name -> (domain, TOML file) over all domains.

    A name that two domains use is no one's: such recipes are called `domain/name`.
    """
    files = [(d, f) for d, folder in domain_folders().items() for f in (folder / "recipes").glob("*.toml")]
    uses = Counter(file.stem for _, file in files)
    names = {file.stem if uses[file.stem] == 1 else f"{domain}/{file.stem}": (domain, file) for domain, file in files}
    return dict(sorted(names.items()))


def find_recipe(name: str) -> tuple[str, Path]:
    """Return (domain, TOML file) of a recipe by name, or raise UnknownNameError with the nearest names."""
    files = recipe_files()
    if name not in files:
        raise unknown_name("recipe", name, files)
    return files[name]
