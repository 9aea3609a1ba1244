"""Lists in the cells of JSON and Parquet: the words of a text, several texts of one label, or a single label."""

import json
from dataclasses import dataclass

from cnn_core.data.tables import Layout


@dataclass(frozen=True)
class Lists:
    """What the lists in a column of texts hold.

    Args:
        words: each the words of one text; otherwise each several texts.
    """

    words: bool

    @property
    def said(self) -> str:
        """A clause for the user, with a place for the column's name."""
        return "the words in {!r} are joined" if self.words else "every text in the lists of {!r} is one of its own"

    def texts(self, cell: str) -> list[str]:
        """Return the texts in a cell."""
        inside = strings_in(cell)
        return [cell] if inside is None else [" ".join(inside)] if self.words else inside


def lists_of(layout: Layout, place: int) -> Lists | None:
    """Return what the lists in a column hold, by a sample of its rows; None where a cell is no list of strings.

    Words hold no blanks; `{"tag": "hello", "patterns": ["Hi", "Good day"]}` holds texts.

    Args:
        layout: of the table.
        place: of the column.
    """
    if layout.delimiter is not None:
        return None
    cells = [strings_in(row[place]) for row in layout.sample if row[place]]
    inside = [entry for cell in cells for entry in cell or ()]
    if None in cells or not inside:
        return None
    return Lists(words=not any(" " in entry.strip() for entry in inside))


def only_ones(labels: list[str]) -> list[str]:
    """Return the labels in lists of one each, `["good"] -> good`, where all of them are such lists."""
    inside = {label: strings_in(label) for label in {*labels}}
    single = {label: entries[0] for label, entries in inside.items() if entries and len(entries) == 1 and entries[0]}
    return [single[label] for label in labels] if len(single) == len(inside) else labels


def strings_in(cell: str) -> list[str] | None:
    """Return the strings of a list in JSON; None: the cell is none."""
    if not cell.startswith("["):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(entry, str) for entry in value) else None
