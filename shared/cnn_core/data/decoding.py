"""Text files of any encoding, packed with gzip or not: UTF-8, UTF-16, else the old one of their script.

What is not UTF-8 in a file of UTF-8 is read as Windows-1252 byte by byte, and the lines that hold it are named. A file
that is not UTF-8 at all is read as charset-normalizer takes it where its script is not Latin (Windows-1251, Shift-JIS,
GB 18030, ...), else as Windows-1252: by a few accents nobody can tell Latin encodings apart.
"""

import codecs
import gzip
import io
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr, BinaryIO, TextIO, cast

from cnn_core.errors import DataError

BLOCK = 1 << 20  # bytes
LONGEST_LINE = 16 << 20  # characters
NAMED_LINES = 5  # of the doubtful ones
GUESSED_FROM = 1 << 16  # bytes of doubtful lines
SHOWN = 20  # characters of a word
NOT_LATIN = [
    "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r", "koi8_u", "iso8859_5", "cp866", "cp1253",
    "cp1255", "cp1256", "cp874",
]  # fmt: skip
ZEROS = 0.2  # share of zero bytes from which on a text is UTF-16 without a mark
FALLBACK = "windows_1252"  # name of the handler of bytes that are not UTF-8
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file are read.

    Args:
        name: utf-8-sig, one of the kinds of UTF-16, or what else the file is read as.
        lines: of the file, as far as they end in a line feed; 0 for UTF-16, where nobody counts.
        doubtful: lines that are not UTF-8 in a file of UTF-8.
        named: the numbers of the first of them.
        zeros: characters NUL, which are left out; 0 for UTF-16.
        word: an example of one beyond ASCII, in a file that is not UTF-8.
    """

    name: str
    lines: int = 0
    doubtful: int = 0
    named: tuple[int, ...] = ()
    zeros: int = 0
    word: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the reader should know."""
        nul = f"{self.zeros:,} NUL character{'s' * (self.zeros != 1)} (zero bytes, as in damaged files) left out"
        return (*self._letters, *([nul] if self.zeros else []))

    @property
    def _letters(self) -> tuple[str, ...]:
        if self.word:
            name = "Windows-1252" if self.name == "cp1252" else self.name
            return (
                f"not UTF-8, so read as {name}: if letters look wrong (such as {self.word!r}), save the file as UTF-8, "
                "or convert it: iconv -f ITS_ENCODING -t UTF-8",
            )
        if not self.doubtful:
            return ()
        numbers = ", ".join(map(str, self.named)) + (", ..." if self.doubtful > len(self.named) else "")
        one = self.doubtful == 1
        return (
            f"{self.doubtful:,} of {self.lines:,} lines {'is' if one else 'are'} not UTF-8 (line{'s' * (not one)} "
            f"{numbers}): the bytes in question were read as Windows-1252",
        )


def examine_encoding(path: Path) -> Encoding:
    """Read a file through and find out its encoding; DataError if it cannot be read."""
    with reading_errors(path), _bytes(path) as stream:
        return examine_bytes(stream)


