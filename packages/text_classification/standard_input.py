"""Texts on standard input, one a line: read as a file is, in the encoding that its beginning shows."""

import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnn_core.data.decoding import GZIP, LONGEST_LINE, decoded, examine_bytes, lines, reading_errors
from cnn_core.data.tables import check_is_text
from cnn_core.errors import DataError

BEGINNING = 1 << 16  # bytes that are read before the first text: the input may be endless
NAME = Path("standard input")  # in messages


class StandardInput:
    """The lines of `sys.stdin`, which may never end: its beginning is read at once, the rest as it is asked for.

    Args:
        read: sentences on how they are read.
    """

    def __init__(self) -> None:
        self.read: tuple[str, ...] = (f"{NAME}: one text per line",)
        self._lines: Iterable[str] = ()
        self._problem: DataError | None = None
        stream: Any = getattr(sys.stdin, "buffer", None)
        if stream is None:  # a notebook's
            self._lines = sys.stdin
            return
        try:
            self._lines = self._examined(stream)
        except DataError as error:  # said where the first text would be: nobody can read the beginning again
            self._problem = error

    def __iter__(self) -> Iterator[str]:
        """Yield the text of every line; DataError: it is not text, or damaged."""
        if self._problem is not None:
            raise self._problem
        yield from (line.rstrip("\r\n") for line in self._lines)

    def _examined(self, stream: Any) -> Iterator[str]:
        with reading_errors(NAME):
            beginning = _begin(stream)
            if beginning.startswith(GZIP):
                stream = gzip.open(_Continued(beginning, stream))  # noqa: SIM115 (read for as long as there are texts)
                beginning = _begin(stream)
        encoding = examine_bytes(io.BytesIO(beginning))
        check_is_text(NAME, decoded(io.BytesIO(beginning), encoding.name).read())
        part = "" if len(beginning) < BEGINNING else f"in the first {BEGINNING >> 10} KiB "
        self.read += tuple(f"{NAME}: {part}{remark}" for remark in encoding.remarks)
        return lines(NAME, decoded(io.BufferedReader(_Continued(beginning, stream)), encoding.name))


def _begin(stream: Any) -> bytes:
    """Return the first bytes of a stream, up to the end of a line."""
    beginning = stream.read(BEGINNING)
    return beginning + stream.readline(LONGEST_LINE) if len(beginning) == BEGINNING else beginning


class _Continued(io.RawIOBase):
    """A stream whose beginning has been read; after a short one, where the stream has ended, it is not asked again."""

    def __init__(self, beginning: bytes, rest: Any) -> None:
        self._parts = [io.BytesIO(beginning), *([rest] if len(beginning) >= BEGINNING else [])]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = next(filter(None, (part.read1(len(buffer)) for part in self._parts)), b"")
        buffer[: len(part)] = part
        return len(part)
