"""The card of a set of weights: what it is, what it takes, how well it does, and how it was made.

A card is a JSON file beside the weights. It is read from folders that anybody may have written, so every field is
checked and all that is wrong is reported at once.
"""

import contextlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cnn_core.data.paths import user_path
from cnn_core.errors import CnnError, WeightsError

CARD_LIMIT = 32 * 1024**2  # bytes; a text domain keeps its vocabulary in the card's `input`
DTYPES = ("float32", "float16", "bfloat16")
ARGUMENTS = ("spatial_dims", "in_channels", "num_classes", "input_size", "options")
METRIC = ("mean", "std", "n", "seeds", "split", "values")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_TEXTS = ("name", "domain", "model", "command", "machine", "licence", "version")


@dataclass(frozen=True)
class WeightsCard:
    """Everything there is to say about one weights file; all values are plain JSON values.

    Making one checks it: WeightsError lists every problem.
    """

    name: str  # as in `cnn predict NAME`: lower-case letters, digits, ".", "_", "-"
    domain: str  # the package that trained it and knows how to use it
    model: str  # name in the model registry, or one that the domain builds itself
    arguments: dict[str, Any]  # spatial_dims, in_channels, num_classes, input_size (or null), options
    input: dict[str, Any]  # the domain's own contract of what goes in: size, mean, std, spacing, vocabulary ...
    labels: list[str]  # one per class, or empty where classes have no names
    metrics: dict[str, dict[str, Any]]  # name -> mean, std (null: one run), n (items), seeds, split, values (per seed)
    recipe: dict[str, Any]  # the settings it was trained with, resolved
    command: str  # what to type to make it again
    machine: str  # where it was trained, in words
    seconds: float  # training time
    parameters: int  # number of values in the parameters of the model, frozen ones too
    sha256: str  # of the file of its tensors, which is named by it
    bytes: int  # size of that file
    dtype: str  # how floating-point tensors are stored; they are float32 in memory
    licence: str  # of the weights
    limits: list[str]  # sentences: where it should not be used, what it was not tested on
    created: str  # ISO 8601 date
    version: str  # of the project that made it

    def __post_init__(self) -> None:
        problems = list(_problems({field.name: getattr(self, field.name) for field in fields(self)}))
        if problems:
            raise WeightsError(f"weights card {_shown(self.name)}: " + "; ".join(problems))
        # Tuples become lists here, so that a card equals what is read back from its file.
        for name in ("arguments", "input", "labels", "metrics", "recipe", "limits"):
            object.__setattr__(self, name, json.loads(json.dumps(getattr(self, name))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, source: str = "weights card") -> "WeightsCard":
        """Make a card from JSON values.

        Args:
            values: field name -> value.
            source: what to call the card in messages, usually its path.

        Raises:
            WeightsError: lists every unknown field (with the nearest one), missing field and wrong value.
        """
        if not isinstance(values, Mapping):
            raise WeightsError(f"{source}: expected a JSON object with the fields of a card, got {_shown(values)}")
        known = [field.name for field in fields(cls)]
        problems = list(_unknown(values, known, "field"))
        problems += [f"field {name!r} is missing" for name in known if name not in values]
        problems += _problems({name: values[name] for name in known if name in values})
        if problems:
            raise WeightsError(f"{source}: " + "; ".join(problems))
        return cls(**{name: values[name] for name in known})

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str = "weights card") -> "WeightsCard":
        """Make a card from its file's content; raises WeightsError as `from_dict` does, and for damaged JSON."""
        return cls.from_dict(_parse(text, source), source=source)

    def learned_from(self, data: str | None, names: Container[str]) -> bool:
        """Tell whether `data` is the set that the weights were trained on.

        A relative path of the training began in a folder that is not known any more: what ends like it is taken for it,
        since measuring on what was learned from is worse than being careful with another folder of that name.

        Args:
            data: a set's name, in which - and _ are the same, or a path, which may be spelled in another way than in
                training; None: that set.
            names: of the domain's data sets. A name of those is never a path.
        """
        learned = str(self.recipe.get("data", {}).get("data"))
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
        if split == "val" and own and self.recipe.get("data", {}).get("validation") is False:
            raise CnnError(
                f"{self.name} learned from the validation split too (validation = false), a measurement there would "
                "flatter it; choose --split test, or train with --validation"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, in the order of the class."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the text of the card's file; `from_json` gives an equal card back."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def check_fields(values: Mapping[str, Any]) -> None:
    """Check what is known of a card before there is one, so that hours of training do not end in a refusal.

    Raises:
        WeightsError: lists every wrong value.
    """
    problems = list(_problems(values))
    if problems:
        raise WeightsError("the card of these weights could not be written: " + "; ".join(problems))


def name_for(text: str) -> str:
    """Return a name for weights that is as near as it can be to `text`, the name of a file."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100] or "custom"


def _parse(text: str | bytes, source: str) -> Any:
    if len(text) > CARD_LIMIT:
        raise WeightsError(f"{source}: {len(text)} bytes are too many for a card, at most {CARD_LIMIT} are read")
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            repeated.extend(key for key, count in Counter(key for key, _ in items).items() if count > 1)
        return found

    try:
        values = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise WeightsError(f"{source}: not valid JSON ({reason}); restore the file or train again") from error
    if repeated:
        raise WeightsError(f"{source}: given more than once: {', '.join(sorted(set(repeated))[:5])}")
    return values


def _problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for everything that is wrong with the fields in `values`; absent fields are not judged."""
    for name in _TEXTS:
        if name in values and not _is_text(values[name]):
            yield f"{name} must be a text that is not empty, got {_shown(values[name])}"
    if _is_text(values.get("name")) and not _NAME.fullmatch(values["name"]):
        yield f"name must be lower-case letters, digits, '.', '_' or '-' (at most 100), got {_shown(values['name'])}"
    for name in ("labels", "limits"):
        if name in values and not _is_list(values[name], _is_text):
            yield f"{name} must be a list of texts that are not empty, got {_shown(values[name])}"
    for name in ("input", "recipe"):
        if name in values:
            yield from _json_problems(values[name], name)
    yield from _number_problems(values)
    if "arguments" in values:
        yield from _argument_problems(values["arguments"], values.get("labels"))
    if "metrics" in values:
        yield from _metrics_problems(values["metrics"])


def _number_problems(values: Mapping[str, Any]) -> Iterator[str]:
    if "seconds" in values and not (_is_number(values["seconds"]) and values["seconds"] >= 0):
        yield f"seconds must be a number of at least 0, got {_shown(values['seconds'])}"
    for name, least in (("parameters", 0), ("bytes", 1)):
        if name in values and not _is_int(values[name], least):
            yield f"{name} must be a whole number of at least {least}, got {_shown(values[name])}"
    sha256 = values.get("sha256", "0" * 64)
    if not (isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256)):
        yield f"sha256 must be 64 hexadecimal digits in lower case, got {_shown(sha256)}"
    if values.get("dtype", "float32") not in DTYPES:
        yield f"dtype must be one of {', '.join(DTYPES)}, got {_shown(values['dtype'])}"
    if "created" in values and not _is_date(values["created"]):
        yield f"created must be an ISO date such as 2025-01-31, got {_shown(values['created'])}"


