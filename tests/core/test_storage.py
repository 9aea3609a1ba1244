"""Atomic writes: the old file or the new one, and nothing beside it."""

import errno
import multiprocessing
import os
import re
import secrets
import sys
import threading
import time
from pathlib import Path

import pytest

from cnn_core import storage
from cnn_core.errors import StorageError
from cnn_core.storage import (
    LOCK_FILE,
    atomic_path,
    check_space,
    folder_lock,
    readable_size,
    storage_errors,
    temporary_folder,
    write_bytes,
    write_text,
)

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["cnn_core.data.files", "cnn_core.train.checkpoint", "cnn_core.weights.store"])

posix = pytest.mark.skipif(os.name != "posix", reason="limits, users and locks of POSIX systems")


def in_process(code: str, **values) -> str:
    """Run `code` in another process and return what it puts into `messages`."""
    messages = FORKS.SimpleQueue()
    process = FORKS.Process(target=exec, args=(code, {**values, "messages": messages}))
    process.start()
    process.join()
    return messages.get()


def test_write_creates_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "x.txt"
    write_text(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failing_block_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_final_name_holds_the_old_content_until_the_block_ends(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".bin"
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="No such file"), atomic_path(tmp_path / "x"):
        pass


@posix
def test_permissions_of_new_files_follow_the_umask_and_old_ones_are_kept(tmp_path):
    write_bytes(tmp_path / "new", b"")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~mask
    (tmp_path / "new").chmod(0o640)
    write_bytes(tmp_path / "new", b"1")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "x")
    write_bytes(tmp_path / "link", b"1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "x").read_bytes() == b"1"


def test_a_folder_or_a_file_in_the_way_is_told(tmp_path):
    with pytest.raises(StorageError, match="a folder of that name exists"):
        write_bytes(tmp_path, b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"could not write .*; choose another file name or folder"):
        write_bytes(tmp_path / "file" / "x", b"")
    with pytest.raises(StorageError, match="too long"):
        write_bytes(tmp_path / ("x" * 300), b"")


LIMITED = """
import resource, signal
from pathlib import Path
from cnn_core.errors import StorageError
from cnn_core.storage import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_bytes(path, bytes(100_000))
    messages.put("written")
except StorageError as error:
    messages.put(str(error))
"""


@posix
def test_a_write_that_breaks_off_in_the_middle_is_told_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    message = in_process(LIMITED, path=path)
    assert re.fullmatch(
        rf"could not write {re.escape(str(path))}: the file is larger than this system allows \(see `ulimit -f`\), "
        r"97.7 kB \(100000 bytes\) needed, [0-9.]+ .B free; free some space or choose a folder on another disk; "
        "nothing was changed",
        message,
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(tmp_path):
    path = tmp_path / "x" / "y.bin"
    with (
        pytest.raises(StorageError, match=r"the disk is full, 5 bytes \(5 bytes\) needed, .*B free"),
        storage_errors(path, needed=5),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"12345")


def test_space_is_checked_for_a_folder_that_does_not_exist_yet(tmp_path):
    check_space(tmp_path / "a" / "b" / "c", 1000)
    with pytest.raises(StorageError, match=r"the disk is full, 4096.0 TB .* needed"):
        check_space(tmp_path / "a" / "b" / "c", 2**52)
    assert list(tmp_path.iterdir()) == []


FORBIDDEN = """
import os
from cnn_core.errors import StorageError
from cnn_core.storage import write_bytes
if os.getuid() == 0:
    os.setgid(65534); os.setgroups([]); os.setuid(65534)  # root may write anywhere
try:
    write_bytes(path, b"1")
    messages.put("written")
except StorageError as error:
    messages.put(str(error))
"""


@posix
def test_no_permission_is_told(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    for path in (folder / "x", folder / "new" / "x"):
        assert "no permission to write in" in in_process(FORBIDDEN, path=path)
    assert list(folder.iterdir()) == []


ENDLESS = """
from cnn_core.storage import write_bytes
i = 0
while True:
    write_bytes(path, bytes([i % 256]) * 3_000_000)
    i += 1
    started.set()
"""


def test_kill_at_any_moment_leaves_a_whole_file_and_the_next_write_removes_the_rest(tmp_path):
    path = tmp_path / "x.bin"
    leftovers = 0
    for attempt in range(15):
        started = FORKS.Event()
        process = FORKS.Process(target=exec, args=(ENDLESS, {"path": path, "started": started}))
        process.start()
        assert started.wait(60)
        time.sleep(0.002 * attempt)
        process.kill()
        process.join()
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert content.count(content[0]) == 3_000_000
        leftovers += len(list(tmp_path.iterdir())) - 1
        assert len(list(tmp_path.iterdir())) <= 2, "each write removed what the one before it left"
    write_bytes(path, b"")
    assert list(tmp_path.iterdir()) == [path]
    assert leftovers > 0, "no kill hit a write: the test shows nothing"


def leftover(folder: Path, host: str, pid: int) -> Path:
    """Make the temporary file that a write by process `pid` of machine `host` leaves."""
    path = folder / f"{storage.PREFIX}{host}-{pid}-{secrets.token_hex(4)}.tmp"
    path.write_bytes(b"half")
    return path


def dead_process() -> int:
    process = FORKS.Process(target=exec, args=("", {}))
    process.start()
    process.join()
    return process.pid


def test_only_what_is_surely_abandoned_is_removed(tmp_path):
    host = storage._HOST
    of_a_living_process = leftover(tmp_path, host, os.getppid())
    of_another_machine = leftover(tmp_path, "elsewhere", dead_process())
    of_an_earlier_process_with_our_number = leftover(tmp_path, host, os.getpid())
    of_a_dead_process = leftover(tmp_path, host, dead_process())
    write_bytes(tmp_path / "x", b"")
    assert of_a_living_process.exists()
    assert of_another_machine.exists()
    assert not of_an_earlier_process_with_our_number.exists()
    assert not of_a_dead_process.exists()
    os.utime(of_another_machine, (1, 1))
    write_bytes(tmp_path / "x", b"")
    assert not of_another_machine.exists(), "after a day, nobody is writing it any more"


def test_two_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path):
    failures = []

    def write(value: int) -> None:
        try:
            for _ in range(30):
                write_bytes(tmp_path / "x", bytes([value]) * 10_000)
        except StorageError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    content = (tmp_path / "x").read_bytes()
    assert content == content[:1] * 10_000


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    with pytest.raises(KeyError), temporary_folder(tmp_path / "set") as folder:
        (folder / "deep").mkdir()
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "set").mkdir()
    with temporary_folder(tmp_path / "set") as folder:
        (folder / "x").write_bytes(b"1")
        assert list((tmp_path / "set").iterdir()) == []
    assert (tmp_path / "set" / "x").read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]
    with pytest.raises(StorageError), temporary_folder(tmp_path / "set") as folder:
        (folder / "y").write_bytes(b"2")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["x"]


HOLD = """
from cnn_core.storage import folder_lock
with folder_lock(folder):
    held.set()
    import time; time.sleep(60)
"""


@posix
def test_a_folder_lock_keeps_others_out_and_ends_with_its_process(tmp_path):
    held = FORKS.Event()
    process = FORKS.Process(target=exec, args=(HOLD, {"folder": tmp_path, "held": held}))
    process.start()
    assert held.wait(60)
    with pytest.raises(StorageError, match="somebody else is writing"), folder_lock(tmp_path, timeout=0.1):
        pytest.fail("two held the lock")
    process.kill()
    process.join()
    with folder_lock(tmp_path, timeout=5):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 kB"), (3 * 1024**2, "3.0 MB"), (2**50, "1024.0 TB")],
)
def test_sizes_are_readable(size, text):
    assert readable_size(size) == text


def test_an_error_of_the_disk_says_what_the_system_says(tmp_path):
    with pytest.raises(StorageError, match=os.strerror(errno.EIO)), storage_errors(tmp_path / "x"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert sys.exc_info() == (None, None, None)
