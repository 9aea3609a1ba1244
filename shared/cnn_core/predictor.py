"""What a trained network offers whatever its domain: predictions, explanations, and what was measured of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from cnn_core.data.summary import DataSummary
from cnn_core.weights import WeightsCard


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
        """

    def explain(self, source: Any, *, method: str = ...) -> Any:
        """Return the explanation of the prediction for `source`; its `save(path)` writes it and returns a sentence."""


class Report(Protocol):
    """What was measured on a split."""

    @property
    def n(self) -> int: ...
    @property
    def metrics(self) -> dict[str, float]: ...

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
