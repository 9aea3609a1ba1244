"""The card of a set of weights: what it is, how well it does, and how it was made; and what the network takes.

A card is a JSON file beside the weights. It is read from folders that anybody may have written, so every field is
checked and all that is wrong is reported at once. What goes into a network, the card's `input`, is a `Contract` of its
domain: checked when it is built, the same after JSON.
"""

import contextlib
import dataclasses
import json
import math
import os
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast, dataclass_transform

import pydantic.dataclasses
from pydantic import Field, ValidationError, model_validator
from typing_extensions import TypedDict  # pydantic takes Python's own from 3.12 on only

from cnn_core.data.paths import user_path
from cnn_core.errors import CnnError, ConfigError, WeightsError
from cnn_core.notebook import table
from cnn_core.validation import (
    STRICT,
    Count,
    Natural,
    NonNegative,
    Options,
    Positive,
    Settings,
    Text,
    matching,
    parse,
    sentences,
)

CARD_LIMIT = 32 * 1024**2  # bytes; a text domain keeps its vocabulary in the card's `input`

Name = Annotated[
    str, matching(r"[a-z0-9][a-z0-9._-]{0,99}", "lower-case letters, digits, '.', '_' or '-' (at most 100)")
]
Date = Annotated[str, matching(r"\d{4}-\d{2}-\d{2}.*", "an ISO date such as 2025-01-31")]
Digest = Annotated[str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits in lower case")]
T = TypeVar("T")

SOURCE = "input contract"
Tuple = Field(strict=False)  # of a field that takes lists for tuples, as JSON has them
Json = str | bytes  # WeightsCard has a field that is called bytes too


class Arguments(TypedDict):
    """What `create_model` gets beside the model's name."""

    spatial_dims: Annotated[int, Field(ge=1, le=3)]
    in_channels: Count
    num_classes: Count
    input_size: list[Count] | None
    options: Options


class Metric(TypedDict):
    """One figure over all trainings behind the weights."""

    mean: float
    std: NonNegative | None  # None: one training
    n: Count  # items measured
    seeds: list[Natural]
    split: Text
    values: list[float]  # one for each seed


class Confidence(TypedDict):
    """What was fitted on validation data, see `cnn_core.confidence`."""

    temperature: Positive  # the scores are divided by it; the weights hold that already
    n: Count  # validation items
    data: Text  # which they were
    error_before: NonNegative  # calibration error on them
    error_after: NonNegative
    threshold: float | None  # familiarity of an input below which it is none of the classes; None: not chosen


@dataclass(frozen=True)
class WeightsCard(Settings):
    """Everything there is to say about one weights file; all values are plain JSON values."""

    name: Name  # as in `cnn predict NAME`: lower-case letters, digits, ".", "_", "-"
    domain: Text  # the package that trained it and knows how to use it
    model: Text  # name in the model registry, or one that the domain builds itself
    arguments: Arguments
    input: Options  # the domain's own contract of what goes in: size, mean, std, spacing, vocabulary ...
    labels: list[Text]  # one per class, or empty where classes have no names
    metrics: dict[Text, Metric]
    recipe: Options  # the settings it was trained with, resolved
    command: Text  # what to type to make it again
    machine: Text  # where it was trained, in words
    seconds: NonNegative  # training time
    parameters: Natural  # number of values in the parameters of the model, frozen ones too
    sha256: Digest  # of the file of its tensors, which is named by it
    bytes: Count  # size of that file
    dtype: Literal["float32", "float16", "bfloat16"]  # how floating-point tensors are stored; in memory: float32
    licence: Text  # of the weights
    limits: list[Text]  # sentences: where it should not be used, what it was not tested on
    created: Date  # ISO 8601
    version: Text  # of the project that made it
    package: str = ""  # import package that brings the file of the tensors; empty: it lies beside the card
    confidence: Confidence | None = None  # of classifiers that were calibrated

    @property
    def can_refuse(self) -> bool:
        """Whether inputs that are like nothing that was learned are answered with "none of these"."""
        return self.confidence is not None and self.confidence["threshold"] is not None

    def _repr_html_(self) -> str:
        figures = [
            (
                name,
                f"{m['mean']:.4f}" + ("" if m["std"] is None else f" ± {m['std']:.4f}"),
                f"{m['split']}, n {m['n']:,}",
            )
            for name, m in self.metrics.items()
        ]
        facts = [
            ("network", f"{self.model}, {self.parameters:,} parameters, {self.bytes / 1e6:.1f} MB", ""),
            ("trained with", self.command, f"{self.seconds:,.0f} s on {self.machine}"), ("licence", self.licence, ""),
            *(("limit", text, "") for text in self.limits),
        ]  # fmt: skip
        return table([*figures, *facts], title=f"{self.name}, {self.domain}")

    @model_validator(mode="after")
    def _fields_agree(self) -> "WeightsCard":
        found = list(_metric_problems(self.metrics))
        classes, size = self.arguments["num_classes"], self.arguments["input_size"]
        if len(self.labels) not in (0, classes):
            found.append(f"labels: expected one for each of arguments.num_classes, {classes}, got {len(self.labels)}")
        if size is not None and len(size) != self.arguments["spatial_dims"]:
            found.append(f"arguments.input_size: expected {self.arguments['spatial_dims']} numbers, got {size}")
        if found:
            raise ValueError("; ".join(found))
        return self

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, source: str = "weights card") -> "WeightsCard":
        """Make a card from JSON values.

        Args:
            values: field name -> value.
            source: what to call the card in messages, usually its path.

        Raises:
            WeightsError: lists every unknown field (with the nearest one), missing field and wrong value.
        """
        try:
            return parse(cls, values)
        except ValidationError as error:
            known = [field.name for field in fields(cls)] + [*Arguments.__annotations__, *Metric.__annotations__]
            problems = sentences(error, known=known)
            raise WeightsError(f"{source}: " + "; ".join(problems)) from error

    @classmethod
    def from_json(cls, text: Json, *, source: str = "weights card") -> "WeightsCard":
        """Make a card from its file's content; raises WeightsError as `from_dict` does, and for damaged JSON."""
        if len(text) > CARD_LIMIT:
            raise WeightsError(f"{source}: {len(text)} bytes are too many for a card, at most {CARD_LIMIT} are read")
        try:
            values = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise WeightsError(f"{source}: not valid JSON ({reason}); restore the file or train again") from error
        return cls.from_dict(values, source=source)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return the settings in a section of the recipe by name, none where there is no such section."""
        settings = self.recipe.get(name)
        return settings if isinstance(settings, dict) else {}

    def learned_from(self, data: str | None, names: Container[str]) -> bool:
        """Tell whether `data` is the set that the weights were trained on.

        A relative path of the training began in a folder that is not known any more: what ends like it is taken for it,
        since measuring on what was learned from is worse than being careful with another folder of that name.

        Args:
            data: a set's name, in which - and _ are the same, or a path, which may be spelled in another way than in
                training; None: that set.
            names: of the domain's data sets. A name of those is never a path.
        """
        learned = str(self.section("data").get("data"))
        if data is None or data == learned:
            return True
        spellings = {name.replace("-", "_") for name in (data, learned)}
        if any(name in names for name in spellings):
            return len(spellings) == 1
        with contextlib.suppress(OSError, ValueError):  # it is not there, or no path at all
            if user_path(data).samefile(user_path(learned)):
                return True
        end = [part for part in Path(os.path.normpath(learned)).parts if part not in (os.curdir, os.pardir)]
        if not end or user_path(learned).is_absolute():
            return False
        return Path(os.path.normpath(user_path(data).absolute())).parts[-len(end) :] == tuple(end)

    def check_unseen(self, split: str, *, own: bool) -> None:
        """Refuse to measure on a validation split that the weights learned from.

        Args:
            split: what is measured on.
            own: it is of the set that they were trained on.

        Raises:
            CnnError: it is that set's "val", and the training held nothing out.
        """
        if split == "val" and own and self.section("data").get("validation") is False:
            raise CnnError(
                f"{self.name} learned from the validation split too (validation = false), a measurement there would "
                "flatter it; choose --split test, or train with --validation"
            )

    def to_json(self) -> str:
        """Return the text of the card's file; `from_json` gives an equal card back."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass_transform(frozen_default=True)