def _argument_problems(arguments: Any, labels: Any) -> Iterator[str]:
    if not isinstance(arguments, dict):
        yield f"arguments must be an object with {', '.join(ARGUMENTS)}, got {_shown(arguments)}"
        return
    yield from _unknown(arguments, ARGUMENTS, "argument")
    yield from (f"argument {name!r} is missing" for name in ARGUMENTS if name not in arguments)
    dims = arguments.get("spatial_dims", 2)
    if not (_is_int(dims, 1) and dims <= 3):
        yield f"arguments.spatial_dims must be 1, 2 or 3, got {_shown(dims)}"
        dims = None
    for name in ("in_channels", "num_classes"):
        if name in arguments and not _is_int(arguments[name], 1):
            yield f"arguments.{name} must be a whole number of at least 1, got {_shown(arguments[name])}"
    size = arguments.get("input_size")
    if size is not None and not (_is_list(size, lambda n: _is_int(n, 1)) and dims in (None, len(size))):
        yield f"arguments.input_size must be null or {dims or 'spatial_dims'} whole numbers, got {_shown(size)}"
    if "options" in arguments:
        yield from _json_problems(arguments["options"], "arguments.options")
    classes = arguments.get("num_classes")
    if _is_int(classes, 1) and _is_list(labels, _is_text) and len(labels) not in (0, classes):
        yield f"labels has {len(labels)} entries, but arguments.num_classes is {classes}"


