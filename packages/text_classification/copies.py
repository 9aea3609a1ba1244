"""Copies in labelled texts: which texts are the same but for case, spaces and punctuation, and what follows."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from text_classification.tables import Table

SHOWN = 60  # characters of an example
NUMBERS = 20  # different labels, all of them numbers, from which on they are scores

_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_DROPPED = re.compile(r"[^\w]+")
_ASCII_SIGNS = re.compile(r"[^a-z0-9]+")


class Texts(Protocol):
    """Texts of one split."""

    @property
    def texts(self) -> list[str]: ...


def similar(text: str) -> str:
    """Return what near copies have in common: letters, digits and pictograms, in one case and composition (NFKC)."""
    if text.isascii():
        return _ASCII_SIGNS.sub(" ", text.lower()).strip() or " ".join(text.split())
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(sign if unicodedata.category(sign)[0] not in "PZC" else " " for sign in plain)
    return " ".join(kept.replace("_", " ").split()) or " ".join(plain.split())


def spelled(text: str) -> str:
    """Return a text in one case and composition, with single spaces; its signs stay."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def grouped(keys: Sequence[str], groups: Sequence[str] = ()) -> list[str]:
    """Return of every item a value that it shares with those of an equal key or an equal group, however connected."""
    if not groups:
        return list(keys)
    parents: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parents.setdefault(node, node) != node:
            parents[node] = node = parents[parents[node]]
        return node

    for key, group in zip(keys, groups, strict=True):
        parents[root(("key", key))] = root(("group", group))
    return ["\0".join(root(("group", group))) for group in groups]


def contradictions(tables: Mapping[str, Table]) -> list[str]:
    """Return a sentence on texts that stand under several labels, if there are some."""
    labels: dict[str, str] = {}
    several: dict[str, str] = {}
    for table in tables.values():
        for text, label in zip(table.texts, table.labels, strict=True):
            if labels.setdefault(key := spelled(text), label) != label:
                several.setdefault(key, f"{text[:SHOWN]!r}: {labels[key]} and {label}")
    if not several:
        return []
    example = next(iter(several.values()))
    stand = "texts stand" if len(several) > 1 else "text stands"
    return [f"{len(several):,} {stand} under different labels, so no network can have all of them right ({example})"]


def copies(splits: Mapping[str, Texts]) -> list[str]:
    """Return sentences on texts of the test and validation sets that are copies of training texts."""
    said = []
    learned = {similar(text) for text in splits["train"].texts}
    for split, name in (("test", "test"), ("val", "validation")):
        found = [text for text in splits[split].texts if similar(text) in learned]
        if found:
            said.append(
                f"{len(found):,} of {len(splits[split].texts):,} {name} texts are copies of training texts, exactly or "
                f"but for case, spaces and punctuation, which flatters ({found[0][:SHOWN]!r})"
            )
    return said


def label_warnings(labels: Iterable[str]) -> list[str]:
    """Return what labels seem to be instead of classes: scores."""
    labels = list(labels)
    if len(labels) > NUMBERS and all(map(_NUMBER.fullmatch, labels)):
        return [
            f"the {len(labels)} labels are all numbers: these may be scores instead of classes; divide them into a few "
            "classes, or choose another column with --label-column"
        ]
    return []
