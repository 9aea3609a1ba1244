"""Settings of a training run: frozen dataclasses, read from a TOML recipe, overridden from the command line.

Every domain composes its own recipe class from these sections and its own ones; field names are unique across the
sections, so that a command-line flag needs no prefix. A recipe file holds only what differs from the defaults.
"""

import dataclasses
import json
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from cnn_core.errors import ConfigError
from cnn_core.validation import (
    Count,
    Natural,
    NonNegative,
    Options,
    Positive,
    Settings,
    Share,
    Text,
    matching,
    parse,
    sentences,
    unknown_field,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RECIPE_FILE = "recipe.json"  # of a run: its settings, resolved
MAY_CHANGE = {
    "device",
    "devices",
    "num_nodes",
    "strategy",
    "compile",
    "micro_batch",
    "description",
    "licence",
    "limits",
}

Recipe = TypeVar("Recipe", bound="DataclassInstance")
Device = Annotated[str, matching(r"auto|cpu|mps|cuda(:\d{1,3})?", "auto, cpu, cuda, cuda:1 or mps")]


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Which network, and what it starts from."""

    model: Text = "fastnet"  # a name of `cnn list models`
    options: Options = field(default_factory=dict)  # the model's own settings
    # start from shipped weights or a run folder instead of fresh ones; "none": from fresh ones
    weights: Annotated[str | None, BeforeValidator(lambda name: None if name == "none" else name)] = None
    store: Literal["float32", "float16"] = "float32"  # how the weights are saved; test metrics are of the saved ones


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """How the weights move."""

    optimizer: Literal["adamw", "sgd", "muon", "adadelta"] = "adamw"
    learning_rate: Positive = 1e-3  # the highest of the schedule
    weight_decay: NonNegative = 0.01
    momentum: Share = 0.9  # of sgd, and of what muon leaves to sgd
    beta2: Share = 0.99  # of adamw
    bias_learning_rate: Positive = 3.0  # muon only: biases, those of dense layers too, and normalisation
    head_learning_rate: Positive = 0.02  # muon only: dense layers
    row_learning_rate: Positive | None = None  # tables of vectors, moved row by row by Adam; None: learning_rate
    schedule: Literal["cosine", "one-cycle", "linear", "constant"] = "cosine"
    warmup: Share | None = None  # fraction of the run that the rate rises; None: 0.3 for one-cycle, else 0
    label_smoothing: Share = 0.0
    clip: NonNegative = 0.0  # largest norm of the gradient; 0: no limit
    ema: Share = 0.0  # decay of the moving average of the weights that is evaluated and saved; 0: none


@dataclass(frozen=True)
class LoopConfig(Settings):
    """How long, how large, where."""

    epochs: Count = 5  # at most
    minutes: NonNegative = 0.0  # of training and validation, after which it ends with its epoch; 0: all epochs
    batch_size: Count = 128  # of all processes together
    micro_batch: Natural = 0  # samples per forward pass, gradients added up; 0: the whole batch
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Device = "auto"  # auto, cpu, cuda, mps
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"  # mixed: see cnn_core.train.devices
    strategy: Literal["auto", "ddp"] = "auto"  # of more than one device: ddp
    devices: Count = 1  # processes on a machine, as many as torchrun starts there if it does
    num_nodes: Count = 1
    compile: bool = False  # torch.compile; pays where steps are many and kernels small
    patience: Natural = 0  # epochs without a better validation metric before stopping; 0: never stop early
    eval_every: Count = 1  # epochs between validations

    @model_validator(mode="after")
    def _one_device_by_number(self) -> "LoopConfig":
        if ":" in self.device and self.devices > 1:
            raise ValueError(f"devices: expected 1 with the one device {self.device}, got {self.devices}")
        return self


def setting_homes(recipe_class: type) -> dict[str, str]:
    """Return setting name -> section, for every field of every section.

    Raises:
        ValueError: two sections have a field of the same name; a flag could not tell them apart.
    """
    homes: dict[str, str] = {}
    hints = typing.get_type_hints(recipe_class)
    for section in (f.name for f in dataclasses.fields(recipe_class) if dataclasses.is_dataclass(hints[f.name])):
        for entry in dataclasses.fields(hints[section]):
            if entry.name in homes:
                raise ValueError(f"setting {entry.name!r} is in [{homes[entry.name]}] and in [{section}]")
            homes[entry.name] = section
    return homes


def read_recipe(recipe_class: type[Recipe], path: Path) -> Recipe:
    """Read a TOML recipe; every unknown key, wrong type and impossible value is reported at once.

    The key `domain`, by which the command line finds the package that a recipe file is for, is passed over.

    Raises:
        ConfigError: with the list of all problems.
    """
    table = read_toml(path)
    table.pop("domain", None)
    return recipe_from_table(recipe_class, table, source=path.name)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Windows editors put a mark before the text
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(str(path), [f"not a TOML file ({error})"]) from error
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read ({error.strerror})"]) from error


def recipe_from_table(recipe_class: type[Recipe], table: Mapping[str, Any], *, source: str = "settings") -> Recipe:
    """Build a recipe from nested tables (section -> field -> value).

    Args:
        recipe_class: a dataclass of sections and single values, all with defaults.
        table: what differs from the defaults.
        source: how messages call it.

    Raises:
        ConfigError: with the list of all problems.
    """
    homes = setting_homes(recipe_class)
    try:
        return parse(recipe_class, table)
    except ValidationError as error:
        names = [f.name for f in dataclasses.fields(recipe_class)]
        raise ConfigError(source, sentences(error, known=names, homes=homes)) from error


def override(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return `recipe` with single fields replaced by their unique name, whatever section they are in.

    Raises:
        ConfigError: with the list of all problems.
    """
    table, homes = dataclasses.asdict(recipe), setting_homes(type(recipe))
    single = {name for name in table if name not in homes.values()}
    unknown = [name for name in changes if name not in homes and name not in single]
    if unknown:
        raise ConfigError("settings", [unknown_field(name, [*single, *homes], {}) for name in unknown])
    for name, value in changes.items():
        (table[homes[name]] if name in homes else table)[name] = value
    return recipe_from_table(type(recipe), table)


def to_table(recipe: Any) -> dict[str, Any]:
    """Return the recipe as nested plain values, without those that are None (TOML and cards have no null)."""
    return {
        key: {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
        for key, value in dataclasses.asdict(recipe).items()
        if value is not None
    }


def check_settings(folder: Path, recipe: Any) -> None:
    """Compare a recipe with the one that the run in `folder` was begun with, if it left one.

    Where a run computes, on how many devices, and what is said of it may change. Settings that did not exist yet when
    it was begun were as they are by default.

    Raises:
        ConfigError: they differ in what is computed, or recipe.json is damaged.
    """
    file = folder / RECIPE_FILE
    if not file.exists():
        return
    try:
        begun = recipe_from_table(type(recipe), json.loads(file.read_text("utf-8")))
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, brackets without end, or no settings
        problems = [
            f"expected the settings of the run as JSON, but the file is damaged ({error})",
            "delete it and resume with the settings that the run began with, or choose another folder with --run",
        ]
        raise ConfigError(str(file), problems) from error
    old, new = _values(begun), _values(recipe)
    changed = [name for name in sorted({**old, **new}) if name not in MAY_CHANGE and old.get(name) != new.get(name)]
    if changed:
        lines = [f"cannot resume with other settings: {n} was {old.get(n)}, now {new.get(n)}" for n in changed]
        raise ConfigError(str(folder), lines)


def _values(recipe: Any) -> dict[str, Any]:
    """Return setting name -> value as JSON has it, over all sections."""
    values: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(to_table(recipe))).items():
        values |= value if isinstance(value, dict) else {name: value}
    return values
