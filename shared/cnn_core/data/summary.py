"""What was understood of a data set before anything runs: the same sentences in commands, library and pages."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cnn_core.data.headers import kind_of
from cnn_core.storage import write_text

SUMMARY_FILE = "data.json"
NAMED = 6  # classes that a sentence names
SHOWN = 60  # characters of a label that is an example
EXAMPLES = 3  # items left out that a sentence names
UNBALANCED = 10  # times the items of the smallest class, from which on accuracy says little of it
FEW = 10  # items of a class, below which nothing reliable is learned of it
MISSING = ("na", "nan", "n/a", "#n/a", "<na>", "null")  # what R, pandas and spreadsheets write for a missing value
BETWEEN = {"|": False, ";": False, ",": False, "+": True, "&": True, " ": True}  # two labels -> does it within one, too
VERBS = {one: (one, many) for one, many in (("is", "are"), ("has", "have"), ("was", "were"))}
_LISTED = re.compile(r"""'[^']*'|"[^"]*"|[^\s,;|'"]+""")  # an entry of a list that was written as text
SPLITS = {"train": "training", "val": "validation", "test": "test", "train+val": "training"}


@dataclass(frozen=True)
class LeftOut:
    """Items that are not used, for one reason."""

    reason: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.examples[:EXAMPLES])
        more = ", ..." if shown and self.count > len(self.examples[:EXAMPLES]) else ""
        return counted(self.count, self.reason) + (f" ({shown}{more})" if shown else "")


class Omissions:
    """Collects what is left out, by reason."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: str = "", count: int = 1) -> None:
        """Count `count` items left out for `reason`; the first few examples are kept."""
        if not count and reason not in self._counts:
            return
        self._counts[reason] = self._counts.get(reason, 0) + count
        examples = self._examples.setdefault(reason, [])
        if example and example not in examples and len(examples) < EXAMPLES:
            examples.append(example)

    def join(self, other: "Omissions") -> None:
        """Count what another one has collected, too."""
        for entry in other.all:
            self.add(entry.reason, count=entry.count)
            for example in entry.examples:
                self.add(entry.reason, example, 0)

    @property
    def all(self) -> tuple[LeftOut, ...]:
        """The reasons in the order in which they first occurred."""
        return tuple(LeftOut(reason, n, tuple(self._examples[reason])) for reason, n in self._counts.items())


@dataclass(frozen=True)
class DataSummary:
    """What a data set holds and how it is used.

    Args:
        data: its name, or the path as it was given.
        items: what its items are called: "texts", "pictures".
        splits: number of items by split: train, val, test, or all.
        classes: class -> split -> number of items; empty where there are no classes.
        divided: how the splits came about, a clause: "as given in train.csv and test.csv".
        read: sentences on what was chosen in reading, and why: columns, series, encoding.
        left_out: what is not used.
        warnings: what the user should know before trusting a result.
    """

    data: str
    items: str
    splits: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    divided: str = ""
    read: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Everything in sentences, the counts first."""
        total = sum(self.splits.values())
        said = [f"{counted(total, self.items)}{_classes(self.classes)}."]
        if self.splits and set(self.splits) != {"all"}:
            sizes = ", ".join(f"{count:,} {SPLITS.get(split, split)}" for split, count in self.splits.items())
            said.append(f"{sizes[0].upper()}{sizes[1:]}{': ' if self.divided else ''}{self.divided}.")
        elif self.divided:
            said.append(f"{self.divided[0].upper()}{self.divided[1:]}.")
        said += [_sentence(text) for text in self.read]
        if self.left_out:
            said.append(f"Left out: {'; '.join(map(str, self.left_out))}.")
        return said + [_sentence(text) for text in self.warnings]

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, the sentences too."""
        return {
            "data": self.data,
            "items": self.items,
            "splits": dict(self.splits),
            "classes": {name: dict(counts) for name, counts in self.classes.items()},
            "divided": self.divided,
            "read": list(self.read),
            "left_out": [{**vars(entry), "examples": list(entry.examples)} for entry in self.left_out],
            "warnings": list(self.warnings),
            "sentences": self.sentences,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore what `to_json` made."""
        left_out = tuple(LeftOut(e["reason"], e["count"], tuple(e["examples"])) for e in values["left_out"])
        known = {key: values[key] for key in ("data", "items", "splits", "classes", "divided")}
        return cls(**known, read=tuple(values["read"]), left_out=left_out, warnings=tuple(values["warnings"]))


def counted(count: int, things: str) -> str:
    """Return a number with what it counts, or what is said of so many: "1 row without a text", "1 is empty"."""
    first, space, rest = things.partition(" ")
    if (verb := VERBS.get(first)) is not None:
        first = verb[count != 1]
    elif count == 1 and first.endswith("s") and not first.endswith("ss"):
        first = f"{first[:-3]}y" if first.endswith("ies") else first[: -2 if first.endswith(("xes", "sses")) else -1]
    return f"{count:,} {first}{space}{rest}"


def more_classes(count: int) -> str:
    """Return "1 more class", "2 more classes"."""
    return f"{count:,} more {'class' if count == 1 else 'classes'}"


def write_summary(summary: DataSummary, folder: Path) -> None:
    """Write the summary of a run's data into its folder."""
    write_text(folder / SUMMARY_FILE, json.dumps(summary.to_json(), ensure_ascii=False) + "\n")


