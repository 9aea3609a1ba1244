"""Captions on disk: a folder of pictures with tables or JSON files of captions, and Flickr8k's and COCO's own layouts.

Whatever the layout, the captions of a picture are collected under the file that their name stands for, and each caption
and each picture that is not used is counted by its reason. Nothing is decoded here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnn_core.data.copies import together
from cnn_core.data.splits import SPLIT_NAMES, hold_out
from cnn_core.data.summary import Omissions
from cnn_core.errors import DataError
from image_captioning.album import Album, Match, parts_of
from image_captioning.readers import Columns, Entry, Source, read_json, such_as, text_lines
from image_captioning.sources import find_sources
from image_captioning.words import LONGEST_CAPTION, split_words

HELD_FRACTION = 0.1  # of custom pictures, for each of validation and test where the data name none
FLICKR8K = (
    "Flickr8k.token.txt, Flickr_8k.trainImages.txt, Flickr_8k.devImages.txt, Flickr_8k.testImages.txt and the photos"
)
COCO = "annotations/captions_train2017.json, annotations/captions_val2017.json and the photos"
COCO_HELD = 2_000  # training pictures of COCO that become "val", its official val being "test"
NO_PAIRS = np.empty((0, 2), dtype=np.int64)
CAPTIONS_LIMIT = 1_000  # of one picture


@dataclass(frozen=True)
class Record:
    """A picture file and its captions; which split and group the data put it into, "" where they do not say."""

    file: Path
    name: str  # as its first caption calls it
    captions: tuple[str, ...]
    split: str = ""
    group: str = ""


@dataclass
class Listing:
    """Pictures with captions, what was chosen in reading them, what is not used, and what lowers the trust in it."""

    records: list[Record] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    left_out: Omissions = field(default_factory=Omissions)
    warnings: list[str] = field(default_factory=list)
    by: str = ""  # what says which split a picture belongs to

    @property
    def splits(self) -> dict[str, list[Record]]:
        """The records of each split, without a look at the pictures."""
        parts, _ = divide(self)
        return {split: [self.records[i] for i in part] for split, part in parts.items() if len(part)}


def collect(listing: Listing, entries: Iterable[Entry], album: Album) -> None:
    """Add the records of the pictures that are there and have captions, in the order in which they are first named.

    Counted and left out: captions without a word, repeated, too long or too many; captions whose picture is not there,
    or not known for certain; pictures without a caption. A picture that is named in several splits stays in the first.
    """
    by_file: dict[Path, list[Entry]] = {}
    for entry, file in _matched(entries, album, listing):
        by_file.setdefault(file, []).append(entry)
    left_out, moved = listing.left_out, 0
    for file, named in by_file.items():
        captions = _usable([caption for entry in named for caption in entry.captions], left_out, named[0].name)
        splits = list(dict.fromkeys(entry.split for entry in named if entry.split))
        moved += len(splits) > 1
        if captions:
            group = next((entry.group for entry in named if entry.group), "")
            listing.records.append(Record(file, named[0].name, captions, splits[0] if splits else "", group))
    used = {record.file for record in listing.records}
    for path, file in album.files.items():
        if file not in used:
            left_out.add("pictures without a caption", path)
    if moved:
        listing.warnings.append(f"{moved:,} pictures are named in several splits and stay in the first")


def _say_guesses(matches: Sequence[Match], listing: Listing) -> None:
    guesses = {
        "by their number alone": {match.name for match in matches if match.by_number},
        "in another folder than they say": {match.name for match in matches if match.file and not match.folders_agree},
    }
    for how, names in guesses.items():
        if names:
            listing.read.append(f"{len(names):,} pictures are found {how}{such_as(sorted(names)[:1])}")


def _matched(entries: Iterable[Entry], album: Album, listing: Listing) -> Iterable[tuple[Entry, Path]]:
    """Yield the entries whose picture is there, with a name that it has in the album."""
    found = [(entry, album.find(entry.name)) for entry in entries]
    _say_guesses([match for _, match in found], listing)
    left_out = listing.left_out
    certain = {match.file for _, match in found if match.folders_agree}
    guessed: dict[Path, set[tuple[str, ...]]] = {}  # pictures that are called by other folders than their own
    for _, match in found:
        if match.file and not match.folders_agree:
            guessed.setdefault(match.file, set()).add(tuple(parts_of(match.name)))
    for entry, match in found:
        if match.several:
            left_out.add("captions whose name fits several pictures", match.name, len(entry.captions))
        elif match.file is None:
            left_out.add("captions of pictures that are not there", match.name, len(entry.captions))
        elif not match.folders_agree and (match.file in certain or len(guessed[match.file]) > 1):
            left_out.add("captions of pictures in folders that are not there", match.name, len(entry.captions))
        else:
            yield Entry(match.name, entry.captions, entry.split, entry.group), match.file


def _usable(captions: Sequence[str], left_out: Omissions, name: str) -> tuple[str, ...]:
    kept: dict[str, None] = {}
    for caption in captions:
        caption = caption.strip()
        if len(caption) > LONGEST_CAPTION:
            left_out.add(f"captions of more than {LONGEST_CAPTION:,} characters", name)
        elif not split_words(caption):
            left_out.add("captions without a word", name)
        elif caption in kept:
            left_out.add("captions repeated for the same picture", name)
        elif len(kept) >= CAPTIONS_LIMIT:
            left_out.add(f"captions beyond {CAPTIONS_LIMIT:,} of one picture", name)
        else:
            kept[caption] = None
    return tuple(kept)


# ---- official layouts


def read_flickr8k(root: Path) -> Listing:
    """Read the official layout: `Flickr8k.token.txt`, `Flickr_8k.{train,dev,test}Images.txt`, a folder of pictures.

    Raises:
        DataError: a file is missing or damaged, or no picture of a split is there.
    """
    token = root / "Flickr8k.token.txt"
    if not token.is_file():
        raise DataError(
            f"the data set flickr8k is not there: expected {FLICKR8K} in {root}; get it with `cnn data get "
            "flickr8k`, or set CNN_DATA_DIR to the folder that holds flickr8k"
        )
    splits: dict[str, str] = {}
    listing = Listing(by="the list of Flickr8k")
    for part in ("train", "dev", "test"):
        file = root / f"Flickr_8k.{part}Images.txt"
        if not file.is_file():
            split = SPLIT_NAMES[part]
            raise DataError(f"{file} is missing; it belongs to the official Flickr8k and says which photos are {split}")
        splits |= {line.strip(): SPLIT_NAMES[part] for line in text_lines(file) if line.strip()}
    entries = []
    for number, line in enumerate(text_lines(token), start=1):
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        if not tab or "#" not in key:
            raise DataError(f"{token.name}, line {number}: expected `file.jpg#0<TAB>caption`, got {line[:80]!r}")
        name = key.rpartition("#")[0]
        if name in splits:
            entries.append(Entry(name, (caption,), splits[name]))
        else:
            listing.left_out.add("captions of photos in none of the three lists", name)
    collect(listing, entries, Album(root))
    there = {record.name for record in listing.records}
    for name in splits.keys() - there:
        listing.left_out.add("photos of the lists that are not there", name)
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
    listing = Listing(by="COCO's files")
    official = next((f for f in files if "val" in f.name), None)
    entries = read_json(train).entries
    if official is not None:
        entries += [Entry(e.name, e.captions, "test") for e in read_json(official).entries]
    collect(listing, entries, Album(root))
    pool = [i for i, record in enumerate(listing.records) if not record.split]
    names = [listing.records[i].name for i in pool]
    share = min(HELD_FRACTION, COCO_HELD / max(1, len(pool))) if official else HELD_FRACTION
    parts = hold_out(np.zeros(len(pool)), [share] if official else [share, HELD_FRACTION], keys=names)
    for split, part in zip(("train", "val", "test"), parts, strict=False):
        for i in part:
            record = listing.records[pool[i]]
            listing.records[pool[i]] = Record(record.file, record.name, record.captions, split)
    return listing


# ---- custom data


def read_custom(path: Path, *, columns: Columns | None = None) -> Listing:
    """Read a folder of pictures with tables or JSON files of captions; or one such file beside its pictures.

    A table has a row per caption, or columns caption1, caption2 ..., or a list of captions in a cell. A column `split`,
    or the names of several files, may say train, val or test. The layouts of Flickr8k, Flickr30k, COCO and Karpathy's
    JSON are recognised.

    Args:
        path: the folder, or the file.
        columns: the columns that are wanted; None: chosen by their names and contents.

    Raises:
        DataError: there are no captions, or none that can be used.
    """
    root = path if path.is_dir() else path.parent
    if path.is_dir() and all((root / name).is_file() for name in FLICKR8K.removesuffix(" and the photos").split(", ")):
        return read_flickr8k(root)
    album = Album(root)
    sources, others = find_sources(path, album, columns or Columns())
    listing = Listing(by=_said_by(sources))
    listing.read = list(dict.fromkeys(said for source in sources for said in source.said))
    if others:
        shown = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        listing.read.append(f"read {_named(sources)}; there and not read: {shown} (--data takes a file too)")
    collect(listing, (e for source in sources for e in source.entries), album)
    for source in sources:
        for reason, count in source.left_out.items():
            listing.left_out.add(reason, source.file.name, count)
    if not listing.records:
        names = list(dict.fromkeys(entry.name for source in sources for entry in source.entries))
        there = sum(album.find(name).file is not None for name in names)
        raise DataError(
            f"{_named(sources)}: none of its {len(names)} pictures is in {root} and has a caption ({there} are there); "
            f"expected names relative to the folder, and a text for each{such_as(names)}"
        )
    if 0 < sum(not record.split for record in listing.records) < len(listing.records):
        bare = sum(not record.split for record in listing.records)
        listing.read.append(f"{bare:,} pictures without a split are training pictures")
    return listing


def _named(sources: Sequence[Source]) -> str:
    return ", ".join(dict.fromkeys(source.file.name for source in sources))


def _said_by(sources: Sequence[Source]) -> str:
    return _named(sources) if len(sources) > 1 or not sources[0].by else sources[0].by


def add_test(listing: Listing, path: Path, album: Album, *, columns: Columns | None = None) -> None:
    """Make test pictures of those in another folder with captions, or of those that a list of names has.

    Raises:
        DataError: there is nothing, or none of the names is a picture with captions.
    """
    if any(record.split == "test" for record in listing.records):
        raise DataError(f"{listing.by} says which pictures are test pictures; leave --test out")
    if path.is_dir():
        added = read_custom(path, columns=columns)
        listing.records += [Record(r.file, f"{path.name}/{r.name}", r.captions, "test", r.group) for r in added.records]
        for entry in added.left_out.all:
            listing.left_out.add(entry.reason, ", ".join(entry.examples), entry.count)
        listing.by = f"--test {path.name}"
        return
    known = {record.file: i for i, record in enumerate(listing.records)}
    wanted = [line.strip().strip('",').strip() for line in text_lines(path) if line.strip()]
    places = {name: known.get(album.find(name).file or path) for name in wanted}
    found = {place for place in places.values() if place is not None}
    if not found:
        raise DataError(
            f"{path}: expected the names of test pictures, one a line, or a folder with captions; none of its "
            f"{len(wanted)} lines names a picture with a caption{such_as(wanted)}"
        )
    for name, place in places.items():
        if place is None:
            listing.left_out.add(f"names of {path.name} that are no picture with a caption", name)
    for i, record in enumerate(listing.records):
        split = "test" if i in found else record.split
        listing.records[i] = Record(record.file, record.name, record.captions, split, record.group)
    listing.by = f"--test {path.name}"


def divide(
    listing: Listing, *, units: list[int] | None = None, test: float = HELD_FRACTION
) -> tuple[dict[str, np.ndarray], str]:
    """Return split -> indices of its records, and a clause that says how they came about.

    What the data say is kept. Where they name no validation or no test pictures, these are held out of the others, by
    their names: the same ones in whatever order they come. Groups and copies stay together. Data that call all their
    pictures validation (COCO without its training part) are divided as if they had said nothing.

    Args:
        listing: its records, in their order.
        units: per record the number of its group, see `units_of`; None: the groups that the data name.
        test: share of the pictures, or their number from 1 on.
    """
    records = listing.records
    given = np.array([record.split or "train" for record in records], dtype=object)
    present = {record.split for record in records} - {""}
    if present == {"val"} and all(record.split for record in records):
        given[:], present = "train", set()
    pool = np.flatnonzero(given == "train")
    missing = [split for split in ("val", "test") if split not in present] if len(pool) else []
    parts = {split: np.flatnonzero(given == split) for split in ("train", "val", "test")}
    units = units_of(listing) if units is None else units
    names = [min(names) for names in _names_by_unit(records, units).values()]
    if missing:
        shares = [HELD_FRACTION if split == "val" else _share(test, len(pool)) for split in missing]
        held = hold_out(
            np.zeros(len(pool)), shares, keys=[names[units[i]] for i in pool], groups=[units[i] for i in pool]
        )
        parts |= {split: pool[part] for split, part in zip(["train", *missing], held, strict=True)}
    return parts, _divided(listing, present, missing, test, grouped=any(record.group for record in records))


def _divided(listing: Listing, present: set[str], missing: Sequence[str], test: float, *, grouped: bool) -> str:
    amount = f"{test:.0%}" if test < 1 else f"{test:.0f}"
    held = " and ".join({"val": f"{HELD_FRACTION:.0%} for validation", "test": f"{amount} for the test"}[m]
                        for m in missing)  # fmt: skip
    together = ", groups and copies together" if grouped else ", copies together"
    given = f"as {listing.by} says" if present else ""
    if not missing:
        return given
    how = f"{held} held out of the {'training ' * bool(present)}pictures, by their names{together}"
    return f"{given}; {how}" if given else how


def _share(test: float, count: int) -> float:
    if not 0 < test < count:
        raise DataError(f"--test: expected a share below 1 or a number below the {count:,} pictures, got {test:g}")
    return test if test < 1 else test / count


def units_of(listing: Listing, hashes: np.ndarray | None = None, pairs: np.ndarray = NO_PAIRS) -> list[int]:
    """Return the number of the unit of each record, in the order of their first: pictures that stay together.

    Args:
        listing: its records; those of one group are one.
        hashes: uint64 [N] of their pixels; equal ones are one.
        pairs: int64 [P, 2] of near copies.
    """
    groups = [record.group or None for record in listing.records]
    same = [None] * len(groups) if hashes is None else hashes.tolist()
    joined = together(len(groups), pairs, groups, same).tolist()
    numbers: dict[int, int] = {}
    return [numbers.setdefault(unit, len(numbers)) for unit in joined]


def _names_by_unit(records: Sequence[Record], units: Sequence[int]) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for record, unit in zip(records, units, strict=True):
        names.setdefault(unit, []).append(record.name)
    return names
