"""Whether the first row of a table names its columns, by evidence: names, and what stands below them."""

import re
from collections.abc import Collection, Sequence

EVIDENCE = 10  # rows below a first one that could be a header of unknown names
LONG = 3  # words of a text, in a table of one column
# Names of columns that are labels of texts as well: alone they make no header of a row with a sentence in it.
ALSO_VALUES = ("question", "comment", "review", "message", "tweet", "title", "description", "content", "topic", "body",
               "name", "query", "summary", "statement", "post", "y")  # fmt: skip

_NAME = re.compile(r"\s*[^\W\d]\w*(?:[ ./-]\w+){0,3}\s*")  # v1, Review Text, news.section
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?")
_ADDRESS = re.compile(r"(\w{2,10}://|www\.)\S+|[\w.+-]+@[\w-]+\.\S+")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T][\d:.+Z-]*)?")


def has_header(
    first: Sequence[str], rest: Sequence[Sequence[str]], *, known: Collection[str], requested: Collection[str]
) -> bool:
    """Tell whether `first` is a header of the rows `rest`.

    Args:
        first: the cells of the first row.
        rest: rows below it, from all over the table.
        known: names of columns, in lower case.
        requested: names that the user gave, likewise; a number is a place in a table without a header.
    """
    cells = [cell.strip() for cell in first]
    named = [cell for cell in cells if cell]
    if not named:
        return False
    places = {name for name in requested if name.isdigit()}
    if any(cell.lower() in {*requested} - places for cell in named):
        return True
    if places:
        return False
    below = [[row[at].strip() for row in rest if at < len(row) and row[at].strip()] for at in range(len(cells))]
    if any(cell and cell in column for cell, column in zip(cells, below, strict=True)):
        return False  # a value like those below it
    if any(kind_of(cell) for cell in named):
        return False
    is_known = [is_name(cell, known) for cell in named]
    if len({*named}) < len(named) or not all(map(_NAME.fullmatch, named)):
        certain = [cell for cell, yes in zip(named, is_known, strict=True) if yes and cell.lower() not in ALSO_VALUES]
        return bool(certain)
    if any(is_known):
        return True
    if any(column and kind_of(column[0]) and len({*map(kind_of, column)}) == 1 for column in below):
        return True  # a word above numbers, dates or addresses
    if len(cells) == 1:
        return len(named[0].split()) == 1 and bool(below[0]) and all(len(text.split()) >= LONG for text in below[0])
    repeats = any(2 * len({*column}) <= len(column) for column in below if column)
    return len(rest) >= EVIDENCE and repeats


def is_name(cell: str, known: Collection[str]) -> bool:
    """Tell whether a cell is one of the known names, in any case, in the plural too."""
    name = re.sub(r"[\s_.-]+", "_", cell.strip().lower())
    return name in known or name.removesuffix("s") in known or name.removesuffix("es") in known


def kind_of(cell: str) -> str:
    """Return number, address or date; "" for every other text."""
    cell = cell.strip()
    if len(cell) > 2_000:
        return ""
    for kind, pattern in (("number", _NUMBER), ("date", _DATE), ("address", _ADDRESS)):
        if pattern.fullmatch(cell):
            return kind
    return ""
