"""Downloads against a server on this machine that breaks off, lies, refuses and counts."""

import hashlib
import multiprocessing
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cnn_core.data.files import data_root, fetch
from cnn_core.errors import DataError, StorageError

CONTENT = bytes(range(256)) * 4000  # about 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any path; the tests set what goes wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []  # the connection ends after so many bytes, one entry per request
        self.statuses: list[int] = []  # answered instead, one entry per request
        self.ranges = True  # answers 206 to a Range
        self.shift = 0  # a partial answer starts that many bytes off
        self.length = True  # sends Content-Length
        self.claim = None  # another Content-Length than the true one
        self.encoding = None  # a Content-Encoding header without the encoding, as some servers send for .gz files
        self.pause = 0.0  # seconds before the content
        self.asked: list[str | None] = []  # the Range header of every request

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        start = max(0, start - server.shift)
        body = server.content[start:]
        self.send_response(206 if asked and server.ranges else 200)
        if asked and server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.length:
            self.send_header("Content-Length", str(server.claim or len(body)))
        if server.encoding:
            self.send_header("Content-Encoding", server.encoding)
        self.end_headers()
        time.sleep(server.pause)
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_verified_named_and_alone_in_its_folder(server, tmp_path):
    seen = []
    folder = tmp_path / "new" / "set"
    path = fetch(server.url, name="a.bin", folder=folder, sha256=SHA256, progress=lambda *step: seen.append(step))
    assert path == folder / "a.bin"
    assert path.read_bytes() == CONTENT
    assert names(folder) == ["a.bin"]
    assert (seen[0], seen[-1]) == (("a.bin", 0, len(CONTENT)), ("a.bin", len(CONTENT), len(CONTENT)))
    assert seen == sorted(seen)


def test_a_file_that_is_there_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256.upper())
    fetch(server.url, name="a.bin", folder=tmp_path, md5=MD5)
    assert server.asked == []
    assert names(tmp_path) == ["a.bin"]


def test_a_file_with_another_hash_is_replaced_but_only_by_the_right_one(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    server.content = b"wrong"
    with pytest.raises(DataError, match="has another hash and was removed"):
        fetch(server.url, name="a.bin", folder=tmp_path, md5=MD5)
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    server.content = CONTENT
    fetch(server.url, name="a.bin", folder=tmp_path, md5=MD5)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cuts = [300_000, 200_000]
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert names(tmp_path) == ["a.bin"]


def test_the_next_call_goes_on_too(server, tmp_path):
    server.cuts = [300_000]
    with pytest.raises(DataError, match="the download goes on where it stopped"):
        fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256, attempts=1)
    assert not (tmp_path / "a.bin").exists()
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256, attempts=1)
    assert server.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges = False
    server.cuts = [300_000]
    assert fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_part_of_another_version_is_thrown_away(server, tmp_path):
    (tmp_path / ".a.bin.part").write_bytes(b"x" * 1000)
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert server.asked == ["bytes=1000-", None]
    (tmp_path / "a.bin").unlink()
    (tmp_path / ".a.bin.part").write_bytes(b"x" * (len(CONTENT) + 5))
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert server.asked[2:] == [f"bytes={len(CONTENT) + 5}-", None]


def test_a_part_that_is_complete_needs_no_more_bytes(server, tmp_path):
    (tmp_path / ".a.bin.part").write_bytes(CONTENT)
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_partial_answer_from_another_place_is_not_appended(server, tmp_path):
    server.cuts = [300_000]
    server.shift = 7
    with pytest.raises(DataError, match="requested the bytes from 300000 on, got those from 299993 on"):
        fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256, attempts=2)
    assert not (tmp_path / "a.bin").exists()


def test_an_answer_without_length_that_ends_early_is_a_wrong_hash(server, tmp_path):
    server.length = False
    server.cuts = [300_000]
    with pytest.raises(DataError, match="has another hash and was removed"):
        fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert [name for name in names(tmp_path) if not name.endswith(".lock")] == []
    assert fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_the_bytes_are_taken_as_they_are_whatever_encoding_the_server_claims(server, tmp_path):
    server.encoding = "x-gzip"
    assert fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_wrong_hash_is_removed_and_told(server, tmp_path):
    with pytest.raises(DataError, match=f"a.bin from {server.url}: expected sha256:0000.*get the file on another"):
        fetch(server.url, name="a.bin", folder=tmp_path, sha256="0" * 64)
    assert [name for name in names(tmp_path) if not name.endswith(".lock")] == []


