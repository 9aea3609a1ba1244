"""Labels in a table beside the items, as Kaggle and others hand them out: labels.csv with a file and its class.

    FOLDER/labels.csv   image_id,label      FOLDER/images/a1b2.jpg      with or without the suffix, in any case
    FOLDER/train.csv    id,diagnosis        FOLDER/train/7.png          test.csv and valid.csv likewise
    FOLDER/truth.csv    image,rust,scab     one column of 0 and 1 per class

A table counts if one of its columns names most of the items, or most of its rows name one.
"""

import re
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cnn_core.data.classes.listing import Files, Kind
from cnn_core.data.splits import SPLIT_NAMES, is_fold, said_folds, said_splits
from cnn_core.data.tables import look, rows
from cnn_core.errors import DataError

LABEL_NAMES = (
    "label", "labels", "class", "classid", "classname", "category", "categoryid", "categoryname", "target", "diagnosis",
    "dx", "breed", "species", "finding", "findinglabels", "level", "y", "type", "cultivar", "characterlabel",
)  # fmt: skip
START_COLUMNS = ("start", "begin", "onset", "starttime", "begintime", "starts", "tmin", "starttimes", "begintimes")
END_COLUMNS = ("end", "stop", "offset", "endtime", "stoptime", "ends", "tmax", "endtimes", "stoptimes")
NAME_COLUMNS = ("file", "filename", "file_name", "image", "image_id", "img", "id", "path", "image_name", "name")

Parts = tuple[str, ...]


@dataclass
class LabelTable:
    """What tables say of items.

    Args:
        sources: names of the tables.
        read: sentences on what was chosen in reading.
        labels: item -> its class.
        splits: item -> train, val or test, where a table says so.
        groups: item -> its group, where a column was asked for.
        left_out: (file or row, reason) of what is not used.
        folds: item -> its split by a column of folds, used where no table says another one, and a clause on it.
        times: columns that say from when to when a label holds.
    """

    sources: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    labels: dict[Parts, str] = field(default_factory=dict)
    splits: dict[Parts, str] = field(default_factory=dict)
    groups: dict[Parts, str] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    folds: dict[Parts, str] = field(default_factory=dict)
    by_fold: str = ""
    times: list[str] = field(default_factory=list)

    def several_labels(self, kind: Kind) -> str | None:
        """Return a sentence on items that the tables give several labels, if there are any."""
        count = sum(reason.endswith(SEVERAL_LABELS) for _, reason in self.left_out)
        if not count:
            return None
        table, times = " and ".join(self.sources), " and ".join(map(repr, self.times))
        kinds = f"is a table of stretches of time ({times}), which gives" if times else "is a table that gives"
        kinds = kinds if len(self.sources) == 1 else "together give"
        cut = "cut every stretch out as a file of its own" if times else f"leave one label for each {kind.one}"
        return (
            f"{table} {kinds} {count:,} of {count + len(self.labels):,} {kind.many} several labels; {kind.many} "
            f"with several labels cannot be learned: {cut}, or choose another column with --label-column"
        )


def read_labels(
    files: Files, *, label_column: str | None = None, group_column: str | None = None, folds: bool = False
) -> LabelTable:
    """Return what the tables beside the items say; without labels where no table has any.

    Args:
        files: the items and the tables.
        label_column: its name or number; None: guessed.
        group_column: likewise; None: there are no groups.
        folds: whether a column of folds divides the items.

    Raises:
        DataError: a column was asked for that no table has, or a table cannot be read.
    """
    finder = _Finder([parts for parts in files.paths if files.kind.has(parts)], files.kind)
    found = LabelTable()
    for source in files.tables:
        _read_table(files, source, finder, found, label_column, group_column, folds=folds)
    if not found.labels and (label_column or group_column) and (several := found.several_labels(files.kind)):
        raise DataError(f"{files.name}: {several}")
    if not found.labels and (label_column or group_column):
        flag = f"--label-column {label_column}" if label_column else f"--group-column {group_column}"
        wanted = f"a table (.csv or .tsv) that names the {files.kind.many}"
        raise DataError(f"{files.name}: {flag} needs {wanted}, found none")
    if not found.labels:
        return found
    if found.by_fold and not {"val", "test"} & {*found.splits.values()}:
        found.splits |= {parts: split for parts, split in found.folds.items() if split}
        found.read.append(found.by_fold)
    found.read = [*dict.fromkeys(found.read)]
    named = {parts for parts in finder.items if parts in found.labels}
    left_out = {name for name, reason in found.left_out if reason.endswith(SEVERAL_LABELS)}
    for parts in finder.items:
        if parts not in named and "/".join(parts) not in left_out:
            why = f"{files.kind.many} without a label in {' or '.join(found.sources)}"
            found.left_out.append(("/".join(parts), why))
    return found


SEVERAL_LABELS = "with several labels"


