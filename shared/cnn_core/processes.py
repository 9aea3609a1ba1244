"""Processes: whether one still runs, how to start one like this, how to ask one to end; and this one's memory."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 3.0  # seconds that a program gets to end by itself


def keep_freed_memory() -> bool:
    """Let glibc keep what this process frees, for its next use, until the process ends; False without glibc.

    Each step of a training, and each window of a scan, frees large tensors and takes as many again. By default the
    system takes such blocks back and hands out zeroed ones: a third of the time of a step in 3-D, a twentieth in 2-D.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    trim_threshold, mmap_max = -1, -4  # malloc.h
    return bool(libc.mallopt(mmap_max, 0) and libc.mallopt(trim_threshold, 2**31 - 1))


def environment() -> dict[str, str]:
    """Return an environment in which Python finds the packages that this process finds, in a checkout too.

    A `random.py` of the folder that it is started in is not taken for Python's own (PYTHONSAFEPATH).
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def process_start(pid: int) -> str:
    """Return the identity of a process, which a later one of the same number does not share; "" if unknown.

    On Linux that is the start time, field 22 of /proc/PID/stat (see proc(5)).
    """
    return (_stat(pid) or [""] * 20)[19]


def is_running(pid: int, identity: str = "") -> bool:
    """Return whether a process runs; with its `identity`, a later one of the same number does not count."""
    if pid < 1:
        return False
    stat = _stat(pid)
    if stat is not None:
        return bool(stat) and stat[0] not in ("Z", "X") and identity in ("", stat[19])  # a zombie runs no more
    return exists(pid) or False


def exists(pid: int) -> bool | None:
    """Return whether there is a process of this number, a zombie too; None where the system does not say."""
    if os.name != "posix":
        return None  # there, os.kill would end the process instead of asking for it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def start_detached(arguments: Sequence[str], *, log: Path) -> None:
    """Start `python ARGUMENTS`, which continues when this process ends; what it writes is added to the file `log`."""
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=environment(),
        )  # fmt: skip


def supervise(command: Sequence[str]) -> int:
    """Run a program until it ends, and return its exit code; 0 if this process was asked to end before.

    SIGINT and SIGTERM are handed on as SIGTERM; a program that is still there `PATIENCE` seconds later is killed.
    """
    signalled: list[float] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: signalled.append(time.monotonic()))
    process, terminated = subprocess.Popen(command), False
    while (code := process.poll()) is None:
        if signalled and not terminated:
            process.terminate()
            terminated = True
        elif signalled and time.monotonic() - signalled[0] > PATIENCE:
            process.kill()
        time.sleep(0.05)
    return 0 if signalled else code


def interrupt(pid: int, identity: str) -> bool:
    """Ask a process to end as Ctrl-C does; return whether it was there. One of unknown identity is left alone.

    One that ignores Ctrl-C, as those that a script starts in its background do, is asked by SIGTERM.
    """
    if os.name != "posix" or not identity or not is_running(pid, identity):
        return False
    os.kill(pid, signal.SIGTERM if _ignores(pid, signal.SIGINT) else signal.SIGINT)
    return True


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Return whether a process ignores a signal, as far as the system says (proc(5), SigIgn)."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", errors="replace").splitlines()
        return any(int(line[7:], 16) >> (number - 1) & 1 for line in lines if line.startswith("SigIgn:"))
    return False


def end_children() -> None:
    """Kill the processes that this one has started and not waited for, where there is a /proc that lists them."""
    for entry in Path("/proc").glob("[0-9]*"):
        if (_stat(int(entry.name)) or ["", ""])[1] == str(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name: state first; [] for no such process, None without /proc."""
    if not Path("/proc/self/stat").exists():
        return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
