"""Tables in files: CSV, TSV and JSON Lines, whatever their encoding and delimiter; one row at a time.

What cannot be read is refused in one sentence; a domain says which of the columns it wants. Whatever CSV is written, a
spreadsheet computes none of it.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO

from cnn_core.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
SAMPLE = 1 << 20  # bytes that encoding, delimiter and columns are guessed from
SAMPLE_ROWS = 500
EVIDENCE = 10  # rows below a first line that could be a header of unknown names
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # how a cell begins that a spreadsheet would compute (OWASP, "CSV Injection")
MOST_STRANGE = 0.05  # share of control characters in a text file
LONGEST_FIELD = 16 << 20  # characters

_NAME = re.compile(r"\s*[^\W\d]\w*(?:[ .-]\w+){0,2}\s*")  # v1, Review Text, news.section

csv.field_size_limit(LONGEST_FIELD)


@dataclass(frozen=True)
class Layout:
    """How a file is read: its encoding, its delimiter (None: JSON Lines), its columns, and whether it has a header."""

    encoding: str
    delimiter: str | None
    columns: tuple[str, ...]
    header: bool

    @property
    def said(self) -> str:
        kind = "JSON lines" if self.delimiter is None else f"columns separated by {DELIMITERS[self.delimiter]}"
        head = "" if self.delimiter is None else (", with a header" if self.header else ", without a header")
        return f"read as {self.encoding}, {kind}{head}"


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV for spreadsheets: a text that one would take for a formula gets an apostrophe in front."""
    table = io.StringIO()
    csv.writer(table).writerows(
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in row] for row in rows
    )
    return table.getvalue()


def look(
    path: Path, names: Collection[str], *, wanted: Collection[str | None] = (), content: str = "a table"
) -> Layout:
    """Find out how a table is to be read, from its first mebibyte.

    Args:
        path: the file.
        names: of columns, in lower case; a first line with one of them is a header, and so is one that looks like one.
        wanted: requested names, known as well. A number is the place of a column in a table
            without a header: nothing is taken for one that only looks so.
        content: what messages say that was expected.

    Raises:
        DataError: the file cannot be read, is empty, or is not text.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected {content} ({', '.join(SUFFIXES)})")
    encoding = encoding_of(path)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        keys = Counter(key for row in islice(json_rows(path, encoding), SAMPLE_ROWS) for key in row)
        if not keys:
            raise DataError(f"{path.name} is empty; expected one JSON object per line")
        return Layout(encoding, None, tuple(keys), True)
    with opened(path, encoding) as stream:
        sample = stream.read(SAMPLE)
    if not sample.strip():
        raise DataError(f"{path.name} is empty; expected {content}")
    strange = sum(not (sign.isprintable() or sign.isspace()) for sign in sample)
    if strange > MOST_STRANGE * len(sample):
        raise DataError(
            f"{path.name} is not text: {strange / len(sample):.0%} of its first characters are control characters"
        )
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(sample)
    asked = {name.lower() for name in wanted if name}
    places = {name for name in asked if name.isdigit()}
    known = {*names, *asked} - places
    table = _first_rows(sample, delimiter)
    first = table[0] if table else []
    header = any(cell.strip().lower() in known for cell in first) or (not places and _looks_like_a_header(table))
    columns = tuple(cell.strip() for cell in first) if header else tuple(str(i + 1) for i in range(len(first)))
    return Layout(encoding, delimiter, columns, header)


def rows(path: Path, layout: Layout) -> Iterator[list[str]]:
    """Yield the cells of every row in the order of the layout's columns, without the header.

    Raises:
        DataError: a row that cannot be read, by its line.
    """
    if layout.delimiter is None:
        for row in json_rows(path, layout.encoding):
            yield [_cell(row.get(name)) for name in layout.columns]
        return
    with opened(path, layout.encoding) as stream:
        sample = stream.read(SAMPLE)
        stream.seek(0)
        text = (line.replace("\0", "") for line in lines(path, stream))
        reader = csv.reader(text, delimiter=layout.delimiter, quoting=_quoting(layout.delimiter, sample))
        try:
            yield from islice((row for row in reader if row), int(layout.header), None)
        except csv.Error as error:
            raise DataError(f"{path.name}, line {reader.line_num}: {error}") from error


def _first_rows(sample: str, delimiter: str) -> list[list[str]]:
    """Return the rows of a sample as far as they can be read."""
    table: list[list[str]] = []
    try:
        text = io.StringIO(sample, newline="")
        reader = csv.reader(text, delimiter=delimiter, quoting=_quoting(delimiter, sample))
        table.extend(row for row in islice(reader, SAMPLE_ROWS) if row)
    except csv.Error:
        pass  # said where the rows are read
    return table


def _looks_like_a_header(table: list[list[str]]) -> bool:
    """Tell whether a table begins with short, different names, one of them above values that repeat themselves."""
    cells, rest = (table[0], table[1:]) if table else ([], [])
    if len(cells) < 2 or len(rest) < EVIDENCE or len(set(cells)) < len(cells) or not all(map(_NAME.fullmatch, cells)):
        return False
    columns = [[row[at] for row in rest if at < len(row)] for at in range(len(cells))]
    return any(
        2 * len(set(column)) <= len(column) and cell not in column for cell, column in zip(cells, columns, strict=True)
    )


def _cell(value: object) -> str:
    """Return a JSON value as a cell: numbers and true as their text, null and what is nested as nothing."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else ""


