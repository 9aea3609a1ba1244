"""Tables of texts: CSV, TSV and JSON Lines, of any encoding, delimiter and columns; one row at a time.

`Table.notes` say what was guessed; what cannot be read is refused in one sentence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cnn_core.data import tables
from cnn_core.data.tables import SAMPLE_ROWS, SUFFIXES, Layout, encoding_of, lines, opened, rows
from cnn_core.errors import DataError

MOST_CHARACTERS = 2 << 30  # of all texts of a training set together: it is held in memory
# The likeliest first; a title is usually next to its text.
TEXT_NAMES = ("text", "sentence", "review", "content", "body", "message", "question", "comment", "tweet", "title")
LABEL_NAMES = ("label", "class", "category", "target", "sentiment", "topic", "y", "stars", "rating")


@dataclass(frozen=True)
class Table:
    """Labelled texts as they are in a file, and what was guessed or left out in reading it."""

    texts: list[str] = field(repr=False)
    labels: list[str] = field(repr=False)
    notes: tuple[str, ...] = ()


def table_files(path: Path) -> dict[str, Path]:
    """Return part -> file: the one table that `path` is, or train, val, dev and test in the folder that it is.

    Raises:
        DataError: a folder without a training table, or a file that is not a table.
    """
    if not path.is_dir():
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: expected a table of texts ({', '.join(SUFFIXES)})")
        return {"all": path}
    tables = {file.stem.lower(): file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES}
    parts = {part: tables[part] for part in ("train", "val", "dev", "test") if part in tables}
    if "train" not in parts:
        if len(tables) == 1 and not parts:
            return {"all": next(iter(tables.values()))}
        raise DataError(
            f"{path}: expected one table of texts, or train.csv and test.csv (also .tsv, .jsonl); found "
            f"{', '.join(file.name for file in tables.values()) or 'none'}"
        )
    return {"all" if parts.keys() == {"train"} else part: file for part, file in parts.items()}


def read_table(path: Path, *, text_column: str | None = None, label_column: str | None = None) -> Table:
    """Read the labelled texts of a table.

    Rows without a text or a label are left out and counted; so are rows with too few columns.

    Args:
        path: the file.
        text_column: its name (or number from 1, in a file without header); None: guessed.
        label_column: likewise.

    Raises:
        DataError: the file cannot be read, has no such column, or holds no labelled text.
    """
    layout = look(path, text_column, label_column)
    sample = list(islice(rows(path, layout), SAMPLE_ROWS))
    if not sample:
        raise DataError(f"{path.name} holds no rows")
    text_at, label_at = choose_columns(path.name, layout, sample, text_column, label_column)
    texts: list[str] = []
    labels: list[str] = []
    skipped = size = 0
    for row in rows(path, layout):
        text, label = _at(row, text_at).strip(), _at(row, label_at).strip()
        if not text or not label:
            skipped += 1
            continue
        size += len(text)
        if size > MOST_CHARACTERS:
            raise DataError(
                f"{path.name} holds more than {MOST_CHARACTERS >> 30} GiB of text, more than one training can take; "
                "take a sample of its rows"
            )
        texts.append(text)
        labels.append(label)
    if not texts:
        raise DataError(
            f"{path.name}: no row has both a text and a label (columns {layout.columns[text_at]!r} and "
            f"{layout.columns[label_at]!r})"
        )
    notes = [f"{path.name}: {layout.said}; text in {layout.columns[text_at]!r}, label in {layout.columns[label_at]!r}"]
    if skipped:
        notes.append(f"{path.name}: {skipped} of {skipped + len(texts)} rows left out, without text or label")
    return Table(texts, labels, tuple(notes))


def read_texts(path: Path, *, text_column: str | None = None, likely_column: str | None = None) -> Iterator[str]:
    """Yield the text of every row, with or without labels, in the memory of one row; "" for a row without one.

    A file `.txt` has one text per line.

    Args:
        path: the file.
        text_column: its name (or number from 1, in a file without header); None: guessed.
        likely_column: the column that is taken instead of a guess, where the file has it.

    Raises:
        DataError: as `read_table`.
    """
    if path.suffix.lower() == ".txt":
        with opened(path, encoding_of(path)) as stream:
            yield from (line.rstrip("\r\n") for line in lines(path, stream))
        return
    layout = look(path, text_column, likely_column)
    at = _find_column(layout, likely_column) if likely_column else None
    if text_column:
        at = _named_column(path.name, layout, text_column)
    elif at is None:
        at = _text_column(layout, list(islice(rows(path, layout), SAMPLE_ROWS)), None)
    for row in rows(path, layout):
        yield _at(row, at).strip()


def look(path: Path, *wanted: str | None) -> Layout:
    """Find out how a table of texts is to be read, `wanted` being columns that must be there.

    Raises:
        DataError: as `cnn_core.data.tables.look`.
    """
    return tables.look(path, TEXT_NAMES + LABEL_NAMES, wanted=wanted, content="a table of texts")


@dataclass(frozen=True)
class Columns:
    """The columns of a table, and which of them seem to hold texts and labels."""

    names: tuple[str, ...]
    text: str
    label: str | None  # None: there is only one column
    description: str  # how the file was read


def guess_columns(path: Path) -> Columns:
    """Find out which columns of a table hold texts and labels: by their names, else by what is in them.

    Raises:
        DataError: the file cannot be read, or holds no rows.
    """
    layout = look(path)
    sample = list(islice(rows(path, layout), SAMPLE_ROWS))
    if not sample:
        raise DataError(f"{path.name} holds no rows")
    if len(layout.columns) < 2:
        return Columns(layout.columns, layout.columns[0], None, layout.said)
    text, label = choose_columns(path.name, layout, sample, None, None)
    return Columns(layout.columns, layout.columns[text], layout.columns[label], layout.said)


def choose_columns(
    name: str, layout: Layout, sample: Sequence[Sequence[str]], text_column: str | None, label_column: str | None
) -> tuple[int, int]:
    """Return the places of the text's and the label's column: as named, else by their names, else by what is in them.

    Raises:
        DataError: there is no such column, or only one at all.
    """
    if len(layout.columns) < 2:
        raise DataError(f"{name}: expected a column with texts and one with labels, found {len(layout.columns)}")
    text_at = _named_column(name, layout, text_column) if text_column else None
    if label_column:
        label_at = _named_column(name, layout, label_column)
    else:
        others = [i for i in range(len(layout.columns)) if i != text_at]
        named = [i for i in others if layout.columns[i].lower() in LABEL_NAMES]
        # Without a name to go by, labels are what repeats itself most.
        label_at = named[0] if named else min(others, key=lambda i: len({_at(row, i) for row in sample}))
    if text_at is None:
        text_at = _text_column(layout, sample, label_at)
    if text_at == label_at:
        raise DataError(f"{name}: the column {layout.columns[text_at]!r} cannot be both text and label")
    return text_at, label_at


def _text_column(layout: Layout, sample: Sequence[Sequence[str]], label_at: int | None) -> int:
    others = [i for i in range(len(layout.columns)) if i != label_at]
    named = [i for i in others if layout.columns[i].lower() in TEXT_NAMES]
    if named:
        return min(named, key=lambda i: TEXT_NAMES.index(layout.columns[i].lower()))
    return max(others, key=lambda i: sum(len(_at(row, i)) for row in sample))


def _named_column(name: str, layout: Layout, column: str) -> int:
    at = _find_column(layout, column)
    if at is None:
        raise DataError(f"{name} has no column {column!r}; its columns are {', '.join(layout.columns)}")
    return at


def _find_column(layout: Layout, column: str) -> int | None:
    if column in layout.columns:
        return layout.columns.index(column)
    lower = [name.lower() for name in layout.columns]
    return lower.index(column.lower()) if column.lower() in lower else None


def _at(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""
