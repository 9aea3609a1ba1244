"""Custom pictures: a folder, or a zip, with one subfolder per class; any mix of sizes, modes and formats.

    FOLDER/cats/1.jpg  FOLDER/dogs/summer/2.png                    split automatically
    FOLDER/train/cats/1.jpg  FOLDER/test/cats/2.jpg                already split; what is missing is taken from train

An automatic split depends on the file names of a class: the same folder is always split in the same way. Adding
pictures moves some of the others to another split, so measure weights from before on a separate test set.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from cnn_core.data.splits import hold_out
from cnn_core.errors import DataError
from image_classification.image_set import SPLITS, ImageSet
from image_classification.listing import Files, list_files
from image_classification.preprocess import InputContract

log = logging.getLogger(__name__)

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of the pictures of a class
NAMED = 3  # unusable files that a message names
MEMORY_SHARE = 0.5  # of the machine's memory that the decoded pictures may take


@dataclass(frozen=True)
class FolderReport:
    """What a folder holds, what was used, and what was skipped and why."""

    folder: str
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]  # split -> class -> pictures used
    skipped: list[tuple[str, str]]  # (file, reason)

    def __str__(self) -> str:
        splits = ", ".join(f"{split} {sum(per_class.values())}" for split, per_class in self.counts.items())
        text = f"{self.folder}: {len(self.labels)} classes; pictures: {splits}"
        if self.skipped:
            shown = "; ".join(f"{name} ({reason})" for name, reason in self.skipped[:5])
            more = f"; and {len(self.skipped) - 5} more" if len(self.skipped) > 5 else ""
            text += f"; skipped {len(self.skipped)}: {shown}{more}"
        return text

    @property
    def sentences(self) -> str:
        """The summary for the user: pictures, classes, and the files that are left out."""
        used = sum(sum(per_class.values()) for per_class in self.counts.values())
        text = f"{used:,} pictures in {len(self.labels)} classes."
        if self.skipped:
            count, some = len(self.skipped), ", ".join(file for file, _ in self.skipped[:NAMED])
            more = f" and {count - NAMED} more" if count > NAMED else ""
            text += f" {count} {'file' if count == 1 else 'files'} cannot be used and will be left out: {some}{more}."
        return text


@dataclass(frozen=True)
class FolderData:
    """The requested splits, and the report."""

    sets: dict[str, ImageSet] = field(repr=False)
    report: FolderReport


@dataclass(frozen=True)
class _Plan:
    """Class names, per given split (train, val, test) the files as (class index, path parts), and what is left out."""

    labels: tuple[str, ...]
    groups: dict[str, list[tuple[int, tuple[str, ...]]]]
    outside: list[tuple[str, str]]  # (file, reason)


def load_folder(
    folder: str | os.PathLike[str],
    contract: InputContract,
    *,
    splits: Sequence[str] = SPLITS,
    observe: Callable[[int, int], None] | None = None,
) -> FolderData:
    """Decode the pictures of a folder (or zip) of class folders straight to the network's input size.

    Args:
        folder: in one of the two layouts above; hidden files are ignored, deeper subfolders belong to their class.
        contract: the form of the returned pictures (`contract.to_uint8`).
        splits: which of train, val, train+val, test to return; files that no split needs are not decoded.
        observe: called with (pictures done, pictures in all) from time to time, from the calling thread.

    Raises:
        DataError: there is nothing to train on; the message lists all problems of the folder.
    """
    with list_files(folder) as files:
        plan = _plan(files)
        wanted = [group for group in plan.groups if any(_needs(split, group, plan.groups) for split in splits)]
        entries = [(group, *entry) for group in wanted for entry in plan.groups[group]]
        decoded, kept, skipped = _decode(files, [parts for _, _, parts in entries], contract, observe)
    entries = [entries[i] for i in kept]
    _check_readable(files.name, plan, wanted, entries=entries, skipped=skipped)
    members = _divide(entries, plan.groups)
    targets = torch.tensor([label for _, label, _ in entries], dtype=torch.int64)
    names = ["/".join(parts) for _, _, parts in entries]
    sets = {
        split: ImageSet(
            files.name, split, plan.labels, decoded[index], targets[index], tuple(names[i] for i in index.tolist())
        )
        for split, index in ((s, torch.tensor(_members(members, s), dtype=torch.int64)) for s in splits)
    }
    counts = {
        split: {label: int((s.targets == k).sum()) for k, label in enumerate(plan.labels)} for split, s in sets.items()
    }
    report = FolderReport(files.name, plan.labels, counts, [*files.problems, *plan.outside, *skipped])
    log.info("%s", report)
    return FolderData(sets, report)


def _plan(files: Files) -> _Plan:
    """Find classes and given splits; DataError lists all problems."""
    folders = sorted({parts[0] for parts in files.folders})
    given = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    already_split = "train" in given.values() and len(given) == len(folders)
    depth = 1 if already_split else 0
    classes: dict[str, set[str]] = {}
    groups: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for parts in files.folders:
        if len(parts) == depth + 1:
            classes.setdefault(given[parts[0]] if already_split else "train", set()).add(parts[depth])
    for parts in sorted(files.paths):
        if len(parts) > depth + 1:
            groups.setdefault(given[parts[0]] if already_split else "train", []).append((parts[depth], parts))
    labels = tuple(sorted(classes.get("train", ())))
    strange = [label for label in labels if not label.isprintable()]  # not UTF-8, or control characters
    if strange:
        raise DataError(f"{files.name}: class names must be readable text, got {', '.join(map(ascii, strange))}")
    problems = _layout_problems(files, labels, classes, groups)
    if problems:
        raise DataError(f"{files.name}: " + "; ".join(problems))
    outside = []
    for parts in sorted(files.paths):
        if len(parts) <= depth + 1:
            bare = len(parts) > 1 and given[parts[0]] not in groups
            why = f"{parts[0]} has no class folders, so this split is taken from train"
            outside.append(("/".join(parts), why if bare else "is outside the class folders"))
    index = {label: k for k, label in enumerate(labels)}
    indexed = {group: [(index[c], parts) for c, parts in entries] for group, entries in groups.items()}
    return _Plan(labels, indexed, outside)


def _layout_problems(
    files: Files, labels: tuple[str, ...], classes: dict[str, set[str]], groups: dict[str, list]
) -> list[str]:
    wanted = "expected one subfolder of pictures per class, at least two"
    if not files.paths and not labels:
        return [f"holds no pictures; {wanted}"]
    if not labels:
        return [f"holds no class folders (files: {len(files.paths)}); {wanted}"]
    problems = [] if len(labels) > 1 else [f"holds the single class {labels[0]!r}; {wanted}"]
    for group, names in sorted(classes.items()):
        filled = Counter(c for c, _ in groups.get(group, ()))
        where = "" if len(classes) == 1 else f" in {group}"
        empty = sorted(name for name in names if not filled[name])
        problems += [f"class {name!r}{where} is empty; put pictures in it or delete the folder" for name in empty]
        problems += [f"class {name!r} is in {group} but not in train" for name in sorted(names - set(labels))]
    return problems


def _needs(split: str, group: str, groups: dict[str, list]) -> bool:
    """Return whether `split` is made from the given `group`: a split that is not given comes out of train."""
    parts = split.split("+")
    return group in parts or (group == "train" and any(part not in groups for part in parts))


def _check_readable(name: str, plan: _Plan, groups: list[str], *, entries: list, skipped: list) -> None:
    """Raise DataError if a decoded group has no picture left, or a class of train has none."""
    left = Counter((group, label) for group, label, _ in entries)
    lost = [plan.labels[k] for k in range(len(plan.labels)) if "train" in groups and not left["train", k]]
    lost += [f"all of {group}" for group in groups if not any(g == group for g, _ in left)]
    if lost:
        reasons = "; ".join(f"{file} ({reason})" for file, reason in skipped[:5])
        raise DataError(f"{name}: not one picture can be read of {', '.join(lost)}: {reasons}")


def _divide(entries: list, groups: dict[str, list]) -> dict[str, list[int]]:
    """Return split -> indices of `entries`; splits that are not given get their share of each class of train."""
    members = {
        split: [i for i, (group, _, _) in enumerate(entries) if group == split] for split in ("train", "val", "test")
    }
    shares = {split: share for split, share in (("test", TEST_SHARE), ("val", VAL_SHARE)) if split not in groups}
    train = members["train"]
    labels = np.array([entries[i][1] for i in train], dtype=np.int64)
    parts = hold_out(labels, [*shares.values()], keys=["/".join(entries[i][2]) for i in train])
    return members | {split: [train[i] for i in part] for split, part in zip(["train", *shares], parts, strict=True)}


def _members(members: dict[str, list[int]], split: str) -> list[int]:
    return sorted(i for part in split.split("+") for i in members[part])


def _decode(
    files: Files,
    paths: list[tuple[str, ...]],
    contract: InputContract,
    observe: Callable[[int, int], None] | None,
) -> tuple[torch.Tensor, list[int], list[tuple[str, str]]]:
    """Decode `paths` in parallel: `-> uint8 [N, C, H, W] of those that succeeded, their indices, the others`."""
    shape = (len(paths), contract.channels, *contract.size)
    _check_memory(files.name, shape)
    images = np.empty(shape, dtype=np.uint8)
    failures: dict[int, str] = {}

    def decode(i: int) -> None:
        name = "/".join(paths[i])
        try:
            images[i] = contract.to_uint8(contract.read(files.open(paths[i]), name=name)).numpy()
        except DataError as error:
            failures[i] = str(error).removeprefix(f"{name}: ")

    workers = min(8, os.cpu_count() or 1)
    executor = ThreadPoolExecutor(workers)
    try:
        for done, _ in enumerate(executor.map(decode, range(len(paths))), start=1):
            if observe and (done % 50 == 0 or done == len(paths)):
                observe(done, len(paths))
    finally:
        executor.shutdown(cancel_futures=True)
    kept = [i for i in range(len(paths)) if i not in failures]
    if failures:
        images = images[kept]
    return torch.from_numpy(images), kept, [("/".join(paths[i]), failures[i]) for i in sorted(failures)]


def _check_memory(name: str, shape: tuple[int, ...]) -> None:
    """Raise DataError if the pictures do not fit into memory; the message names the edge that would."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    limit = MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    need = float(np.prod(shape, dtype=np.float64))
    if need > limit:
        edge = int(max(shape[2:]) * (limit / need) ** 0.5)
        raise DataError(
            f"{name}: {shape[0]} pictures of {shape[3]} x {shape[2]} pixels take {need / 2**30:.1f} GB, half of this "
            f"machine's memory is {limit / 2**30:.1f} GB; choose a size of at most {edge} pixels"
        )
