"""Whether a sound file holds as much as its header declares: files that were cut short, and streams of unknown length.

WAV, RF64, AIFF and AU state the bytes of their samples; MP3 (with a Xing or Info frame) and FLAC their samples; Ogg
marks its last page. W64 and CAF are not looked into. A stream that was written before its length was known declares 0
or a size that no file reaches.
"""

import io
import os
from dataclasses import dataclass
from typing import Any, BinaryIO

STREAMED = (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000)  # of ffmpeg, of others, of SoX
AFTER = (b"LIST", b"id3 ", b"ID3 ", b"PEAK", b"fact", b"cue ", b"bext", b"smpl", b"JUNK")  # chunks behind no samples
LAST_PAGE = 0x04  # flag of an Ogg page
PAGE = 65_307  # bytes of an Ogg page at most
MOST_CHUNKS = 1000


@dataclass(frozen=True)
class Extent:
    """Bytes of samples that a header declares and that are there, and where in the file it declares them."""

    declared: int
    there: int
    place: int
    little: bool = True  # the order of the bytes there

    @property
    def streamed(self) -> bool:
        """Whether the length was not known when the header was written."""
        return self.declared in (0, *STREAMED)


def extent_of(stream: BinaryIO) -> Extent | None:
    """Return the extent of WAV, RF64, AIFF and AU; None: of others, or there are no samples to be found."""
    size = stream.seek(0, os.SEEK_END)
    head = _at(stream, 0, 28)
    if head[:4] == b".snd" and len(head) >= 12:
        return Extent(int.from_bytes(head[8:12]), size - int.from_bytes(head[4:8]), 8, little=False)
    form = (head[:4], head[8:12])
    little = form in ((b"RIFF", b"WAVE"), (b"RF64", b"WAVE"))
    if not little and form[0] != b"FORM":
        return None
    wanted, place, long = (b"data" if little else b"SSND"), 12, None
    for _ in range(MOST_CHUNKS):
        chunk = _at(stream, place, 24)
        if len(chunk) < 8:
            return None
        length = int.from_bytes(chunk[4:8], "little" if little else "big")
        if chunk[:4] == wanted:
            if length == 0 and _at(stream, place + 8, 4) in AFTER:
                return None  # empty indeed
            return Extent(length if long is None else long, size - place - 8, place + 4, little)
        if chunk[:4] == b"ds64":
            long = int.from_bytes(chunk[16:24], "little")
        place += 8 + length + length % 2
    return None


def is_stated(stream: BinaryIO) -> bool:
    """Tell whether an MP3 states its length: without that it is an estimate from its size."""
    tag = _at(stream, 0, 10)
    first = 0
    if tag[:3] == b"ID3" and len(tag) == 10:
        first = 10 + sum(byte << 7 * (3 - k) for k, byte in enumerate(tag[6:10]))
    frame = _at(stream, first, 256)
    return b"Xing" in frame or b"Info" in frame


def lacks_last_page(stream: BinaryIO) -> bool:
    """Tell whether an Ogg file has no page that is marked as the last, or not all of it."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - 2 * PAGE)
    end = _at(stream, start, size - start)
    page = end.rfind(b"OggS")
    if page < 0 or page + 27 > len(end):
        return True
    segments = end[page + 27 : page + 27 + end[page + 26]]
    whole = len(segments) == end[page + 26] and page + 27 + len(segments) + sum(segments) <= len(end)
    return not (whole and end[page + 5] & LAST_PAGE)


class Declaring(io.RawIOBase):
    """A file that is read as if its header declared all samples that are there."""

    def __init__(self, stream: BinaryIO, extent: Extent) -> None:
        super().__init__()
        self._stream, self._place = stream, extent.place
        self._size = min(extent.there, STREAMED[1]).to_bytes(4, "little" if extent.little else "big")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        start = self._stream.tell()
        data = bytearray(self._stream.read(size))
        for k, byte in enumerate(self._size, self._place - start):
            if 0 <= k < len(data):
                data[k] = byte
        return bytes(data)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _at(stream: BinaryIO, place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)
