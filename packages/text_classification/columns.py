"""Which column of a table holds the texts, and which the labels: as named, by usual names, by what is in them."""

from dataclasses import dataclass
from functools import cached_property

from cnn_core.data.headers import is_name, kind_of
from cnn_core.data.splits import is_fold
from cnn_core.data.tables import Layout
from cnn_core.errors import DataError

# The likeliest first; a title is usually next to its text.
TEXT_NAMES = ("text", "sentence", "review", "content", "body", "message", "question", "comment", "tweet", "utterance",
              "query", "document", "post", "summary", "description", "abstract", "snippet", "statement", "phrase",
              "headline", "title")  # fmt: skip
LABEL_NAMES = ("label", "class", "category", "target", "sentiment", "topic", "y", "stars", "rating", "polarity",
               "intent", "emotion")  # fmt: skip
MOSTLY = 0.5  # share of a column's cells that say what it holds


@dataclass(frozen=True)
class Chosen:
    """The places of the columns, and why they were chosen."""

    text: int
    label: int | None
    said: str


class Columns:
    """The columns of a table, with what is in them.

    Args:
        name: of the file, for messages.
        layout: how it is read.
    """

    def __init__(self, name: str, layout: Layout) -> None:
        self.name, self.layout, self.names = name, layout, layout.columns

    @cached_property
    def _cells(self) -> list[list[str]]:
        """Per column, the cells of the sample that are not empty."""
        sample = self.layout.sample
        columns = ([row[at].strip() for row in sample if at < len(row)] for at in range(len(self.names)))
        return [[cell for cell in column if cell] for column in columns]

    def find(self, column: str) -> int | None:
        """Return the place of a column, in any case; None: there is none."""
        if column in self.names:
            return self.names.index(column)
        lower = [name.lower() for name in self.names]
        return lower.index(column.lower()) if column.lower() in lower else None

    def named(self, column: str) -> int:
        """Return the place of a column that somebody asked for; DataError if there is none."""
        at = self.find(column)
        if at is None:
            raise DataError(f"{self.name} has no column {column!r}; its columns are {', '.join(self.names)}")
        return at

    def choose(
        self, *, text: str | None, label: str | None, likely_text: str | None = None, likely_label: str | None = None,
        other: str | None = None, labelled: bool = True,
    ) -> Chosen:  # fmt: skip
        """Choose the columns of text and label.

        Args:
            text: name of the column, or number from 1 in a table without a header; None: found out.
            label: likewise.
            likely_text: taken instead of finding out, where the table has it.
            likely_label: likewise.
            other: a column that is neither.
            labelled: whether labels are needed.

        Raises:
            DataError: there is no such column, only one at all, or one for both.
        """
        if labelled and len(self.names) < 2:
            found = "; ".join((f"found {', '.join(map(repr, self.names))} alone", *self.layout.remarks))
            raise DataError(f"{self.name}: expected a column with texts and one with labels, {found}")
        taken: set[int | None] = set() if other is None else {self.named(other)}
        text_at, label_at, reasons = None, None, {"text": "as chosen", "label": "as chosen"}
        if label:
            label_at = self.named(label)
        elif labelled and likely_label and (label_at := self.find(likely_label)) is not None:
            reasons["label"] = "as in training"
        if text:
            text_at = self.named(text)
        elif likely_text and self.find(likely_text) not in (None, label_at):
            text_at, reasons["text"] = self.find(likely_text), "as in training"
        if labelled and label_at is None:
            label_at, reasons["label"] = self._label(taken | {text_at})
        if text_at is None:
            text_at, reasons["text"] = self._text(taken | {label_at})
        if text_at == label_at:
            raise DataError(f"{self.name}: the column {self.names[text_at]!r} cannot be both text and label")
        said = f"text in {self.names[text_at]!r}" if self.layout.header or len(self.names) > 1 else ""
        said += f" ({reasons['text']})" if len(self.names) > 1 else ""
        if label_at is not None and labelled:
            said += f", label in {self.names[label_at]!r} ({reasons['label']})"
        return Chosen(text_at, label_at, said)

    def _label(self, taken: set[int | None]) -> tuple[int, str]:
        """Return the place of the labels, and why: a usual name, else the fewest values, but more than one.

        A column with the usual name of texts is not taken while there is another one.
        """
        others = [at for at in range(len(self.names)) if at not in taken]
        others = [at for at in others if not is_name(self.names[at], TEXT_NAMES)] or others
        others = [at for at in others if not is_fold(self.names[at])] or others
        counts = {at: len({*self._cells[at]}) for at in others}
        varied = [at for at in others if counts[at] > 1]
        repeating = [at for at in varied if 2 * counts[at] <= len(self._cells[at])]
        named = [at for at in others if is_name(self.names[at], LABEL_NAMES)]
        for at in (at for at in named if at in varied or not repeating):
            return at, "by its name"
        filled = [at for at in repeating or varied if len(self._cells[at]) > MOSTLY * len(self.layout.sample)]
        at = min(filled or repeating or varied or others, key=counts.__getitem__)
        return at, f"{counts[at]} different value{'s' * (counts[at] != 1)}, the fewest"

    def _text(self, taken: set[int | None]) -> tuple[int, str]:
        """Return the place of the texts, and why: a usual name, else the longest prose; no numbers or addresses."""
        others = [at for at in range(len(self.names)) if at not in taken] or [0]
        prose = [at for at in others if self._is_prose(at)]
        ranks = {at: _rank(self.names[at]) for at in prose or others if is_name(self.names[at], TEXT_NAMES)}
        if ranks:
            return min(ranks, key=lambda at: ranks[at]), "by its name"
        return max(prose or others, key=lambda at: sum(map(_words, self._cells[at]))), "the longest texts"

    def _is_prose(self, at: int) -> bool:
        cells = self._cells[at]
        return sum(kind_of(cell) == "" for cell in cells) > MOSTLY * len(cells)


def _rank(name: str) -> int:
    return next((rank for rank, known in enumerate(TEXT_NAMES) if is_name(name, (known,))), len(TEXT_NAMES))


def _words(cell: str) -> float:
    """Return how much of a text a cell is: its characters, if it has blanks or is of a script without them."""
    return len(cell) if " " in cell or not cell.isascii() else min(len(cell), 20) / 4
