"""Models by name: `register_model` on a builder, `create_model` to build, `list_models` to look."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call
from torch import nn

from cnn_core.errors import CnnError, unknown_name
from cnn_core.models.backbone import Backbone
from cnn_core.validation import sentences

Build = TypeVar("Build", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class ModelSpec:
    """The facts about a registered model, without building it."""

    name: str
    build: Callable[..., nn.Module]
    paper: str  # authors, year, title
    url: str  # arXiv or DOI
    year: int
    input_shape: tuple[int, ...]  # the paper's own input, channels first, without the batch
    spatial_dims: tuple[int, ...]  # the dimensionalities it can be built for
    torchvision: bool  # torchvision has the same network under this name or one of the aliases
    aliases: tuple[str, ...] = ()  # other names that `create_model` accepts
    segments: bool = False  # a class for every cell, [B, K, *S]; else a class for the whole, [B, K]

    @property
    def options(self) -> dict[str, Any]:
        """The keyword options of the builder with their default values."""
        parameters = inspect.signature(self.build).parameters.values()
        fixed = {"in_channels", "num_classes", "spatial_dims", "input_size"}
        return {p.name: p.default for p in parameters if p.name not in fixed}


MODELS: dict[str, ModelSpec] = {}
ALIASES: dict[str, str] = {}  # alias -> registered name


def register_model(
    *,
    paper: str,
    url: str,
    year: int,
    input_shape: tuple[int, ...],
    spatial_dims: tuple[int, ...] = (1, 2, 3),
    torchvision: bool = False,
    aliases: tuple[str, ...] = (),
    segments: bool = False,
) -> Callable[[Build], Build]:
    """Enter a builder into the registry under its function name.

    A builder has the form `build(in_channels, num_classes, *, spatial_dims, <options with defaults>)`; one that also
    names `input_size` gets the size of its input (a tuple of `spatial_dims` numbers).
    """

    def enter(build: Build) -> Build:
        name = build.__name__
        for taken in (name, *aliases):
            if taken in MODELS or taken in ALIASES:
                raise ValueError(f"model {taken!r} is registered twice")
        MODELS[name] = ModelSpec(
            name, build, paper, url, year, input_shape, spatial_dims, torchvision, aliases, segments
        )  # fmt: skip
        ALIASES.update(dict.fromkeys(aliases, name))
        return build

    return enter


def list_models(*, spatial_dims: int | None = None, segments: bool = False) -> list[str]:
    """Return the registered names in alphabetical order: backbones that classify, or networks that segment.

    Args:
        spatial_dims: only those that exist in 1, 2 or 3 dimensions; None: all.
        segments: True: those that give a class to every cell.
    """
    return sorted(
        name
        for name, spec in MODELS.items()
        if spec.segments == segments and spatial_dims in (None, *spec.spatial_dims)
    )


def model_spec(name: str) -> ModelSpec:
    """Return the registry entry of `name` (or alias), or raise UnknownNameError with the nearest names."""
    name = ALIASES.get(name, name)
    if name not in MODELS:
        raise unknown_name("model", name, [*MODELS, *ALIASES])
    return MODELS[name]


def create_model(
    name: str,
    *,
    spatial_dims: int = 2,
    in_channels: int = 3,
    num_classes: int = 1000,
    input_size: Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a registered model with fresh weights; see `as_backbone` for one with stages and a head.

    Args:
        name: one of `list_models()`.
        spatial_dims: 1, 2 or 3.
        in_channels: channels of the input.
        num_classes: K.
        input_size: spatial size of the input; needed by networks with dense layers on raw pixels, ignored by others.
        options: the model's own settings by name, see `model_spec(name).options`.

    Raises:
        UnknownNameError: no such model, or no such option.
        CnnError: the model does not exist in `spatial_dims`, needs an `input_size`, or cannot be built like this.
    """
    spec = model_spec(name)
    options = dict(options or {})
    if spatial_dims not in spec.spatial_dims:
        raise CnnError(f"{name} is defined for spatial_dims {spec.spatial_dims}, not {spatial_dims}")
    for option in options:
        if option not in spec.options:
            raise unknown_name(f"option of {name}", option, spec.options)
    for label, number in (("in_channels", in_channels), ("num_classes", num_classes)):
        if number < 1:
            raise CnnError(f"{label} of {name} must be at least 1, got {number}")
    arguments = {"in_channels": in_channels, "num_classes": num_classes, "spatial_dims": spatial_dims, **options}
    if "input_size" in inspect.signature(spec.build).parameters:
        if input_size is None or len(input_size) != spatial_dims or min(input_size) < 1:
            raise CnnError(
                f"{name} needs input_size with {spatial_dims} positive numbers (its dense layers), got {input_size}"
            )
        arguments["input_size"] = tuple(input_size)
    return _build(spec, arguments, options)


def as_backbone(model: nn.Module) -> Backbone:
    """Return `model`, or raise CnnError if it is not a `Backbone`: it has no stages, or no head to replace."""
    if not isinstance(model, Backbone):
        raise CnnError(f"expected a network with stages and a head, got {type(model).__name__}; choose a backbone")
    return model


@cache
def _checked(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    return validate_call(config=ConfigDict(strict=True, arbitrary_types_allowed=True))(build)


def _build(spec: ModelSpec, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
    """Build the model; options that its annotations or torch refuse become a message for the user."""
    try:
        model = _checked(spec.build)(**arguments)
    except CnnError:
        raise
    except ValidationError as error:
        raise CnnError(f"{spec.name} cannot be built: {'; '.join(sentences(error))}") from error
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        if not options:  # then it is a defect of ours
            raise
        raise CnnError(f"{spec.name} cannot be built with the options {dict(options)}: {error}") from error
    empty = [name for name, parameter in model.named_parameters() if parameter.numel() == 0]
    if empty:
        raise CnnError(f"{spec.name} with the options {dict(options)} has layers without weights: {', '.join(empty)}")
    return model
