"""The files of a folder and its subfolders; links to folders are followed, and each real folder is read once."""

import os
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

# What systems, archivers and network drives leave beside a user's files, in lower case.
LEFT_BEHIND = {
    "__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "@eadir", "#recycle",
    "@recycle", "$recycle.bin", "recycler", "system volume information", "lost+found",
}  # fmt: skip


def is_left_behind(name: str) -> bool:
    """Tell whether a file or folder is hidden, or was made by a system and not by a user."""
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts texts as people count: 1, 2, 10."""
    pieces = filter(None, re.split(r"([0-9]+)", unicodedata.normalize("NFKC", text).casefold()))
    return (*map(_counted, pieces), (True, 0, text))


def _counted(piece: str) -> tuple[bool, int, str]:
    """Sort digits as the number that they write, without writing it: `int` refuses thousands of them."""
    if not piece.isdecimal():
        return True, 0, piece
    digits = piece.lstrip("0")
    return False, len(digits), digits


def walk(
    root: Path, *, hidden: Callable[[str], bool], report: Callable[[Path, str], None] = lambda *_: None
) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder from `root` on with the names of its files; links come after what lies in the tree itself.

    A folder that cannot be read comes without files. Left out are links to a folder that comes under another name, and
    links upwards, to a folder that `root` lies in.

    Args:
        root: a folder; one that is not there is a folder that cannot be read.
        hidden: which names are passed over, of files and of folders.
        report: called with each folder that was not read, and the reason.
    """
    above = {_identity(parent) for parent in root.resolve().parents}
    seen: set[tuple[int, int] | None] = set()
    waiting = deque([root])
    while waiting:
        failed: list[OSError] = []
        for place, inner, files in os.walk(waiting.popleft(), onerror=failed.append):
            folder, identity = Path(place), _identity(place)
            if identity in seen or identity in above:
                reason = (
                    "is read already, under another name" if identity in seen else "leads upwards, out of the folder"
                )
                report(folder, reason)
                inner.clear()
                continue
            seen.add(identity)
            inner[:] = sorted(part for part in inner if not hidden(part))
            waiting += [folder / part for part in inner if (folder / part).is_symlink()]  # os.walk goes into none
            yield folder, [file for file in files if not hidden(file)]
        for error in failed:
            report(Path(error.filename), f"the folder cannot be read ({error.strerror})")
            yield Path(error.filename), []


def _identity(folder: Path | str) -> tuple[int, int] | None:
    """Return what a folder has in common with all links to it."""
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
