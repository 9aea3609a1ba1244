"""The pictures of a folder, found by the names that annotations have for them: never a picture that another one names.

Annotations often name a folder of another machine, so a name whose folders are not those of the picture still stands
for it, as long as nothing names that picture better.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnn_core.data.folders import is_left_behind, natural, walk
from cnn_core.data.images import SUFFIXES
from cnn_core.data.splits import SPLIT_NAMES
from object_detection.record import Record


@dataclass(frozen=True)
class Claim:
    """A record, and the picture that its name may stand for.

    Args:
        record: what is said.
        by: the file that says it.
        file: the picture; None: there is none of this name.
        folders: those that the picture is said to be in, in lower case.
        certainty: (how, folders in common). How: 2, all folders that are said are the picture's; 1, all the picture's
            are said, or the file of annotations is called like the picture; 0, the name alone agrees.
    """

    record: Record
    by: Path
    file: Path | None
    folders: tuple[str, ...] = ()
    certainty: tuple[int, int] = (0, 0)


class Folder:
    """The files of a folder, and a picture by the name that an annotation has for it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        files = [place / file for place, names in walk(root, hidden=is_left_behind) for file in names]
        self.files = sorted(files, key=lambda file: natural(file.relative_to(root).as_posix()))
        self.pictures = [file for file in self.files if file.suffix.lower() in SUFFIXES]
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for file in self.pictures:
            for name in {file.name.casefold(), file.stem.casefold()}:
                self._by_name[name].append(file)

    def by_name(self, record: Record, by: Path) -> Claim:
        """Return the claim of a record that names its picture, from a file of many records."""
        *folders, _ = [part.casefold() for part in _parts(record.picture)] or [""]
        file = self._picture(record.picture, by)
        if file is None:
            return Claim(record, by, None)
        own = self._folders(file)
        shared = _shared(folders[::-1], own[::-1])
        how = 2 if shared == len(folders) else int(0 < shared == len(own))
        return Claim(record, by, file, tuple(folders), (how, shared))

    def by_place(self, record: Record, by: Path) -> Claim:
        """Return the claim of a record in a file of its own, which is called like the picture.

        The name inside is often that of before a renaming: the file's own name counts more.
        """
        same = self._picture(by.stem, by)
        file = same or self._picture(record.picture, by)
        if file is None:
            return Claim(record, by, None)
        folders = self._folders(by)
        certainty = (int(same is not None), len({*folders} & {*self._folders(file)}))
        return Claim(record, by, file, folders if same else (*folders, by.stem), certainty)

    def split_of(self, *files: Path) -> str:
        """Return the split that the path of one of the files names, the deepest part first."""
        for file in files:
            for part in reversed(file.relative_to(self.root).parts):
                for word in re.split(r"[^a-z]+", part.lower()):
                    if word in SPLIT_NAMES:
                        return SPLIT_NAMES[word]
        return ""

    def _picture(self, name: str, near: Path) -> Path | None:
        """Return the picture of this name; of several that whose folders have most in common with those of `near`."""
        parts = _parts(name)
        if not parts:
            return None
        found = self._by_name.get(parts[-1].casefold(), [])
        if len(found) > 1 and len(parts) > 1:
            end = [part.casefold() for part in parts[:-1]]
            common = [_shared(end[::-1], self._folders(file)[::-1]) for file in found]
            found = [file for file, count in zip(found, common, strict=True) if count == max(common)]
        if len(found) < 2:
            return found[0] if found else None
        place = self._folders(near)
        ranks = {f: (len({*self._folders(f)} & {*place}), _shared(self._folders(f), place)) for f in found}
        best = [file for file in found if ranks[file] == max(ranks.values())]
        return best[0] if len(best) == 1 else None

    def _folders(self, file: Path) -> tuple[str, ...]:
        return tuple(part.casefold() for part in file.relative_to(self.root).parts[:-1])


def settle(claims: Sequence[Claim]) -> tuple[list[tuple[Path, Claim]], list[Claim]]:
    """Return the claims that hold with their pictures, and those whose picture is missing.

    Of the claims of one picture the most certain hold; those that say other folders than the picture's hold only where
    they say the same.
    """
    best: dict[Path, tuple[int, int]] = {}
    for claim in claims:
        if claim.file:
            best[claim.file] = max(claim.certainty, best.get(claim.file, claim.certainty))
    said: dict[Path, set[tuple[str, ...]]] = defaultdict(set)
    for claim in claims:
        if claim.file and claim.certainty == best[claim.file]:
            said[claim.file].add(claim.folders)
    held, missing = [], []
    for claim in claims:
        only = claim.file and claim.certainty == best[claim.file] and len(said[claim.file]) == 1
        if claim.file and (claim.certainty[0] == 2 or only):
            held.append((claim.file, claim))
        else:
            missing.append(claim)
    return held, missing


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many parts two paths begin with in common."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
