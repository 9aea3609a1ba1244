"""A user's own pictures: a folder, zip or tar with one subfolder per class, or with a table of labels.

    FOLDER/cats/1.jpg  FOLDER/dogs/summer/2.png                    divided automatically, see `division`
    FOLDER/train/cats/1.jpg  FOLDER/test/cats/2.jpg                already divided; what is missing is taken from train
    FOLDER/labels.csv  FOLDER/images/1.jpg                         see `label_table`

Any mix of sizes, modes and formats. An automatic split depends on the file names of a class: the same folder is always
divided in the same way. Adding pictures moves some of the others to another split; `cnn eval` knows them again by their
content.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from cnn_core.data.paths import given_path
from cnn_core.data.summary import DataSummary, Omissions, class_counts, class_warnings
from cnn_core.errors import DataError
from cnn_core.weights.members import Members, content_hashes
from image_classification.division import Pictures, Wishes, divide, is_share
from image_classification.image_set import SPLITS, ImageSet
from image_classification.label_table import SPLIT_NAMES, LabelTable, listed, read_labels
from image_classification.listing import OUTSIDE, Files, list_files, may_be_picture
from image_classification.preprocess import InputContract

MEMORY_SHARE = 0.5  # of the machine's memory that the decoded pictures may take
WANTED = "expected one subfolder of pictures per class, at least two, or a table of labels (labels.csv)"

Parts = tuple[str, ...]


@dataclass(frozen=True)
class FolderData:
    """The requested splits, and what there is to know about them.

    Args:
        sets: by split.
        summary: what the folder holds and how it is used.
        skipped: (file, reason) of all that is not used.
        members: content hashes of all pictures that were read, by split.
    """

    sets: dict[str, ImageSet] = field(repr=False)
    summary: DataSummary
    skipped: list[tuple[str, str]]
    members: Members = field(repr=False)


@dataclass(frozen=True)
class _Entry:
    """A picture: the split that it is given for ("train" may still be divided), its class, and its group."""

    parts: Parts
    given: str
    label: str
    group: str | None = None


@dataclass(frozen=True)
class _Plan:
    """What is to be read of a folder: class names, pictures, what is left out, and sentences on how that was found."""

    labels: tuple[str, ...]
    entries: list[_Entry]
    left_out: list[tuple[str, str]]  # (file, reason)
    read: list[str]


def load_folder(
    folder: str | os.PathLike[str],
    contract: InputContract,
    *,
    splits: Sequence[str] = SPLITS,
    wishes: Wishes | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> FolderData:
    """Decode a user's own pictures straight to the network's input size, and divide them.

    Args:
        folder: in one of the layouts above; hidden files are ignored, deeper subfolders belong to their class.
        contract: the form of the returned pictures (`contract.to_uint8`).
        splits: which of train, val, train+val, test to return; files that no split needs are not decoded.
        wishes: how they are labelled and divided.
        observe: called with (pictures done, pictures in all) from time to time, from the calling thread.

    Raises:
        DataError: there is nothing to train on; the message lists all problems of the folder.
    """
    wishes = wishes or Wishes()
    with list_files(folder) as files:
        plan = _chosen_for_test(files, _plan(files, wishes), wishes)
        there = {entry.given for entry in plan.entries} | (set() if is_share(wishes.test) else {"test"})
        entries = [entry for entry in plan.entries if any(_needs(split, entry.given, there) for split in splits)]
        images, kept, skipped = _decode(files, [entry.parts for entry in entries], contract, observe)
    groups = {entry.given for entry in entries}
    entries = [entries[i] for i in kept]
    _check_readable(files.name, plan, groups, entries=entries, skipped=skipped)
    index = {label: k for k, label in enumerate(plan.labels)}
    pictures = Pictures(
        images, np.array([index[entry.label] for entry in entries], dtype=np.int64),
        ["/".join(entry.parts) for entry in entries], [entry.given for entry in entries],
        [entry.group for entry in entries], plan.labels,
    )  # fmt: skip
    skipped = [*plan.left_out, *skipped]
    place = None if wishes.test is None or is_share(wishes.test) else given_path(wishes.test)
    if (place is not None and not place.is_file()) or (place is not None and _is_archive(place)):
        tested, summary, more = load_whole(place, contract, labels=plan.labels)
        pictures = _with_test(pictures, tested)
        skipped += [(f"{place.name}/{name}", reason) for name, reason in more]
    division = divide(pictures, wishes, validation="val" in splits)
    sets = {split: _set_of(files.name, split, pictures, division.members) for split in splits}
    shown = {split: s for split, s in sets.items() if split != "train+val" or "train" not in sets}
    classes = class_counts(plan.labels, {split: s.targets.tolist() for split, s in shown.items()})
    summary = DataSummary(
        str(folder), "pictures", {split: len(s) for split, s in shown.items()}, classes, division.divided,
        (*plan.read, *division.read), omissions(skipped).all, (*division.warnings, *class_warnings(classes)),
    )  # fmt: skip
    hashes = hashes_of(pictures.images)
    members = {split: hashes[indices] for split, indices in division.members.items() if len(indices)}
    return FolderData(sets, summary, skipped, members)


def load_whole(
    folder: str | os.PathLike[str], contract: InputContract, *, labels: Sequence[str]
) -> tuple[ImageSet, DataSummary, list[tuple[str, str]]]:
    """Decode all pictures of a folder for a network that knows `labels`, however they are divided.

    A folder with `test/` alone and one of some of the classes will do; pictures of other classes are left out.

    Returns:
        The pictures (split "all"), what the folder holds, and (file, reason) of what is left out.

    Raises:
        DataError: there is no picture of a class that the network knows.
    """
    with list_files(folder) as files:
        plan = _plan(files, Wishes(), known=labels)
        names = _matched(plan.labels, labels)
        unknown = [label for label in plan.labels if label not in names]
        if not names:
            raise DataError(
                f"the network knows the classes {', '.join(labels)}, but {files.name} has {', '.join(unknown)}; choose "
                "data with some of the same classes"
            )
        entries = [entry for entry in plan.entries if entry.label in names]
        strange = Counter(entry.label for entry in plan.entries if entry.label not in names)
        images, kept, skipped = _decode(files, [entry.parts for entry in entries], contract, None)
    entries = [entries[i] for i in kept]
    if not entries:
        raise DataError(f"{files.name}: not one picture can be read: {_some(skipped)}")
    targets = torch.tensor([labels.index(names[entry.label]) for entry in entries], dtype=torch.int64)
    whole = ImageSet(
        files.name, "all", tuple(labels), images, targets, tuple("/".join(entry.parts) for entry in entries)
    )
    skipped = [*plan.left_out, *skipped]
    left_out = omissions(skipped)
    for label, count in strange.items():
        left_out.add(f"pictures of {label!r}, a class that the network does not know", count=count)
    classes = {
        label: counts for label, counts in class_counts(labels, {"all": targets.tolist()}).items() if counts["all"]
    }
    absent = [label for label in labels if label not in classes]
    read = [f"of the network's {len(labels)} classes these have no picture here: {', '.join(absent)}"] if absent else []
    summary = DataSummary(
        str(folder), "pictures", {"all": len(whole)}, classes, "", (*plan.read, *read), left_out.all
    )  # fmt: skip
    return whole, summary, skipped


def omissions(skipped: Sequence[tuple[str, str]]) -> Omissions:
    """Count what is left out by reason, without the details that differ from file to file."""
    short = [(name, re.split(r" \(|; ", reason)[0]) for name, reason in skipped]
    counts = Counter(reason for _, reason in short)
    collected = Omissions()
    for name, reason in short:
        noun = re.match(r"(file|picture|row|folder)s\b", reason)
        phrase = reason if noun else f"unreadable: {reason}"
        if noun and counts[reason] == 1:
            phrase = re.sub(r"^(\w+)s\b", r"\1", reason).replace("that repeat ", "that repeats ")
        collected.add(phrase, name)
    return collected


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts texts as people count: 1, 2, 10."""
    pieces = filter(None, re.split(r"([0-9]+)", unicodedata.normalize("NFKC", text).casefold()))
    counted = ((False, int(piece), "") if piece.isdecimal() else (True, 0, piece) for piece in pieces)
    return (*counted, (True, 0, text))


