"""Layouts of pictures with captions on disk: Flickr8k, COCO captions, and a folder with a table of captions.

Each reader returns records per split and notes about what was left out: captions of missing pictures, pictures without
captions, empty and repeated captions. Nothing is decoded here.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from cnn_core.data.images import picture_files
from cnn_core.data.splits import hold_out
from cnn_core.data.tables import SUFFIXES, encoding_of, json_rows, lines, look, opened, rows
from cnn_core.errors import DataError
from image_captioning.words import LONGEST_CAPTION, split_words

HELD_FRACTION = 0.1
SHARES = {"val": HELD_FRACTION, "test": HELD_FRACTION}  # of custom pictures whose table has no splits
FLICKR8K = (
    "Flickr8k.token.txt, Flickr_8k.trainImages.txt, Flickr_8k.devImages.txt, Flickr_8k.testImages.txt and the photos"
)
COCO = "annotations/captions_train2017.json, annotations/captions_val2017.json and the photos"
COCO_HELD = 2_000  # training pictures of COCO that become "val", its official val being "test"
JSON_LIMIT = 2 << 30  # bytes of an annotations file; COCO's have 90 MB
CAPTIONS_LIMIT = 1_000  # of one picture
FILE_NAMES = ("image", "file_name", "filename", "file", "picture", "photo", "path", "image_id", "image_name", "name")
CAPTION_NAMES = ("caption", "captions", "text", "sentence", "description", "comment", "title")
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "dev": "val", "valid": "val", "validation": "val",
               "test": "test", "testing": "test"}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A picture file and its captions."""

    file: Path
    name: str  # relative to the set
    captions: tuple[str, ...]


