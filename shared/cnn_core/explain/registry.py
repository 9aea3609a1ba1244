"""Explanation methods by name: `register_method` on a function, `list_methods` to look, `method_spec` for one."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cnn_core.errors import unknown_name


@dataclass(frozen=True)
class MethodSpec:
    """The facts about a method, without running it."""

    name: str
    run: Callable[..., Tensor]
    signed: bool  # True: negative heat is evidence against the target; False: heat is only more or less
    paper: str  # authors, year, title
    url: str  # arXiv or DOI

    @property
    def options(self) -> dict[str, Any]:
        """The options of the method with their default values."""
        parameters = inspect.signature(self.run).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def fill(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return all options, `options` over the defaults, or raise UnknownNameError for one that does not exist."""
        for option in options or {}:
            if option not in self.options:
                raise unknown_name(f"option of {self.name}", option, self.options)
        return {**self.options, **(options or {})}


METHODS: dict[str, MethodSpec] = {}


def register_method(
    name: str, *, signed: bool, paper: str, url: str
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Enter a method into the registry.

    A method has the form `run(model, x, score, *, <options with defaults>) -> [B, *S']`: `x` `[B, C, *S]` is the
    method's own copy, gradients are on, the model is in evaluation mode, and `score(logits)` `[N * B, K] -> [N * B]`
    takes any number N of repeats of the batch. The result may have any spatial size; `explain` scales it up. An
    option named `layer` that is None arrives filled with the last stage whose map still has more than one cell.
    """

    def enter(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if name in METHODS:
            raise ValueError(f"explanation method {name!r} is registered twice")
        METHODS[name] = MethodSpec(name, run, signed, paper, url)
        return run

    return enter


def list_methods() -> list[str]:
    """Return the registered names in alphabetical order."""
    return sorted(METHODS)


def method_spec(name: str) -> MethodSpec:
    """Return the registry entry of `name`, or raise UnknownNameError with the nearest names."""
    if name not in METHODS:
        raise unknown_name("explanation method", name, METHODS)
    return METHODS[name]