def _plan(files: Files, wishes: Wishes, *, known: Sequence[str] | None = None) -> _Plan:
    """Find classes and given splits, in a table of labels or in the folders; DataError lists all problems.

    Args:
        files: what there is.
        wishes: of the user.
        known: the classes of a network that is measured: splits and classes may be missing.
    """
    filled = {parts[0] for parts in files.paths if len(parts) > 1 and may_be_picture(parts)}
    folders = {parts[0] for parts in files.folders}
    given = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    given = {name: split for name, split in given.items() if not known or name not in known}
    divided = bool(given) and filled <= {*given} and ("train" in given.values() or known is not None)
    depth = 1 if divided else 0
    entries = [
        _Entry(parts, given[parts[0]] if divided else "train", parts[depth], parts[depth + 1] if len(parts) > depth + 2
               else None)
        for parts in sorted(files.paths) if len(parts) > depth + 1
    ]  # fmt: skip
    table = read_labels(files, label_column=wishes.label_column, group_column=wishes.group_column)
    if table.labels and (wishes.label_column or wishes.group_column or not _agree(table, entries)):
        return _plan_of_table(files, table, given if divided else {})
    classes: dict[str, set[str]] = {}
    useless = _without_pictures(files, depth)
    entries = [entry for entry in entries if entry.parts[: depth + 1] not in useless]
    for parts in sorted({*files.folders} - useless):
        if len(parts) == depth + 1 and (not divided or parts[0] in given):
            classes.setdefault(given[parts[0]] if divided else "train", set()).add(parts[depth])
    labels = _class_names(files.name, classes.get("train", set()) if known is None else set().union(*classes.values()))
    problems = _layout_problems(files, labels, classes, entries, known)
    if problems:
        raise DataError(f"{files.name}: " + "; ".join([*problems, *table.read]))
    left_out = [*files.problems]
    left_out += [
        ("/".join(parts), "files in folders without pictures")
        for parts in sorted(files.paths) if parts[: depth + 1] in useless and len(parts) > depth + 1
    ]  # fmt: skip
    bare = {name for name in given if divided and not any(entry.given == given[name] for entry in entries)}
    for parts in sorted([*files.paths, *(t for t in files.tables if t[: len(files.wrapper)] != files.wrapper)]):
        if len(parts) <= depth + 1:
            classless = len(parts) > 1 and parts[0] in bare
            why = f"files in {parts[0]}, which has no class folders: this split is taken from train"
            left_out.append(("/".join(parts), why if classless else OUTSIDE))
    inside = [f"the classes are the folders in {'/'.join(files.wrapper)}"] if files.wrapper else []
    return _Plan(labels, entries, left_out, inside)


