"""A network's graph as a sentence to read from left to right: layers one after another, and forks into lanes.

A residual block is a fork with an empty lane, an Inception block one with four, a U-Net forks within forks. Found from
the wiring alone: a node that no edge passes by is on every way from the input to the output.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cnn_core.anatomy.graph import Node


@dataclass(frozen=True)
class Fork:
    """Parallel lanes between the parts before and after; an empty lane is a shortcut."""

    lanes: tuple["Series", ...]


Series = tuple[int | Fork, ...]  # numbers of nodes, and forks


def as_series(nodes: Sequence[Node]) -> Series:
    """Return the graph as nested series; every node is in it exactly once, in an order in which they could run."""
    if not nodes:
        return ()
    edges = {(source, number) for number, node in enumerate(nodes) for source in node.inputs}
    last = len(nodes) - 1
    return (0, *_between(0, last, range(1, last), edges), last) if last else (0,)


def _between(start: int, end: int, inner: Sequence[int], edges: set[tuple[int, int]]) -> Series:
    """Return what is between two nodes; `inner` are the nodes on ways from the one to the other."""
    inside = {start, *inner, end}
    edges = {(a, b) for a, b in edges if a in inside and b in inside}
    order = sorted(inside)
    place = {number: i for i, number in enumerate(order)}
    passing = [0] * (len(order) + 1)  # how many edges pass by each node, as differences
    for a, b in edges:
        passing[place[a] + 1] += 1
        passing[place[b]] -= 1
    spine, sum_of = [], 0
    for number, difference in zip(order, passing, strict=False):
        sum_of += difference
        if sum_of == 0:
            spine.append(number)
    parts: list[int | Fork] = []
    for a, b in pairwise(spine):
        parts += _region(a, b, [n for n in order if a < n < b], edges)
        parts.append(b)
    return tuple(parts[:-1])


def _region(start: int, end: int, inner: Sequence[int], edges: set[tuple[int, int]]) -> list[int | Fork]:
    """Return what is between two neighbours of the spine: nothing, or a fork."""
    if not inner:
        return []
    groups = list(_connected(inner, edges))
    shortcut = (start, end) in edges
    if len(groups) == 1 and not shortcut:
        return list(inner)  # woven too densely for lanes: one after another
    lanes = [_between(start, end, group, edges - {(start, end)}) for group in groups]
    return [Fork((*lanes, ()) if shortcut else tuple(lanes))]


def _connected(numbers: Sequence[int], edges: set[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield the groups of numbers that edges hold together, each sorted."""
    neighbours: dict[int, set[int]] = {number: set() for number in numbers}
    for a, b in edges:
        if a in neighbours and b in neighbours:
            neighbours[a].add(b)
            neighbours[b].add(a)
    left = set(numbers)
    for first in numbers:
        if first not in left:
            continue
        group, waiting = set(), [first]
        while waiting:
            number = waiting.pop()
            if number not in group:
                group.add(number)
                waiting += neighbours[number]
        left -= group
        yield sorted(group)
