"""What a trained network offers whatever its domain: predictions, explanations, and what was measured of it."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from cnn_core.data.summary import DataSummary
from cnn_core.errors import CnnError
from cnn_core.weights import WeightsCard

FLAGS = {  # options of some domains: the flag, and why another domain does not take it
    "text_column": ("text-column", "they read no tables of texts"),
    "label_column": ("label-column", "they read no tables of texts"),
    "texts": ("text", "their inputs are no texts"),
    "series": ("series", "their inputs do not come in series"),
    "volume": ("volume", "their inputs hold one volume each"),
    "answered": ("resume", "their answers cannot be taken up again"),
}


class Answer(Protocol):
    """The prediction for one input, or why there is none; as text it is a line of `cnn predict`."""

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`: "input", and the prediction or "error"."""


class Predictor(Protocol):
    """A trained network with its preprocessing, for raw inputs."""

    card: WeightsCard

    def stream_inputs(self, inputs: Sequence[str], *, output: Path | None = None) -> Iterator[Answer]:
        """Predict the inputs of `cnn predict`, in their order and each as soon as it is ready.

        Args:
            inputs: files, folders, texts: what the domain takes.
            output: where a predictor that writes files of its own puts them; None: nowhere.

        A predictor may take `text_column`, `label_column` and `texts`, which are flags of `cnn predict`, and
        `answered`, the answers of an interrupted run as JSON values (see `cnn_core.answers.skip_answered`). It may have
        a method `examine_inputs` of the same inputs and flags, which returns a DataSummary: how many items there are to
        answer, and how they are read.

        To be shared among machines (`--on ray`) it may have `entries`, which opens folders and tables: inputs and flags
        -> what `stream` takes, one by one; `stream`, which answers these, and takes `output` and flags where it needs
        them; a `sharding`; and `gather`, which puts the files of the answers, written in other places, into `output`.
        """

    def explain(self, source: Any, *, method: str = ...) -> Any:
        """Return the explanation of the prediction for `source`; its `save(path)` writes it and returns a sentence."""


@dataclass(frozen=True, kw_only=True)
class Sharding:
    """How many inputs a machine answers at a time, and which files are inputs where folders are no local ones.

    Args:
        entries: of `entries`; a multiple of the predictor's batch, so that the batches are those of one machine.
        files: at an address, a table being one.
        suffixes: of names of these files, in lower case; none: no folder at an address can be answered.
    """

    entries: int = 1
    files: int = 1
    suffixes: tuple[str, ...] = ()


class Report(Protocol):
    """What was measured on a split."""

    @property
    def n(self) -> int:
        """Items that were measured."""

    @property
    def metrics(self) -> dict[str, float]:
        """Each figure by name."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What `cnn eval` found.

    Args:
        report: of the items that were measured.
        split: what they are: "test", "val" or "train", or "all" of the data.
        data: what was understood of the data, and which of them were measured.
        of: items that the data hold, as far as they were read.
        unseen: metrics without the items that the weights learned from; empty where there are none of these.
    """

    report: Report
    split: str
    data: DataSummary
    of: int
    unseen: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def split_of_set(cls, report: Report, data: str, split: str, *, items: str) -> Self:
        """Return what was measured on a whole split of a named set."""
        return cls(report=report, split=split, data=DataSummary(data, items, {split: report.n}), of=report.n)


def check_options(function: Callable[..., object], options: Iterable[str], weights: str) -> None:
    """Raise CnnError unless a function takes these options; `weights` are what it belongs to."""
    taken = inspect.signature(function).parameters
    for option in options:
        if option not in taken:
            flag, reason = FLAGS.get(option, (option, "they do not take it"))
            raise CnnError(f"--{flag} is not for the weights {weights}: {reason}; leave it out")


def check_labels(predictor: Any, labels: Sequence[str], data: str) -> None:
    """Raise CnnError unless `data` has the classes of a predictor."""
    if tuple(predictor.labels) != tuple(labels):
        raise CnnError(
            f"{predictor.card.name} knows the classes {', '.join(predictor.labels)}, but {data} has "
            f"{', '.join(labels)}; choose data with the same classes"
        )
