"""Tables of texts of any kind that `cnn_core.data.tables` reads, and files with one text per line.

What was chosen in reading is said, and what is left out is counted; what cannot be read is refused in one sentence.
"""

from codecs import BOM_UTF8
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cnn_core.data import tables
from cnn_core.data.decoding import examine_encoding, lines, opened, reading_errors
from cnn_core.data.headers import is_name
from cnn_core.data.splits import may_say_splits, said_folds, said_splits
from cnn_core.data.summary import LeftOut, Omissions
from cnn_core.data.tables import SAMPLE, TABLES, Layout, check_is_text, numbered_rows, rows, table_suffix
from cnn_core.errors import DataError
from text_classification.columns import LABEL_NAMES, TEXT_NAMES, Columns
from text_classification.lists import Lists, lists_of, only_ones

MOST_CHARACTERS = 2 << 30  # of all texts of a training set together: it is held in memory
PARTS = {"train": ("train", "training"), "val": ("val", "validation", "valid", "dev"), "test": ("test", "testing")}


@dataclass(frozen=True)
class Table:
    """Labelled texts as they are in a file.

    Args:
        texts: N texts.
        labels: N labels.
        groups: N values of the column by which rows belong together; empty: there is none.
        splits: train, val or test of each row, "" where nothing is said; empty: no column says so.
        read: sentences on what was chosen in reading.
        left_out: rows without text or label.
        columns: names of the columns of texts and labels.
    """

    texts: list[str] = field(repr=False)
    labels: list[str] = field(repr=False)
    groups: list[str] = field(default_factory=list, repr=False)
    splits: list[str] = field(default_factory=list, repr=False)
    read: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    columns: tuple[str, str] = ("", "")

    def part(self, splits: Collection[str]) -> "Table":
        """Return the rows of some splits; what was read and left out is said of the first part alone."""
        rows = [i for i, split in enumerate(self.splits) if split in splits]
        texts, labels, groups = ([of[i] for i in rows] if of else [] for of in (self.texts, self.labels, self.groups))
        return replace(self, texts=texts, labels=labels, groups=groups, splits=[], read=(), left_out=())

    def parts(self) -> dict[str, "Table"]:
        """Return part -> its rows, as the column of splits says; rows of which it says nothing are for training."""
        kept = {"train": self.part(("train", "")), "val": self.part(("val",)), "test": self.part(("test",))}
        found = {name: table for name, table in kept.items() if table.texts}
        first = next(iter(found))
        return {**found, first: replace(found[first], read=self.read, left_out=self.left_out)}


def table_files(path: Path) -> dict[str, Path]:
    """Return part -> file: the one table that `path` is, or train, val and test in the folder that it is.

    A folder with one table of another name is that table; so is one with a training table alone.

    Raises:
        DataError: a folder without a table, with several, or with two for the same part.
    """
    if not path.is_dir():
        return {"all": path}
    files = [file for file in sorted(path.iterdir()) if table_suffix(file) in TABLES and not file.name.startswith(".")]
    parts: dict[str, Path] = {}
    for part, names in PARTS.items():
        found = [file for name in names for file in files if file.name.lower().partition(".")[0] == name]
        if len(found) > 1:
            raise DataError(f"{path}: {' and '.join(file.name for file in found)} are both the {part} table; keep one")
        if found:
            parts[part] = found[0]
    if "train" not in parts and not parts and len(files) == 1:
        return {"all": files[0]}
    if not parts or parts.keys() == {"val"}:
        inside = next(path.glob("**/*.txt"), None) if not files else None
        advice = f"; make a table of the texts in {inside.relative_to(path)} and its like" if inside else ""
        raise DataError(
            f"{path}: expected one table of texts, or train.csv and test.csv (also .tsv, .jsonl, ...); found "
            f"{', '.join(file.name for file in files) or 'none'}{advice}"
        )
    return {"all": parts["train"]} if parts.keys() == {"train"} else parts