@dataclass
class Listing:
    """The records of each split, and notes about what was left out."""

    splits: dict[str, list[Record]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _Folder:
    """The pictures of a folder by their name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = {file.relative_to(root).as_posix(): file for file in picture_files(root)}
        self.by_path = files
        names = Counter(PurePosixPath(path).name for path in files)
        self.by_name = {PurePosixPath(p).name: f for p, f in files.items() if names[PurePosixPath(p).name] == 1}

    def find(self, name: str) -> Path | None:
        """Return the file of a name in a captions file, with or without folders, always inside the folder."""
        path = PurePosixPath(name.strip().replace("\\", "/"))
        return self.by_path.get(str(path)) or self.by_name.get(path.name)


class _Collector:
    """Captions by picture name, in the order in which the pictures first occur."""

    def __init__(self) -> None:
        self.captions: dict[str, list[str]] = {}
        self.empty = self.repeated = self.surplus = 0

    def add(self, name: str, caption: str) -> None:
        """Take one caption; empty, repeated and surplus ones are counted and left out."""
        kept = self.captions.setdefault(name, [])
        caption = caption[:LONGEST_CAPTION].strip()
        if not split_words(caption):
            self.empty += 1
        elif caption in kept:
            self.repeated += 1
        elif len(kept) >= CAPTIONS_LIMIT:
            self.surplus += 1
        else:
            kept.append(caption)

    def records(self, folder: _Folder, source: str) -> tuple[dict[str, Record], list[str]]:
        """Return name -> record of pictures that are there and have captions, and notes about the others."""
        records, missing = {}, []
        for name, captions in self.captions.items():
            file = folder.find(name)
            if file is None:
                missing.append(name)
            elif captions:
                records[name] = Record(file, name, tuple(captions))
        named = {record.file for record in records.values()}
        bare = sum(file not in named for file in folder.by_path.values())
        notes = [
            (len(missing), f"captions name {len(missing)} pictures that are not there{_such_as(missing)}"),
            (bare, f"{bare} pictures have no caption"),
            (self.empty, f"{self.empty} captions are empty"),
            (self.repeated, f"{self.repeated} captions are repeated for the same picture"),
            (self.surplus, f"{self.surplus} captions are beyond {CAPTIONS_LIMIT} of one picture"),
        ]
        return records, [f"{source}: {text}; left out" for count, text in notes if count]


def read_flickr8k(root: Path) -> Listing:
    """Read the official layout: `Flickr8k.token.txt`, `Flickr_8k.{train,dev,test}Images.txt`, a folder of pictures.

    Raises:
        DataError: a file is missing or damaged, or no picture of a split is there.
    """
    token = root / "Flickr8k.token.txt"
    if not token.is_file():
        raise DataError(
            f"the data set flickr8k is not there: expected {FLICKR8K} in {root}; set CNN_DATA_DIR to the folder that "
            "holds flickr8k"
        )
    collector = _Collector()
    for number, line in enumerate(_text(token), start=1):
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        if not tab or "#" not in key:
            raise DataError(f"{token.name}, line {number}: expected `file.jpg#0<TAB>caption`, got {line[:80]!r}")
        collector.add(key.rpartition("#")[0], caption)
    records, notes = collector.records(_Folder(root), token.name)
    listing = Listing(notes=notes)
    for split, part in (("train", "train"), ("val", "dev"), ("test", "test")):
        file = root / f"Flickr_8k.{part}Images.txt"
        if not file.is_file():
            raise DataError(f"{file} is missing; it belongs to the official Flickr8k and says which photos are {split}")
        names = list(dict.fromkeys(line.strip() for line in _text(file) if line.strip()))
        listing.splits[split] = [records[name] for name in names if name in records]
        if len(listing.splits[split]) < len(names):
            listing.notes.append(f"{file.name}: {len(names) - len(listing.splits[split])} photos are not there")
    return listing


def read_coco(root: Path) -> Listing:
    """Read the layout of COCO captions: `annotations/captions_{train,val}<year>.json` and the folders of pictures.

    The official val is "test"; of the official train, `COCO_HELD` pictures (or a tenth) are "val".

    Raises:
        DataError: no annotations, or a file that is damaged or names one id twice.
    """
    files = sorted([*root.glob("annotations/captions_*.json"), *root.glob("captions*.json")])
    train = next((f for f in files if "train" in f.name), None)
    if train is None:
        raise DataError(
            f"COCO's captions are not there: expected {COCO} in {root}; set CNN_DATA_DIR to the folder that holds coco"
        )
    folder = _Folder(root)
    records, notes = _coco_captions(train).records(folder, train.name)
    pool = list(records.values())
    official = next((f for f in files if "val" in f.name), None)
    if official is None:
        return Listing(divided(pool), notes)
    tested, more = _coco_captions(official).records(folder, official.name)
    splits = divided(pool, {"val": min(HELD_FRACTION, COCO_HELD / max(1, len(pool)))})
    return Listing(splits | {"test": list(tested.values())}, notes + more)


def _coco_captions(file: Path) -> _Collector:
    """Collect the captions of an annotations file by file name."""
    if file.stat().st_size > JSON_LIMIT:
        raise DataError(f"{file.name} has more than {JSON_LIMIT >> 30} GiB; this is not a captions file")
    try:
        values = json.loads(file.read_text("utf-8-sig"))
        images, annotations = values["images"], values["annotations"]
        pairs = [(image["id"], image["file_name"]) for image in images]
        captions = [(entry.get("id"), entry["image_id"], entry["caption"]) for entry in annotations]
    except OSError as error:
        raise DataError(f"could not read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name} is not UTF-8 ({error}); JSON must be; save it as UTF-8") from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{file.name} is not a COCO captions file ({error!r}): expected {{"images": [{{"id", "file_name"}}], '
            '"annotations": [{"image_id", "caption"}]}'
        ) from error
    names = dict(pairs)
    if len(names) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise DataError(f"{file.name}: {len(twice)} image ids occur twice{_such_as(twice)}; give each picture its own")
    collector, seen, unknown = _Collector(), set(), []
    for name in names.values():
        collector.captions.setdefault(str(name), [])
    for key, image, caption in captions:
        if key is not None and key in seen:
            collector.repeated += 1
        elif image not in names:
            unknown.append(image)
        else:
            collector.add(str(names[image]), str(caption))
        seen.add(key)
    if unknown:
        raise DataError(
            f"{file.name}: {len(unknown)} captions are of image ids that it does not list{_such_as(unknown)}"
        )
    return collector


def read_custom(root: Path, *, image_column: str | None = None, caption_column: str | None = None) -> Listing:
    """Read a folder of pictures with a CSV, TSV or JSONL of captions; Flickr8k's and COCO's layouts are recognised too.

    A table has a row per caption, or columns caption1, caption2 ... or, in JSONL, a list. A column `split` may say
    train, val or test; else a tenth of the pictures each are "val" and "test".

    Args:
        root: the folder.
        image_column: name of the column with the pictures' names; None: guessed.
        caption_column: likewise.

    Raises:
        DataError: there is no table, or none of it can be used.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected one with pictures and a table of captions (captions.csv)")
    if (root / "Flickr8k.token.txt").is_file():
        return read_flickr8k(root)
    if any(root.glob("annotations/captions_*.json")) or any(root.glob("captions*.json")):
        return read_coco(root)
    table = _table_of(root)
    folder, collector = _Folder(root), _Collector()
    splits: dict[str, str] = {}
    spelled: dict[Path | str, str] = {}
    for name, captions, split in _table_rows(table, image_column, caption_column):
        name = spelled.setdefault(folder.find(name) or name, name)  # one picture, with and without its folder
        collector.captions.setdefault(name, [])
        for caption in captions:
            collector.add(name, caption)
        known = SPLIT_NAMES.get(split.strip().lower())
        if split.strip() and known is None:
            raise DataError(f"{table.name}: expected train, val or test in the column split, got {split[:40]!r}")
        if known:
            splits[name] = known
    records, notes = collector.records(folder, table.name)
    if not records:
        raise DataError(
            f"{table}: none of its {len(collector.captions)} pictures is in {root} and has a caption; expected names "
            f"relative to the folder{_such_as(list(collector.captions))}"
        )
    if not splits:
        return Listing(divided(list(records.values())), notes)
    parts: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
    for name, record in records.items():
        parts[splits.get(name, "train")].append(record)
    return Listing(parts, notes)


def divided(records: Sequence[Record], shares: Mapping[str, float] = SHARES) -> dict[str, list[Record]]:
    """Hold out shares of the pictures by their names: the same ones in whatever order they come; the rest is train."""
    parts = hold_out(np.zeros(len(records)), [*shares.values()], keys=[record.name for record in records])
    return {name: [records[i] for i in part] for name, part in zip(["train", *shares], parts, strict=True)}


def _table_of(root: Path) -> Path:
    tables = sorted(
        file for file in root.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    named = [file for file in tables if file.stem.lower() in ("captions", "metadata")]
    if len(named or tables) != 1:
        raise DataError(
            f"{root}: expected one table of captions, captions.csv (or .tsv, .jsonl) with the columns image and "
            f"caption; found {', '.join(file.name for file in named or tables) or 'none'}"
        )
    return (named or tables)[0]


def _table_rows(
    table: Path, image_column: str | None, caption_column: str | None
) -> Iterable[tuple[str, list[str], str]]:
    """Yield (picture, captions, split) of each row."""
    wanted = (image_column, caption_column)
    layout = look(table, (*FILE_NAMES, *CAPTION_NAMES), wanted=wanted, content="a table of captions")
    names = [name.lower() for name in layout.columns]
    image_at = _column(table.name, layout.columns, image_column, FILE_NAMES)
    chosen = _column(table.name, layout.columns, caption_column, CAPTION_NAMES)
    others = [i for i in range(len(names)) if i not in (image_at, chosen)]  # without known names: the first ones
    image_at = others.pop(0) if image_at is None and others else image_at
    chosen = others.pop(0) if chosen is None and others else chosen
    if image_at is None or chosen is None or image_at == chosen:
        columns_found = ", ".join(layout.columns) or "none"
        raise DataError(f"{table.name}: expected two columns, image and caption, found {columns_found}")
    stem = names[chosen].rstrip("0123456789_")
    several = [i for i, n in enumerate(names) if n.rstrip("0123456789_") == stem and i != image_at and stem]
    caption_at = several if caption_column is None and chosen in several else [chosen]
    split_at = names.index("split") if "split" in names else None
    if layout.delimiter is None:
        for entry in json_rows(table, layout.encoding):
            values = [entry.get(layout.columns[i]) for i in caption_at]
            captions = [c for v in values for c in (v if isinstance(v, list) else [v]) if isinstance(c, str)]
            split = entry.get(layout.columns[split_at]) if split_at is not None else ""
            yield str(entry.get(layout.columns[image_at], "")), captions or [""], str(split or "")
        return
    for row in rows(table, layout):
        cells = [*row, *[""] * (len(names) - len(row))]
        captions = [cells[i] for i in caption_at]
        captions = [c for c in captions if c.strip()] or [""]
        yield cells[image_at].strip(), captions, cells[split_at] if split_at is not None else ""


def _column(name: str, columns: Sequence[str], wanted: str | None, known: Sequence[str]) -> int | None:
    """Return the place of the column that is wanted, or of the first one with a known name; None: there is none."""
    folded = [column.lower() for column in columns]
    if wanted is not None:
        if wanted.lower() not in folded:
            raise DataError(f"{name} has no column {wanted!r}; its columns are {', '.join(columns)}")
        return folded.index(wanted.lower())
    matches = [i for i, column in enumerate(folded) if column.rstrip("0123456789_") in known]
    return min(matches, key=lambda i: known.index(folded[i].rstrip("0123456789_")), default=None)


def _text(file: Path) -> Iterable[str]:
    """Yield the lines of a text file of any encoding."""
    with opened(file, encoding_of(file)) as stream:
        yield from (line.rstrip("\r\n") for line in lines(file, stream))


def _such_as(names: Sequence[object] | Mapping[str, object]) -> str:
    shown = ", ".join(str(name)[:60] for name in list(names)[:3])
    return f", such as {shown}" if shown else ""
