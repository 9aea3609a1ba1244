"""Tables of texts: CSV, TSV and JSON Lines, whatever their encoding, delimiter and columns; one row at a time.

What was guessed is said (`Table.notes`), what cannot be read is refused in one sentence.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

from cnn_core.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
DELIMITERS = ",\t;|"
SAMPLE = 1 << 20  # bytes that encoding, delimiter and columns are guessed from
SAMPLE_ROWS = 500
MOST_STRANGE = 0.05  # share of control characters in a text file
LONGEST_FIELD = 16 << 20  # characters
MOST_CHARACTERS = 2 << 30  # of all texts of a training set together: it is held in memory
TEXT_NAMES = ("text", "sentence", "review", "content", "body", "message", "question", "title", "comment", "tweet")
LABEL_NAMES = ("label", "class", "category", "target", "sentiment", "topic", "y", "stars", "rating")

csv.field_size_limit(LONGEST_FIELD)


@dataclass(frozen=True)
class Table:
    """Labelled texts as they stand in a file, and what was guessed or left out in reading it."""

    texts: list[str] = field(repr=False)
    labels: list[str] = field(repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a file is read: its encoding, its delimiter (None: JSON Lines), its columns, and whether it has a header."""

    encoding: str
    delimiter: str | None
    columns: tuple[str, ...]
    header: bool

    @property
    def said(self) -> str:
        kind = "JSON lines" if self.delimiter is None else f"columns separated by {_named(self.delimiter)}"
        head = "" if self.delimiter is None else (", with a header" if self.header else ", without a header")
        return f"read as {self.encoding}, {kind}{head}"