def read_table(
    path: Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    likely: tuple[str | None, str | None] = (None, None),
    layout: Layout | None = None,
    folds: bool = False,
) -> Table:
    """Read the labelled texts of a table.

    Rows without a text or a label are left out and counted; so are rows with too few columns.

    Args:
        path: the file.
        text_column: its name (or number from 1, in a file without header); None: guessed.
        label_column: likewise.
        group_column: of what rows have in common that belong together; None: nothing.
        likely: columns of text and label that are taken instead of a guess, where the file has them.
        layout: what `look` found out; None: nobody has looked.
        folds: whether a column of folds divides the rows.

    Raises:
        DataError: the file cannot be read, has no such column, or holds no labelled text.
    """
    layout = layout or look(path, text_column, label_column, group_column, *map(name_of, likely))
    if not layout.count:
        raise DataError(f"{path.name} holds no rows")
    columns = Columns(path.name, layout)
    chosen = columns.choose(
        text=text_column, label=label_column, likely_text=likely[0], likely_label=likely[1], other=group_column
    )
    text_at, label_at = chosen.text, chosen.label or 0
    group_at = columns.named(group_column) if group_column else None
    texts: list[str] = []
    labels: list[str] = []
    groups: list[str] = []
    dividing: dict[int, list[str]] = {
        k: []
        for k, name in enumerate(layout.columns)
        if k not in (text_at, label_at, group_at) and may_say_splits(name)
    }
    omissions, size = Omissions(), 0
    lists = lists_of(layout, text_at)
    for number, row in numbered_rows(path, layout):
        label = _at(row, label_at).strip()
        inside = lists.texts(_at(row, text_at)) if lists else [_at(row, text_at)]
        inside = [text.strip() for text in inside if text.strip()]
        if not inside or not label:
            omissions.add("rows without text or label", f"line {number}")
            continue
        size += sum(map(len, inside))
        if size > MOST_CHARACTERS:
            raise DataError(
                f"{path.name} holds more than {MOST_CHARACTERS >> 30} GiB of text, more than one training can take; "
                "take a sample of its rows"
            )
        texts += inside
        labels += [label] * len(inside)
        for k, cells in dividing.items():
            cells += [_at(row, k)] * len(inside)
        if group_at is not None:
            groups += [_at(row, group_at).strip() or f"line {number}"] * len(inside)
    names = layout.columns[text_at], layout.columns[label_at]
    if not texts:
        raise DataError(f"{path.name}: no row has both a text and a label (columns {names[0]!r} and {names[1]!r})")
    labels = only_ones(labels) if layout.delimiter is None else labels
    read = (f"in {path.name}: {layout.said}; {chosen.said}", *(f"in {path.name}: {text}" for text in layout.remarks))
    read += (f"in {path.name}: {lists.said.format(names[0])}",) if lists else ()
    said = ((k, said_splits(layout.columns[k], cells, table=path.name)) for k, cells in dividing.items())
    divided, splits = next(((k, parts) for k, parts in said if parts), (None, []))
    if divided is not None:
        bare = splits.count("")
        rest = f"; the {bare:,} rows without one are for training" if bare else ""
        read = (*read, f"in {path.name}: the splits are those of column {layout.columns[divided]!r}{rest}")
    by_fold = (said_folds(layout.columns[k], cells, labels) for k, cells in dividing.items() if folds)
    if divided is None and (parts := next(filter(None, by_fold), None)) is not None:
        splits, read = parts[0], (*read, f"in {path.name}: {parts[1]}")
    return Table(texts, labels, groups, splits, read, omissions.all, names)


def lacks(path: Path, layout: Layout, column: str) -> bool:
    """Tell whether a table with a header has no such column, and none with a usual name of labels."""
    usual = any(is_name(name, LABEL_NAMES) for name in layout.columns)
    return layout.header and not usual and Columns(path.name, layout).find(column) is None


def name_of(likely: str | None) -> str | None:
    """Return a likely column by which a header can be known: the number of one says nothing of another file."""
    return None if likely is None or likely.isdigit() else likely


@dataclass(frozen=True)
class TextFile:
    """A file of texts, labelled or not.

    Args:
        path: the file.
        count: texts in it.
        read: sentences on how it is read.
        layout: of a table; None: one text per line.
        place: of the column of texts.
        lists: what the column holds instead of texts; the entries of each are joined.
        encoding: of a file without layout.
    """

    path: Path
    count: int
    read: tuple[str, ...]
    layout: Layout | None = None
    place: int = 0
    lists: Lists | None = None
    encoding: str = ""

    def __iter__(self) -> Iterator[str]:
        """Yield the text of every row in the memory of one row; "" for a row without one."""
        if self.layout is None:
            with opened(self.path, self.encoding) as stream:
                yield from (line.rstrip("\r\n") for line in lines(self.path, stream))
        else:
            cells = (_at(row, self.place).strip() for row in rows(self.path, self.layout))
            yield from (" ".join(self.lists.texts(cell)) for cell in cells) if self.lists else cells


