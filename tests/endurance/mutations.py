"""Damage to files, drawn by hypothesis: bits, numbers, words, pieces, and the values of JSON."""

import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

WORDS = (
    b"", b"-1", b"0", b"1", b"1e999", b"-1e308", b"1e-320", b"nan", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}",
    b'""', b'"a"', b"99999999999999999999999", b"2147483648", b"65536", b"1.5", b"x" * 5000, b"\\ud800", b"\xc3\xa9",
    b"\0", b"\xff\xfe", b"../../up", b"/etc/passwd", b"[" * 20_000, b'{"a":' * 5000, b"-0", b"0x10", b"\xd9\xa1",
    b"9" * 5000, b"\r", b"\n", b"\n\n", b"\t", b",", b'"', b"'", b"a" * 300, b"=1+1", b"CON", b"&amp;", b"<a>", b"\\",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 10**6, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "a",
    "é\0", "\ud800", "x" * 5000, "../../up", "/etc/passwd", "nan", [], {}, [[]], [0], [1e9], [None], {"a": 1},
    ["a", "b"], [1, 2, 3], [-1, 0], {"": {}}, [[[[1]]]],
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
FLOATS = (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\1\0\0\0", b"\0\0\x80\xbf", b"\0\0\0\x80")
TOKEN = re.compile(rb'"[^"\n]{0,200}"|[\w.+-]+|[^\w\s]')

PLACE = st.floats(0, 1, exclude_max=True)
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), PLACE, st.integers(0, 7)),
    st.tuples(st.just("bytes"), PLACE, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("number"), PLACE, st.sampled_from(NUMBERS), st.sampled_from([1, 2, 4, 8]), st.booleans()),
    st.tuples(st.just("float"), PLACE, st.sampled_from(FLOATS)),
    st.tuples(st.just("cut"), PLACE),
    st.tuples(st.just("drop"), PLACE, st.integers(1, 64)),
    st.tuples(st.just("insert"), PLACE, st.one_of(st.binary(min_size=1, max_size=64), st.sampled_from(WORDS))),
    st.tuples(st.just("repeat"), PLACE, st.integers(1, 400), st.sampled_from([1, 2, 50])),
    st.tuples(st.just("word"), PLACE, st.sampled_from(WORDS)),
    st.tuples(st.just("swap"), PLACE, PLACE),
    st.tuples(st.just("splice"), PLACE, PLACE, st.integers(0, 1000)),
)
JSON_DAMAGE = st.tuples(st.just("json"), PLACE, st.one_of(st.sampled_from(VALUES), st.just(...)))


def damaged(data: bytes, steps: Sequence[tuple], others: Sequence[bytes]) -> bytes:
    """Return `data` after some steps of `DAMAGE`; `others` are files to splice with."""
    for kind, place, *rest in steps:
        data = STEPS[kind](data, place, *rest, *([others] if kind == "splice" else []))[: 1 << 20]
    return data


def _put(data: bytes, place: float, new: bytes, dropped: int = 0) -> bytes:
    at = int(place * (len(data) + 1))
    return data[:at] + new + data[at + dropped :]


def _flip(data: bytes, place: float, bit: int) -> bytes:
    at = int(place * len(data))
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] if data else data


def _number(data: bytes, place: float, value: int, width: int, big: bool) -> bytes:
    value %= 1 << 8 * width
    return _put(data, place, value.to_bytes(width, "big" if big else "little"), width)


def _repeat(data: bytes, place: float, length: int, times: int) -> bytes:
    at = int(place * len(data))
    return data[:at] + data[at : at + length] * times + data[at:]


def _word(data: bytes, place: float, new: bytes) -> bytes:
    found = list(TOKEN.finditer(data[: 1 << 16]))
    if not found:
        return data
    token = found[int(place * len(found))]
    return data[: token.start()] + new + data[token.end() :]


def _swap(data: bytes, place: float, other: float) -> bytes:
    a, b = sorted((int(place * len(data)), int(other * len(data))))
    return data[:a] + data[b:] + data[a:b]


def _splice(data: bytes, place: float, other: float, which: int, others: Sequence[bytes]) -> bytes:
    second = others[which % len(others)]
    return data[: int(place * len(data))] + second[int(other * len(second)) :]


def _json(data: bytes, place: float, value: Any) -> bytes:
    """Put a value in the place of another one, or of a key's (`...`: take it out)."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = list(_nodes(tree))
    if not places:
        return data
    home, key = places[int(place * len(places))]
    if value is ...:
        del home[key]
    else:
        home[key] = value
    return json.dumps(tree).encode()


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    found = []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        found += [(tree, key), *_nodes(value)]
    return found


STEPS = {
    "flip": _flip,
    "bytes": lambda data, place, new: _put(data, place, new, len(new)),
    "number": _number,
    "float": lambda data, place, new: _put(data, place, new, 4),
    "cut": lambda data, place: data[: int(place * len(data))],
    "drop": lambda data, place, length: _put(data, place, b"", length),
    "insert": _put,
    "repeat": _repeat,
    "word": _word,
    "swap": _swap,
    "splice": _splice,
    "json": _json,
}
