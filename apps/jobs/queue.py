"""A queue of trainings in the folder of the runs: one after another, each in a process of its own, all state in files.

    runs/.queue/<name>.json     waiting; a worker takes it by moving it into the run folder, so no other can
    runs/<name>/job.json        the request, and the process that trains it
    runs/<name>/progress.json   how far it is within the epoch
    runs/<name>/stop            a request to end it

A worker holds the lock of the folder `.queue` while it trains, and starts the next worker when it has ended. After a
crash the first page that looks, `wake`, starts one; what had been taken and not begun waits again.
"""

import dataclasses
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cnn_core.data.paths import UPLOAD
from cnn_core.errors import CnnError, StorageError
from cnn_core.processes import interrupt, process_start, start_detached
from cnn_core.storage import folder_lock, storage_errors, write_text
from cnn_core.train.runs import (
    JOB,
    LOG,
    NAME,
    PROGRESS,
    QUEUE,
    STOP,
    RunInfo,
    list_runs,
    look,
    owner_of,
    read_json,
    waiting_file,
)

MOST_WAITING = 50
MOST_POINTS = 400  # of the curve within the epochs
EVERY = 0.5  # seconds between two writings of the progress
PATIENCE = 1.0  # seconds that a worker waits for another one to end
NICE = 5  # the pages come first


REQUIRED = ("domain", "recipe", "name", "command")  # keys without which nothing can be trained


@dataclasses.dataclass(frozen=True)
class Job:
    """A training to run: a recipe with all its settings, so that nothing depends on who submitted it."""

    domain: str
    recipe: Mapping[str, Any]  # sections and values, as in recipe.json
    name: str  # of the weights
    command: str  # the command to repeat it, for the card
    owner: str = ""  # whose run it is, as the pages distinguish their visitors; "": of the command line
    keep_upload: bool = False  # when the training has ended


