"""A training in the background of a session: it goes on while pages rerun, and stops when it is told or left alone."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.errors import CnnError

AT_ONCE = threading.BoundedSemaphore(1)  # trainings on this server; the next one waits for its turn
MOST_POINTS = 400  # of a curve


@dataclass
class Job:
    """A training and what is known of it. The thread writes, pages read; every field is replaced whole."""

    folder: Path  # of the run; thrown away with the session
    train: Callable[..., Any] = field(repr=False)  # takes `folder` and `observe`, returns an Outcome
    state: str = "waiting"  # waiting, running, done, stopped, failed
    progress: Any = None  # the latest cnn_core.train.loop.Progress
    losses: tuple[tuple[float, float], ...] = ()  # (epochs, mean loss of the epoch so far)
    scores: tuple[tuple[float, float], ...] = ()  # (epochs, validation accuracy)
    outcome: Any = None
    error: str = ""
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _rubbish: Path | None = None  # to delete when the thread ends

    def start(self) -> threading.Thread:
        """Begin, as soon as no other training runs on this server; return the thread."""
        thread = threading.Thread(target=self._run, name="training", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Ask for the end; what has been learned until then is measured and kept."""
        self._stop.set()

    def abandon(self, rubbish: Path) -> None:
        """Stop, and delete the folder `rubbish` when nothing writes there any more."""
        self._rubbish = rubbish
        self._stop.set()
        if self.finished:
            shutil.rmtree(rubbish, ignore_errors=True)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set() and not self.finished

    @property
    def finished(self) -> bool:
        return self.state in ("done", "stopped", "failed")

    def _run(self) -> None:
        while not AT_ONCE.acquire(timeout=0.2):
            if self._stop.is_set():
                self._end("stopped")
                return
        try:
            self.state = "running"
            self.outcome = self.train(folder=self.folder, observe=self._observe)
            self._end("stopped" if self._stop.is_set() else "done")
        except CnnError as error:
            self.error = str(error)
            self._end("failed")
        finally:
            AT_ONCE.release()
            if not self.finished:  # a defect of ours: the traceback goes to the server's log, the page says so
                self.error = "the training broke off; the server's log says why"
                self._end("failed")

    def _end(self, state: str) -> None:
        self.state = state
        if self._rubbish is not None:
            shutil.rmtree(self._rubbish, ignore_errors=True)

    def _observe(self, progress: Any) -> bool:
        self.progress = progress
        at = progress.epoch - 1 + progress.step / progress.steps
        if progress.metrics is None:
            spacing = progress.epochs / MOST_POINTS
            if not self.losses or at - self.losses[-1][0] >= spacing:
                self.losses = (*self.losses, (at, progress.loss))
        elif "accuracy" in progress.metrics:
            self.scores = (*self.scores, (float(progress.epoch), progress.metrics["accuracy"]))
        return not self._stop.is_set()


@dataclass
class Workshop:
    """A session's place on the disk, and its training."""

    folder: Path
    job: Job | None = None
    count: int = 0

    def begin(self, train: Callable[..., Any]) -> Job:
        """Start a training in a fresh run folder."""
        self.count += 1
        self.job = Job(self.folder / f"run{self.count}", train)
        self.job.start()
        return self.job


def _close(workshop: Workshop) -> None:
    if workshop.job is None:
        shutil.rmtree(workshop.folder, ignore_errors=True)
    else:
        workshop.job.abandon(workshop.folder)


@st.cache_resource(scope="session", on_release=_close, show_spinner=False)
def workshop(kind: str) -> Workshop:
    """Return this session's workshop of a kind; its folder goes and its training stops when the session ends."""
    return open_workshop()


def open_workshop() -> Workshop:
    """Make a workshop with a folder that is gone at the latest when the server ends."""
    folder = Path(tempfile.mkdtemp(prefix="cnn-showcase-"))
    made = Workshop(folder)
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)  # also at the interpreter's end
    return made