def examine_bytes(stream: BinaryIO) -> Encoding:
    """Read a stream through and find out its encoding."""
    start = stream.read(BLOCK)
    if start[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return Encoding("utf-32")
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return Encoding("utf-16")
    if start.count(0) > ZEROS * max(1, len(start)):
        even, odd = start[::2].count(0), start[1::2].count(0)
        if max(even, odd) > 4 * min(even, odd):
            return Encoding("utf-16-le" if odd > even else "utf-16-be")
    count, doubtful, beyond_ascii = 0, 0, False
    named: list[int] = []
    zeros, doubted = 0, b""
    block = start + stream.readline(LONGEST_LINE)
    while block:
        try:
            block.decode()
            beyond_ascii = beyond_ascii or not block.isascii()
        except UnicodeDecodeError:
            for number, line in enumerate(block.split(b"\n"), start=count + 1):
                if _is_utf8(line):
                    beyond_ascii = beyond_ascii or not line.isascii()
                else:
                    doubtful += 1
                    doubted += line[:GUESSED_FROM] + b"\n" if len(doubted) < GUESSED_FROM else b""
                    named += [number] if len(named) < NAMED_LINES else []
        count, zeros = count + block.count(b"\n"), zeros + block.count(0)
        last = block[-1:]
        block = stream.read(BLOCK) + stream.readline(LONGEST_LINE)
    count += last != b"\n" if start else 0
    if doubtful and not beyond_ascii:
        name = _by_its_script(doubted) or "cp1252"
        text = doubted.decode(name, "ignore")
        words = [word for word in re.findall(r"[^\s\"',;]+", text) if not word.isascii()]
        return Encoding(name, count, zeros=zeros, word=words[0][:SHOWN] if words else "?")
    return Encoding("utf-8-sig", count, doubtful, tuple(named), zeros)


def _by_its_script(content: bytes) -> str | None:
    """Return the encoding of bytes whose letters are not Latin, None where they are, or may be.

    Accents of Latin texts stand alone; of other scripts most bytes are beyond ASCII.
    """
    runs = re.findall(rb"[\x80-\xff]+", content)
    if sum(map(len, runs)) < 2 * len(runs):
        return None
    for name in ("cp932", "euc_jp"):
        text = content.decode(name, "replace")
        if 4 * len(re.findall("[\u3041-\u30ff]", text)) > sum(not sign.isascii() for sign in text):  # kana
            return name
    from charset_normalizer import from_bytes

    best = from_bytes(content, cp_isolation=NOT_LATIN).best()
    letters = [sign for sign in str(best or "") if sign.isalpha() and not sign.isascii()]
    latin = sum(unicodedata.name(sign, "").startswith("LATIN") for sign in letters)
    return best.encoding if best and 10 * latin < len(letters) else None


def encoding_of(path: Path) -> str:
    """Return the name of a file's encoding for `opened`; DataError if it cannot be read."""
    return examine_encoding(path).name


def opened(path: Path, encoding: str) -> io.TextIOWrapper:
    """Open a file for reading in an encoding of `encoding_of`; DataError if that cannot be."""
    with reading_errors(path):
        return decoded(_bytes(path), encoding)


def decoded(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Return the text of a stream in an encoding of `examine_bytes`."""
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else FALLBACK
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")


def lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines of a file without characters NUL and marks of joined files, none longer than memory is good for.

    Raises:
        DataError: a line is; such a file is not a table. The file is damaged.
    """
    with reading_errors(path):
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 2), ""), start=1):
            if len(line) > LONGEST_LINE + 1:
                raise DataError(f"{path.name}, line {number}: longer than {LONGEST_LINE >> 20} MiB; this is no table")
            yield line.replace("\0", "").removeprefix("\ufeff")


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into a DataError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path.name} is damaged: what gzip packed cannot be unpacked ({error})") from error
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror or error}") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"could not read {path!s}: {error}") from error


def read_at_most(read: Callable[[int], AnyStr], most: int) -> AnyStr:
    """Return what is left of a stream, `most` at most, in the memory of what is there: `read(most)` takes all of it."""
    parts = [read(0)]
    while most > 0 and (part := read(min(most, BLOCK))):
        parts.append(part)
        most -= len(part)
    return parts[0].join(parts)


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked where gzip packed it; DataError if that cannot be."""
    with reading_errors(path):
        return _bytes(path)


def _bytes(path: Path) -> BinaryIO:
    stream = path.open("rb")
    packed = stream.read(2) == GZIP
    stream.seek(0)
    if not packed:
        return stream
    stream.close()
    return cast("BinaryIO", gzip.open(path, "rb"))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _windows(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that are not UTF-8 as Windows-1252; what that leaves open (0x81, 0x8d, ...) as Latin-1 has it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    rest = error.object[error.start : error.end]
    return rest.decode("cp1252", FALLBACK) if error.encoding.startswith("utf") else rest.decode("latin-1"), error.end


codecs.register_error(FALLBACK, _windows)
