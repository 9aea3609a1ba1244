"""The pictures of a folder, found by the names that a table of captions gives them.

Names are compared in Unicode's form NFC. One that is no path of the folder is compared without regard to case, then
without its folders, then without its suffix, and a number at last with the numbers of the pictures (42 and
COCO_val2014_000000000042.jpg); what fits several pictures alike fits none.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cnn_core.data.images import SUFFIXES, picture_files

_NUMBERED = re.compile(r"(.+)#\d+")  # photo.jpg#0, as Flickr8k numbers the captions of a photo
_NUMBERS = re.compile(r"(?:.*[_-])?(\d{1,18})")  # the stem of a picture that has one
_NUMBER = re.compile(r"(\d{1,18})(?:\.0)?")  # a name that is one, which a spreadsheet may have made 42.0
_NOT_A_FOLDER = re.compile(r"|\.|\.\.|[A-Za-z]+:")  # empty, here, up, a drive


@dataclass(frozen=True)
class Match:
    """What a name stands for.

    Args:
        name: without the number of the caption.
        file: None: no picture, or none that is meant for certain.
        several: pictures that it fits alike.
        folders_agree: those of the name are those of the picture, as far as both have any.
        by_number: nothing else of the names agrees.
    """

    name: str
    file: Path | None = None
    several: int = 0
    folders_agree: bool = True
    by_number: bool = False


class Album:
    """The pictures of a folder and its subfolders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {_composed(file.relative_to(root).as_posix()): file for file in picture_files(root)}
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._by_number: dict[int, list[str]] = {}
        for path in self.files:
            name = _folded(PurePosixPath(path).name)
            self._by_name.setdefault(name, []).append(path)
            self._by_stem.setdefault(_stem(name), []).append(path)
            if number := _NUMBERS.fullmatch(_stem(name)):
                self._by_number.setdefault(int(number[1]), []).append(path)

    def find(self, name: str) -> Match:
        """Return the picture of a name; always one inside the folder."""
        name = name.strip()
        found = self._find(name)
        numbered = _NUMBERED.fullmatch(name)
        return found if found.file or found.several or numbered is None else self._find(numbered[1])

    def _find(self, name: str) -> Match:
        parts = parts_of(name)
        if not parts:
            return Match(name)
        if file := self.files.get("/".join(parts)):
            return Match(name, file)
        last = _folded(parts[-1])
        paths = self._by_name.get(last) or self._by_stem.get(_stem(last), [])
        if not paths:
            return self._numbered(name, _stem(last))
        ranks = [(_shared_folders(parts, path.split("/")), path.split("/")[-1] == parts[-1]) for path in paths]
        best = [path for path, rank in zip(paths, ranks, strict=True) if rank == max(ranks)]
        if len(best) > 1:
            return Match(name, several=len(best))
        shared, own = max(ranks)[0], best[0].split("/")
        return Match(name, self.files[best[0]], folders_agree=shared == min(len(parts), len(own)) - 1)

    def _numbered(self, name: str, stem: str) -> Match:
        number = _NUMBER.fullmatch(stem)
        paths = self._by_number.get(int(number[1]), []) if number else []
        if len(paths) != 1:
            return Match(name, several=len(paths))
        return Match(name, self.files[paths[0]], by_number=True)


def parts_of(name: str) -> list[str]:
    """Return the folders and the file name of a name as a table has it, without what leads elsewhere."""
    name = name.partition("?")[0] if "://" in name else name
    return [part for part in _composed(name).replace("\\", "/").split("/") if not _NOT_A_FOLDER.fullmatch(part)]


def _shared_folders(parts: list[str], others: list[str]) -> int:
    """Return how many folders right above the file have the same names."""
    count = 0
    for one, other in zip(parts[-2::-1], others[-2::-1], strict=False):
        if _folded(one) != _folded(other):
            break
        count += 1
    return count


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _composed(_composed(text).casefold())


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}" in SUFFIXES else name
