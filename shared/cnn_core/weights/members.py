"""Which items a run learned from, so that they are known again wherever they turn up (`members.safetensors`).

Of every item there is one 64-bit hash of its content, by split. With them `cnn eval RUN --data X` measures the run's
own test items when X is its training data, sorted, grown or copied elsewhere, and everything in X otherwise.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from cnn_core.errors import WeightsError
from cnn_core.storage import write_bytes

MEMBERS_FILE = "members.safetensors"
SAME = 0.5  # share of the training items that data must hold to count as the training data

Members = Mapping[str, np.ndarray]  # split -> uint64 [N]


def content_hash(content: bytes | str) -> int:
    """Return 64 bits of the SHA-256 of an item's content; 0 is left for "nothing"."""
    data = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little") or 1


def content_hashes(contents: Iterable[bytes | str]) -> np.ndarray:
    """Return `content_hash` of each item: uint64 [N]."""
    return np.fromiter(map(content_hash, contents), dtype=np.uint64)


def write_members(folder: Path, members: Members) -> None:
    """Write the hashes of each split beside the weights."""
    arrays = {split: np.ascontiguousarray(hashes, dtype=np.uint64) for split, hashes in members.items()}
    write_bytes(folder / MEMBERS_FILE, safetensors.numpy.save(arrays))


def read_members(folder: Path) -> Members | None:
    """Return what `write_members` wrote, None where there is nothing.

    Raises:
        WeightsError: the file is damaged.
    """
    file = folder / MEMBERS_FILE
    if not file.is_file():
        return None
    try:
        return safetensors.numpy.load_file(file)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{file} cannot be read ({error}); train again, or delete it") from error


@dataclass(frozen=True)
class Choice:
    """Which items of some data are measured, and what has to be known about them.

    Args:
        items: their indices, ascending.
        unseen: which of them the weights did not learn from: bool, one per entry of `items`.
        own: the data are the training data.
        sentences: how they were chosen.
        warnings: what lowers the trust in the figures.
    """

    items: np.ndarray
    unseen: np.ndarray
    own: bool
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]


def choose_items(
    hashes: np.ndarray, members: Members | None, *, split: str | None = None, items: str = "items"
) -> Choice:
    """Choose what is measured: all of it, unless it is the training data, whose split `split` is found again.

    Args:
        hashes: uint64 [N], of all items of the data.
        members: of the run; None: it has not kept them, so all items are taken.
        split: of the run, where the data are the training data; None: "test".
        items: what the items are called.
    """
    count, everything = len(hashes), np.arange(len(hashes))
    all_of_it = (f"all {count:,} {items} are measured",)
    if members is None:
        risk = "these weights have not kept which items they learned from: copies among these would flatter"
        return Choice(everything, np.ones(count, bool), False, all_of_it, (risk,))
    learned = np.concatenate([members[part] for part in members if part != "test"] or [np.empty(0, np.uint64)])
    seen, held = np.isin(hashes, learned), np.unique(learned)
    if not len(held) or np.isin(held, hashes).mean() < SAME:
        copies = int(seen.sum())
        risk = f"{copies:,} of {count:,} {items} are copies of what these weights learned from, which flatters"
        return Choice(everything, ~seen, False, all_of_it, (risk,) if copies else ())
    wanted = split or "test"
    part = members.get(wanted, members.get("train+val", np.empty(0, np.uint64)))
    found = np.flatnonzero(np.isin(hashes, part) & (~seen if wanted == "test" else True))
    said = [f"these are the training data: of {count:,} {items} the {len(found):,} of the {wanted} split are measured"]
    if new := int((~np.isin(hashes, np.concatenate([*members.values()]))).sum()):
        said.append(f"{new:,} {items} were not there in training and are not measured: measure them on their own")
    if lost := len(np.setdiff1d(part, hashes)):
        said.append(f"{lost:,} {items} of that split are not in these data any more")
    return Choice(found, ~seen[found], True, tuple(said), ())
