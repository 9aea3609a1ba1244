"""How a folder of items is laid out: where its classes, its splits and its groups are, and what is left out."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnn_core.data.classes.division import Items, SplitOptions, is_share
from cnn_core.data.classes.label_table import LabelTable, listed, named_in, read_labels, split_in
from cnn_core.data.classes.listing import OUTSIDE, Files, Kind, is_table
from cnn_core.data.folders import natural
from cnn_core.data.paths import given_path
from cnn_core.data.splits import split_of_folder
from cnn_core.data.summary import DataSummary, Omissions, class_counts
from cnn_core.data.tables import TABLES, table_suffix
from cnn_core.errors import DataError

FOLD = re.compile(r"fold[ _-]?\d+", re.IGNORECASE)
WANTED = "expected one subfolder of {} per class, at least two, or a table of labels (labels.csv)"

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """An item: the split that it is given for ("train" may still be divided), its class, and its group."""

    parts: Parts
    given: str
    label: str
    group: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be read of a folder: class names, items, what is left out, and sentences on how that was found."""

    labels: tuple[str, ...]
    entries: list[Entry]
    left_out: list[tuple[str, str]]  # (file, reason)
    read: list[str]


def plan_of(files: Files, options: SplitOptions, *, known: Sequence[str] | None = None) -> Plan:
    """Find classes and given splits, in a table of labels or in the folders; DataError lists all problems.

    Args:
        files: what there is.
        options: of the user.
        known: the classes of a network that is measured: splits and classes may be missing.
    """
    filled = {parts[0] for parts in files.paths if len(parts) > 1 and files.kind.may_have(parts)}
    folders = {parts[0] for parts in files.folders}
    given = {name: split for name in folders if (split := split_of_folder(name)) and name not in (known or ())}
    has_splits = {*given.values()} > {"train"}  # another folder beside these is no class
    divided = bool(given) and (filled <= {*given} or has_splits) and ("train" in given.values() or known is not None)
    if given and not divided:
        _refuse_splits(files, filled)
    depth = 1 if divided else 0
    entries = [
        Entry(parts, given[parts[0]] if divided else "train", parts[depth], parts[depth + 1] if len(parts) > depth + 2
               else None)
        for parts in sorted(files.paths) if len(parts) > depth + 1 and (not divided or parts[0] in given)
    ]  # fmt: skip
    folds = not divided and known is None and options.test is None and options.group_column is None
    table = read_labels(files, label_column=options.label_column, group_column=options.group_column, folds=folds)
    bare = {name for name in given if divided and not any(entry.given == given[name] for entry in entries)}
    more = any(parts[0] in bare for parts in table.labels)  # a test without class folders
    if table.labels and (options.label_column or options.group_column or more or not _agree(table, entries)):
        return _plan_of_table(files, table, given if divided else {})
    classes: dict[str, set[str]] = {}
    useless = _without_items(files, depth)
    entries = [entry for entry in entries if entry.parts[: depth + 1] not in useless]
    for parts in sorted({*files.folders} - useless):
        if len(parts) == depth + 1 and (not divided or parts[0] in given):
            classes.setdefault(given[parts[0]] if divided else "train", set()).add(parts[depth])
    labels = _class_names(files.name, classes.get("train", set()) if known is None else set().union(*classes.values()))
    if len(labels) > 1 and known is None and all(map(FOLD.fullmatch, labels)):
        shown = ", ".join(labels[:3]) + ", ..." * (len(labels) > 3)
        raise DataError(
            f"{files.name}: {shown} are called as the folds of a cross-validation, not as classes; "
            f"{WANTED.format(files.kind.many)} beside or above these folders"
        )
    problems = _layout_problems(files, labels, classes, entries, known)
    if problems and len(labels) < 2 and (several := table.several_labels(files.kind)):
        raise DataError(f"{files.name}: {several}")
    if problems:
        tables = [path[-1] for path in files.paths if table_suffix(Path(path[-1])) in TABLES and not is_table(path)]
        unread = [f"{name} is not read: save it as .csv if it holds the labels" for name in tables[:1]]
        raise DataError(f"{files.name}: " + "; ".join([*problems, *table.read, *unread]))
    left_out = [*files.problems]
    left_out += [
        ("/".join(parts), f"files in folders without {files.kind.many}")
        for parts in sorted(files.paths)
        if parts[: depth + 1] in useless and len(parts) > depth + 1 and (not divided or parts[0] in given)
    ]  # fmt: skip
    for parts in sorted([*files.paths, *(t for t in files.tables if t[: len(files.wrapper)] != files.wrapper)]):
        if len(parts) <= depth + 1 or (divided and parts[0] not in given):
            classless = len(parts) > 1 and parts[0] in bare
            why = f"files in {parts[0]}, which has no class folders: this split is taken from train"
            left_out.append(("/".join(parts), why if classless else OUTSIDE))
    said = [f"the classes are the folders in {'/'.join(files.wrapper)}"] if files.wrapper else []
    if not divided and (inside := _divided_inside(entries)):
        entries, said = inside, [*said, "the splits are the folders in the classes"]
    return Plan(labels, entries, left_out, said)


