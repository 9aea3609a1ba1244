"""What keeps a stranger's file from doing harm: limits, reading that stops where the header says, and what a file is.

Sizes are compared with the bytes on disk before anything is allocated. Messages name the file and the sizes, never what
a header says about the patient.
"""

import gzip
import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from cnn_core.errors import CnnError, DataError
from cnn_core.storage import readable_size

MAX_VOXELS = 1_000_000_000  # of one volume: a whole body of 512 x 512 x 3,800, 2 GB as int16, 4 GB as float32
MAX_EDGE = 8192  # voxels along one axis; also bounds what one plane takes while it is converted
GZIP_RATIO = 1032  # deflate packs no better than this (zlib's technical details), so a larger claim is a lie
TOO_SHORT = "{}: the file ends too early, it is incomplete; copy or download it again"
SLACK = 64 * 1024  # bytes that may follow the voxels: padding of some writers

GZIP = b"\x1f\x8b"
# What zipfile.is_zipfile would search the whole file for; archives that begin with something else are not expected.
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# What holds numbers or pixels alone: first bytes -> what it is.
BARE = {
    b"II*\0": "a TIFF file", b"MM\0*": "a TIFF file", b"II+\0": "a TIFF file", b"MM\0+": "a TIFF file",
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture",
    b"\x93NUMPY": "a NumPy array", b"MATLAB ": "a MATLAB file", b"\x89HDF": "an HDF5 file",
}  # fmt: skip
METAIMAGE = (b"ObjectType", b"NDims", b"Comment")  # the first keys that its writers use


class Kind(StrEnum):
    """What a file is, by its first bytes."""

    NIFTI = "NIfTI"
    DICOM = "DICOM"
    ZIP = "zip"
    NRRD = "NRRD"
    METAIMAGE = "MetaImage"
    UNKNOWN = "unknown"


def kind_of(path: Path) -> Kind:
    """Tell what the file `path` is from its content, whatever its name ends in.

    Raises:
        DataError: empty, unreadable, or a damaged gzip file.
    """
    with reading(path.name), path.open("rb") as file:
        head = file.read(132)
        if not head:
            raise DataError(f"{path.name}: the file is empty (zero bytes); expected a scan, copy it again")
        if head.startswith(GZIP):
            file.seek(0)
            with gzip.open(file) as plain:
                return Kind.NIFTI if _is_nifti(plain.read(4)) else Kind.UNKNOWN
    if _is_nifti(head[:4]):
        return Kind.NIFTI
    if head[128:] == b"DICM" or _is_bare_dicom(head):
        return Kind.DICOM
    if head.startswith(ZIP):
        return Kind.ZIP
    if head.startswith(b"NRRD"):
        return Kind.NRRD
    if head.partition(b"=")[0].strip() in METAIMAGE:
        return Kind.METAIMAGE
    return Kind.NIFTI if path.suffix.lower() == ".img" else Kind.UNKNOWN  # the voxels of a pair begin with anything


def bare_kind_of(path: Path) -> str:
    """Return what a file is that holds pixels or numbers, but neither a voxel size nor sides; "" for all others."""
    with reading(path.name), path.open("rb") as file:
        head = file.read(8)
    return next((called for start, called in BARE.items() if head.startswith(start)), "")


def _is_nifti(start: bytes) -> bool:
    """The size of the header comes first, 348 (NIfTI-1, Analyze) or 540 (NIfTI-2), in either byte order."""
    return int.from_bytes(start, "little") in (348, 540) or int.from_bytes(start, "big") in (348, 540)


def _is_bare_dicom(head: bytes) -> bool:
    """A data set without the 128-byte preamble begins with group 0008 (or 0002) and a low, even-sized element."""
    if len(head) < 8:
        return False
    explicit = head[4:6] in (b"UL", b"UI", b"CS", b"OB", b"SH")
    implicit = int.from_bytes(head[4:8], "little") < 256
    return head[:2] in (b"\x08\x00", b"\x02\x00") and head[3] == 0 and (explicit or implicit)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what reading a damaged or missing file raises into a DataError about `name`."""
    try:
        yield
    except CnnError:
        raise
    except EOFError as error:
        raise DataError(TOO_SHORT.format(name)) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: the compressed data is damaged ({error}); copy or download it again") from error
    except OSError as error:
        if error.errno is None:  # by nibabel, not by the system: fewer bytes than asked for
            raise DataError(TOO_SHORT.format(name)) from error
        raise DataError(
            f"{name}: could not be read ({error.strerror}); check that it is there and may be read"
        ) from error


@contextmanager
def open_plain(path: Path) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """Yield the file, unpacked if it is gzip, and the most bytes that it can hold."""
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        if not packed:
            yield file, size
            return
        with gzip.open(file) as plain:
            yield plain, GZIP_RATIO * size


def check_end(stream: io.BufferedIOBase, name: str) -> None:
    """Read to the end, so that gzip compares its checksum, and refuse a file that goes on far behind its voxels.

    What follows a gzip stream and is none is ignored, as by gunzip and nibabel: the checksum was compared before it.

    Raises:
        DataError: more than `SLACK` bytes follow; they are not unpacked.
    """
    left = SLACK
    try:
        while left >= 0 and (piece := stream.read(left + 1)):
            left -= len(piece)
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):
            raise
    if left < 0:
        raise DataError(
            f"{name}: holds more than its header promises (over {readable_size(SLACK)} behind the last voxel); the "
            "header is wrong or the file was made to do harm, save the scan again"
        )


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise DataError if a volume of `shape` has an edge below 1 or above `MAX_EDGE`, or more than `MAX_VOXELS`."""
    if min(shape) < 1 or max(shape) > MAX_EDGE or math.prod(shape) > MAX_VOXELS:
        size = " x ".join(f"{edge}" for edge in shape)
        raise DataError(
            f"{name}: the header claims {size} voxels, expected 1 to {MAX_EDGE} along each axis and at most "
            f"{MAX_VOXELS // 1_000_000:,} million in all; the header is wrong, or cut the scan into parts"
        )