def claim_folder(root: Path, name: str, *, apart: bool = False) -> Path:
    """Make and return a new run folder called `name`, or `name-2` and so on if there is one.

    Args:
        root: the folder of the runs.
        name: the name.
        apart: give it a random ending, so that no name reveals whether another user has a run of that name.

    Raises:
        CnnError: a name with other signs than lower-case letters, digits, ".", "_", "-"; the queue is full.
        StorageError: the folder cannot be made.
    """
    if not NAME.fullmatch(name):
        raise CnnError(
            f"expected a name of up to 60 lower-case letters, digits, '.', '_' and '-' that begins with a letter or "
            f"digit, got {name[:80]!r}"
        )
    if len(waiting_jobs(root)) >= MOST_WAITING:
        raise CnnError(f"{MOST_WAITING} trainings are waiting already; stop some of them, or wait")
    if apart:
        name = f"{name[:50]}-{secrets.token_hex(3)}"
    for count in range(1, 1000):
        folder = root / (name if count == 1 else f"{name}-{count}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(f"could not make {folder}: {error.strerror}; choose another folder") from error
        return folder
    raise CnnError(f"there are too many runs called {name}; choose another name")


def submit(root: Path, folder: Path, job: Job) -> None:
    """Put a new run at the end of the queue, and make sure that a worker runs."""
    _enter(root, folder, {**dataclasses.asdict(job), "resume": False})


def resume(root: Path, run: RunInfo, *, domain: str = "") -> None:
    """Put a stopped or failed run at the end of the queue, to continue where it stopped.

    Args:
        root: the folder of the runs.
        run: of this queue, or of the command line.
        domain: of a run of the command line.

    Raises:
        CnnError: it is running, or has no settings.
    """
    if run.busy:
        raise CnnError(f"the run {run.name} is {run.state}; stop it first")
    request = {field.name: run.job[field.name] for field in dataclasses.fields(Job) if field.name in run.job}
    if not request.keys() >= set(REQUIRED):
        recipe = read_json(run.folder / "recipe.json")
        if not recipe or not domain:
            raise CnnError(f"the run {run.name} left no settings to continue with; start it again")
        status = read_json(run.folder / "status.json")
        if not all(isinstance(status.get(key), str) for key in ("name", "command")):
            raise CnnError(
                f"the run {run.name} does not say how it was started; continue it with its own command and --resume"
            )
        loop = recipe.get("loop", {})
        if loop.get("devices", 1) != 1 or loop.get("num_nodes", 1) != 1:
            raise CnnError(
                f"the run {run.name} is one of several processes; continue it with its own command and --resume"
            )
        request |= {"domain": domain, "recipe": recipe, "name": status["name"], "command": status["command"]}
    _enter(root, run.folder, {**request, "resume": True})


def _enter(root: Path, folder: Path, entry: Mapping[str, Any]) -> None:
    waiting = waiting_file(root, folder.relative_to(root).as_posix())
    (folder / STOP).unlink(missing_ok=True)
    if not entry["resume"]:
        write_text(folder / JOB, json.dumps(dict(entry)) + "\n")  # a run from the first moment on, and its owner's
    write_text(waiting, json.dumps({**entry, "asked": time.time()}) + "\n")
    wake(root)


def stop(root: Path, run: RunInfo) -> None:
    """Ask a run to end: a waiting one leaves the queue, a running one ends after the step it is in."""
    waiting = waiting_file(root, run.name)
    if run.state == "waiting":
        write_text(run.folder / JOB, json.dumps({**run.job, "error": ""}) + "\n")  # so that it can be resumed
        waiting.unlink(missing_ok=True)
    elif run.state == "running" and (run.folder / JOB).exists() and read_json(run.folder / JOB).get("pid") == run.pid:
        write_text(run.folder / STOP, "")
    elif run.state == "running":
        interrupt(run.pid, run.process_identity)  # of the command line: as Ctrl-C there


def delete(root: Path, run: RunInfo) -> None:
    """Remove a run that is not being trained, with all that it was given and has learned.

    Raises:
        CnnError: it is being trained, or begins just now.
        StorageError: its files cannot be removed.
    """
    waiting_file(root, run.name).unlink(missing_ok=True)
    state = look(root, run.folder).state
    if state in ("running", "stopping"):
        raise CnnError(f"the run {run.name} is {state}; stop it first")
    gone = root / f".{secrets.token_hex(8)}"  # atomically no longer a run
    with storage_errors(run.folder), folder_lock(run.folder, timeout=0.0):
        run.folder.rename(gone)
    with storage_errors(gone):
        shutil.rmtree(gone)


def waiting_jobs(root: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return (run, request) of the waiting ones, in the order of the queue."""
    entries = [(file, read_json(file)) for file in (root / QUEUE).glob("[!.]*.json")]
    ordered = sorted(entries, key=lambda pair: (_submitted_at(pair[1]), pair[0].name))
    return [(unquote(file.stem), entry) for file, entry in ordered]


def _submitted_at(entry: Mapping[str, Any]) -> float:
    submitted = entry.get("asked")
    return float(submitted) if isinstance(submitted, int | float) else 0.0


def wake(root: Path) -> bool:
    """Start a worker if a training waits and no worker runs; return whether one was started."""
    if not (root / QUEUE).is_dir():  # nothing was ever asked for
        return False
    try:
        with folder_lock(root / QUEUE, timeout=0.0):
            for run in _taken_in_vain(root):  # no worker is about to begin it: we hold its lock
                (run.folder / JOB).replace(waiting_file(root, run.name))
    except StorageError:  # a worker runs, and will take the next one
        return False
    if not waiting_jobs(root):
        return False
    start_detached(["-m", "jobs.queue", str(root.resolve())], log=root / QUEUE / ".worker.log")
    return True


def _taken_in_vain(root: Path) -> list[RunInfo]:
    """Return the runs that a worker has taken from the queue and not begun, because it begins them now or has died."""
    return [run for run in list_runs(root) if run.state == "waiting" and not waiting_file(root, run.name).is_file()]


def work(root: Path) -> bool:
    """Run the first waiting training; return False if another worker runs, or none waits."""
    with ExitStack() as held:
        try:
            held.enter_context(folder_lock(root / QUEUE, timeout=PATIENCE))
        except StorageError:
            return False
        taken = _take(root)
        if taken is not None:
            _train(root, *taken)
    return taken is not None


def _take(root: Path) -> tuple[Path, dict[str, Any]] | None:
    """Move the first waiting entry into its run folder."""
    for name, entry in waiting_jobs(root):
        folder = root / name
        file = waiting_file(root, name)
        inside = folder.resolve().is_relative_to(root.resolve())
        if not inside or not folder.is_dir():
            file.unlink(missing_ok=True)  # of a deleted run
            continue
        owner = owner_of(folder)
        try:
            file.replace(folder / JOB)
        except FileNotFoundError:  # taken back, or taken by another worker
            continue
        if not entry.keys() >= set(REQUIRED):
            error = "the request could not be read; start it again"
            write_text(folder / JOB, json.dumps({"owner": owner, "error": error}))
            continue
        return folder, entry
    return None


def _train(root: Path, folder: Path, entry: dict[str, Any]) -> None:
    """Train in this process, and record how it ended.

    Raises:
        StorageError: nothing can be written; if that shows before the training, the run waits again.
    """
    try:
        write_text(folder / JOB, json.dumps({**entry, "pid": os.getpid(), "mark": process_start(os.getpid())}) + "\n")
    except StorageError:
        (folder / JOB).replace(waiting_file(root, folder.relative_to(root).as_posix()))
        raise
    (folder / PROGRESS).unlink(missing_ok=True)
    log = (folder / LOG).open("ab", buffering=0)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    error = "the training broke off; job.log in its folder says why"  # unless a better reason is known
    try:
        _run(folder, entry)
        error = ""
    except (CnnError, OSError, MemoryError, ModuleNotFoundError) as problem:
        error = str(problem) or "there is not enough memory for this; choose smaller batches"
    finally:
        (folder / STOP).unlink(missing_ok=True)
        write_text(folder / JOB, json.dumps({**entry, "error": error}) + "\n")
        log.close()


def _run(folder: Path, entry: Mapping[str, Any]) -> None:
    from cnn_core.domains import load_domain
    from cnn_core.train.config import recipe_from_table

    domain = load_domain(entry["domain"]).DOMAIN
    recipe = recipe_from_table(domain.recipe, entry["recipe"], source=entry["name"])
    observer = _Observer(folder)
    outcome = domain.train(
        recipe, folder=folder, name=entry["name"], resume=bool(entry.get("resume")), observe=observer,
        command=entry["command"],
    )  # fmt: skip
    observer.write()
    if not (entry.get("keep_upload") or (outcome.run and outcome.run.stopped)):  # a stopped one may be resumed with it
        _empty(folder / UPLOAD)


def _empty(folder: Path) -> None:
    """Remove what is in a folder; the empty folder shows that there was something."""
    if folder.is_dir():
        with storage_errors(folder):
            shutil.rmtree(folder)
            folder.mkdir()


class _Observer:
    """Writes the progress of the training from time to time, and notices a request to stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points: list[tuple[float, float]] = []
        self.latest: Any = None
        self.written = 0.0
        self.stopping = False

    def __call__(self, progress: Any) -> bool:
        self.latest = progress
        at = progress.epoch - 1 + progress.step / progress.steps
        if progress.metrics is None and (not self.points or at - self.points[-1][0] >= progress.epochs / MOST_POINTS):
            self.points.append((round(at, 5), progress.loss))
        if time.monotonic() - self.written > EVERY:
            self.write()
            self.stopping = (self.folder / STOP).exists()
        return not self.stopping

    def write(self) -> None:
        """Write the progress so far."""
        self.written = time.monotonic()
        if self.latest is None:
            return
        keep = ("epoch", "epochs", "step", "steps", "loss", "seconds", "seconds_left")
        table = {name: getattr(self.latest, name) for name in keep}
        write_text(self.folder / PROGRESS, json.dumps({**table, "points": self.points}) + "\n")


def main() -> int:
    """Run one training of the folder given as the argument, then hand over to the next process."""
    root = Path(sys.argv[1])
    if hasattr(os, "nice"):
        os.nice(NICE)
    if work(root):
        wake(root)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