def _divided_inside(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries with the splits of `cats/train/1.jpg`, where all folders in classes are called so."""
    splits = [split_of_folder(entry.group or "") for entry in entries]
    learned = {entry.label for entry, split in zip(entries, splits, strict=True) if split == "train"}
    if None in splits or {*splits} == {"train"} or learned != {entry.label for entry in entries}:
        return []
    return [
        replace(entry, given=split or "train", group=entry.parts[2] if len(entry.parts) > 3 else None)
        for entry, split in zip(entries, splits, strict=True)
    ]


def _refuse_splits(files: Files, folders: set[str]) -> None:
    """Raise DataError for folders that hold the same folders each, some of them called as a split is."""
    inside = {name: {parts[1] for parts in files.paths if len(parts) > 2 and parts[0] == name} for name in folders}
    first, *others = inside.values() or [set[str]()]
    if others and len(first) > 1 and all(other == first for other in others):
        raise DataError(
            f"{files.name}: {' and '.join(sorted(folders))} hold the same folders ({', '.join(sorted(first))}), so "
            "these are the classes; call the folders around them train, val and test"
        )


def plan_of_known(files: Files, labels: Sequence[str]) -> Plan:
    """Return the plan of what is measured with a network that knows `labels`, under its names for them.

    Splits and classes may be missing; what is of another class is left out.

    Raises:
        DataError: there is no class that the network knows.
    """
    plan = plan_of(files, SplitOptions(), known=labels)
    names = _matched(plan.labels, labels)
    unknown = [label for label in plan.labels if label not in names]
    if not names:
        raise DataError(
            f"the network knows the classes {', '.join(labels)}, but {files.name} has {', '.join(unknown)}; choose "
            "data with some of the same classes"
        )
    strange = [
        ("/".join(entry.parts), f"{files.kind.many} of {entry.label!r}, a class that the network does not know")
        for entry in plan.entries
        if entry.label not in names
    ]
    entries = [replace(entry, label=names[entry.label]) for entry in plan.entries if entry.label in names]
    return replace(plan, entries=entries, left_out=[*plan.left_out, *strange])


def summary_of_known(
    path: str | os.PathLike[str], kind: Kind, labels: Sequence[str], targets: Sequence[int], read: Sequence[str],
    skipped: Sequence[tuple[str, str]],
) -> DataSummary:  # fmt: skip
    """Return what there is to say of data that are measured whole, as numbers of `labels`."""
    counted = class_counts(labels, {"all": list(targets)})
    classes = {label: counts for label, counts in counted.items() if counts["all"]}
    absent = [label for label in labels if label not in classes]
    if absent:
        read = [
            *read, f"of the network's {len(labels)} classes these have no {kind.one} here: {', '.join(absent)}",
        ]  # fmt: skip
    left_out = omissions(skipped, kind).all
    return DataSummary(str(path), kind.many, {"all": len(targets)}, classes, "", tuple(read), left_out)


def _matched(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return label -> the known class that is meant: written alike, but for case, spaces and the form of Unicode."""
    plain = {" ".join(unicodedata.normalize("NFC", name).split()).casefold(): name for name in known}
    found = {}
    for label in labels:
        name = " ".join(unicodedata.normalize("NFC", label).split()).casefold()
        if label in known or name in plain:
            found[label] = label if label in known else plain[name]
    return found


def _without_items(files: Files, depth: int) -> set[Parts]:
    """Return the folders at this depth that hold files, none of them an item by its name."""
    inside = [(parts[: depth + 1], files.kind.may_have(parts)) for parts in files.paths if len(parts) > depth + 1]
    return {folder for folder, _ in inside} - {folder for folder, item in inside if item}


def _plan_of_table(files: Files, table: LabelTable, given: Mapping[str, str]) -> Plan:
    """Return the plan of a folder whose classes are in a table; a split in the table goes before one by folders."""
    labels = _class_names(files.name, {*table.labels.values()})
    if len(labels) < 2:
        if several := table.several_labels(files.kind):
            raise DataError(f"{files.name}: {several}")
        raise DataError(
            f"{files.name}: {' and '.join(table.sources)} has the single label {labels[0]!r}; expected at least two "
            "(--label-column chooses another column)"
        )
    entries = [
        Entry(parts, table.splits.get(parts, given.get(parts[0], "train")), label, table.groups.get(parts))
        for parts, label in sorted(table.labels.items())
        if parts in table.splits or not given or parts[0] in given
    ]
    if not any(entry.given == "train" for entry in entries):
        entries = [replace(entry, given="train") for entry in entries]
    if absent := {entry.label for entry in entries} - {entry.label for entry in entries if entry.given == "train"}:
        raise DataError(
            f"{files.name}: no training {files.kind.one} of {', '.join(sorted(absent))}; expected some of each class"
        )
    named = {entry.parts for entry in entries} | {(*name.split("/"),) for name, _ in table.left_out}
    tables = {source[len(files.wrapper) :] for source in files.tables}
    beside = [("/".join(p), OUTSIDE) for p in sorted(files.paths) if p not in named and p not in tables]
    no_items, outside = f"files that are no {files.kind.many}", f"{files.kind.many} outside the folders of the splits"
    beside = [(name, outside if files.kind.has((name,)) else no_items) for name, _ in beside]
    return Plan(labels, entries, [*files.problems, *table.left_out, *beside], table.read)


def _agree(table: LabelTable, entries: Sequence[Entry]) -> bool:
    """Tell whether the class folders say the same as a table, or it speaks of other items."""
    pairs = {(entry.label, table.labels[entry.parts]) for entry in entries if entry.parts in table.labels}
    folders = {entry.label for entry in entries}
    return len(folders) > 1 and len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})


