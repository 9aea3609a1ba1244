"""Which files of a folder hold its captions: by their names, and by whether they name pictures that are there."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cnn_core.data.decoding import examine_encoding
from cnn_core.data.folders import walk
from cnn_core.data.splits import SPLIT_NAMES
from cnn_core.data.tables import TABLES, table_suffix
from cnn_core.errors import DataError
from image_captioning.album import Album
from image_captioning.readers import Columns, Entry, Source, read_source, such_as, text_lines

KINDS = (*TABLES, ".txt", ".token")
BESIDE = (".txt", ".caption")  # of files beside each picture
NAMED = 1  # up to this rank a file says by its name that it holds captions
RANKS = 4
SHOWN = 5  # names of files


def find_sources(path: Path, album: Album, columns: Columns) -> tuple[list[Source], list[str]]:
    """Read the captions of a folder; return the files that hold them, and the names of other ones that could.

    A file called captions comes first, then others with captions in their names, then those of known sets; of equals,
    the one that names the most pictures that are there. Files that differ in train, val or test are read together.

    Args:
        path: the folder, or one file, which is then the one.
        album: the pictures.
        columns: those that are wanted.

    Raises:
        DataError: no file names pictures that are there, or several do and none is called captions.
    """
    if not path.is_dir():
        return [read_source(path, album, columns)], []
    candidates = list(_candidates(path))
    first_error: DataError | None = None
    unmatched: Source | None = None
    for rank in range(RANKS):
        good: dict[str, list[tuple[Source, int]]] = {}
        for file in (file for file in candidates if _rank(file) == rank):
            try:
                source = _in_its_folder(read_source(file, album, columns), path, album)
            except DataError as error:
                if rank <= NAMED or (len(candidates) == 1 and file.suffix.lower() != ".txt"):
                    raise
                first_error = first_error or (error if file.suffix.lower() != ".txt" else None)
                continue
            hits = sum(album.find(entry.name).file is not None for entry in source.entries)
            if not hits and (rank <= NAMED or (len(candidates) == 1 and file.suffix.lower() != ".txt")):
                unmatched = unmatched or source
            good.setdefault(_family(file), []).append((source, hits))
        good = {family: sources for family, sources in good.items() if any(hits for _, hits in sources)}
        if good:
            return _best(good, rank, path, candidates)
    if beside := _beside_pictures(path, album):
        return [beside], []
    if unmatched is not None:
        return [unmatched], []
    if first_error is not None:
        raise first_error
    found = ", ".join(file.name for file in candidates[:SHOWN]) + ", ..." * (len(candidates) > SHOWN) or "none"
    raise DataError(
        f"{path}: expected one table of captions, captions.csv (or .tsv, .txt, .jsonl, .json), with the columns image "
        f"and caption and the names of pictures that are there, or photo.txt beside photo.jpg; found {found}"
    )


def _in_its_folder(source: Source, root: Path, album: Album) -> Source:
    """Return a source whose pictures in the folder of its file are named by that folder, too."""
    folder = source.file.parent.relative_to(root).as_posix()
    inside = {e.name: path for e in source.entries if (path := f"{folder}/{e.name}") in album.files}
    return replace(source, entries=[replace(e, name=inside.get(e.name, e.name)) for e in source.entries])


def _beside_pictures(root: Path, album: Album) -> Source | None:
    """Return the captions of text files beside the pictures, photo.txt of photo.jpg, a caption in each line."""
    folders = sorted({file.parent for file in album.files.values()})
    found = [file for folder in folders for file in sorted(folder.iterdir()) if file.suffix.lower() in BESIDE]
    texts = [text for text in found if not _hidden(text.name) and text.is_file()]
    by_name = {str(text).lower(): text for text in texts} | {str(text): text for text in texts}
    entries, used, said = [], set(), ["the captions are the lines of the text files beside the pictures"]
    for path, file in album.files.items():
        names = [f"{name}{suffix}" for suffix in BESIDE for name in (file.with_suffix(""), file)]
        text = next((by_name[name] for name in (*names, *map(str.lower, names)) if name in by_name), None)
        if text is not None:
            used.add(text)
            if len(said) == 1:  # of the first such file
                said += [f"in {text.name}: {remark}" for remark in examine_encoding(text).remarks]
            entries.append(Entry(path, tuple(line for line in text_lines(text) if line.strip()) or ("",)))
    if not entries:
        return None
    if lost := [text.relative_to(root) for text in texts if text not in used]:
        said.append(f"text files with the name of no picture, which are not read: {len(lost):,}{such_as(lost)}")
    return Source(root, entries, said)


def _best(
    good: dict[str, list[tuple[Source, int]]], rank: int, path: Path, candidates: list[Path]
) -> tuple[list[Source], list[str]]:
    hits = {family: sum(count for _, count in sources) for family, sources in good.items()}
    best = [family for family in good if hits[family] == max(hits.values())]
    if len(best) > 1 and rank > NAMED:
        names = ", ".join(source.file.name for family in best for source, _ in good[family])
        raise DataError(
            f"{path}: expected one table of captions, found {names}; call it captions.csv, or give its path as --data"
        )
    chosen: dict[str, Source] = {}
    for source, _ in good[best[0]]:
        chosen.setdefault(str(source.file.with_suffix("")).lower(), source)  # of the same in two formats the first
    for source in chosen.values():
        if split := _split_of(source.file) or (_split_of(source.file.parent) if source.file.parent != path else ""):
            source.entries = [replace(e, split=e.split or split) for e in source.entries]
            source.by = source.by or source.file.name
    files = {source.file for source in chosen.values()}
    return list(chosen.values()), [
        f.name for f in candidates if f not in files and (f.suffix.lower() != ".txt" or _rank(f) < RANKS - 1)
    ]


def _candidates(root: Path) -> Iterator[Path]:
    """Yield the files that may hold captions: those in the folder and in `annotations`, else those further down."""
    near = [root, *(inner for inner in sorted(root.iterdir()) if inner.name.lower() == "annotations")]
    files = [file for folder in near if folder.is_dir() for file in sorted(folder.iterdir()) if _may(file)]
    if not any(file.suffix.lower() != ".txt" or _rank(file) < RANKS - 1 for file in files):
        files += [
            place / name for place, names in walk(root, hidden=_hidden) for name in sorted(names)
            if place not in near and _may(place / name)
        ]  # fmt: skip
    order = {suffix: i for i, suffix in enumerate(KINDS)}
    yield from sorted(files, key=lambda file: (_rank(file), order[table_suffix(file)], file.as_posix()))


def _may(file: Path) -> bool:
    return table_suffix(file) in KINDS and not _hidden(file.name) and file.is_file()


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def _rank(file: Path) -> int:
    """Return 0 for captions.*, 1 for other names with captions in them, 2 for those of known sets, 3 for the rest."""
    family = _family(file)
    if family == "captions":
        return 0
    if "caption" in family:
        return 1
    known = ("metadata", "results", "dataset", "annotations", "")
    return 2 if file.suffix.lower() == ".token" or family.split("_")[0] in known or ".token" in file.name else 3


def _family(file: Path) -> str:
    """Return a file's name without suffix, and without the word for a split: captions_2017 of captions_val2017.json."""
    words = re.findall(r"[a-z]+|\d+|[^\W\d_a-z]+", file.stem.lower())
    return "_".join(word for word in words if word not in SPLIT_NAMES)


def _split_of(file: Path) -> str:
    words = re.findall(r"[a-z]+", file.stem.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")
