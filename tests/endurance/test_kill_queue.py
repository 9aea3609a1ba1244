"""kill -9 at any moment of the queue of trainings: a training that was asked for is never lost and never done twice.

Whoever looks next sees it wait, run, or stopped, and can go on with it; KILLS as in `test_kill.py`.
"""

import dataclasses
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from raising import KILLED, Nursery, raising

from cnn_core.train.runs import find_run, list_runs, read_rows
from jobs import queue
from jobs.offers import job_of
from jobs.queue import resume, waiting_jobs, wake

KILLS = int(os.environ.get("KILLS", "5"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300 + 60 * KILLS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL on this system"),
]
SMALL = {"options": {"widths": [8, 8], "stem_kernel": 2}, "device": "cpu", "precision": "32-true", "per_class": 20}


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with raising(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Workers are started by the test: this counts how often one would have been."""
    started: list[int] = []
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: started.append(1))
    return started


def asked(name: str = "digits", epochs: int = 3) -> dict[str, object]:
    return dataclasses.asdict(job_of("digits", {**SMALL, "epochs": epochs}, called=name))


def work_until_done(root: Path, nursery: Nursery, started: list[int]) -> None:
    """Do what pages do: look, wake the queue, and press the button of a run that is stopped."""
    for _ in range(3):
        for run in list_runs(root):
            assert run.state in ("waiting", "stopped", "done"), (run.state, run.error)
            if run.state == "stopped":
                resume(root, run)
        started.clear()
        if wake(root):
            assert started and nursery.do({"queue": str(root)}) == 0
        assert not waiting_jobs(root)
    assert [run.state for run in list_runs(root)] == ["done"]


def weights(run: Path) -> list[bytes]:
    return [file.read_bytes() for file in run.glob("model*.safetensors")]


def test_a_worker_that_is_killed_loses_no_training(nursery: Nursery, tmp_path: Path, asleep: list[int], capsys) -> None:
    count, whole = tmp_path / "count", tmp_path / "whole"
    assert nursery.do({"submit": str(whole), "job": asked()}) == 0
    assert nursery.do({"queue": str(whole), "watch": str(whole), "count": str(count)}) == 0
    events, chance, kills = int(count.read_text()), random.Random(0), 0
    first = min(15, 3 * KILLS)  # every one of the moments in which the request changes hands, and others
    moments = [*range(1, first + 1), *(chance.randint(first, events) for _ in range(KILLS))]
    for moment in moments:
        root = tmp_path / f"runs{moment}-{kills}"
        assert nursery.do({"submit": str(root), "job": asked()}) == 0
        ending = nursery.do({"queue": str(root), "watch": str(root), "at": moment})
        assert ending in (0, KILLED), nursery.log.read_text()[-3000:]
        kills += ending == KILLED
        run = find_run(root, "digits")
        assert run is not None and run.state != "running", moment
        work_until_done(root, nursery, asleep)
        assert weights(root / "digits") == weights(whole / "digits"), moment
        assert [row["epoch"] for row in read_rows(root / "digits/log.csv")] == [1, 2, 3]
    with capsys.disabled():
        print(f"\nworkers killed {kills} times of {len(moments)}, at {events} file events; no training lost")


def test_a_page_that_is_killed_has_asked_or_has_not(nursery: Nursery, tmp_path: Path, asleep: list[int]) -> None:
    count, whole = tmp_path / "count", tmp_path / "whole"
    whole.mkdir()
    assert nursery.do({"submit": str(whole), "job": asked(), "watch": str(whole), "count": str(count)}) == 0
    for moment in range(1, int(count.read_text()) + 1):
        root = tmp_path / f"runs{moment}"
        root.mkdir()
        assert nursery.do({"submit": str(root), "job": asked(), "watch": str(root), "at": moment}) == KILLED
        for run in list_runs(root):  # not asked, asked, or asked half: then it is shown as stopped
            assert run.state in ("waiting", "stopped"), moment
            if run.state == "stopped":
                resume(root, run)
        if list_runs(root) and moment % 4 == 0:
            work_until_done(root, nursery, asleep)
        assert nursery.do({"submit": str(root), "job": asked()}) == 0  # a new one is not blocked by what is left
        assert len(waiting_jobs(root)) >= 1


def test_two_workers_never_train_at_once(nursery: Nursery, tmp_path: Path, asleep: list[int]) -> None:
    """While one works, another one that comes ends at once; when it is killed, the next one can begin."""
    root = tmp_path / "runs"
    for name, epochs in (("one", 1000), ("two", 3)):  # the first one trains until it is killed
        assert nursery.do({"submit": str(root), "job": {**asked(epochs=epochs), "name": name}}) == 0
    ended: list[int] = []
    with raising(tmp_path) as other:
        thread = threading.Thread(target=lambda: ended.append(other.do({"queue": str(root)})))
        thread.start()
        deadline = time.monotonic() + 60
        while not (run := find_run(root, "one")) or run.state != "running":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert nursery.do({"queue": str(root)}) == 3
        assert [name for name, _ in waiting_jobs(root)] == ["two"]
        os.kill(run.pid, signal.SIGKILL)
        thread.join()
    assert ended == [KILLED]
    assert nursery.do({"queue": str(root)}) == 0
    states = {run.name: run.state for run in list_runs(root)}
    assert states == {"one": "stopped", "two": "done"}
    assert json.loads((root / "one/job.json").read_text())["pid"]