def contract(kind: type[T]) -> type[T]:
    """Make a frozen dataclass whose fields are checked by their annotations; ConfigError lists all that is wrong."""
    made = pydantic.dataclasses.dataclass(kind, frozen=True, config=STRICT)
    init, names = made.__init__, [field.name for field in fields(made)]

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
    LATER: ClassVar[frozenset[str]] = frozenset()  # fields that older cards have not: written where they say something

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; `from_json` restores an equal contract."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        unsaid = {
            field.name for field in fields(self) if field.name in self.LATER and values[field.name] == field.default
        }
        values = {name: value for name, value in values.items() if name not in unsaid}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build a contract from a card's `input` object; ConfigError lists everything that is wrong with it."""
        try:
            return parse(cls, values)
        except ValidationError as error:
            raise ConfigError(SOURCE, sentences(error, known=[f.name for f in fields(cls)])) from error

    @classmethod
    def of_card(cls, card: WeightsCard, *, domain: str) -> Self:
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


def check_fields(values: Mapping[str, Any]) -> None:
    """Check what is known of a card before there is one, so that hours of training do not end in a refusal.

    Raises:
        WeightsError: lists every wrong value.
    """
    try:
        parse(WeightsCard, values)
    except ValidationError as error:
        pairs = zip(sentences(error), error.errors(), strict=True)
        wrong = [sentence for sentence, problem in pairs if problem["type"] != "missing"]
        if wrong:
            raise WeightsError("the card of these weights could not be written: " + "; ".join(wrong)) from error


def name_for(text: str) -> str:
    """Return a name for weights that is as near as it can be to `text`, the name of a file."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100] or "custom"


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; ValueError if a name is given more than once."""
    found = dict(items)
    if len(found) < len(items):
        repeated = sorted(key for key, count in Counter(key for key, _ in items).items() if count > 1)
        raise ValueError(f"given more than once: {', '.join(repeated[:5])}")
    return found


def _metric_problems(metrics: Mapping[str, Metric]) -> Iterator[str]:
    for name, entry in metrics.items():
        values, seeds, where = entry["values"], entry["seeds"], f"metrics.{name}"
        if values and len(seeds) != len(values):
            yield f"{where}: expected one value for each of {len(seeds)} seeds, got {len(values)}"
        average = math.fsum(values) / max(1, len(values))
        if values and abs(entry["mean"] - average) > 1e-3 * max(1.0, abs(average)):
            yield f"{where}.mean: expected the mean of its values, {average:.6g}, got {entry['mean']}"