def listed(file: Path, items: Sequence[Parts], kind: Kind) -> tuple[set[Parts], list[str]]:
    """Return the items that a text file names, one a line, and the lines that name none.

    Raises:
        DataError: the file cannot be read, or names none of them.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{file.name} cannot be read as a list of {kind.many} ({error})") from error
    chosen, missing = named_in(lines, items, kind)
    if not chosen:
        raise DataError(
            f"{file.name} names no {kind.one} of the folder; expected one name a line, such as "
            f"cats/001{min(kind.suffixes)}"
        )
    return chosen, missing


def named_in(lines: Sequence[str], items: Sequence[Parts], kind: Kind) -> tuple[set[Parts], list[str]]:
    """Return the items that lines name, and the lines that name none."""
    finder = _Finder(items, kind)
    found = {line: finder.find(line, None, ()) for line in lines}
    return {place for place in found.values() if place is not None}, [line for line, at in found.items() if at is None]


def _read_table(
    files: Files, source: Parts, finder: "_Finder", found: LabelTable, label_column: str | None,
    group_column: str | None, *, folds: bool,
) -> None:  # fmt: skip
    """Add what one table says, if it is one of labels."""
    name = source[-1]
    columns, table, header, remarks = _rows(files, source, label_column, group_column)
    split, folder = split_in(PurePosixPath(name).stem), source[len(files.wrapper) : -1]
    width = max(map(len, table), default=0)
    cells = [_cells(table, k) for k in range(width)]
    for numbers in (False, True):  # a number stands for a name with zeros before it only where no column has names
        places = [[finder.find(cell, split, folder, numbers=numbers) for cell in column] for column in cells]
        matches = [sum(place is not None for place in column) for column in places]
        # Of columns that name as many, one that is called so, or holds more than the numbers of its rows.
        ranks = [
            (matches[k], _plain(columns, k) in NAME_COLUMNS, not all(cell.strip().isdigit() for cell in cells[k]))
            for k in range(width)
        ]
        best = max(range(width), key=ranks.__getitem__, default=0)
        if width and _names_items(places[best], len(finder.items)):
            break
    else:
        return
    if not header and places[best][0] is None:  # a first row that names no item is one of names after all
        columns, table, places = [cell.strip() for cell in table[0]], table[1:], [column[1:] for column in places]
    rest = [k for k in range(width) if k != best]
    group = _column(columns, group_column, name, "--group-column")
    label = _column(columns, label_column, name, "--label-column")
    others = [k for k in rest if k < len(columns) and k not in (group, label)]
    said = {k: said_splits(columns[k], _cells(table, k), table=name) for k in others}
    divided, splits = next(((k, parts) for k, parts in said.items() if parts), (None, [split or ""] * len(table)))
    possible = [k for k in rest if k not in (group, divided) and not (k < len(columns) and is_fold(columns[k]))]
    labels, chosen = _labels(name, columns, table, possible, label)
    if labels is None:  # such as Kaggle's test.csv: items without labels
        found.read.append(f"{name} names the {files.kind.many}, but no column of it holds at least two labels")
        return
    found.sources.append(name)
    without = ", whose numbers lack the zeros before them" if numbers else ""
    found.read.append(
        f"the labels are read from {name}: {chosen} for the {files.kind.many} in {_title(columns, best)}{without}"
    )
    found.read += [f"in {name}: {remark}" for remark in remarks]
    by_fold = (said_folds(columns[k], _cells(table, k), labels) for k in others if folds)
    numbered, clause = next(filter(None, by_fold), ([], ""))
    found.by_fold = f"in {name}: {clause}" if numbered else found.by_fold
    starts, ends = ([k for k in rest if _plain(columns, k) in names] for names in (START_COLUMNS, END_COLUMNS))
    if starts and ends:
        found.times = [columns[starts[0]], columns[ends[0]]]
        unused = " and ".join(map(repr, found.times))
        found.read.append(f"the times in {unused} of {name} are not used: each of the {files.kind.many} is taken whole")
    several: dict[Parts, set[str]] = defaultdict(set)
    if divided is not None and (bare := splits.count("")):
        found.read.append(f"{bare:,} rows of {name} without a split are for training")
    for number, (row, place, text, part) in enumerate(zip(table, places[best], labels, splits, strict=True), start=1):
        row_name = f"{name} row {number}"
        if place is None:
            cell = row[best] if best < len(row) else ""
            found.left_out.append((cell or row_name, f"rows of {name} whose {files.kind.one} is not there"))
        elif not text:
            found.left_out.append((row_name, f"rows of {name} without a label"))
        elif place in found.labels and found.labels[place] != text:
            several[place] |= {found.labels[place], text}
        elif place in found.labels:
            found.left_out.append((row_name, f"rows of {name} that repeat another one"))
        else:
            found.labels[place] = text
            if part:
                found.splits[place] = part
            if numbered:
                found.folds[place] = numbered[number - 1]
            if group is not None and group < len(row):
                found.groups[place] = row[group].strip()
    for place in several:
        del found.labels[place]
        found.left_out.append(("/".join(place), f"{files.kind.many} {SEVERAL_LABELS}"))


def _rows(files: Files, source: Parts, *wanted: str | None) -> tuple[list[str], list[list[str]], bool, tuple[str, ...]]:
    """Return the columns and the rows of a table, whether it has a header, and what there is to say of it."""
    with tempfile.TemporaryDirectory(prefix="cnn-showcase-") as folder:
        path = Path(folder) / PurePosixPath(source[-1]).name
        path.write_bytes(files.content(source))
        layout = look(path, {*LABEL_NAMES, *NAME_COLUMNS}, wanted=wanted, content="a table of labels")
        return list(layout.columns), list(rows(path, layout)), layout.header, layout.remarks


def _names_items(places: Sequence[Parts | None], items: int) -> bool:
    found = {place for place in places if place is not None}
    return len(found) > 1 and 2 * len(found) >= min(items, len(places))


def _labels(
    name: str, columns: list[str], table: list[list[str]], rest: list[int], label: int | None
) -> tuple[list[str] | None, str]:
    """Return the label of every row, and which column they are from."""
    considered = {*rest, *([] if label is None else [label])}
    values = {k: [" ".join(cell.split()) for cell in _cells(table, k)] for k in considered}
    different = {k: len({*column} - {""}) for k, column in values.items()}
    marks = len(rest) > 1 and all(_numbers(values[k]) <= {0.0, 1.0} for k in rest)
    if label is None and marks:
        marked = [[k for k in rest if float(values[k][i] or 0) == 1] for i in range(len(table))]
        if all(len(one) == 1 for one in marked):  # one column per class
            return [columns[one[0]] for one in marked], f"the {len(rest)} columns with a 1 for the class"
    if label is None:
        named = [k for name in LABEL_NAMES for k in rest if _plain(columns, k) == name and different[k] > 1]
        if marks and not named:
            titles, count = ", ".join(columns[k] for k in rest), sum(len(one) != 1 for one in marked)
            raise DataError(
                f"{name}: expected a 1 in one of the columns {titles}, but {count:,} of {len(table):,} rows have none "
                "or several; leave these rows out, or choose one of the columns with --label-column"
            )
        fit = [k for k in rest if 2 <= different[k] <= max(2, len(table) // 2)]
        label = next(iter([*named, *sorted(fit, key=different.__getitem__)]), None)
    return (None, "") if label is None else (values[label], _title(columns, label))


def _cells(table: list[list[str]], place: int) -> list[str]:
    return [row[place] if place < len(row) else "" for row in table]


def _numbers(cells: list[str]) -> set[float]:
    try:
        return {float(cell) for cell in cells}
    except ValueError:
        return {-1.0}


def _column(columns: list[str], wanted: str | None, table: str, flag: str) -> int | None:
    if wanted is None:
        return None
    plain = [column.lower() for column in columns]
    if wanted.lower() in plain:
        return plain.index(wanted.lower())
    raise DataError(f"{table} has no column {wanted!r} for {flag}; it has {', '.join(columns)}")


def _title(columns: list[str], place: int) -> str:
    return f"column {columns[place]!r}" if place < len(columns) else f"column {place + 1}"


def _plain(columns: list[str], place: int) -> str:
    return re.sub(r"[\W_]", "", columns[place].lower()) if place < len(columns) else ""


def split_in(stem: str) -> str | None:
    """Return which split a table is of by its name: train.csv, trainLabels.csv, my_test.csv."""
    words = re.findall(r"[A-Z]?[a-z]+", stem)
    return next((SPLIT_NAMES[word.lower()] for word in words if word.lower() in SPLIT_NAMES), None)


ZEROS = "/"  # behind the number of an item, which no name ends with


class _Finder:
    """Finds items by what a table calls them: by path, name or stem, in any case and any Unicode form."""

    def __init__(self, items: Sequence[Parts], kind: Kind) -> None:
        self.items, self.kind = items, kind
        self._by_name: dict[str, list[Parts]] = defaultdict(list)
        for parts in items:
            keys = {*_endings(_normal("/".join(parts)), kind)}
            for key in keys | {str(int(key)) + ZEROS for key in keys if key.isdecimal()}:
                self._by_name[key].append(parts)

    def find(self, cell: str, split: str | None, folder: Parts, *, numbers: bool = False) -> Parts | None:
        """Return the one item that `cell` names; of several, that in the folder of its table, or of the same split.

        With `numbers`, 7 names 007.jpg: a spreadsheet takes the zeros away.
        """
        name = _normal(cell)
        if not name or (numbers and not (name.isdecimal() and len(name) < 20)):
            return None
        for key in [str(int(name)) + ZEROS] if numbers else _endings(name, self.kind):
            fitting = self._by_name.get(key, [])
            if len(fitting) > 1 and folder:
                fitting = [parts for parts in fitting if parts[: len(folder)] == folder] or fitting
            if len(fitting) > 1:
                fitting = [parts for parts in fitting if split in {split_in(part) for part in parts[:-1]} - {None}]
            if len(fitting) == 1:
                return fitting[0]
        return None


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).casefold().removeprefix("./")


def _endings(path: str, kind: Kind) -> Iterator[str]:
    """Yield the path, then shorter ends of it, and the same without the suffix of an item."""
    parts = path.split("/")
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    yield from ends
    for end in ends:
        if kind.has((end,)):
            yield end.rpartition(".")[0]
