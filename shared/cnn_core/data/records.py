"""Rows of tables that are no text of cells: JSON Lines, JSON arrays, Parquet and Excel."""

import json
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from cnn_core.data.decoding import BLOCK, lines, opened, read_at_most, reading_errors
from cnn_core.data.headers import is_name
from cnn_core.data.splits import SPLIT_NAMES
from cnn_core.errors import DataError, missing_package

BY_LABEL = "JSON with a list of texts for each label"  # the kind of a table that has no columns
JSON_LINES = (".jsonl", ".ndjson")
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
LARGEST_ARRAY = 1 << 30  # characters of a JSON array, which is read at once
LARGEST_SHEET = 256 << 20  # bytes of a spreadsheet, likewise
# openpyxl and its XML (SyntaxError), zip and zlib raise whatever their code ran into with a damaged file.
SHEET_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, BadZipFile, EOFError, LookupError, MemoryError, NameError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
BATCH = 4096  # rows of Parquet that are in memory

Row = Mapping[str, object]


def table_suffix(path: Path) -> str:
    """Return the ending that says what kind of table a file is: `reviews.CSV.gz -> ".csv"`."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == ".gz" else suffix


def json_rows(path: Path, encoding: str, *, by_label: bool = False) -> Iterator[dict[str, object]]:
    """Yield the objects of JSON Lines or of a JSON array; a string is an object with the key "text".

    Half a surrogate pair, which UTF-8 cannot hold, becomes "?".

    Args:
        path: of the file.
        encoding: of its text.
        by_label: its lists are those of `are_by_label`.

    Raises:
        DataError: something else is there; the message names the line.
    """
    if by_label:
        for label, texts in _json(path, encoding).items():
            yield from ({"text": text, "label": label} for text in texts)
        return
    if table_suffix(path) == ".json" and not _one_object_a_line(path, encoding):
        yield from _array_rows(path, encoding)
        return
    with opened(path, encoding) as stream:
        for number, line in enumerate(lines(path, stream), start=1):
            if not line.strip():
                continue
            where = f"{path.name}, line {number}"
            value = _parsed(line, where)
            objects = isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)
            yield from value if objects else (_row(value, where),)


def are_by_label(path: Path, encoding: str, names: Collection[str]) -> bool:
    """Tell whether a JSON file is `{"good": ["...", ...], "bad": [...]}`: lists of texts, none called as a column.

    Args:
        path: of the file.
        encoding: of its text.
        names: of columns, in lower case; those of splits are no labels either.
    """
    if table_suffix(path) != ".json" or _begins_with(path, encoding) != "{" or _one_object_a_line(path, encoding):
        return False
    value = _json(path, encoding)
    if not isinstance(value, dict) or any(is_name(key, (*names, *SPLIT_NAMES)) for key in value):
        return False
    lists = [texts for texts in value.values() if texts != []]
    return len(lists) > 1 and all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in lists
    )


def parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a few thousand in memory.

    Raises:
        DataError: it is damaged.
        CnnError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing_package("pyarrow") from error
    try:
        with reading_errors(path), parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path.name} is not a Parquet file, or damaged ({error})") from error


@dataclass(frozen=True)
class Sheet:
    """The first sheet of a spreadsheet that holds something: its name, those of other such ones, its rows as texts."""

    name: str
    others: tuple[str, ...]
    rows: list[list[str]] = field(repr=False)


def read_sheet(path: Path) -> Sheet:
    """Read the first sheet of a spreadsheet that holds something, every cell as text.

    Raises:
        DataError: it is damaged, or too large.
        CnnError: pandas, or what it reads this kind of file with, is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise missing_package("pandas") from error
    with reading_errors(path):
        if path.stat().st_size > LARGEST_SHEET:
            raise DataError(f"{path.name} has more than {LARGEST_SHEET >> 20} MiB; save the sheet as CSV")
    try:
        tables = pandas.read_excel(path, sheet_name=None, header=None, dtype=str, keep_default_na=False)
    except ImportError as error:  # pandas names the package that reads this kind
        package = next((name for name in ("openpyxl", "xlrd", "odfpy") if name in str(error).lower()), "openpyxl")
        raise missing_package(package) from error
    except SHEET_ERRORS as error:
        raise DataError(f"{path.name} cannot be read as a spreadsheet ({error}); save the sheet as CSV") from error
    filled = {str(name): table for name, table in tables.items() if table.size}
    if not filled:
        return Sheet("", (), [])
    name, *others = filled
    rows = [[str(cell) for cell in row] for row in filled[name].itertuples(index=False, name=None)]
    return Sheet(name, tuple(others), rows)