def json_rows(path: Path, encoding: str) -> Iterator[dict[str, object]]:
    """Yield the object of every line that is not empty; half a surrogate pair, which UTF-8 cannot hold, becomes "?".

    Raises:
        DataError: a line holds something else; the message names it.
    """
    with opened(path, encoding) as stream:
        for number, line in enumerate(lines(path, stream), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if "\\ud" in line.lower():
                    row = json.loads(json.dumps(row, ensure_ascii=False).encode(errors="replace"))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path.name}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise DataError(f"{path.name}, line {number}: expected an object, got {type(row).__name__}")
            yield row


def encoding_of(path: Path) -> str:
    """Return utf-8 or utf-16 where the bytes are that, else Windows-1252 with its five gaps filled from Latin-1."""
    try:
        with path.open("rb") as stream:
            if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                return "utf-16"
        with path.open(encoding="utf-8", newline="") as text:
            while text.read(SAMPLE):  # in the memory of a block
                pass
        return "utf-8-sig"
    except UnicodeDecodeError:
        return "cp1252"
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror}") from error


def opened(path: Path, encoding: str) -> io.TextIOWrapper:
    """Open a file for reading in an encoding of `encoding_of`; DataError if that cannot be."""
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


def lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines of a file, none of them longer than memory is good for.

    Raises:
        DataError: a line is; such a file is not a table.
    """
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_FIELD + 2), ""), start=1):
        if len(line) > LONGEST_FIELD + 1:
            raise DataError(f"{path.name}, line {number}: longer than {LONGEST_FIELD >> 20} MiB; this is not a table")
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


def _quoting(delimiter: str, sample: str) -> Literal[0, 3]:
    """Return csv.reader's `quoting`: quotes are quotes, unless a table of tabs uses them as any other sign.

    Tab-separated files without quoting, as text sets are published, hold quotes that open nothing.
    """
    return csv.QUOTE_NONE if delimiter == "\t" and not _is_quoted(sample) else csv.QUOTE_MINIMAL


def _is_quoted(sample: str) -> bool:
    """Tell whether every quote that opens a cell of a table of tabs is closed at the cell's end."""
    stream = io.StringIO(sample, newline="")
    try:
        for _ in csv.reader(stream, delimiter="\t", strict=True):
            pass
    except csv.Error:
        return stream.tell() == len(sample) >= SAMPLE  # the sample ends within a cell
    return True