def _without_pictures(files: Files, depth: int) -> set[Parts]:
    """Return the folders at this depth that hold files, none of them a picture by its name."""
    inside = [(parts[: depth + 1], may_be_picture(parts)) for parts in files.paths if len(parts) > depth + 1]
    return {folder for folder, _ in inside} - {folder for folder, picture in inside if picture}


def _plan_of_table(files: Files, table: LabelTable, given: Mapping[str, str]) -> _Plan:
    """Return the plan of a folder whose classes are in a table; a split in the table goes before one by folders."""
    labels = _class_names(files.name, {*table.labels.values()})
    if len(labels) < 2:
        raise DataError(
            f"{files.name}: {' and '.join(table.sources)} has the single label {labels[0]!r}; expected at least two "
            "(--label-column chooses another column)"
        )
    entries = [
        _Entry(parts, table.splits.get(parts, given.get(parts[0], "train")), label, table.groups.get(parts))
        for parts, label in sorted(table.labels.items())
    ]
    if not any(entry.given == "train" for entry in entries):
        entries = [replace(entry, given="train") for entry in entries]
    if absent := {entry.label for entry in entries} - {entry.label for entry in entries if entry.given == "train"}:
        raise DataError(
            f"{files.name}: no training picture of {', '.join(sorted(absent))}; expected some of each class"
        )
    named = {entry.parts for entry in entries} | {(*name.split("/"),) for name, _ in table.left_out}
    tables = {source[len(files.wrapper) :] for source in files.tables}
    beside = [("/".join(p), OUTSIDE) for p in sorted(files.paths) if p not in named and p not in tables]
    beside = [(name, "files that are no pictures") for name, _ in beside]
    return _Plan(labels, entries, [*files.problems, *table.left_out, *beside], table.read)


def _agree(table: LabelTable, entries: Sequence[_Entry]) -> bool:
    """Tell whether the class folders say the same as a table, or it speaks of other pictures."""
    pairs = {(entry.label, table.labels[entry.parts]) for entry in entries if entry.parts in table.labels}
    folders = {entry.label for entry in entries}
    return len(folders) > 1 and len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})


def _class_names(name: str, labels: set[str]) -> tuple[str, ...]:
    strange = [label for label in sorted(labels) if not label.isprintable()]  # not UTF-8, or control characters
    if strange:
        raise DataError(f"{name}: class names must be readable text, got {', '.join(map(ascii, strange))}")
    return tuple(sorted(labels, key=natural))