def _metrics_problems(metrics: Any) -> Iterator[str]:
    if not isinstance(metrics, dict):
        yield f"metrics must be an object: name -> {', '.join(METRIC)}; got {_shown(metrics)}"
        return
    for name, entry in metrics.items():
        where = f"metrics.{name}"
        if not _is_text(name) or not isinstance(entry, dict):
            yield f"{where} must be an object with {', '.join(METRIC)}, got {_shown(entry)}"
            continue
        yield from _unknown(entry, METRIC, f"entry of {where}")
        missing = [key for key in METRIC if key not in entry]
        yield from (f"{where}.{key} is missing" for key in missing)
        if not missing:
            yield from _metric_problems(entry, where)


def _metric_problems(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    mean, std, values, seeds = entry["mean"], entry["std"], entry["values"], entry["seeds"]
    if not _is_number(mean):
        yield f"{where}.mean must be a number, got {_shown(mean)}"
    if std is not None and not (_is_number(std) and std >= 0):
        yield f"{where}.std must be null or a number of at least 0, got {_shown(std)}"
    if not _is_int(entry["n"], 1):
        yield f"{where}.n must be the number of items measured, at least 1, got {_shown(entry['n'])}"
    if not _is_text(entry["split"]):
        yield f"{where}.split must be a text such as 'test', got {_shown(entry['split'])}"
    if not _is_list(seeds, lambda n: _is_int(n, 0)):
        yield f"{where}.seeds must be a list of whole numbers, got {_shown(seeds)}"
    if not _is_list(values, _is_number):
        yield f"{where}.values must be a list of numbers, one per seed, got {_shown(values)}"
        return
    if values and _is_list(seeds, lambda n: _is_int(n, 0)) and len(seeds) != len(values):
        yield f"{where} has {len(values)} values for {len(seeds)} seeds"
    average = math.fsum(values) / max(1, len(values))
    if values and _is_number(mean) and abs(mean - average) > 1e-3 * max(1.0, abs(average)):
        yield f"{where}.mean is {mean}, but the mean of its values is {average:.6g}"


def _json_problems(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} must be a JSON object, got {_shown(value)}"
        return
    try:
        if json.loads(_strict_json(value)).keys() != value.keys():
            yield f"{where} must have texts as keys, got {_shown(list(value))}"
    except (TypeError, ValueError, RecursionError) as error:
        yield f"{where} must hold finite JSON values only ({error})"


def _strict_json(value: Any) -> bytes:
    """Encode as the card's file is: no NaN, and no half surrogates, which UTF-8 cannot hold."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")


def _unknown(given: Mapping[Any, Any], known: tuple[str, ...] | list[str], kind: str) -> Iterator[str]:
    for name in given:
        if name not in known:
            near = get_close_matches(str(name)[:100], known, n=1, cutoff=0.5)
            yield f"unknown {kind} {_shown(name)}" + (f", did you mean {near[0]!r}?" if near else "")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not re.search(r"[\ud800-\udfff]", value)


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300


def _is_list(value: Any, right: Any) -> bool:
    return isinstance(value, list | tuple) and all(right(item) for item in value)


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _shown(value: Any) -> str:
    """Return a value for a message, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