def class_counts(labels: Sequence[str], targets: Mapping[str, Iterable[int]]) -> dict[str, dict[str, int]]:
    """Return class -> split -> items of the targets (numbers in 0..K-1) of each split."""
    counts = {label: dict.fromkeys(targets, 0) for label in labels}
    for split, numbers in targets.items():
        for number in numbers:
            counts[labels[number]][split] += 1
    return counts


def _plain(label: str) -> str:
    """Return what labels that are probably one have in common: "1", "1.0" and " 1"; "Cat" and "cat", signs unseen."""
    try:
        return repr(float(label))
    except ValueError:
        seen = "".join(sign for sign in unicodedata.normalize("NFKC", label) if unicodedata.category(sign) != "Cf")
        return " ".join(seen.split()).casefold()


def several_in_one(labels: Iterable[str]) -> list[str]:
    """Return the labels that seem to be several in one cell: `a|b` beside `a`, or `["a", "b"]`.

    Names hold commas too ("tench, Tinca tinca"). Parts tell several labels from them: they are labels alone in at
    least half of the cells, all of them for a sign that is usual within a name, or there are fewer parts than cells.
    """
    different = sorted({*labels})
    quoted = [_LISTED.findall(label[1:-1]) if re.fullmatch(r"[\[({].*[\])}]", label) else [] for label in different]
    if 2 * sum(map(bool, quoted)) > len(different) and max(map(len, quoted)) > 1:
        return [label for label, words in zip(different, quoted, strict=True) if len(words) > 1]
    for sign, strict in BETWEEN.items():
        parts = [{part.strip() for part in label.split(sign)} - {""} for label in different]
        alone = {part for own in parts if len(own) == 1 for part in own}
        joined = [(label, own) for label, own in zip(different, parts, strict=True) if len(own) > 1]
        joined = [(label, own) for label, own in joined if kind_of(label) != "number"]  # 2,5 beside 2
        known = sum(own <= alone if strict else not own.isdisjoint(alone) for _, own in joined)
        few = not strict and len({part for _, own in joined for part in own}) < len(joined)
        if joined and (2 * known >= len(joined) or few):
            return [label for label, _ in joined]
    return []


def class_warnings(classes: Mapping[str, Mapping[str, int]], *, label_flag: str = "") -> list[str]:
    """Return what is wrong with the classes of labelled items: too few, missing in a split, unequal, alike, too many,
    several in one.

    Args:
        classes: class -> split -> items.
        label_flag: the flag that chooses the column of the labels, for advice; empty: labels are folders.
    """
    totals = {name: sum(counts.values()) for name, counts in classes.items()}
    total = sum(totals.values())
    said = []
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(_plain(name), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            said.append(
                f"the labels {_list(repr(shortened(name)) for name in names)} differ in case, spaces or zeros alone "
                "and are learned as different classes: write them alike if they are one"
            )
    for name, count in totals.items():
        if name.casefold() in MISSING:
            said.append(
                f"the label {name!r} of {count:,} items is learned as a class, but programs write it where a value is "
                "missing: leave these items out if so"
            )
    if joined := several_in_one(classes):
        what = "1 label seems" if len(joined) == 1 else f"{len(joined):,} labels seem"
        other = f", or choose another column with {label_flag}" if label_flag else ""
        said.append(
            f"{what} to be several in one cell, {'each ' * (len(joined) > 1)}learned as a class of its own (such as "
            f"{shortened(joined[0])!r}): leave one label for each item{other}"
        )
    if label_flag and len(totals) > 20 and total < 5 * len(totals):
        said.append(
            f"{len(totals)} different labels in {total:,} items: these may be scores, names or lists instead of "
            f"classes; {label_flag} chooses another column"
        )
        return said
    for split in ("test", "val", "train"):
        missing = [name for name, counts in classes.items() if split in counts and not counts[split]]
        if missing and len(missing) < len(classes):
            several, it = ("these classes have", "them") if len(missing) > 1 else ("this class has", "it")
            consequence = {
                "test": f"nothing is measured of {it}", "val": f"the best epoch is chosen without {it}",
                "train": f"nothing can be learned of {it}",
            }[split]  # fmt: skip
            said.append(f"{several} no {SPLITS[split]} item, so {consequence}: {_list(map(shortened, missing))}")
    few = [name for name, count in totals.items() if count < FEW]
    if few:
        counts = _list(f"{shortened(name)} ({totals[name]})" for name in few)
        said.append(f"fewer than {FEW} items, too few to rely on: {counts}")
    if totals and max(totals.values()) > UNBALANCED * max(1, min(totals.values())):
        large, small = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
        said.append(
            f"the classes are of very different sizes ({shortened(large)!r} has {totals[large]:,} items, "
            f"{shortened(small)!r} {totals[small]:,}): look at the figures per class and at macro F1, accuracy alone "
            "flatters"
        )
    return said


def _classes(classes: Mapping[str, Mapping[str, int]]) -> str:
    if not classes:
        return ""
    totals = {name: sum(counts.values()) for name, counts in classes.items()}
    shown = [f"{shortened(name)} {count:,}" for name, count in list(totals.items())[:NAMED]]
    more = f" and {len(totals) - NAMED} more" if len(totals) > NAMED else ""
    return f" in {len(totals)} class{'es' * (len(totals) != 1)}: {', '.join(shown)}{more}"


def shortened(text: str, most: int = SHOWN) -> str:
    """Return the beginning of a text that is too long for a sentence."""
    return text if len(text) <= most else f"{text[:most]}..."


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _sentence(text: str) -> str:
    end = "..." if text.strip().endswith("...") else "."
    text = text.strip().rstrip(".")
    return (text if "." in text.split(" ", 1)[0] else text[:1].upper() + text[1:]) + end