def table_files(path: Path) -> dict[str, Path]:
    """Return part -> file: the one table that `path` is, or train, val, dev and test in the folder that it is.

    Raises:
        DataError: a folder without a training table, or a file that is no table.
    """
    if not path.is_dir():
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: expected a table of texts ({', '.join(SUFFIXES)})")
        return {"all": path}
    found = {file.stem.lower(): file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES}
    parts = {part: found[part] for part in ("train", "val", "dev", "test") if part in found}
    if "train" not in parts:
        single = [file for name, file in found.items() if name not in parts]
        if len(single) == 1 and not parts:
            return {"all": single[0]}
        raise DataError(
            f"{path}: expected one table of texts, or train.csv and test.csv (also .tsv, .jsonl); found "
            f"{', '.join(file.name for file in found.values()) or 'none'}"
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
    layout = look(path)
    sample = list(islice(rows(path, layout), SAMPLE_ROWS))
    if not sample:
        raise DataError(f"{path.name} holds no rows")
    text_at, label_at = choose_columns(path.name, layout, sample, text_column, label_column)
    texts: list[str] = []
    labels: list[str] = []
    skipped = size = 0
    for row in rows(path, layout):
        text, label = (row[at].strip() if at < len(row) else "" for at in (text_at, label_at))
        if not text or not label:
            skipped += 1
            continue
        size += len(text)
        if size > MOST_CHARACTERS:
            raise DataError(
                f"{path.name} holds more than {MOST_CHARACTERS >> 30} GiB of text, more than is learned from at once; "
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


def read_texts(path: Path, *, text_column: str | None = None) -> Iterator[str]:
    """Yield the text of every row, with or without labels, in the memory of one row; "" for a row without one.

    A file `.txt` has one text per line.

    Raises:
        DataError: as `read_table`.
    """
    if path.suffix.lower() == ".txt":
        with _opened(path, _encoding(path)) as stream:
            yield from (line.rstrip("\r\n") for line in _lines(path, stream))
        return
    layout = look(path)
    sample = list(islice(rows(path, layout), SAMPLE_ROWS))
    if sample:
        at = _named_column(path.name, layout, text_column) if text_column else _text_column(layout, sample, None)
        for row in rows(path, layout):
            yield row[at].strip() if at < len(row) else ""


def look(path: Path) -> Layout:
    """Find out how a table is to be read, from its first mebibyte.

    Raises:
        DataError: the file cannot be read, is empty, or is no text.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a table of texts ({', '.join(SUFFIXES)})")
    encoding = _encoding(path)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        names = Counter(key for row in islice(_json_rows(path, encoding), SAMPLE_ROWS) for key in row)
        if not names:
            raise DataError(f"{path.name} is empty; expected one JSON object per line")
        return Layout(encoding, None, tuple(names), True)
    with _opened(path, encoding) as stream:
        sample = stream.read(SAMPLE)
    if not sample.strip():
        raise DataError(f"{path.name} is empty; expected a table of texts")
    strange = sum(not (sign.isprintable() or sign.isspace()) for sign in sample)
    if strange > MOST_STRANGE * len(sample):
        raise DataError(
            f"{path.name} is no text: {strange / len(sample):.0%} of its first signs are control characters"
        )
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(sample)
    first = next(csv.reader(io.StringIO(sample), **_dialect(delimiter, sample)), [])
    header = any(cell.strip().lower() in TEXT_NAMES + LABEL_NAMES for cell in first)
    columns = tuple(cell.strip() for cell in first) if header else tuple(str(i + 1) for i in range(len(first)))
    return Layout(encoding, delimiter, columns, header)


def rows(path: Path, layout: Layout) -> Iterator[list[str]]:
    """Yield the cells of every row in the order of the layout's columns, without the header.

    Raises:
        DataError: a row that cannot be read, by its line.
    """
    if layout.delimiter is None:
        for row in _json_rows(path, layout.encoding):
            yield [_cell(row.get(name)) for name in layout.columns]
        return
    with _opened(path, layout.encoding) as stream:
        sample = stream.read(SAMPLE)
        stream.seek(0)
        reader = csv.reader(
            (line.replace("\0", "") for line in _lines(path, stream)), **_dialect(layout.delimiter, sample)
        )
        try:
            if layout.header:
                next(reader, None)
            yield from (row for row in reader if row)
        except csv.Error as error:
            raise DataError(f"{path.name}, line {reader.line_num}: {error}") from error


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
    return named[0] if named else max(others, key=lambda i: sum(len(_at(row, i)) for row in sample))


def _named_column(name: str, layout: Layout, column: str) -> int:
    if column in layout.columns:
        return layout.columns.index(column)
    folded = [own.lower() for own in layout.columns]
    if column.lower() in folded:
        return folded.index(column.lower())
    raise DataError(f"{name} has no column {column!r}; its columns are {', '.join(layout.columns)}")


def _at(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""


def _cell(value: object) -> str:
    """Return a JSON value as a cell: numbers and true as their text, null and what is nested as nothing."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else ""


def _json_rows(path: Path, encoding: str) -> Iterator[dict[str, object]]:
    with _opened(path, encoding) as stream:
        for number, line in enumerate(_lines(path, stream), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path.name}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise DataError(f"{path.name}, line {number}: expected an object, got {type(row).__name__}")
            yield row


def _encoding(path: Path) -> str:
    """Return utf-8 or utf-16 where the bytes are that, else Windows-1252 with its five gaps filled from Latin-1."""
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
            stream.seek(0)
            if start.startswith((b"\xff\xfe", b"\xfe\xff")):
                return "utf-16"
            return "utf-8-sig" if _is_utf8(stream) else "cp1252"
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror}") from error


def _is_utf8(stream: BinaryIO) -> bool:
    """Tell whether a whole file is UTF-8, in the memory of a block."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := stream.read(SAMPLE):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _opened(path: Path, encoding: str) -> io.TextIOWrapper:
    try:
        return path.open(encoding=encoding, errors="replace" if encoding == "utf-16" else "latin1_gaps", newline="")
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror}") from error


def _gaps(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that Windows-1252 leaves open (0x81, 0x8d, ...) as the control characters that Latin-1 has there."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin1_gaps", _gaps)


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines of a file, none of them longer than memory is good for.

    Raises:
        DataError: a line is; such a file is no table.
    """
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_FIELD + 2), ""), start=1):
        if len(line) > LONGEST_FIELD + 1:
            raise DataError(
                f"{path.name}, line {number}: longer than {LONGEST_FIELD >> 20} MiB; this is no table of texts"
            )
        yield line


def _delimiter(sample: str) -> str:
    """Return the delimiter whose number is most even over the first lines, the most frequent of several.

    What stands between double quotes is not counted, line ends in it neither.
    """
    unquoted = re.sub(r'"(?:[^"]|"")*"', "", sample[: SAMPLE // 16])
    lines = [line for line in unquoted.splitlines()[:50] if line.strip(" ")] or [""]
    counts = {d: [line.count(d) for line in lines] for d in DELIMITERS}
    present = {d: c for d, c in counts.items() if min(c) > 0} or {d: c for d, c in counts.items() if max(c) > 0}
    if not present:
        return ","
    return max(present, key=lambda d: (Counter(present[d]).most_common(1)[0][1], min(present[d])))


def _dialect(delimiter: str, sample: str) -> dict[str, object]:
    """Return csv.reader's settings: quotes are quotes, unless a table of tabs uses them as any other sign.

    Tab-separated files without quoting, as text sets are published, hold quotes that open nothing.
    """
    plain = delimiter == "\t" and not _is_quoted(sample)
    return {"delimiter": delimiter, "quoting": csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL}


def _is_quoted(sample: str) -> bool:
    """Tell whether every quote that opens a cell of a table of tabs is closed at the cell's end."""
    try:
        for _ in csv.reader(io.StringIO(sample), delimiter="\t", strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error) and len(sample) >= SAMPLE  # the sample ends within a cell
    return True


def _named(delimiter: str) -> str:
    return {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}[delimiter]
