"""Where data sets live, and how they get there: downloads that are verified and go on where they stopped.

Written on requests: pooch, the usual choice, begins every interrupted download anew.
Archives are unpacked by `cnn_core.data.archives`.
"""

import contextlib
import hashlib
import io
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import requests
import urllib3

from cnn_core.data.paths import user_path
from cnn_core.errors import DataError, StorageError
from cnn_core.storage import check_space, file_lock, storage_errors, sync_folder

logger = logging.getLogger(__name__)

CHUNK = 256 * 1024  # bytes read at a time
TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds without a byte
LOCK_TIMEOUT = 3600.0  # seconds to wait for another process that downloads the same file
UNPUBLISHED = "unpublished"  # in place of a hash, of a file that its publisher makes anew
WAIT = 0.5  # seconds before the second attempt, doubled for each one after it

Progress = Callable[[str, int, int | None], None]  # name of the file, bytes so far, bytes in all if known


def data_root() -> Path:
    """Return the folder of all data sets: `CNN_DATA_DIR`, else the platform's user data folder; it may not exist yet.

    On Linux that is `~/.local/share/cnn-showcase`, on macOS `~/Library/Application Support/cnn-showcase`.
    """
    chosen = os.environ.get("CNN_DATA_DIR", "").strip()
    return user_path(chosen).absolute() if chosen else platformdirs.user_data_path("cnn-showcase", False)


def fetch(
    url: str,
    *,
    name: str,
    folder: Path | str | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    attempts: int = 4,
    progress: Progress | None = None,
) -> Path:
    """Return `folder/name` after downloading it from `url`, unless it is there with the right hash already.

    The file takes its name only when its hash is right. Until then it is `.name.part`, where an interrupted download
    goes on if the server can do that. Several processes that want the same file download it once.

    Args:
        url: http or https.
        name: of the file, without folders.
        folder: where it goes (made if needed); None: `data_root()`.
        sha256: expected hash, 64 hexadecimal digits, or `UNPUBLISHED`: the caller then checks what it got. Give this
            one or `md5`.
        md5: expected hash, 32 hexadecimal digits, for sources that publish no better one.
        attempts: how often to try when the connection breaks.
        progress: called with `name`, the bytes so far and in all (None if the server does not say): at the beginning of
            every connection and whenever some more have come.

    Raises:
        DataError: no connection, an answer of the server other than success, or a wrong hash; says what to do.
        StorageError: no space, no permission, or another process is still downloading it after an hour.
        ValueError: the arguments are wrong.
    """
    expected = _expected_hash(url, name, sha256, md5)
    folder = (data_root() if folder is None else Path(folder)).absolute()
    final = folder / name
    if _has_hash(final, expected):  # before anything is written: the folder may be read-only
        return final
    busy = f"another process has been downloading {final} for {LOCK_TIMEOUT / 60:.0f} minutes; wait for it or end it"
    lock = folder / f".{name}.lock"
    with file_lock(lock, final, timeout=LOCK_TIMEOUT, busy=busy):
        if not _has_hash(final, expected):  # another process may have finished meanwhile
            _Download(url, final, expected, attempts, progress).run()
        with contextlib.suppress(OSError):  # it is not needed from now on; Windows removes no open files
            lock.unlink()
    return final


