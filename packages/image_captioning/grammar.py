"""The language of the scenes: several correct captions for each, and a parser that says whether a caption is true.

    caption  = [opening] thing { relation thing | "and" thing | "and" relation thing }
    opening  = "there is" | "a picture of" | "from left to right" | number "shapes namely"
    thing    = "a" ["small" | "large"] colour shape
    relation = "left of" | "right of" | "above" | "below"

Relations are those of the first thing. A caption is true if its things can be found in the picture, a different one for
each, such that every relation, the order from left to right and the number hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np

from image_captioning.scenes import COLOURS, RADII, SHAPES, Scene, Thing

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
RELATIONS = ("left of", "right of", "above", "below")
CLEAR = 8.0  # pixels: no caption is written about a relation that is closer
CAPTIONS = 5  # per scene


@dataclass(frozen=True)
class Phrase:
    """A thing as a caption names it."""

    colour: str
    shape: str
    size: str | None = None

    def fits(self, thing: Thing) -> bool:
        """Return whether the words are true of a thing."""
        return (self.colour, self.shape) == (thing.colour, thing.shape) and self.size in (None, thing.size)


@dataclass(frozen=True)
class Meaning:
    """What a caption claims; `relations` are (relation of the first phrase, number of the other phrase)."""

    phrases: tuple[Phrase, ...]
    relations: tuple[tuple[str, int], ...] = ()
    ordered: bool = False  # from left to right
    count: int | None = None


def write_captions(scene: Scene, random: np.random.RandomState, *, count: int = CAPTIONS) -> list[str]:
    """Return true captions of a scene, different where there are enough ways to say it."""
    captions: list[str] = []
    for _ in range(4 * count):
        caption = _write(scene, random)
        if caption not in captions:
            captions.append(caption)
        if len(captions) == count:
            return captions
    return [captions[i % len(captions)] for i in range(count)]


def _write(scene: Scene, random: np.random.RandomState) -> str:
    sized = random.rand() < 0.5
    things = sorted(scene, key=lambda thing: thing.x)
    names = [name_of(thing, sized=sized) for thing in things]
    listed = " and ".join(names)
    if len(scene) == 1:
        return ("", "there is ", "a picture of ")[random.randint(3)] + listed
    if len(scene) <= 3 and random.rand() < 0.6:
        related = _related(scene, random, sized=sized)
        if related:
            return related
    openings = ["", f"{NUMBERS[len(scene)]} shapes namely "]
    if all(b.x - a.x >= CLEAR for a, b in pairwise(things)):
        openings.append("from left to right ")
    return openings[random.randint(len(openings))] + listed


def _related(scene: Scene, random: np.random.RandomState, *, sized: bool) -> str | None:
    """Return a caption with the relations of one thing to the others, or None if no thing has a clear one to each."""
    order = random.permutation(len(scene))
    for first in order:
        others = [scene[i] for i in order if i != first]
        relations = [[r for r in RELATIONS if holds(r, scene[first], other, by=CLEAR)] for other in others]
        if all(relations):
            clauses = [
                f"{kinds[random.randint(len(kinds))]} {name_of(other, sized=sized)}"
                for kinds, other in zip(relations, others, strict=True)
            ]
            opening = ("", "there is ")[random.randint(2)]
            return f"{opening}{name_of(scene[first], sized=sized)} {' and '.join(clauses)}"
    return None


def name_of(thing: Thing, *, sized: bool) -> str:
    """Return "a small red circle", or "a red circle"."""
    return f"a {thing.size} {thing.colour} {thing.shape}" if sized else f"a {thing.colour} {thing.shape}"


def holds(relation: str, one: Thing, other: Thing, *, by: float = 0.0) -> bool:
    """Return whether `one` is left of (right of, above, below) `other` by more than `by` pixels."""
    distance = {
        "left of": other.x - one.x, "right of": one.x - other.x, "above": other.y - one.y, "below": one.y - other.y
    }[relation]  # fmt: skip
    return distance > by


def parse(caption: str | Sequence[str]) -> Meaning | None:
    """Return what a caption (text or words) claims, None if it is not of this language."""
    words = caption.split() if isinstance(caption, str) else list(caption)
    ordered, count = False, None
    if words[:2] == ["there", "is"] or words[:3] == ["a", "picture", "of"]:
        words = words[2 if words[0] == "there" else 3 :]
    elif words[:4] == ["from", "left", "to", "right"]:
        ordered, words = True, words[4:]
    elif words[1:3] == ["shapes", "namely"] and words[0] in NUMBERS.values():
        count = next(number for number, word in NUMBERS.items() if word == words[0])
        words = words[3:]
    phrases: list[Phrase] = []
    relations: list[tuple[str, int]] = []
    while words:
        if phrases:
            joined = words[0] == "and"
            words = words[1:] if joined else words
            relation, words = _take_relation(words)
            if relation:
                relations.append((relation, len(phrases)))
            elif not joined:
                return None
        phrase, words = _take_phrase(words)
        if phrase is None:
            return None
        phrases.append(phrase)
    return Meaning(tuple(phrases), tuple(relations), ordered, count) if phrases else None


def _take_relation(words: list[str]) -> tuple[str | None, list[str]]:
    for relation in RELATIONS:
        parts = relation.split()
        if words[: len(parts)] == parts:
            return relation, words[len(parts) :]
    return None, words


def _take_phrase(words: list[str]) -> tuple[Phrase | None, list[str]]:
    if words[:1] != ["a"]:
        return None, words
    words = words[1:]
    size = words[0] if words and words[0] in RADII else None
    words = words[1:] if size else words
    if len(words) < 2 or words[0] not in COLOURS or words[1] not in SHAPES:
        return None, words
    return Phrase(words[0], words[1], size), words[2:]


def is_true(caption: str | Sequence[str], scene: Scene) -> bool:
    """Return whether a caption can be parsed and holds in the scene."""
    meaning = parse(caption)
    if meaning is None or len(meaning.phrases) > len(scene) or meaning.count not in (None, len(scene)):
        return False
    return any(_holds_for(meaning, chosen) for chosen in permutations(scene, len(meaning.phrases)))


def _holds_for(meaning: Meaning, things: Sequence[Thing]) -> bool:
    if not all(phrase.fits(thing) for phrase, thing in zip(meaning.phrases, things, strict=True)):
        return False
    if meaning.ordered and any(a.x >= b.x for a, b in pairwise(things)):
        return False
    return all(holds(relation, things[0], things[other]) for relation, other in meaning.relations)


def share_named(caption: str | Sequence[str], scene: Scene) -> float:
    """Return the number of things that a caption names per thing of the scene, 0 if it cannot be parsed."""
    meaning = parse(caption)
    return 0.0 if meaning is None else min(1.0, len(meaning.phrases) / len(scene))
