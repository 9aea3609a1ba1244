"""Tables in files: CSV, TSV, JSON, Parquet and Excel, whatever their encoding and delimiter; one row at a time.

`look` reads a file once and finds out how: nothing is cut or swallowed, and what cannot be read as it was meant is
refused by its line. A domain says which of the columns it wants. Whatever CSV is written, a spreadsheet computes none
of it.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cnn_core.data.decoding import Encoding, encoding_of, examine_encoding, lines, opened, reading_errors
from cnn_core.data.delimited import (
    DELIMITERS,
    KEPT_ROWS,
    Dialect,
    Scan,
    choose_dialect,
    continued,
    delimiter_of,
    narrower,
    prefix_of,
    read_merged,
    scan,
    widened,
)
from cnn_core.data.headers import has_header
from cnn_core.data.records import (
    BY_LABEL,
    JSON_LINES,
    SHEETS,
    Row,
    are_by_label,
    cell_text,
    json_rows,
    parquet_rows,
    read_sheet,
    table_suffix,
)
from cnn_core.errors import DataError

__all__ = [
    "SUFFIXES", "TABLES", "Layout", "csv_text", "encoding_of", "json_rows", "lines", "look", "numbered_rows", "opened",
    "records", "rows", "table_suffix",
]  # fmt: skip

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
TABLES = (*SUFFIXES, ".tab", ".json", ".parquet", *SHEETS)  # with .gz behind them too
SAMPLE = 1 << 20  # characters that the delimiter is guessed from
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # how a cell begins that a spreadsheet would compute (OWASP, "CSV Injection")
MOST_STRANGE = 0.05  # share of control characters in a text file
PAGE = "; it is a web page: save its texts as .txt, or its table as .csv"
BINARY = {  # how other files begin, in lower case -> what to do
    "pk\x03\x04": "; it begins like a zip, as spreadsheets do: call it .xlsx if it is one, or unpack it",
    "par1": "; it is Parquet: call it .parquet", "arrow1": "; it is Arrow: save it as .parquet or .csv",
    "%pdf": "; it is a PDF: save what it says as .txt", "{\\rtf": "; it is a document: save what it says as .txt",
    "<html": PAGE, "<!doctype html": PAGE,
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How a file is read.

    Args:
        encoding: for `opened`; empty where the kind of file has its own.
        delimiter: between cells; None: rows are records (JSON, Parquet).
        columns: their names; places from 1 where there is no header.
        header: whether the file has one.
        kind: what a sentence calls the file.
        dialect: how cells are quoted; None: there are no quotes.
        count: rows.
        sample: rows from all over the file, in the order of the columns.
        remarks: what the reader should know.
    """

    encoding: str
    delimiter: str | None
    columns: tuple[str, ...]
    header: bool
    kind: str = "JSON lines"
    dialect: Dialect | None = field(default=None, repr=False)
    count: int = 0
    sample: tuple[tuple[str, ...], ...] = field(default=(), repr=False, compare=False)
    remarks: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """How the table was read, for the user."""
        kind, cells = self.kind, self.dialect
        if cells:
            kind = f"columns separated by {DELIMITERS.get(cells.delimiter, repr(cells.delimiter))}"
        head = "" if self.delimiter is None else (", with a header" if self.header else ", without a header")
        return f"read as {self.encoding}{', ' if self.encoding else ''}{kind}{head}"


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
    """Find out how a table is to be read, from all of its rows.

    Args:
        path: the file.
        names: of columns, in lower case; see `cnn_core.data.headers`.
        wanted: requested names, known as well. A number is the place of a column in a table
            without a header: nothing is taken for one that only looks so.
        content: what messages say that was expected.

    Raises:
        DataError: the file cannot be read, is empty, is not text, or a row does not fit its columns.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected {content} ({', '.join(TABLES)})")
    requested = {name.lower() for name in wanted if name}
    suffix = table_suffix(path)
    if suffix == ".parquet":
        return _look_at_records(path, "", parquet_rows(path), "Parquet", content)
    if suffix in SHEETS:
        return _look_at_sheet(path, {*names}, requested, content)
    encoding = examine_encoding(path)
    if suffix in (*JSON_LINES, ".json"):
        by_label = are_by_label(path, encoding.name, {*names, *requested})
        kind = BY_LABEL if by_label else "JSON" if suffix == ".json" else "JSON lines"
        found = _look_at_records(path, encoding.name, json_rows(path, encoding.name, by_label=by_label), kind, content)
        return replace(found, remarks=encoding.remarks)
    return _look_at_cells(path, encoding, {*names}, requested, content)


def rows(path: Path, layout: Layout) -> Iterator[list[str]]:
    """Yield the cells of every row in the order of the layout's columns, without the header and its repetitions.

    Raises:
        DataError: a row that cannot be read, by its line.
    """
    return (row for _, row in numbered_rows(path, layout))


def numbered_rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of what `rows` yields; of records, their number."""
    if layout.delimiter is None:
        for number, row in enumerate(records(path, layout), start=1):
            yield number, [cell_text(row.get(name)) for name in layout.columns]
        return
    header: list[str] | None = None
    for number, cells in _cells(path, layout.encoding, layout.dialect):
        if layout.header and header is None:
            header = cells
        elif not layout.header or cells != header:
            yield number, cells


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a table that has no cells (its layout has no delimiter) as name -> value."""
    if table_suffix(path) == ".parquet":
        return parquet_rows(path)
    return json_rows(path, layout.encoding, by_label=layout.kind == BY_LABEL)


def check_is_text(path: Path, sample: str) -> None:
    """Raise DataError where the beginning of a file is not text."""
    strange = sum(not (sign.isprintable() or sign.isspace()) for sign in sample)
    begin = sample[: SAMPLE // 16].lstrip().lower()
    kind = next((said for beginning, said in BINARY.items() if begin.startswith(beginning)), "")
    if strange > MOST_STRANGE * len(sample):
        kind = f": {strange / len(sample):.0%} of its first characters are control characters{kind}"
    if kind:
        raise DataError(f"{path.name} is not text{kind}")


def _cells(path: Path, encoding: str, dialect: Dialect | None) -> Iterator[tuple[int, list[str]]]:
    if dialect is None:
        yield from enumerate(read_sheet(path).rows, start=1)
        return
    with opened(path, encoding) as stream:
        yield from dialect.read(lines(path, stream), path.name)


def _look_at_cells(path: Path, encoding: Encoding, names: set[str], requested: set[str], content: str) -> Layout:
    with opened(path, encoding.name) as stream, reading_errors(path):
        sample = stream.read(SAMPLE)
    if not sample.strip():
        raise DataError(f"{path.name} is empty; expected {content}")
    check_is_text(path, sample)
    beginning = sample[: SAMPLE // 16]
    prefix = prefix_of(beginning.splitlines()[0])
    tabs = table_suffix(path) in (".tsv", ".tab") and "\t" in sample
    delimiter = prefix or ("\t" if tabs else delimiter_of(beginning))

    def read(dialect: Dialect) -> Scan:
        return scan(_cells(path, encoding.name, dialect), dialect)

    found = choose_dialect(path.name, delimiter, int(prefix is not None), read)
    header = has_header(found.first, found.kept, known=names, requested=requested)
    if not header and (width := narrower(found)) is not None:
        found = widened(found, width, path.name, read)
    if header and (joined := continued(found)) is not None:
        found = read_merged(found, joined, read)
    return _layout(path, found, header, encoding.name, encoding.remarks)


def _look_at_sheet(path: Path, names: set[str], requested: set[str], content: str) -> Layout:
    sheet = read_sheet(path)
    found = scan(((n, row) for n, row in enumerate(sheet.rows, start=1) if any(row)), Dialect(","))
    if not found.first:
        raise DataError(f"{path.name} is empty; expected {content}")
    header = has_header(found.first, found.kept, known=names, requested=requested)
    others = ", ".join(map(repr, sheet.others))
    unused = (f"only the sheet {sheet.name!r} is read, not {others}: save each as a file of its own",) if others else ()
    return replace(_layout(path, found, header, "", unused), dialect=None, kind="a spreadsheet")


def _layout(path: Path, found: Scan, header: bool, encoding: str, remarks: tuple[str, ...]) -> Layout:
    """Return what a reading of all rows says of a file."""
    dialect, first = found.dialect, [cell.strip() for cell in found.first]
    width = max([len(first), *found.widths])
    names = ["row", *first] if header and found.has_row_names else first
    names += [""] * (width - len(names))
    columns = [name or str(at) for at, name in enumerate(names, start=1)]
    if header and not found.beyond:
        while not names[-1] and len(names) > 1:
            names.pop()
            columns.pop()
    if not header:
        columns = [str(at) for at in range(1, width + 1)]
    said = [*remarks]
    if dialect.open_column is not None:
        said.append(
            f"{found.surplus:,} rows hold {DELIMITERS.get(dialect.delimiter, 'delimiters')} without quotation marks; "
            f"they are read as part of {columns[dialect.open_column]!r}"
        )
    if dialect.quotes == "none" and dialect.delimiter != "\t":
        said.append("quotation marks are read as part of the text: not all that open a cell are closed")
    if header and found.repeated:
        said.append(f"{found.repeated:,} lines repeat the header and are no rows")
    if header and found.beyond:
        unnamed = ", ".join(repr(column) for column, name in zip(columns, names, strict=True) if not name)
        said.append(f"{found.beyond:,} rows hold something in columns without a name, called {unnamed} here")
    kept = [*([] if header else [found.first]), *found.kept]
    count = found.count + (0 if header else found.repeated + 1)
    sample = tuple(map(tuple, kept[:: max(1, len(kept) // KEPT_ROWS)]))
    return Layout(
        encoding, dialect.delimiter, tuple(columns), header, dialect=dialect, count=count, sample=sample,
        remarks=tuple(said),
    )  # fmt: skip


def _look_at_records(path: Path, encoding: str, read: Iterable[Row], kind: str, content: str) -> Layout:
    keys: Counter[str] = Counter()
    kept: list[Row] = []
    count, stride = 0, 1
    for count, row in enumerate(read, start=1):
        if (count - 1) % stride == 0:
            kept.append(row)
            keys.update(row.keys())
            if len(kept) >= 2 * KEPT_ROWS:
                kept, stride = kept[::2], 2 * stride
    if not keys:
        expected = "one JSON object per line" if kind == "JSON lines" else content
        raise DataError(f"{path.name} is empty; expected {expected}")
    columns = tuple(map(str, keys))
    sample = tuple(tuple(cell_text(row.get(name)) for name in columns) for row in kept)
    return Layout(encoding, None, columns, True, kind=kind, count=count, sample=sample)