def test_a_missing_page_is_told_at_once(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(DataError, match="answered 404 Not Found; the address may have changed; get the file on"):
        fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert len(server.asked) == 3
    server.statuses = [500, 500]
    with pytest.raises(DataError, match="the server answered 500"):
        fetch(server.url, name="b.bin", folder=tmp_path, sha256=SHA256, attempts=2)


def test_no_server_is_told_at_once_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(DataError) as caught:
            fetch(f"http://127.0.0.1:{port}/x", name="a.bin", folder=tmp_path, sha256=SHA256)
    assert time.monotonic() - began < 3
    message = str(caught.value)
    assert "could not download a.bin from http://127.0.0.1" in message
    assert "Connection refused" in message
    assert f"put it at {tmp_path / 'a.bin'} (sha256:{SHA256})" in message


def test_an_unknown_host_is_told(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError, match=r"could not download a\.bin"):
        fetch("http://no-such-host.invalid/x", name="a.bin", folder=tmp_path, sha256=SHA256)


def test_something_that_is_no_web_server_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"\x00\x01 what?\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DataError, match=r"could not download a\.bin"):
            fetch(
                f"http://127.0.0.1:{listener.getsockname()[1]}/x",
                name="a.bin",
                folder=tmp_path,
                sha256=SHA256,
                attempts=1,
            )
        thread.join()


WRONG = [
    ({"name": "../a"}, "file name without folders"),
    ({"name": ""}, "file name without folders"),
    ({"name": "a\0"}, "file name without folders"),
    ({"sha256": None}, "give sha256 or md5"),
    ({"md5": MD5}, "give sha256 or md5"),
    ({"sha256": "abc"}, "64 hexadecimal digits"),
    ({"url": "file:///etc/passwd"}, "expected an http or https address"),
    ({"url": "http://"}, "expected an http or https address"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[str(list(change)) for change, _ in WRONG])
def test_wrong_arguments_are_refused_before_anything_is_done(tmp_path, change, message):
    arguments = {"url": "http://127.0.0.1/x", "name": "a", "folder": tmp_path / "new", "sha256": SHA256} | change
    with pytest.raises(ValueError, match=message):
        fetch(arguments.pop("url"), **arguments)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_a_storage_error(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, DataError), match="could not"):
        fetch(server.url, name="a.bin", folder=tmp_path / "file" / "x", sha256=SHA256)
    (tmp_path / "dir").mkdir()
    with pytest.raises(DataError, match="could not read"):
        fetch(server.url, name="dir", folder=tmp_path, sha256=SHA256)


# Processes are forked from one that has the module loaded.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["cnn_core.data.files", "cnn_core.train.checkpoint", "cnn_core.weights.store"])

FETCH = """
import resource, signal
from cnn_core.data.files import fetch
from cnn_core.errors import CnnError
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    messages.put(str(fetch(url, name="a.bin", folder=folder, sha256=sha256)))
except CnnError as error:
    messages.put(f"{type(error).__name__}: {error}")
"""


def start(server: Server, folder: Path, messages, *, limit: int = 0):
    values = {"url": server.url, "folder": folder, "sha256": SHA256, "messages": messages, "limit": limit}
    process = FORKS.Process(target=exec, args=(FETCH, values))
    process.start()
    return process


def test_two_processes_at_once_download_once(server, tmp_path):
    server.pause = 0.3
    messages = FORKS.SimpleQueue()
    both = [start(server, tmp_path, messages) for _ in range(3)]
    for process in both:
        process.join()
    assert {messages.get() for _ in both} == {str(tmp_path / "a.bin")}
    assert server.asked == [None]
    assert names(tmp_path) == ["a.bin"]


def test_a_killed_download_leaves_no_file_of_the_final_name_and_goes_on_later(server, tmp_path):
    server.cuts = [300_000]
    server.statuses = []
    messages = FORKS.SimpleQueue()
    process = start(server, tmp_path, messages)
    while not (part := tmp_path / ".a.bin.part").exists() or part.stat().st_size < 300_000:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert not (tmp_path / "a.bin").exists()
    asked = len(server.asked)
    fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert server.asked[asked] == "bytes=300000-"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits exist on POSIX systems")
def test_no_space_is_told_with_the_bytes_needed_and_leaves_no_part(server, tmp_path):
    messages = FORKS.SimpleQueue()
    start(server, tmp_path, messages, limit=500_000).join()
    message = messages.get()
    assert message.startswith(f"StorageError: could not write {tmp_path / 'a.bin'}")
    assert f"{len(CONTENT)} bytes) needed" in message
    assert [name for name in names(tmp_path) if not name.endswith(".lock")] == []


def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(server, tmp_path):
    server.claim = 2**62
    with pytest.raises(StorageError, match=r"the disk is full, .* needed, .* free"):
        fetch(server.url, name="a.bin", folder=tmp_path, sha256=SHA256)
    assert [name for name in names(tmp_path) if not name.endswith(".lock")] == []


def test_the_data_root_is_the_environment_variable_or_the_user_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNN_DATA_DIR", "sets")
    assert data_root() == tmp_path / "sets"
    monkeypatch.setenv("CNN_DATA_DIR", "~/sets")
    assert data_root() == Path.home() / "sets"
    monkeypatch.setenv("CNN_DATA_DIR", "~nobody-here/sets")
    assert data_root() == tmp_path / "~nobody-here" / "sets"
    monkeypatch.setenv("CNN_DATA_DIR", " ")
    assert data_root().name == "cnn-showcase"
    monkeypatch.delenv("CNN_DATA_DIR")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
        assert data_root() == tmp_path / "xdg" / "cnn-showcase"
    assert not os.path.lexists(data_root())


def test_without_a_folder_the_file_goes_to_the_data_root(server, tmp_path, monkeypatch):
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "root"))
    assert fetch(server.url, name="a.bin", sha256=SHA256) == tmp_path / "root" / "a.bin"
