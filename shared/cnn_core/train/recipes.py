"""Training a recipe by name, file or object: what `train` of every domain does."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_core.data.paths import with_upload_of
from cnn_core.domains import find_recipe
from cnn_core.errors import CnnError
from cnn_core.train.checkpoint import CHECKPOINT_FILE
from cnn_core.train.commands import train_command
from cnn_core.train.config import override, read_recipe
from cnn_core.train.finish import Outcome, train_seeds, train_task
from cnn_core.train.loop import Progress
from cnn_core.train.settings import check_settings
from cnn_core.train.task import Task
from cnn_core.weights import WeightsCard, load_card
from cnn_core.weights.card import name_for


@dataclass(frozen=True)
class RecipeTraining:
    """How a domain trains.

    Args:
        domain: its name.
        recipe_class: its recipes, with a section `loop` that has a seed.
        make_task: recipe -> Task.
        finish: called with the run folder when its weights are there, for what a domain writes beside them.
    """

    domain: str
    recipe_class: type
    make_task: Callable[[Any], Task]
    finish: Callable[[Path], object] | None = None

    def train(
        self,
        recipe: Any,
        *,
        folder: Path | str | None = None,
        name: str | None = None,
        seeds: Sequence[int] = (),
        resume: bool = False,
        observe: Callable[[Progress], bool | None] | None = None,
        settings: Mapping[str, Any] | None = None,
        command: str | None = None,
    ) -> Outcome:
        """Train a recipe and leave a run folder that predicts, explains and exports.

        Args:
            recipe: a name of `cnn list recipes`, a TOML file, or a recipe object.
            folder: the run folder; None: `runs/<name>` in the working folder.
            name: of the weights; None: the recipe's, in the signs that a card allows.
            seeds: train once with each and report mean and spread; empty: once, with the recipe's own seed.
            resume: go on with the run in `folder`.
            observe: called after every step and epoch with a `Progress`; returning False stops the run.
            settings: single fields to change, by name: `{"epochs": 3, "data": "my_photos"}`.
            command: what the card says to type for the same again; None: composed from the other arguments.
        """
        source, recipe = self._find(recipe)
        name = name or name_for(Path(source).stem if source else "")
        recipe = override(recipe, settings or {})
        folder = Path(folder) if folder is not None else Path("runs") / name
        if command is None:
            own = f"{self.domain}.train(recipe) in Python; recipe.json of the run holds the settings"
            command = train_command(source, settings or {}, seeds) if source else own
        how = {"name": name, "domain": self.domain, "command": command, "resume": resume, "observe": observe}
        with with_upload_of(folder):
            if seeds:

                def with_seed(seed: int) -> Task:
                    return self.make_task(dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, seed=seed)))

                outcome = train_seeds(with_seed, folder, seeds=seeds, **how)
            else:
                outcome = train_task(self.make_task(recipe), folder, **how)
            if self.finish and outcome.card is not None:
                self.finish(folder)
        return outcome

    def once(self, recipe: str, folder: Path, settings: Mapping[str, Any]) -> WeightsCard:
        """Return the card of a training among several; one that is there is not repeated, one that was killed goes on.

        Args:
            recipe: its name or TOML file.
            folder: the run folder.
            settings: what this training differs in, as in `train`.

        Raises:
            ConfigError: the folder holds a training with other settings.
        """
        if (folder / "card.json").exists():
            check_settings(folder, override(self._find(recipe)[1], settings))
        else:
            self.train(recipe, folder=folder, settings=settings, resume=folder.exists())
            (folder / CHECKPOINT_FILE).unlink(missing_ok=True)  # a hundred megabytes each, of no more use
        return load_card(folder)

    def _find(self, recipe: Any) -> tuple[str, Any]:
        """Return what `cnn train` calls the recipe, "" for an object, and the recipe."""
        if isinstance(recipe, self.recipe_class):
            return "", recipe
        file = Path(recipe)
        if file.suffix != ".toml":
            domain, file = find_recipe(str(recipe))
            if domain != self.domain:
                raise CnnError(f"recipe {recipe!r} belongs to {domain}, not to {self.domain}")
        return str(recipe), read_recipe(self.recipe_class, file)
