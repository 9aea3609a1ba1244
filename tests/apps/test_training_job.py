"""The training in the background: goes on, stops, fails with a sentence, waits for its turn, leaves nothing behind."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnn_core.errors import DataError
from components.training import MOST_POINTS, Job, Workshop, _close

APPS = Path(__file__).resolve().parents[2] / "apps"


@dataclass
class Step:
    """As cnn_core.train.loop.Progress, as far as a job looks at it."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    metrics: dict[str, float] | None = None


def wait(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def finished(job: Job) -> Job:
    job.start().join(10)
    assert job.finished
    return job


def test_losses_and_scores_are_kept_in_epochs(tmp_path: Path):
    def train(*, folder, observe):
        assert observe(Step(1, 2, 1, 2, 1.5))
        assert observe(Step(1, 2, 2, 2, 1.0, {"accuracy": 0.5}))
        assert observe(Step(2, 2, 1, 2, 0.5))
        return "outcome"

    job = finished(Job(tmp_path, train))
    assert (job.state, job.outcome) == ("done", "outcome")
    assert job.losses == ((0.5, 1.5), (1.5, 0.5))
    assert job.scores == ((1.0, 0.5),)


def test_a_long_training_keeps_a_bounded_number_of_points(tmp_path: Path):
    def train(*, folder, observe):
        for step in range(1, 20_001):
            observe(Step(1, 1, step, 20_000, 1.0))

    assert len(finished(Job(tmp_path, train)).losses) <= MOST_POINTS + 1


def test_stop_reaches_the_training_and_the_outcome_is_kept(tmp_path: Path):
    going = threading.Event()

    def train(*, folder, observe):
        while observe(Step(1, 1, 1, 1, 1.0)):
            going.set()
            time.sleep(0.001)
        return "so far"

    job = Job(tmp_path, train)
    job.start()
    assert going.wait(10)
    job.stop()
    wait(lambda: job.finished)
    assert (job.state, job.outcome, job.stopping) == ("stopped", "so far", False)


def test_a_mistake_of_the_user_is_a_sentence(tmp_path: Path):
    def train(*, folder, observe):
        raise DataError("holds the single class 'cats'")

    job = finished(Job(tmp_path, train))
    assert (job.state, job.error) == ("failed", "holds the single class 'cats'")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_ends_the_job_and_frees_the_place(tmp_path: Path):
    def broken(*, folder, observe):
        raise ZeroDivisionError

    job = finished(Job(tmp_path, broken))
    assert job.state == "failed"
    assert "server's log" in job.error
    assert finished(Job(tmp_path, lambda **_: 1)).state == "done"


def test_the_second_training_waits_and_can_be_stopped_while_it_waits(tmp_path: Path):
    release = threading.Event()
    first = Job(tmp_path / "a", lambda **_: release.wait(10))
    first.start()
    wait(lambda: first.state == "running")
    second, third = Job(tmp_path / "b", lambda **_: 2), Job(tmp_path / "c", lambda **_: 3)
    second.start()
    third.start()
    third.stop()
    wait(lambda: third.finished)
    assert (second.state, third.state, third.outcome) == ("waiting", "stopped", None)
    release.set()
    wait(lambda: second.finished)
    assert second.outcome == 2


def test_the_end_of_a_session_stops_its_training_and_deletes_its_folder(tmp_path: Path):
    place = Workshop(tmp_path / "session")
    place.folder.mkdir()
    going = threading.Event()

    def train(*, folder, observe):
        while observe(Step(1, 1, 1, 1, 1.0)):
            folder.mkdir(parents=True, exist_ok=True)  # it writes until it hears of the end
            (folder / "last.safetensors").write_bytes(b"x")
            going.set()
        time.sleep(0.1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").write_text("{}")

    job = place.begin(train)
    assert going.wait(10)
    _close(place)
    wait(lambda: job.finished)
    wait(lambda: not place.folder.exists())


def test_a_session_without_training_leaves_nothing_either(tmp_path: Path):
    place = Workshop(tmp_path / "session")
    place.folder.mkdir()
    (place.folder / "pictures.zip").write_bytes(b"x")
    _close(place)
    assert not place.folder.exists()


def test_the_end_of_the_server_leaves_no_folder():
    code = "from components.training import open_workshop; w = open_workshop(); print(w.folder, w.folder.exists())"
    done = subprocess.run([sys.executable, "-c", code], cwd=APPS, capture_output=True, text=True, check=True)
    folder, existed = done.stdout.split()
    assert existed == "True"
    assert not Path(folder).exists()
