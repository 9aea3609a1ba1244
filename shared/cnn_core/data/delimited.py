"""Cells between delimiters: how a file quotes them, and where it does not, found out from all of its rows.

Every row is read by Python's csv module, strictly. What no way of quoting explains is refused by its line.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Literal

from cnn_core.data.decoding import LONGEST_LINE
from cnn_core.errors import DataError

DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}  # the rarest in texts first
KEPT_ROWS = 1_000  # of a file, from all over it, that columns are guessed from
FEW_BEYOND = 0.05  # share of rows up to which what stands behind the named columns belongs to the last of them
KNOWN_ROWS = 10  # from which on the values of a column are known
UNEVEN_ROWS = 5_000  # of rows with too many cells, by which the column that holds them is found

csv.field_size_limit(LONGEST_LINE)

_SPACED_QUOTE = re.compile(r'\s+"')
_PREFIX = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How cells are written.

    Args:
        delimiter: between them.
        quotes: "doubled": a quotation mark in a quoted cell is written twice; "escaped": behind a backslash;
            "none": quotation marks are signs like others.
        skip_spaces: blanks behind a delimiter belong to no cell.
        skip_lines: before the first row (`sep=;`).
        open_column: the place of the column whose cells hold delimiters without quotes; None: there is none.
        width: columns, where there is an open one.
    """

    delimiter: str
    quotes: str = "doubled"
    skip_spaces: bool = False
    skip_lines: int = 0
    open_column: int | None = None
    width: int = 0

    def read(self, lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
        """Yield (number of its first line, cells) of every row that is not empty.

        Raises:
            DataError: quotation marks are not as they should be; the message names the line.
        """
        text = iter(lines)
        for _ in range(self.skip_lines):
            next(text, "")
        quoting: Literal[0, 3] = csv.QUOTE_NONE if self.quotes == "none" else csv.QUOTE_MINIMAL
        reader = csv.reader(
            text, delimiter=self.delimiter, quoting=quoting, skipinitialspace=self.skip_spaces, strict=True,
            escapechar="\\" if self.quotes == "escaped" else None,
        )  # fmt: skip
        begin = 1 + self.skip_lines
        try:
            for row in reader:
                if row:
                    yield begin, row if self.open_column is None else self._merged(row)
                begin = reader.line_num + 1 + self.skip_lines
        except csv.Error as error:
            raise DataError(f"{name}, line {begin}: {_reason(str(error))}") from error

    def _merged(self, row: list[str]) -> list[str]:
        """Return a row whose open column has taken its surplus cells back."""
        while len(row) > self.width and not row[-1].strip():
            row.pop()
        at, surplus = self.open_column or 0, len(row) - self.width
        return (
            row
            if surplus <= 0
            else [*row[:at], self.delimiter.join(row[at : at + surplus + 1]), *row[at + surplus + 1 :]]
        )


@dataclass
class Scan:
    """What one reading of all rows found.

    Args:
        dialect: how they were read.
        first: the first row.
        kept: rows from all over the file, at most `KEPT_ROWS`, without the first.
        count: rows without the first and its repetitions.
        repeated: repetitions of the first row.
        widths: number of rows by their cells, empty ones at the end not counted beyond the first row's.
        uneven: the first rows with more cells than the first one, with their lines.
        beyond: rows with something in a column without a name.
        surplus: rows whose surplus cells an open column took back.
        error: why reading ended early.
    """

    dialect: Dialect
    first: list[str] = field(default_factory=list)
    kept: list[list[str]] = field(default_factory=list)
    count: int = 0
    repeated: int = 0
    widths: Counter[int] = field(default_factory=Counter)
    uneven: list[tuple[int, list[str]]] = field(default_factory=list)
    beyond: int = 0
    surplus: int = 0
    error: DataError | None = None

    @property
    def even(self) -> bool:
        """No row has more cells than the first."""
        return self.error is None and (self.has_row_names or all(width <= len(self.first) for width in self.widths))

    @property
    def has_row_names(self) -> bool:
        """Every row has one cell more than the first, a number at its beginning, as R writes tables."""
        numbers = [row[0] for row in self.kept]
        numbered = all(number.isdecimal() for number in numbers) and len({*numbers}) == len(numbers)
        return bool(numbers) and {*self.widths} == {len(self.first) + 1} and numbered


def scan(rows: Iterable[tuple[int, list[str]]], dialect: Dialect) -> Scan:
    """Read all rows once; quotation marks that swallow other rows are an error."""
    found = Scan(dialect)
    stride = 1
    tall: list[tuple[int, list[str]]] = []
    try:
        begin = 0
        for begin, row in rows:
            if not found.first:
                found.first, width = row, len(row)
                blank = {at for at, cell in enumerate(row) if not cell.strip()}
                continue
            if row == found.first:
                found.repeated += 1
                continue
            if len(row) > width:
                while len(row) > width and not row[-1].strip():
                    row.pop()
                if len(row) > width and len(found.uneven) < UNEVEN_ROWS:
                    found.uneven.append((begin, row))
            found.widths[len(row)] += 1
            if blank and any(at < len(row) and row[at].strip() for at in blank):
                found.beyond += 1
            if len(tall) < KEPT_ROWS and any("\n" in cell for cell in row):
                tall.append((begin, row))
            if found.count % stride == 0:
                found.kept.append(row)
                if len(found.kept) >= 2 * KEPT_ROWS:
                    found.kept, stride = found.kept[::2], 2 * stride
            found.count += 1
        _refuse_swallowed(found, tall)
    except DataError as error:
        found.error = error
    return found


def choose_dialect(name: str, delimiter: str, skip_lines: int, read: Callable[[Dialect], Scan]) -> Scan:
    """Return the reading of a file under the way of quoting that explains all of its rows.

    Args:
        name: of the file, for messages.
        delimiter: between its cells.
        skip_lines: before its first row.
        read: dialect -> what reading the file so finds.

    Raises:
        DataError: there is none; the message names the first line that does not fit.
    """
    plain = Dialect(delimiter, skip_lines=skip_lines)
    tried = [read(plain)]
    if tried[0].even and not _has_spaced_quotes(tried[0]):
        return tried[0]
    others = [
        replace(plain, skip_spaces=True), replace(plain, quotes="escaped"),
        replace(plain, quotes="escaped", skip_spaces=True), replace(plain, quotes="none"),
    ]  # fmt: skip
    spaced = _has_spaced_quotes(tried[0])
    for dialect in (dialect for dialect in others if spaced or not dialect.skip_spaces):
        found = read(dialect)
        if dialect.quotes == "none" and delimiter != "\t" and _quotes_cells(found):
            continue  # quotation marks have their meaning here, and one is in a wrong place
        if found.even:
            return found
        tried.append(found)
    tried.sort(key=lambda found: found.error is not None)
    for found in tried:
        if found.error is None and (merged := _merging(found, len(found.first))) is not None:
            return read_merged(found, merged, read)
    if tried[0].even:
        return tried[0]
    refused = tried[0]
    if refused.error is not None:
        raise refused.error
    line, row = refused.uneven[0]
    columns = len(refused.first)
    if columns == 1:
        raise DataError(
            f"{name}, line {line}: {len(row)} cells as in all rows, but line 1 has one; delete what stands above "
            f"the header, or put cells that hold {DELIMITERS.get(delimiter, 'the delimiter')} between quotation marks"
        )
    raise DataError(
        f"{name}, line {line}: {len(row)} cells, but the first row has {columns}; put cells that hold "
        f"{DELIMITERS.get(delimiter, 'the delimiter')} between quotation marks"
    )


def continued(found: Scan) -> Dialect | None:
    """Return the dialect under which what stands behind the named columns belongs to the last of these.

    So it is where few rows have something there: spreadsheets cut texts at commas in this way. None: nothing is there,
    or too often.
    """
    named = max((at for at, cell in enumerate(found.first, start=1) if cell.strip()), default=0)
    if not found.beyond or named == len(found.first) or found.beyond > FEW_BEYOND * found.count:
        return None
    return replace(found.dialect, open_column=named - 1, width=named)


def narrower(found: Scan) -> int | None:
    """Return how many columns a table without a header has, if its first row may have surplus cells; None: as many."""
    usual = found.widths.most_common(1)[0][0] if found.widths else len(found.first)
    short = sum(n for width, n in found.widths.items() if width < len(found.first))
    if not short or (usual == len(found.first) and 20 * short <= found.count):
        return None
    return min(found.widths)


def widened(found: Scan, width: int, name: str, read: Callable[[Dialect], Scan]) -> Scan:
    """Return the reading of a table without a header of `width` columns, one of which takes surplus cells back.

    Raises:
        DataError: it is not clear which.
    """
    merged = _merging(found, width)
    if merged is None:
        most, signs = max([len(found.first), *found.widths]), DELIMITERS.get(found.dialect.delimiter, "the delimiter")
        raise DataError(
            f"{name}: rows have {width} to {most} cells, line 1 {len(found.first)}, and there is no header; put cells "
            f"that hold {signs} between quotation marks"
        )
    return read_merged(found, merged, read)


def prefix_of(first_line: str) -> str | None:
    """Return the delimiter that a first line such as `sep=;` names for Excel, None for any other line."""
    match = _PREFIX.fullmatch(first_line.lstrip("\ufeff"))
    return match[1] if match else None


def delimiter_of(sample: str) -> str:
    """Return the delimiter whose number is most even over the first lines, the most frequent of several.

    What stands between double quotes is not counted, line ends in it neither.
    """
    unquoted = re.sub(r'"(?:[^"]|"")*"', "", sample)
    lines = [line for line in unquoted.splitlines()[:50] if line.strip(" ")] or [""]
    counts = {d: [line.count(d) for line in lines] for d in DELIMITERS}
    present = {d: c for d, c in counts.items() if min(c) > 0} or {d: c for d, c in counts.items() if max(c) > 0}
    if not present:
        return ","
    return max(present, key=lambda d: (Counter(present[d]).most_common(1)[0][1], min(present[d])))


def _reason(error: str) -> str:
    """Return in the user's words what Python's csv module has against a row."""
    if "unexpected end" in error:
        return (
            'a quotation mark opens a cell here and nothing closes it; close it, or write it twice ("") where it '
            "belongs to the text"
        )
    if "expected after" in error:
        return (
            "a quotation mark ends a cell before its end, or the one that should close it is missing; where it belongs "
            'to the text, write it twice ("")'
        )
    if "field larger" in error:
        return (
            f"longer than {LONGEST_LINE >> 20} MiB: a quotation mark that nothing closes opens a cell here, or this is "
            "no table"
        )
    return error


def _has_spaced_quotes(found: Scan) -> bool:
    """Tell whether quotation marks stand behind blanks, where they open no cell: `a, "b, c"`."""
    rows = chain([found.first], found.kept, (row for _, row in found.uneven))
    return any(_SPACED_QUOTE.match(cell) for row in rows for cell in row)


def _quotes_cells(found: Scan) -> bool:
    """Tell whether there are cells in quotation marks, of a reading that took these for signs like others."""
    sign = re.escape(found.dialect.delimiter)
    quoted = re.compile(rf'(?:^|{sign})\s*"(?:[^"]|"")*"\s*(?:{sign}|$)')
    rows = chain([found.first], found.kept, (row for _, row in found.uneven))
    return any('"' in line and quoted.search(line) for line in map(found.dialect.delimiter.join, rows))


def _refuse_swallowed(found: Scan, tall: Sequence[tuple[int, list[str]]]) -> None:
    """Raise DataError for a cell of many lines, most of which look like the rows around it."""
    labels = [_repeated(found.kept, at) for at in (0, len(found.first) - 1)]
    for begin, row in tall:
        for cell in row:
            inner = cell.split("\n")[1:-1] or cell.split("\n")[1:]
            parts = [line.rstrip("\r").split(found.dialect.delimiter) for line in inner if line.strip()]
            like_rows = [
                cells for cells in parts
                if len(cells) >= len(found.first) > 1 and (cells[0] in labels[0] or cells[-1] in labels[1])
            ]  # fmt: skip
            if like_rows and 2 * len(like_rows) >= len(parts):
                raise DataError(
                    f"row of line {begin}: a quotation mark opens a cell that holds {len(like_rows)} lines which look "
                    'like rows; close it, or write it twice ("") where it belongs to the text'
                )


def _repeated(rows: Sequence[Sequence[str]], at: int) -> set[str]:
    """Return the values of a column where they repeat themselves, as labels do; nothing of any other column."""
    values = [row[at].strip() for row in rows if at < len(row) and "\n" not in row[at]]
    different = {*values} - {""}
    return different if 2 * len(different) <= len(values) else set()


def read_merged(found: Scan, merged: Dialect, read: Callable[[Dialect], Scan]) -> Scan:
    """Return the reading under a dialect with an open column, with the number of rows that it changed."""
    again = read(merged)
    wide = sum(count for width, count in found.widths.items() if width > merged.width)
    again.surplus = found.beyond or wide + (len(found.first) > merged.width)
    return again


def _merging(found: Scan, width: int) -> Dialect | None:
    """Return the dialect under which surplus cells belong to one column, None if it is not clear to which.

    The other columns of such a row must hold what they hold elsewhere: one of few values, else a text without blanks.
    """
    uneven = [row for _, row in found.uneven]
    uneven += [row for row in (found.first, *found.kept) if width < len(row) <= len(found.first)]
    if not uneven:
        return None
    if width == 1:  # unless all rows have as many cells, and the first one is a title above them
        return replace(found.dialect, open_column=0, width=1) if len({*found.widths}) > 1 or found.count < 2 else None
    even = [row for row in found.kept if len(row) == width]
    clear, likely = [], []
    for at in range(width):
        merged = [replace(found.dialect, open_column=at, width=width)._merged(row) for row in uneven]
        others = [j for j in range(width) if j != at]
        if all(_fits([row[j] for row in merged], [row[j] for row in even]) for j in others):
            clear.append(at)
        elif not any(re.search(r"\s", row[j].strip("\r\n")) for row in (*merged, *even) for j in others):
            likely.append(at)
    chosen = clear or likely
    if len(chosen) > 1 and even:  # texts are longer than names
        chosen = sorted(chosen, key=lambda at: -sum(len(row[at]) for row in even))
        lengths = [sum(len(row[at]) for row in even) for at in chosen[:2]]
        chosen = chosen[:1] if lengths[0] > 2 * lengths[1] else chosen
    return replace(found.dialect, open_column=chosen[0], width=width) if len(chosen) == 1 else None


def _fits(cells: Sequence[str], elsewhere: Sequence[str]) -> bool:
    """Tell whether the cells are values that their column has elsewhere; few and often, where hardly any are known."""
    known, different = {*elsewhere}, {*cells}
    if different <= known:
        return True
    if len(elsewhere) >= KNOWN_ROWS or (known and 2 * len(known) <= len(elsewhere)):
        return False
    return 2 * len(different) <= len(cells) and not any(cell[:1].isspace() for cell in different)
