"""The other end of `nursery.py`: starts tasks, kills them in time, and says how they ended."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

KILLED = -signal.SIGKILL


class Nursery:
    """A process whose forks do the tasks."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "nursery.log"
        settings = {"OMP_NUM_THREADS": "1", "CNN_DATA_DIR": str(folder / "sets")}
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        with (folder / "nursery.err").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("nursery.py"))],
                cwd=folder, env={**os.environ, **settings, "PYTHONPATH": paths}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n", (folder / "nursery.err").read_text()

    def do(self, task: dict, *, after: float | None = None) -> int:
        """Do a task, killed `after` so many seconds; return its exit code, `KILLED` if it was."""
        self.process.stdin.write(json.dumps({**task, "log": str(self.log)}) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        timer = threading.Timer(after, _kill, [pid]) if after is not None else None
        if timer:
            timer.start()
        word, code = self.process.stdout.readline().split()
        if timer:
            timer.cancel()
            timer.join()
        assert word == "end"
        return int(code)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def raising(folder: Path) -> Iterator[Nursery]:
    """A nursery for the length of the block."""
    nursery = Nursery(folder)
    try:
        yield nursery
    finally:
        nursery.process.kill()
        nursery.process.wait()