def _class_names(name: str, labels: set[str]) -> tuple[str, ...]:
    strange = [label for label in sorted(labels) if not label.isprintable()]  # not UTF-8, or control characters
    if strange:
        raise DataError(f"{name}: class names must be readable text, got {', '.join(map(ascii, strange))}")
    return tuple(sorted(labels, key=natural))


def _layout_problems(
    files: Files, labels: Sequence[str], classes: Mapping[str, set[str]], entries: Sequence[Entry],
    known: Sequence[str] | None,
) -> list[str]:  # fmt: skip
    many, wanted = files.kind.many, WANTED.format(files.kind.many)
    if not files.paths and not labels:
        return [f"holds no {many}; {wanted}"]
    if not labels:
        return [f"holds no class folders (files: {len(files.paths)}); {wanted}"]
    if known is not None:
        return []
    problems = [] if len(labels) > 1 else [f"holds the single class {labels[0]!r}; {wanted}"]
    filled = Counter((entry.given, entry.label) for entry in entries)
    for group, names in sorted(classes.items()):
        where = "" if len(classes) == 1 else f" in {group}"
        empty = sorted(name for name in names if not filled[group, name])
        problems += [f"class {name!r}{where} is empty; put {many} in it or delete the folder" for name in empty]
        problems += [f"class {name!r} is in {group} but not in train" for name in sorted(names - set(labels))]
    return problems