class _Download:
    """One download, with the lock held."""

    def __init__(self, url: str, final: Path, expected: str, attempts: int, progress: Progress | None) -> None:
        self.url = url
        self.final = final
        self.expected = expected
        self.attempts = attempts
        self.progress = progress or (lambda *_: None)
        self.part = final.parent / f".{final.name}.part"
        self.resumed = False  # the part holds bytes of an earlier connection

    def run(self) -> None:
        """Download, verify, and give the file its name."""
        if self.final.exists():
            logger.warning("%s does not have the hash %s; downloading it again", self.final, self.expected)
        self._receive_all()
        if self.resumed and not _has_hash(self.part, self.expected):
            # The parts may be of two versions of the file: once more from the beginning.
            self._discard()
            self._receive_all()
        if not _has_hash(self.part, self.expected):
            self._discard()
            raise DataError(
                f"{self.final.name} from {self.url}: expected {self.expected}, but the download has another hash and "
                "was removed; the file on the server has changed or the connection alters it; try again later, or "
                + self._by_hand()
            )
        with storage_errors(self.final):
            with self.part.open("rb+") as file:
                os.fsync(file.fileno())
            self.part.replace(self.final)
            sync_folder(self.final.parent)

    def _receive_all(self) -> None:
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(WAIT * 2 ** (attempt - 1))
            try:
                self._receive()
                return
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                logger.info("download of %s broke off: %s", self.url, error)
                if attempt == self.attempts - 1 or _is_unreachable(error):
                    raise DataError(
                        f"could not download {self.final.name} from {self.url} ({_reason(error)}); check the network "
                        "and try again, the download goes on where it stopped; or " + self._by_hand()
                    ) from error

    def _receive(self) -> None:
        """Append what is missing to the part; raises RequestException or HTTPError if the connection breaks."""
        have = self.part.stat().st_size if self.part.exists() else 0
        # The file as it is: no compression on the way, which would make lengths and positions those of other bytes.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(self.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if have and response.status_code == 416:  # nothing is missing, or the file is another: the hash decides
                self.resumed = True
                return
            if response.status_code >= 500 or response.status_code == 429:
                raise requests.HTTPError(f"the server answered {response.status_code} {response.reason}")
            if response.status_code not in (200, 206):
                raise DataError(
                    f"could not download {self.final.name}: {self.url} answered {response.status_code} "
                    f"{response.reason}; the address may have changed; {self._by_hand()}"
                )
            start = _start(response) if response.status_code == 206 else 0
            if start not in (0, have):
                raise requests.ConnectionError(f"requested the bytes from {have} on, got those from {start} on")
            self.resumed = start > 0
            self._append(response, start)

    def _append(self, response: requests.Response, start: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        done = start
        try:
            check_space(self.final, (total or start) - start)
            with storage_errors(self.final):
                file = self.part.open("ab" if start else "wb", buffering=0)
            with file:
                self.progress(self.final.name, done, total)
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    with storage_errors(self.final, needed=total):
                        _write_all(file, chunk)
                    done += len(chunk)
                    self.progress(self.final.name, done, total)
        except StorageError:
            self._discard()  # a part that fills the disk would only stand in the way
            raise
        if total is not None and done != total:
            raise requests.ConnectionError(f"the connection ended after {done} of {total} bytes")

    def _discard(self) -> None:
        with storage_errors(self.part):
            self.part.unlink(missing_ok=True)

    def _by_hand(self) -> str:
        known = f" ({self.expected})" if not self.expected.startswith(UNPUBLISHED) else ""
        return f"get the file on another machine and put it at {self.final}{known}"


def _write_all(file: io.RawIOBase, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:  # an unbuffered file may take less than it is given
        rest = rest[file.write(rest) or 0 :]


def _start(response: requests.Response) -> int:
    """Return the position of the first byte of a partial answer."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _is_unreachable(error: Exception) -> bool:
    """Tell whether no connection was made at all: then trying again at once is a waste of the user's time."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _reason(error: Exception) -> str:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    text = str(reason or error)
    return text.split(": ", 1)[-1] if isinstance(reason, urllib3.exceptions.NewConnectionError) else text


def _expected_hash(url: str, name: str, sha256: str | None, md5: str | None) -> str:
    """Return "sha256:..." or "md5:..." after checking the arguments of `fetch`."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError(f"expected an http or https address, got {url!r}")
    if not name or name in (".", "..") or re.search(r"[/\\\0]", name):
        raise ValueError(f"expected a file name without folders, got {name!r}")
    if (sha256 is None) == (md5 is None):
        raise ValueError("give sha256 or md5, one of them")
    if sha256 == UNPUBLISHED:
        return f"{UNPUBLISHED}:"
    kind, value, digits = ("sha256", sha256, 64) if md5 is None else ("md5", md5, 32)
    if not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", value or ""):
        raise ValueError(f"{kind} must be {digits} hexadecimal digits, got {value!r}")
    return f"{kind}:{(value or '').lower()}"


def _has_hash(path: Path, expected: str) -> bool:
    kind, value = expected.split(":")
    if kind == UNPUBLISHED:
        return path.is_file()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest() == value
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(f"could not read {path}: {error.strerror}; check what is there, or remove it") from error