def cell_text(value: object) -> str:
    """Return a value of JSON or Parquet as a cell: lists and objects as JSON, nothing as an empty text."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _parsed(text: str, where: str) -> Any:
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    return value


def _row(value: object, where: str) -> dict[str, object]:
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        raise DataError(
            f'{where}: expected an object such as {{"text": "...", "label": "..."}}, got {json.dumps(value)[:60]}; '
            "give every value its name, or save the table as CSV"
        )
    return value


def _begins_with(path: Path, encoding: str) -> str:
    """Return the first character that is no blank; most JSON files begin with "[" and are parsed later, once."""
    with opened(path, encoding) as stream, reading_errors(path):
        return stream.read(BLOCK).lstrip("\ufeff \t\r\n")[:1]


def _one_object_a_line(path: Path, encoding: str) -> bool:
    """Tell whether a file called JSON is JSON Lines: its first line is an object, and something comes behind it."""
    with opened(path, encoding) as stream, reading_errors(path):
        first, second = stream.readline(BLOCK).strip(), stream.readline(BLOCK).strip()
    try:
        return second != "" and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _json(path: Path, encoding: str) -> Any:
    """Return what a JSON file holds; DataError if it is none, or too large."""
    with opened(path, encoding) as stream, reading_errors(path):
        text = read_at_most(stream.read, LARGEST_ARRAY + 1)
    if len(text) > LARGEST_ARRAY:
        raise DataError(f"{path.name} is larger than {LARGEST_ARRAY >> 30} GiB; write one object a line (.jsonl)")
    return _parsed(text, path.name)


def _array_rows(path: Path, encoding: str) -> Iterator[dict[str, object]]:
    """Yield the objects of `[{...}, ...]`, of `{"data": [{...}, ...]}`, or of columns `{"text": [...], ...}`."""
    value = _json(path, encoding)
    if isinstance(value, dict):
        value = _rows_of(value, path.name)
    if not isinstance(value, list):
        raise DataError(f'{path.name}: expected a list of objects such as [{{"text": ..., "label": ...}}]')
    for number, row in enumerate(value, start=1):
        yield _row(row, f"{path.name}, entry {number}")


def _rows_of(value: dict[str, Any], name: str) -> Any:
    """Return the rows of an object: its one list of objects, its objects, or its columns as pandas writes them."""
    lists = {k: v for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
    if len(lists) > 1:
        raise DataError(f"{name} holds {len(lists)} tables ({', '.join(lists)}); save each as a file of its own")
    if lists:
        return next(iter(lists.values()))
    keyed = [column for column in value.values() if isinstance(column, dict)]
    if len(keyed) == len(value) > len(keyed[0]) and not all(key.isdecimal() for key in keyed[0]):
        return keyed  # a row for each key
    if any(column.keys() != keyed[0].keys() for column in keyed):
        raise DataError(f"{name}: its columns have different rows; save it as a list of objects, one for each row")
    columns = {k: [v[key] for key in keyed[0]] if isinstance(v, dict) else v for k, v in value.items()}
    if columns and all(isinstance(entry, list) for entry in columns.values()):
        if all(isinstance(cell, list) for cells in columns.values() for cell in cells):
            raise DataError(
                f"{name}: expected rows in its lists, got lists; save it as a list of objects, one for each row"
            )
        lengths = {len(entry) for entry in columns.values()}
        if len(lengths) == 1:
            return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return value if not value else [value]