def _layout_problems(
    files: Files, labels: Sequence[str], classes: Mapping[str, set[str]], entries: Sequence[_Entry],
    known: Sequence[str] | None,
) -> list[str]:  # fmt: skip
    if not files.paths and not labels:
        return [f"holds no pictures; {WANTED}"]
    if not labels:
        return [f"holds no class folders (files: {len(files.paths)}); {WANTED}"]
    if known is not None:
        return []
    problems = [] if len(labels) > 1 else [f"holds the single class {labels[0]!r}; {WANTED}"]
    filled = Counter((entry.given, entry.label) for entry in entries)
    for group, names in sorted(classes.items()):
        where = "" if len(classes) == 1 else f" in {group}"
        empty = sorted(name for name in names if not filled[group, name])
        problems += [f"class {name!r}{where} is empty; put pictures in it or delete the folder" for name in empty]
        problems += [f"class {name!r} is in {group} but not in train" for name in sorted(names - set(labels))]
    return problems


def _chosen_for_test(files: Files, plan: _Plan, wishes: Wishes) -> _Plan:
    """Mark the pictures that the user has listed or put into a folder for the test."""
    if wishes.test is None:
        return plan
    if any(entry.given == "test" for entry in plan.entries):
        raise DataError(f"{files.name} has test pictures of its own; leave --test {wishes.test} out, or move them")
    place = given_path(wishes.test)
    if is_share(wishes.test):
        return plan
    if not place.exists():
        raise DataError(
            f"--test {wishes.test}: there is no such folder or file; expected a folder of test pictures, a text file "
            "of their names, a share such as 0.2 or a number of pictures per class"
        )
    if place.is_dir() or _is_archive(place):
        return plan
    chosen, missing = listed(place, [entry.parts for entry in plan.entries])
    entries = [replace(entry, given="test") if entry.parts in chosen else entry for entry in plan.entries]
    absent = [(name, f"rows of {place.name} whose picture is not there") for name in missing]
    return replace(plan, entries=entries, left_out=[*plan.left_out, *absent])


def _is_archive(place: Path) -> bool:
    return place.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")


def _with_test(pictures: Pictures, tested: ImageSet) -> Pictures:
    """Return the pictures with those of another folder as their test."""
    count = len(tested)
    return Pictures(
        torch.cat([pictures.images, tested.images]), np.concatenate([pictures.targets, tested.targets.numpy()]),
        [*pictures.names, *(f"{tested.name}/{name}" for name in tested.files)], [*pictures.given, *["test"] * count],
        [*pictures.groups, *[None] * count], pictures.labels,
    )  # fmt: skip


def _matched(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return label -> the known class that is meant: written alike, but for case, spaces and the form of Unicode."""
    plain = {" ".join(unicodedata.normalize("NFC", name).split()).casefold(): name for name in known}
    found = {}
    for label in labels:
        name = " ".join(unicodedata.normalize("NFC", label).split()).casefold()
        if label in known or name in plain:
            found[label] = label if label in known else plain[name]
    return found


def _needs(split: str, group: str, there: set[str]) -> bool:
    """Return whether `split` is made from the given `group`: a split that is not given comes out of train."""
    parts = split.split("+")
    return group in parts or (group == "train" and any(part not in there for part in parts))


def _check_readable(name: str, plan: _Plan, groups: set[str], *, entries: list[_Entry], skipped: list) -> None:
    """Raise DataError if a decoded group has no picture left, or a class of train has none."""
    left = Counter((entry.given, entry.label) for entry in entries)
    lost = [label for label in plan.labels if "train" in groups and not left["train", label]]
    lost += [f"all of {group}" for group in sorted(groups) if not any(entry.given == group for entry in entries)]
    if lost:
        raise DataError(f"{name}: not one picture can be read of {', '.join(lost)}: {_some(skipped)}")


def _some(skipped: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{file} ({reason})" for file, reason in skipped[:5])


def _set_of(name: str, split: str, pictures: Pictures, members: Mapping[str, np.ndarray]) -> ImageSet:
    chosen = np.sort(np.concatenate([members[part] for part in split.split("+")]))
    index = torch.from_numpy(chosen)
    files = tuple(pictures.names[i] for i in chosen)
    return ImageSet(
        name, split, tuple(pictures.labels), pictures.images[index], torch.from_numpy(pictures.targets)[index], files
    )


def hashes_of(images: torch.Tensor) -> np.ndarray:
    """Return the content hash of each picture, by which a run knows it again."""
    return content_hashes(image.numpy().tobytes() for image in images)


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
