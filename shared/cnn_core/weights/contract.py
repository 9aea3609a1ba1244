"""What a network takes, as the `input` object of its weights card: checked when it is built, the same after JSON."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast, dataclass_transform

from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from cnn_core.errors import ConfigError, WeightsError
from cnn_core.validation import STRICT, parse, sentences

if TYPE_CHECKING:
    from cnn_core.weights.card import WeightsCard

T = TypeVar("T")

SOURCE = "input contract"
Tuple = Field(strict=False)  # of a field that takes lists for tuples, as JSON has them


@dataclass_transform(frozen_default=True)
def contract(kind: type[T]) -> type[T]:
    """Make a frozen dataclass whose fields are checked by their annotations; ConfigError lists all that is wrong."""
    made = dataclass(kind, frozen=True, config=STRICT)
    init, names = made.__init__, [field.name for field in dataclasses.fields(made)]

    def checked(self: T, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, **dict(zip(names, args, strict=False)), **kwargs)
        except ValidationError as error:
            raise ConfigError(SOURCE, sentences(error)) from error

    made.__init__ = checked  # type: ignore[method-assign, assignment]  # pydantic raises errors of its own there
    return cast("type[T]", made)


class Contract:
    """Base of the domains' contracts, which are decorated with `contract`."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]  # which `contract` makes

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; `from_json` restores an equal contract."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build a contract from a card's `input` object; ConfigError lists everything that is wrong with it."""
        try:
            return parse(cls, values)
        except ValidationError as error:
            raise ConfigError(SOURCE, sentences(error, known=[f.name for f in dataclasses.fields(cls)])) from error

    @classmethod
    def of_card(cls, card: "WeightsCard", *, domain: str) -> Self:
        """Return the contract of a card of this domain.

        Raises:
            WeightsError: the card is of another domain, or its contract cannot be used.
        """
        if card.domain != domain:
            raise WeightsError(f"weights {card.name!r} belong to {card.domain}, not to {domain}")
        try:
            return cls.from_json(card.input)
        except ConfigError as error:
            raise WeightsError(f"weights {card.name!r}: {error}; restore the card") from error
