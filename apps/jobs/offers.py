"""What can be trained: the recipes of all domains with the settings that people change, and jobs made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_core.data.paths import with_upload_of
from cnn_core.data.summary import DataSummary
from cnn_core.domains import domain_folders, find_recipe, load_domain
from cnn_core.errors import CnnError, missing_package
from cnn_core.train.commands import train_command
from cnn_core.train.config import override, read_recipe, recipe_from_table, setting_homes, to_table
from jobs.queue import Job


@dataclass(frozen=True)
class Offer:
    """A recipe, with its own values of what people change first."""

    name: str
    domain: str
    description: str
    model: str
    data: str
    epochs: int
    learning_rate: float
    seed: int
    validation: bool | None  # None: the recipe has no such setting
    sets: tuple[str, ...]  # data sets of the domain


def offer(name: str) -> Offer:
    """Return a recipe's offer; loads its domain.

    Raises:
        UnknownNameError: no such recipe.
        CnnError: the recipe cannot be read, or its domain needs a package that is not installed.
    """
    domain, recipe, package = _recipe(name)
    data = getattr(recipe, "data", None)
    return Offer(
        name, domain, getattr(recipe, "description", ""), recipe.model.model, getattr(data, "data", ""),
        recipe.loop.epochs, recipe.optimizer.learning_rate, recipe.loop.seed, getattr(data, "validation", None),
        tuple(sorted(package.DATA_SETS)),
    )  # fmt: skip


def job_of(name: str, changes: Mapping[str, Any], *, called: str) -> Job:
    """Return the job of a recipe with some settings changed.

    Args:
        name: of the recipe.
        changes: setting -> value; a value equal to the recipe's own is ignored.
        called: name of the weights.

    Raises:
        ConfigError: with the list of all problems.
        CnnError: see `offer`.
    """
    domain, recipe, package = _recipe(name)
    homes, before = setting_homes(type(recipe)), to_table(recipe)
    own = {key: before.get(homes[key], {}).get(key) for key in changes if key in homes}
    changed = {key: value for key, value in changes.items() if own.get(key) != value}
    table = to_table(package.DOMAIN.with_settings(recipe, override(recipe, changed)))
    return Job(domain, table, called, train_command(name, changed))


def summary_of(name: str, changes: Mapping[str, Any], run: Path) -> DataSummary:
    """Return what a training would understand of the upload in a run folder.

    Args:
        name: of the recipe.
        changes: setting -> value.
        run: the folder, which needs to hold nothing else.

    Raises:
        DataError: nothing could be learned from it.
        CnnError: see `offer`.
    """
    _, recipe, package = _recipe(name)
    with with_upload_of(run):
        summary: DataSummary = package.DOMAIN.summarise(recipe, changes)
    return summary


def domain_of(table: Mapping[str, Any]) -> str:
    """Return the domain whose recipes look like this one, or "" if none does."""
    for domain in domain_folders():
        try:
            recipe_from_table(_load(domain).DOMAIN.recipe, table, source="recipe.json")
        except CnnError:
            continue
        return domain
    return ""


def _recipe(name: str) -> tuple[str, Any, Any]:
    domain, file = find_recipe(name)
    package = _load(domain)
    return domain, read_recipe(package.DOMAIN.recipe, file), package


def _load(domain: str) -> Any:
    package = load_domain(domain)
    try:
        package.DOMAIN, package.DATA_SETS  # noqa: B018 (loads what they need)
    except ModuleNotFoundError as error:
        raise missing_package(error.name or str(error)) from error
    return package