def with_test_of(files: Files, plan: Plan, options: SplitOptions) -> Plan:
    """Mark the items that the user has listed or put into a folder for the test."""
    if options.test is None:
        return _as_listed(files, plan)
    if any(entry.given == "test" for entry in plan.entries):
        there = f"{files.name} has test {files.kind.many} of its own"
        raise DataError(f"{there}; leave --test {options.test} out, or move them")
    place = given_path(options.test)
    if is_share(options.test):
        return plan
    if not place.exists():
        raise DataError(
            f"--test {options.test}: there is no such folder or file; expected a folder of test {files.kind.many}, a "
            f"text file of their names, a share such as 0.2 or a number of {files.kind.many} per class"
        )
    if place.is_dir() or is_archive(place):
        return plan
    chosen, missing = listed(place, [entry.parts for entry in plan.entries], files.kind)
    entries = [replace(entry, given="test") if entry.parts in chosen else entry for entry in plan.entries]
    absent = [(name, f"rows of {place.name} whose {files.kind.one} is not there") for name in missing]
    return replace(plan, entries=entries, left_out=[*plan.left_out, *absent])


def _as_listed(files: Files, plan: Plan) -> Plan:
    """Return a plan divided as text files beside the items say: testing_list.txt, meta/test.txt, a name in each line.

    A list counts if most of its lines name an item, and where it leaves some items of each class for training.
    """
    if any(entry.given != "train" for entry in plan.entries):
        return plan
    items, splits, used = [entry.parts for entry in plan.entries], dict[Parts, str](), list[str]()
    for text in files.texts:
        split = split_in(Path(text[-1]).stem)
        if split in ("val", "test") and "train" not in text[-1].lower():
            lines = files.content(text).decode("utf-8-sig", "replace").splitlines()
            lines = [line.strip() for line in lines if line.strip()]
            chosen, missing = named_in(lines, items, files.kind)
            if len(chosen) > len(missing):
                splits |= dict.fromkeys(chosen, split)
                used.append(text[-1])
    entries = [replace(entry, given=splits.get(entry.parts, "train")) for entry in plan.entries]
    learned = {entry.label for entry in entries if entry.given == "train"}
    if not used or learned != {*plan.labels}:
        return plan
    said = "says" if len(used) == 1 else "say"
    return replace(plan, entries=entries, read=[*plan.read, f"divided as {' and '.join(used)} {said}"])


def items_of(
    kind: Kind, entries: Sequence[Entry], labels: Sequence[str], *, same: np.ndarray, near: np.ndarray
) -> Items:
    """Return what is divided, of the entries that could be read; `same` and `near` as in `Items`."""
    index = {label: k for k, label in enumerate(labels)}
    return Items(
        kind, np.array([index[entry.label] for entry in entries], dtype=np.int64),
        ["/".join(entry.parts) for entry in entries], [entry.given for entry in entries],
        [entry.group for entry in entries], labels, same, near,
    )  # fmt: skip


def test_entries(folder: str, files: Sequence[str], labels: Sequence[str]) -> list[Entry]:
    """Return the entries of another folder, which is the test."""
    return [Entry((folder, *name.split("/")), "test", label) for name, label in zip(files, labels, strict=True)]


def is_archive(place: Path) -> bool:
    """Tell whether a file is called like a zip, a tar or a compressed file."""
    return place.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")


def omissions(skipped: Sequence[tuple[str, str]], kind: Kind) -> Omissions:
    """Count what is left out by reason, without the details that differ from file to file."""
    short = [(name, re.split(r" \(|; ", reason)[0]) for name, reason in skipped]
    counts = Counter(reason for _, reason in short)
    collected = Omissions()
    for name, reason in short:
        noun = re.match(rf"(file|{kind.one}|row|folder)s\b", reason)
        phrase = reason if noun else f"unreadable: {reason}"
        if noun and counts[reason] == 1:
            phrase = re.sub(r"^(\w+)s\b", r"\1", reason).replace("that repeat ", "that repeats ")
            phrase = phrase.replace(f"that are no {kind.many}", f"that is no {kind.one}")
        collected.add(phrase, name)
    return collected