def text_file(
    path: Path, *, text_column: str | None = None, label_column: str | None = None, likely_column: str | None = None
) -> TextFile:
    """Find out how the texts of a file are read, with or without labels.

    A table is known by its name (`TABLES`), or by its header where its name says nothing; all other text files have
    one text per line.

    Args:
        path: the file.
        text_column: its name (or number from 1, in a file without header); None: guessed.
        label_column: of the labels, which are no texts.
        likely_column: the column that is taken instead of a guess, where the file has it.

    Raises:
        DataError: as `read_table`.
    """
    suffix = table_suffix(path)
    layout: Layout | None = None
    if suffix in TABLES or text_column or label_column:
        layout = look(path, text_column, name_of(likely_column), label_column)
    elif suffix != ".txt":
        layout = _by_its_header(path)
    if layout is None:
        return _lines_of(path)
    if not layout.count:
        raise DataError(f"{path.name} holds no texts")
    chosen = Columns(path.name, layout).choose(
        text=text_column, label=label_column, likely_text=likely_column, labelled=False
    )
    lists = lists_of(layout, chosen.text)
    said = [f"{layout.said}{'; ' if chosen.said else ''}{chosen.said}", *layout.remarks]
    said += [f"what a list of {layout.columns[chosen.text]!r} holds is one text"] if lists else []
    read = tuple(f"in {path.name}: {sentence}" for sentence in said)
    return TextFile(path, layout.count, read, layout, chosen.text, lists)


def read_texts(path: Path, *, text_column: str | None = None, likely_column: str | None = None) -> Iterator[str]:
    """Yield the texts of a file as `text_file` reads them."""
    return iter(text_file(path, text_column=text_column, likely_column=likely_column))


def look(path: Path, *wanted: str | None) -> Layout:
    """Find out how a table of texts is to be read, `wanted` being columns that must be there.

    Raises:
        DataError: as `cnn_core.data.tables.look`; the file is one of fastText.
    """
    _refuse_tags(path)
    return tables.look(path, TEXT_NAMES + LABEL_NAMES, wanted=wanted, content="a table of texts")


@dataclass(frozen=True)
class Guess:
    """The columns of a table, and which of them seem to hold texts and labels."""

    names: tuple[str, ...]
    text: str
    label: str | None  # None: there is only one column
    description: str  # how the file was read


def guess_columns(path: Path) -> Guess:
    """Find out which columns of a table hold texts and labels: by their names, else by what is in them.

    Raises:
        DataError: the file cannot be read, or holds no rows.
    """
    layout = look(path)
    if not layout.count:
        raise DataError(f"{path.name} holds no rows")
    described = "; ".join((layout.said, *layout.remarks))
    if len(layout.columns) < 2:
        return Guess(layout.columns, layout.columns[0], None, described)
    chosen = Columns(path.name, layout).choose(text=None, label=None)
    return Guess(layout.columns, layout.columns[chosen.text], layout.columns[chosen.label or 0], described)


def _lines_of(path: Path) -> TextFile:
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a file of texts ({', '.join(('.txt', *TABLES))})")
    _refuse_tags(path)
    encoding = examine_encoding(path)
    with opened(path, encoding.name) as stream, reading_errors(path):
        check_is_text(path, stream.read(SAMPLE))
    read = (f"in {path.name}: read as {encoding.name}, one text per line", *encoding.remarks)
    return TextFile(path, encoding.lines, read, encoding=encoding.name)


def _refuse_tags(path: Path) -> None:
    with reading_errors(path), path.open("rb") as file:
        if file.read(64).removeprefix(BOM_UTF8).startswith(b"__label__"):
            raise DataError(
                f"{path.name}: its lines begin with __label__ as fastText's do; save it as a table with the columns "
                "label and text"
            )


def _by_its_header(path: Path) -> Layout | None:
    """Return the layout of a file whose name says nothing, if it is a table with a header, or one of even tabs."""
    if path.is_dir():
        return None
    try:
        layout = look(path)
    except DataError:
        return None
    known = layout.header or (layout.delimiter == "\t" and len({*map(len, layout.sample)}) == 1)
    return layout if known and len(layout.columns) > 1 and layout.dialect else None


def _at(row: list[str], place: int) -> str:
    return row[place] if place < len(row) else ""
