"""Settings of a training run: frozen dataclasses, read from a TOML recipe, overridden from the command line.

Every domain composes its own recipe class from these sections and its own ones; field names are unique across the
sections, so that a command-line flag needs no prefix. A recipe file holds only what differs from the defaults.
"""

import dataclasses
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from cnn_core.errors import ConfigError
from cnn_core.train.values import accept, build_section, unknown_setting

Recipe = TypeVar("Recipe")


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and what it starts from."""

    model: str = "fastnet"  # a name of `cnn list models`
    options: dict[str, Any] = field(default_factory=dict)  # the model's own settings
    weights: str | None = None  # start from shipped weights or a run folder instead of fresh ones
    store: Literal["float32", "float16"] = "float32"  # how the weights are saved; test metrics are of the saved ones

    def problems(self) -> list[str]:
        return [] if self.model else ["model: expected a model name, got an empty one"]


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training inputs; 0, 1 or "none" switches one off."""

    # left-right; "alternate" turns each sample every epoch; "all": along every axis by itself
    flip: Literal["none", "random", "alternate", "all"] = "none"
    rotate: float = 0.0  # degrees, at most this much to either side
    scale: float = 0.0  # size changes by at most this fraction, the same along every axis
    zoom: float = 0.0  # size changes by at most this fraction, along each axis by itself
    shear: float = 0.0  # degrees
    shift: int = 0  # pixels along each axis
    crop: float = 1.0  # smallest fraction of the area that a random crop keeps, blown up to the full size
    light: float = 0.0  # brightness and contrast change by at most this fraction
    cutout: int = 0  # edge in pixels of a square that is blanked
    elastic: float = 0.0  # pixels: standard deviation of a smooth random displacement
    noise: float = 0.0  # Gaussian noise of at most this standard deviation, as a fraction of the input's range
    border: Literal["zeros", "reflect"] = "zeros"  # what moves in from outside

    def problems(self) -> list[str]:
        found = [
            f"{name}: expected a number of 0 or more, got {getattr(self, name)}"
            for name in ("rotate", "scale", "zoom", "shear", "shift", "light", "cutout", "elastic", "noise")
            if getattr(self, name) < 0
        ]
        found += [
            f"{n}: expected below 1, got {getattr(self, n)}"
            for n in ("scale", "zoom", "light")
            if getattr(self, n) >= 1
        ]
        if self.shear >= 90:
            found.append(f"shear: expected below 90 degrees, got {self.shear}")
        if not 0 < self.crop <= 1:
            found.append(f"crop: expected a fraction above 0 and up to 1, got {self.crop}")
        return found


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move."""

    optimizer: Literal["adamw", "sgd", "muon", "adadelta"] = "adamw"
    learning_rate: float = 1e-3  # the highest of the schedule
    weight_decay: float = 0.01
    momentum: float = 0.9  # of sgd, and of what muon leaves to sgd
    beta2: float = 0.99  # of adamw
    bias_learning_rate: float = 3.0  # muon only: biases, those of dense layers too, and normalisation
    head_learning_rate: float = 0.02  # muon only: dense layers
    row_learning_rate: float | None = None  # tables of vectors, moved row by row by Adam; None: learning_rate
    schedule: Literal["cosine", "one-cycle", "linear", "constant"] = "cosine"
    warmup: float | None = None  # fraction of the run that the rate rises; None: 0.3 for one-cycle, else 0
    label_smoothing: float = 0.0
    clip: float = 0.0  # largest norm of the gradient; 0: no limit
    ema: float = 0.0  # decay of the moving average of the weights that is evaluated and saved; 0: none

    def problems(self) -> list[str]:
        rates = ("learning_rate", "bias_learning_rate", "head_learning_rate", "row_learning_rate")
        given = {name: getattr(self, name) for name in rates if getattr(self, name) is not None}
        found = [f"{name}: expected above 0, got {rate}" for name, rate in given.items() if not rate > 0]
        found += [
            f"{n}: expected from 0 to below 1, got {getattr(self, n)}"
            for n in ("momentum", "beta2", "label_smoothing", "ema", "warmup")
            if getattr(self, n) is not None and not 0 <= getattr(self, n) < 1
        ]
        found += [
            f"{n}: expected 0 or more, got {getattr(self, n)}" for n in ("weight_decay", "clip") if getattr(self, n) < 0
        ]
        return found


@dataclass(frozen=True)
class LoopConfig:
    """How long, how large, where."""

    epochs: int = 5
    batch_size: int = 128  # of all processes together
    micro_batch: int = 0  # samples per forward pass, gradients added up; 0: the whole batch
    seed: int = 0
    device: str = "auto"  # auto, cpu, cuda, mps
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"  # mixed: see cnn_core.nn.precision
    strategy: Literal["auto", "ddp"] = "auto"  # of more than one device: ddp
    devices: int = 1  # processes on a machine, as many as torchrun starts there if it does
    num_nodes: int = 1
    compile: bool = False  # torch.compile; pays where steps are many and kernels small
    patience: int = 0  # epochs without a better validation metric before stopping; 0: never stop early
    eval_every: int = 1  # epochs between validations

    def problems(self) -> list[str]:
        found = [
            f"{n}: expected at least 1, got {getattr(self, n)}"
            for n in ("epochs", "batch_size", "devices", "num_nodes", "eval_every")
            if getattr(self, n) < 1
        ]
        found += [
            f"{n}: expected 0 or more, got {getattr(self, n)}"
            for n in ("micro_batch", "patience")
            if getattr(self, n) < 0
        ]
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", self.device):
            found.append(f"device: expected auto, cpu, cuda, cuda:1 or mps, got {self.device!r}")
        if ":" in self.device and self.devices > 1:
            found.append(f"devices: expected 1 with the one device {self.device}, got {self.devices}")
        if not 0 <= self.seed < 2**32:
            found.append(f"seed: expected 0 to {2**32 - 1}, got {self.seed}")
        return found


def sections(recipe_class: type) -> dict[str, type]:
    """Return the sections of a recipe class: field name -> dataclass."""
    hints = typing.get_type_hints(recipe_class)
    return {f.name: hints[f.name] for f in dataclasses.fields(recipe_class) if dataclasses.is_dataclass(hints[f.name])}


def setting_homes(recipe_class: type) -> dict[str, str]:
    """Return setting name -> section, for every field of every section.

    Raises:
        ValueError: two sections have a field of the same name; a flag could not tell them apart.
    """
    homes: dict[str, str] = {}
    for section, kind in sections(recipe_class).items():
        for entry in dataclasses.fields(kind):
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


def recipe_from_table(recipe_class: type[Recipe], table: Mapping[str, Any], *, source: str) -> Recipe:
    """Build a recipe from nested tables (section -> field -> value).

    Args:
        recipe_class: a dataclass of sections and single values, all with defaults.
        table: what differs from the defaults.
        source: how messages call it.

    Raises:
        ConfigError: with the list of all problems.
    """
    known, homes = sections(recipe_class), setting_homes(recipe_class)
    hints = typing.get_type_hints(recipe_class)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name in known and isinstance(value, Mapping):
            values[name] = build_section(known[name], value, problems, homes=homes)
        elif name in known:
            problems.append(f"{name}: expected a table [{name}], got {value!r}")
        elif name not in hints:
            problems.append(unknown_setting(name, hints, homes))
        elif accept(value, hints[name], name, problems):
            values[name] = value
    for name, section in known.items():
        values.setdefault(name, section())
    problems += [problem for name in known for problem in values[name].problems()]
    if problems:
        raise ConfigError(source, problems)
    return recipe_class(**values)


def override(recipe: Recipe, changes: Mapping[str, Any], *, source: str = "settings") -> Recipe:
    """Return `recipe` with single fields replaced by their unique name, whatever section they are in.

    Raises:
        ConfigError: with the list of all problems.
    """
    table, known, homes = to_table(recipe), sections(type(recipe)), setting_homes(type(recipe))
    single = [f.name for f in dataclasses.fields(type(recipe)) if f.name not in known]
    problems = []
    for name, value in changes.items():
        if name in homes:
            table[homes[name]][name] = value
        elif name in single:
            table[name] = value
        else:
            problems.append(unknown_setting(name, [*single, *homes], {}))
    if problems:
        raise ConfigError(source, problems)
    return recipe_from_table(type(recipe), table, source=source)


def to_table(recipe: Any) -> dict[str, Any]:
    """Return the recipe as nested plain values, without those that are None (TOML and cards have no null)."""
    return {
        key: {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
        for key, value in dataclasses.asdict(recipe).items()
        if value is not None
    }
