"""The domains, found through the entry points `cnn_showcase.domains` without importing them.

An entry point bears the name of its package, which is also what the cards of its weights call their domain. A domain is
an import package with the folders `recipes` and `weights` and these names in its `__init__` (no module of it may bear
one of them: the module would hide it):

    RECIPE                                        the recipe's dataclass (cnn_core.train.config), with a section `model`
    load(name, *, device="auto") -> Predictor     shipped weights or a run folder
    make_task(recipe) -> Task                     what the epoch loop runs
    DATA_SETS                                     name -> object with `name`, `description` and `how_to_get`
    get_data(name, *, progress) -> a sentence     download, verify, unpack; `progress` is for cnn_core.data.files.fetch

and, behind the commands; all but `train` may be missing, the command then says so:

    train(recipe, *, folder, name, seeds, resume, observe, command) -> Outcome (cnn_core.train.finish)
    evaluate_weights(name, *, data, split, device) -> {"data", "split", "n", "metrics"}, for `cnn eval`
    predict_items(name, inputs, *, device) -> an iterator of one dict per input, in the order of the inputs and as soon
                                              as it is known: "input", and the answer or "error"; one that writes
                                              files of its own also takes `output`, a folder or None
    explain_to_file(name, input, output, *, method, device) -> a sentence
    compare(name, data, *, folder, settings) -> one dict per way of transfer
    exportable(name) -> keywords of cnn_core.export.export_onnx; without it, a model of the registry is exported
    BENCHES: name -> Bench (cnn_core.train.benches), for `cnn bench`
    MODELS: name -> a line on each network that the domain builds itself, for `cnn list models`

The recipe's section `model` brings the flag `--weights`: a domain starts from them, or refuses them.
"""

import importlib
import importlib.util
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

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
        CnnError: its entry point bears another name than its package.
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


def function_of(package: ModuleType, name: str, *, command: str) -> Callable[..., Any]:
    """Return what stands behind a command.

    Raises:
        CnnError: the domain does not have it.
    """
    if not hasattr(package, name):
        raise CnnError(f"{package.__name__} does not offer `cnn {command}` (its package has no {name})")
    return getattr(package, name)


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
