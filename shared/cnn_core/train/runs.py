"""Runs in a folder, looked at from outside: by whom and how far they are trained, and what they left.

All state lies in the run folder, so that pages, command lines and servers that know nothing of each other agree. Loads
no torch.
"""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_core.processes import is_running

JOB, PROGRESS, STOP = "job.json", "progress.json", "stop"  # what a queued run has beside the files of every run
LOG = "job.log"  # what its process wrote
SIGNS = ("status.json", JOB, "log.csv")  # one of them makes a folder a run, as does waiting
QUEUE = ".queue"  # folder of the waiting ones
LARGEST = 8 * 1024**2  # bytes of a file that is read; a longer one is not one of our logs
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


@dataclass(frozen=True)
class RunInfo:
    """A run as it is now."""

    name: str  # path below the folder of runs
    folder: Path
    state: str  # waiting, running, stopping, done, stopped, failed
    epoch: int = 0  # epochs done
    epochs: int = 0
    seconds_left: float | None = None  # only while it runs
    error: str = ""  # one sentence
    changed: float = 0.0  # when something was last written, in seconds since 1970
    pid: int = 0
    process_identity: str = ""
    queued: bool = False  # begun from the queue, by a page
    job: Mapping[str, Any] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether it waits, runs or is being stopped."""
        return self.state in ("waiting", "running", "stopping")

    @property
    def owner(self) -> str:
        """Whose run it is; "": of the command line."""
        return _owner(self.job)


def list_runs(root: Path) -> list[RunInfo]:
    """Return the runs in a folder, those of several seeds one by one, the latest change first."""
    found = [look(root, folder) for folder in _folders(root)]
    return sorted(found, key=lambda run: (run.state == "running", run.changed), reverse=True)


def _folders(root: Path) -> Iterator[Path]:
    """Yield the run folders; links that lead out of `root` are not followed."""
    home = root.resolve()
    for pattern in ("*", "*/seed*"):
        for folder in sorted(root.glob(pattern)):
            name = folder.relative_to(root)
            hidden = any(part.startswith(".") for part in name.parts)
            inside = folder.is_dir() and folder.resolve().is_relative_to(home)
            signs = (*(folder / sign for sign in SIGNS), waiting_file(root, name.as_posix()))
            if inside and not hidden and any(sign.is_file() for sign in signs):
                yield folder


def find_run(root: Path, name: str) -> RunInfo | None:
    """Return the run of that name, or None."""
    return next((look(root, folder) for folder in _folders(root) if folder.relative_to(root).as_posix() == name), None)


def look(root: Path, folder: Path) -> RunInfo:
    """Return a run as its files show it."""
    name = folder.relative_to(root).as_posix()
    status, job, progress = (read_json(folder / file) for file in ("status.json", JOB, PROGRESS))
    taken = "asked" in job and not {"pid", "error"} & job.keys()  # the moment before its process writes its number
    entry = waiting_file(root, name)
    waiting = taken or entry.is_file()
    own = is_running(whole(job, "pid"), str(job.get("mark", "")))
    other = is_running(whole(status, "pid"), str(status.get("mark", ""))) and "mark" in status
    carded = _time(folder / "card.json") >= _time(folder / "status.json") > 0
    if own or (other and not carded):
        state = "stopping" if (folder / STOP).exists() else "running"
    elif waiting:
        state = "waiting"
    elif job.get("error") and _time(folder / JOB) >= _time(folder / "status.json"):  # nobody has gone on since
        state = "failed"
    elif status.get("state") == "trained" and carded:
        state = "done"
    else:
        state = "stopped"
    if waiting and "command" not in job:
        job = {**read_json(entry), **job}
    holder = job if own else status
    running = state in ("running", "stopping")
    return RunInfo(
        name, folder, state, whole(status, "epoch"), whole(status, "epochs") or whole(progress, "epochs"),
        seconds_left=progress.get("seconds_left") if running and own else None,
        error=str(job.get("error", "")) if state == "failed" else "",
        changed=max((_time(folder / file) for file in (*SIGNS, PROGRESS, "card.json")), default=0.0),
        pid=whole(holder, "pid"), process_identity=str(holder.get("mark", "")), queued=bool(job), job=job,
    )  # fmt: skip


def owner_of(folder: Path) -> str:
    """Return whose the run in a folder is; "": of the command line, or its file cannot be read."""
    return _owner(read_json(folder / JOB))


def _owner(job: Mapping[str, Any]) -> str:
    owner = job.get("owner", "")
    return owner if isinstance(owner, str) else ""


def waiting_file(root: Path, name: str) -> Path:
    """Return the file in which the run of that name waits for its turn."""
    return root / QUEUE / f"{name.replace('%', '%25').replace('/', '%2F')}.json"


def read_rows(file: Path) -> list[dict[str, float]]:
    """Read a run's log.csv as far as it can be understood; another process may be writing it, or have written junk."""
    rows = []
    for line in csv.DictReader(_text(file).splitlines()):
        row = {}
        for name, value in line.items():
            try:
                row[name] = float(value or "nan")
            except (TypeError, ValueError):
                continue
        row = {name: value for name, value in row.items() if name and math.isfinite(value)}
        if "epoch" in row:
            rows.append(row)
    return rows


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or an empty one if there is none that can be read."""
    try:
        found = json.loads(_text(file) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            return ""
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def whole(table: Mapping[str, Any], name: str) -> int:
    """Return the whole number from 0 of that name, 0 if there is none: other processes may have written junk."""
    value = table.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0


def _time(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
