"""What a network takes, as the `input` object of its weights card: checked when it is built, the same after JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

from cnn_core.errors import ConfigError

SHOWN = 80  # characters of a value that is no object


@dataclass(frozen=True)
class Contract:
    """Base of the domains' contracts: frozen dataclasses of JSON values, in which every list becomes a tuple.

    Raises:
        ConfigError: `problems` found some.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Sequence) and not isinstance(value, str):
                object.__setattr__(self, field.name, tuple(value))
        problems = self.problems()
        if problems:
            raise ConfigError("input contract", problems)

    def problems(self) -> list[str]:
        """Return one sentence for each field that cannot be used."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; `from_json` restores an equal contract."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build a contract from a card's `input` object; ConfigError lists everything that is wrong with it."""
        needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
        if not isinstance(values, Mapping):
            got = f"{values!r:.{SHOWN}}"
            raise ConfigError("input contract", [f"expected an object with {', '.join(needed)}, ..., got {got}"])
        known = {field.name for field in fields(cls)}
        problems = [f"unknown key {key!r}" for key in values if key not in known]
        problems += [f"{key!r} is missing" for key in needed if key not in values]
        if problems:
            raise ConfigError("input contract", problems)
        return cls(**values)
