"""Archives: the usual ones unpack; those made to do harm leave nothing behind."""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_core.data.archives import extract
from cnn_core.errors import CnnError, DataError, StorageError

FILES = {"set/a.txt": b"alpha", "set/deep/er/b.bin": bytes(range(256)) * 8192, "é.txt": b"", "set/empty/": None}


def zip_bytes(members: dict[str, bytes | None], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, content or b"")
    return buffer.getvalue()


def tar_bytes(members: dict[str, bytes | None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


MAKERS = {
    "zip": zip_bytes,
    "zip-stored": lambda members: zip_bytes(members, method=zipfile.ZIP_STORED),
    "zip-lzma": lambda members: zip_bytes(members, method=zipfile.ZIP_LZMA),
    "tar": tar_bytes,
    "tar.gz": lambda members: gzip.compress(tar_bytes(members)),
    "tar.bz2": lambda members: bz2.compress(tar_bytes(members)),
    "tar.xz": lambda members: lzma.compress(tar_bytes(members)),
}
BOTH = pytest.mark.parametrize("make", [zip_bytes, tar_bytes], ids=["zip", "tar"])


def refused(tmp_path: Path, data: bytes, message: str, **limits: int) -> None:
    """Check that unpacking raises DataError with `message` and leaves nothing."""
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(DataError, match=message):
        extract(tmp_path / "archive", tmp_path / "out", **limits)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_unpacks_by_its_content_whatever_its_name(tmp_path, kind):
    (tmp_path / "archive").write_bytes(MAKERS[kind](FILES))
    assert extract(tmp_path / "archive", tmp_path / "in" / "out") == tmp_path / "in" / "out"
    for name, content in FILES.items():
        path = tmp_path / "in" / "out" / name
        assert path.is_dir() if content is None else path.read_bytes() == content
    found = {path for path in (tmp_path / "in" / "out").rglob("*") if path.is_file()}
    assert len(found) == 3
    assert list((tmp_path / "in").iterdir()) == [tmp_path / "in" / "out"]


def test_modes_of_the_archive_are_not_kept(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("tool")
        info.mode = 0o6777
        archive.addfile(info)
    (tmp_path / "archive").write_bytes(buffer.getvalue())
    mode = (extract(tmp_path / "archive", tmp_path / "out") / "tool").stat().st_mode
    assert mode & 0o7111 == 0


def test_a_leading_dot_is_the_folder_itself(tmp_path):
    (tmp_path / "archive").write_bytes(tar_bytes({"./": None, "./a": b"1", ".//b/./c": b"2"}))
    out = extract(tmp_path / "archive", tmp_path / "out")
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == ["a", "b", "b/c"]


@BOTH
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil", "c:evil", "a/..", "\\evil"]
)
def test_paths_out_of_the_folder_are_refused(tmp_path, make, name):
    refused(tmp_path, make({"good": b"1", name: b"2"}), "leads out of the folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    refused(tmp_path, buffer.getvalue(), "'odd' is a link or a device")


def test_links_in_a_zip_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
        archive.writestr("link/passwd", "x")
    refused(tmp_path, buffer.getvalue(), "'link' is a link or a device")


@BOTH
def test_two_members_of_one_name_are_refused(tmp_path, make):
    two = make({"a": b"1", "b": b"2"})
    refused(tmp_path, two.replace(b"b", b"a") if make is zip_bytes else rename_b(two), "two members want the name 'a'")
    refused(tmp_path, make({"a": b"1", "a/b": b"2"}), "two members want the name 'a/b'")
    refused(tmp_path, make({"a/b": b"1", "a": b"2"}), "two members want the name 'a'")


def rename_b(data: bytes) -> bytes:
    """Rename the member "b" of a tar to "a" and mend the checksum of its header."""
    place = data.index(b"b\0\0\0\0")
    header = bytearray(data[place : place + 512])
    header[0:1], header[148:156] = b"a", b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:place] + bytes(header) + data[place + 512 :]


@BOTH
def test_too_many_members_are_refused(tmp_path, make):
    data = make({f"f{i}": b"" for i in range(11)})
    refused(tmp_path, data, "more than 10 files", max_members=10)
    (tmp_path / "archive").write_bytes(data)
    extract(tmp_path / "archive", tmp_path / "out", max_members=11)


def test_the_directory_of_a_zip_is_not_read_if_it_is_too_long(tmp_path):
    data = bytearray(zip_bytes({"a": b"1"}))
    place = data.rindex(b"PK\x05\x06")
    data[place + 12 : place + 16] = struct.pack("<I", 2**31)
    refused(tmp_path, bytes(data), "more than 10 files", max_members=10)
    record = b"PK\x06\x06" + bytes(36) + struct.pack("<QQ", 2**40, 0)
    locator = b"PK\x06\x07" + bytes(4) + struct.pack("<QI", place, 1)
    data[place + 12 : place + 16] = b"\xff" * 4
    refused(
        tmp_path, bytes(data[:place]) + record + locator + bytes(data[place:]), "more than 10 files", max_members=10
    )


def test_the_entries_of_a_zip_are_counted_before_anything_is_read_or_unpacked(tmp_path, monkeypatch):
    data = zip_bytes({f"f{i}": b"" for i in range(50)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    refused(tmp_path, data, "more than 10 files", max_members=10)
    end = data.rindex(b"PK\x05\x06")  # the number in the end record is a lie that nobody asks for
    refused(tmp_path, data[: end + 8] + b"\1\0\1\0" + data[end + 12 :], "more than 10 files", max_members=10)


@pytest.mark.parametrize("kind", MAKERS)
def test_too_many_bytes_are_refused(tmp_path, kind):
    data = MAKERS[kind]({"zeros": bytes(3_000_000)})
    refused(tmp_path, data, "more than 2.9 MB when unpacked|more than 2929.7 kB", max_bytes=2_999_999)
    (tmp_path / "archive").write_bytes(data)
    extract(tmp_path / "archive", tmp_path / "out", max_bytes=3_000_000)


UNPACK = """
import resource, signal, sys
from cnn_core.data.archives import extract
from cnn_core.errors import CnnError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    print(extract(sys.argv[1], sys.argv[2], max_bytes=int(sys.argv[3])))
except CnnError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits exist on POSIX systems")
@pytest.mark.parametrize(
    ("max_bytes", "message"), [(1000, "DataError: .* more than 1000 bytes"), (10**9, "StorageError")]
)
def test_unpacking_stops_soon_after_the_limit_and_a_full_disk_leaves_nothing(tmp_path, max_bytes, message):
    """Files here may have 2 MB: a bomb must be noticed before that, and without a limit the disk is full."""
    (tmp_path / "archive").write_bytes(gzip.compress(tar_bytes({"zeros": bytes(8_000_000)})))
    command = [sys.executable, "-c", UNPACK, tmp_path / "archive", tmp_path / "out", str(max_bytes)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert re.match(message, result.stdout), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_zip_that_claims_more_than_the_disk_holds_is_a_storage_error(tmp_path):
    data = zip_bytes({"a": b"1"}, method=zipfile.ZIP_STORED)
    place = data.rindex(b"PK\x01\x02")
    forged = bytearray(data)
    extra = struct.pack("<HHQ", 1, 8, 2**60)  # the 64-bit size
    forged[place + 24 : place + 28] = b"\xff" * 4
    forged[place + 30 : place + 32] = struct.pack("<H", len(extra))
    forged[place + 47 : place + 47] = extra
    end = forged.rindex(b"PK\x05\x06")
    forged[end + 12 : end + 16] = struct.pack("<I", 47 + len(extra))
    (tmp_path / "archive").write_bytes(forged)
    with pytest.raises(StorageError, match=r"the disk is full, .* needed"):
        extract(tmp_path / "archive", tmp_path / "out", max_bytes=2**61)
    assert not (tmp_path / "out").exists()


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    data = bytearray(zip_bytes({"zeros": bytes(100_000)}))
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(magic)
        data[place + offset : place + offset + 4] = struct.pack("<I", 10)
    refused(tmp_path, bytes(data), "damaged")


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(zip_bytes({"a": b"secret"}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    refused(tmp_path, bytes(data), "'a' is encrypted")


def test_a_tar_header_that_asks_for_memory_is_refused(tmp_path):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**32
    header = info.tobuf(tarfile.GNU_FORMAT)
    refused(tmp_path, gzip.compress(header + bytes(10_000)), "a header claims 4294967296 bytes")


def test_a_chain_of_tar_headers_is_refused(tmp_path):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 0
    refused(tmp_path, gzip.compress(info.tobuf(tarfile.GNU_FORMAT) * 5000), "damaged")


DAMAGED = {
    "nothing": b"",
    "text": b"this is no archive" * 100,
    "gzip of text": gzip.compress(b"this is no archive" * 100),
    "gzip header only": b"\x1f\x8b\x08\x00",
    "zip start only": b"PK\x03\x04" + bytes(100),
    "zip cut short": zip_bytes(FILES)[:-30],
    "tar.gz cut short": gzip.compress(tar_bytes(FILES))[:-500],
    "tar.xz cut short": lzma.compress(tar_bytes(FILES))[:-100],
    "tar.bz2 cut short": bz2.compress(tar_bytes(FILES))[:-100],
    "tar cut short": tar_bytes(FILES)[:1_000_000],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_archives_are_refused(tmp_path, name):
    refused(tmp_path, DAMAGED[name], "get it again")


def test_a_flipped_bit_in_the_content_of_a_zip_is_noticed(tmp_path):
    data = bytearray(zip_bytes({"a": bytes(range(200))}, method=zipfile.ZIP_STORED))
    data[data.index(bytes(range(200))) + 100] ^= 1
    refused(tmp_path, bytes(data), "damaged")


@pytest.mark.parametrize("kind", ["zip", "zip-lzma", "tar", "tar.gz", "tar.bz2", "tar.xz"])
@settings(max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), length=st.integers(1, 4))
def test_random_damage_unpacks_or_is_a_named_error(kind, place, bits, length, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    data = bytearray(MAKERS[kind]({"a.txt": b"alpha", "b/c.txt": b"beta" * 50}))
    start = int(place * len(data))
    for i in range(start, min(start + length, len(data))):
        data[i] ^= bits
    (folder / "archive").write_bytes(data)
    try:
        extract(folder / "archive", folder / "out")
    except CnnError:
        assert [path.name for path in folder.iterdir()] == ["archive"]


def test_a_missing_archive_and_a_target_in_the_way_are_told(tmp_path):
    with pytest.raises(DataError, match="could not be read"):
        extract(tmp_path / "none", tmp_path / "out")
    with pytest.raises(DataError, match="could not be read"):
        extract(tmp_path, tmp_path.parent / "never")
    (tmp_path / "archive").write_bytes(tar_bytes(FILES))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    for target in ("full", "archive"):
        with pytest.raises(StorageError, match="is not an empty folder"):
            extract(tmp_path / "archive", tmp_path / target)
    assert (tmp_path / "full" / "mine").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    extract(tmp_path / "archive", tmp_path / "empty")
    assert (tmp_path / "empty" / "set" / "a.txt").exists()
