"""The queue of trainings: turns, stops, crashes, two at once, and runs seen from outside."""

import dataclasses
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_core.cli import main
from cnn_core.cli.parser import model_option
from cnn_core.errors import CnnError, ConfigError, StorageError
from cnn_core.processes import environment, is_running, process_start
from cnn_core.storage import LOCK_FILE, folder_lock
from cnn_core.train.commands import compare_command
from cnn_core.train.runs import QUEUE, RunInfo, find_run, list_runs, read_rows
from jobs import queue
from jobs.curves import curves_of
from jobs.offers import domain_of, job_of, offer
from jobs.queue import Job, claim_folder, delete, resume, stop, submit, waiting_jobs, wake

SMALL = {"options": {"widths": [8, 8], "stem_kernel": 2}, "device": "cpu", "precision": "32-true", "validation": True}


def job(name: str = "digits", *, epochs: int = 1) -> Job:
    return job_of("digits", {**SMALL, "epochs": epochs}, called=name)


def wait(condition: Callable[[], object], seconds: float = 250) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def run_of(root: Path, name: str) -> RunInfo:
    run = find_run(root, name)
    assert run is not None
    return run


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder of runs; what still trains at the end is ended by its number."""
    yield tmp_path
    for file in (tmp_path / QUEUE).glob("*.json"):
        file.unlink()
    for run in list_runs(tmp_path):
        if run.pid not in (0, os.getpid()) and is_running(run.pid, run.process_identity):
            os.kill(run.pid, signal.SIGKILL)


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works on the queue."""
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: None)


@pytest.mark.timeout(900)  # three processes load torch, one after another
def test_a_killed_run_shows_as_stopped_and_goes_on_behind_one_that_fails(root: Path):
    """The first of two dies in the middle, the second has a mistake, the first is resumed and stopped."""
    first, wrong = claim_folder(root, "digits"), claim_folder(root, "digits")
    assert (first.name, wrong.name) == ("digits", "digits-2")
    submit(root, first, job(epochs=400))
    table = {**job().recipe, "data": {**job().recipe["data"], "data": "no-such-set"}}
    submit(root, wrong, Job("image_classification", table, "wrong", "cnn train digits --data no-such-set"))
    wait(lambda: run_of(root, "digits").epoch >= 2)
    going = run_of(root, "digits")
    assert (going.state, going.queued, run_of(root, "digits-2").state) == ("running", True, "waiting")
    assert wake(root) is False  # somebody works
    os.kill(going.pid, signal.SIGKILL)
    wait(lambda: run_of(root, "digits").state == "stopped")
    killed = run_of(root, "digits")
    assert killed.epoch >= 2
    assert len(curves_of(killed)["loss"]) >= 2

    resume(root, killed)  # wakes the queue, as a page does that looks: first comes the one that waited longer
    others = [subprocess.Popen([sys.executable, "-m", "jobs.queue", str(root)], env=environment())
              for _ in range(2)]  # fmt: skip
    wait(lambda: not run_of(root, "digits-2").busy)
    failed = run_of(root, "digits-2")
    assert failed.state == "failed"
    assert "no-such-set" in failed.error
    wait(lambda: run_of(root, "digits").epoch > killed.epoch)
    assert run_of(root, "digits").state == "running"
    stop(root, run_of(root, "digits"))
    wait(lambda: run_of(root, "digits").state == "stopped")
    assert [other.wait(60) for other in others] == [0, 0]
    assert (first / "card.json").exists()  # what was learned until then is measured and kept
    rows = read_rows(first / "log.csv")
    assert [row["epoch"] for row in rows] == [*map(float, range(1, len(rows) + 1))]
    assert not (first / "stop").exists()
    assert "Traceback" not in (first / "job.log").read_text() + (wrong / "job.log").read_text()


@pytest.mark.usefixtures("asleep")
def test_of_many_that_reach_for_the_same_run_one_gets_it(root: Path):
    for i in range(5):
        submit(root, claim_folder(root, f"run{i}"), job())
    with ThreadPoolExecutor(8) as pool:  # without the lock, as on a file system that has none
        taken = [found for found in pool.map(lambda _: queue._take(root), range(20)) if found is not None]
    assert sorted(folder.name for folder, _ in taken) == [f"run{i}" for i in range(5)]


def test_a_file_of_the_folder_is_not_taken_for_a_module_of_python(root: Path):
    (root / "json.py").write_text("raise SystemExit('a file of the user')")
    words = [sys.executable, "-m", "jobs.queue", str(root)]
    done = subprocess.run(words, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("asleep")
def test_a_run_that_a_full_disk_keeps_from_beginning_waits_on(root: Path, monkeypatch: pytest.MonkeyPatch):
    folder = claim_folder(root, "digits")
    submit(root, folder, job())

    def full(path: Path, text: str) -> None:
        raise StorageError(f"could not write {path}: no space left")

    monkeypatch.setattr(queue, "write_text", full)
    with pytest.raises(StorageError, match="no space left"):
        queue.work(root)
    assert run_of(root, "digits").state == "waiting"
    assert [name for name, _ in waiting_jobs(root)] == ["digits"]


def test_a_run_that_was_taken_by_a_worker_which_died_waits_again(root: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[int] = []
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: started.append(1))
    for name in ("first", "second"):
        submit(root, claim_folder(root, name), job(name))
    started.clear()
    assert queue._take(root)[0].name == "first"  # and there it ended, before it had written its number
    with folder_lock(root / QUEUE):
        assert wake(root) is False  # the worker may be about to begin
    assert [name for name, _ in waiting_jobs(root)] == ["second"]
    assert wake(root) and started == [1]
    assert [name for name, _ in waiting_jobs(root)] == ["first", "second"]


def test_while_one_works_no_other_does(root: Path):
    with folder_lock(root / QUEUE):
        assert queue.work(root) is False


@pytest.mark.usefixtures("asleep")
def test_turns_are_kept_in_files_and_can_be_given_back(root: Path):
    for name in ("b", "a"):
        submit(root, claim_folder(root, name), job(name))
    assert [name for name, _ in waiting_jobs(root)] == ["b", "a"]  # in the order of asking
    assert run_of(root, "b").state == "waiting"
    with pytest.raises(CnnError, match="is waiting"):
        resume(root, run_of(root, "b"))
    stop(root, run_of(root, "b"))
    assert [name for name, _ in waiting_jobs(root)] == ["a"]
    assert run_of(root, "b").state == "stopped"


@pytest.mark.usefixtures("asleep")
def test_a_deleted_run_and_a_damaged_entry_do_not_block_the_queue(root: Path):
    gone = claim_folder(root, "gone")
    submit(root, gone, job("gone"))
    (gone / "job.json").unlink()
    gone.rmdir()
    damaged = claim_folder(root, "damaged")
    (root / QUEUE / "damaged.json").write_text("{half")
    (root / QUEUE / "..%2F..%2Fetc.json").write_text("{}")
    assert queue._take(root) is None
    assert waiting_jobs(root) == []
    assert run_of(root, "damaged").error
    assert damaged.exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "Über", "-x", ".hidden", "x" * 61, "a b"])
def test_a_name_that_is_no_name_makes_no_folder(root: Path, name: str):
    with pytest.raises(CnnError, match="expected a name"):
        claim_folder(root, name)
    assert list(root.iterdir()) == []


def status(folder: Path, **values: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps({"state": "running", "epoch": 1, "epochs": 9, **values}))
    return folder


def test_runs_of_the_command_line_are_seen_as_they_are(root: Path):
    me = os.getpid()
    status(root / "alive", pid=me, mark=process_start(me))
    status(root / "other", pid=me, mark="1")  # a later process of the same number
    status(root / "many" / "seed0", pid=2**22 + 1, mark="1")
    done = status(root / "done", state="trained", epoch=9, pid=2**22 + 1, mark="1")
    (done / "card.json").write_text("{}")
    status(root / ".hidden")
    (root / "no-run").mkdir()
    states = {run.name: run.state for run in list_runs(root)}
    if process_start(me):
        assert states == {"alive": "running", "other": "stopped", "many/seed0": "stopped", "done": "done"}


@pytest.mark.usefixtures("asleep")
def test_a_run_of_the_command_line_goes_on_under_its_own_command(root: Path):
    command = "cnn train digits --epochs 9 --data my_photos"
    folder = status(root / "elsewhere", name="digits", command=command)
    (folder / "recipe.json").write_text(json.dumps(dict(job().recipe)))
    resume(root, run_of(root, "elsewhere"), domain="image_classification")
    [(name, entry)] = waiting_jobs(root)
    assert (name, entry["name"], entry["command"], entry["resume"]) == ("elsewhere", "digits", command, True)
    status(root / "old")
    (root / "old" / "recipe.json").write_text(json.dumps(dict(job().recipe)))
    with pytest.raises(CnnError, match="does not say how it was started"):
        resume(root, run_of(root, "old"), domain="image_classification")


@pytest.mark.usefixtures("asleep")
def test_a_run_may_be_called_as_it_likes(root: Path):
    for name in ("lr+wd", "100%2Fbest", "many/seed0", "größe"):
        folder = status(root / name, name="digits", command="cnn train digits")
        (folder / "recipe.json").write_text(json.dumps(dict(job().recipe)))
        resume(root, run_of(root, name), domain="image_classification")
        assert run_of(root, name).state == "waiting"
        assert queue._take(root)[0] == folder
        shutil.rmtree(folder)  # taken and not begun, it would wait again


@pytest.mark.usefixtures("asleep")
def test_a_run_of_several_processes_is_not_for_the_queue(root: Path):
    folder = status(root / "two", name="digits", command="cnn train digits --devices 2")
    table = job().recipe
    (folder / "recipe.json").write_text(json.dumps({**table, "loop": {**table["loop"], "devices": 2}}))
    with pytest.raises(CnnError, match="one of several processes; continue it with its own command and --resume"):
        resume(root, run_of(root, "two"), domain="image_classification")


def test_a_failed_run_that_the_command_line_finished_is_done(root: Path):
    folder = status(root / "run", state="trained", epoch=9, pid=2**22 + 1, mark="1")
    (folder / "job.json").write_text(json.dumps({**vars(job()), "recipe": {}, "error": "the disk is full"}))
    (folder / "card.json").write_text("{}")
    times = {"job.json": 100, "status.json": 200, "card.json": 201}
    for file, when in times.items():
        os.utime(folder / file, (when, when))
    assert run_of(root, "run").state == "done"
    os.utime(folder / "job.json", (202, 202))  # it failed after its card was written
    assert (run_of(root, "run").state, run_of(root, "run").error) == ("failed", "the disk is full")


def test_nothing_outside_the_folder_is_read(root: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = status(tmp_path_factory.mktemp("outside") / "secret")
    (root / "link").symlink_to(outside)
    assert list_runs(root) == []
    assert find_run(root, "../outside/secret") is None
    assert find_run(root, "link") is None


@pytest.mark.parametrize("junk", ["", "{", "[1]", '{"epoch": "x", "epochs": -1, "pid": 1e99}', "\0" * 99, "[" * 99_999])
def test_damaged_files_are_no_reason_to_fail(root: Path, junk: str):
    folder = root / "damaged"
    folder.mkdir()
    for name in ("status.json", "job.json", "progress.json", "log.csv"):
        (folder / name).write_text(junk)
    run = run_of(root, "damaged")
    assert run.state == "stopped"
    assert curves_of(run) == {"loss": ()}


def test_curves_are_those_of_the_log_and_of_the_epoch_under_way(root: Path):
    folder = status(root / "run", epoch=9, epochs=20, pid=os.getpid(), mark=process_start(os.getpid()))
    (folder / "log.csv").write_text("epoch,loss,seconds,val_accuracy\n1,0.9,1,0.5\n2,nan,2,\n3,0.7,3,0.6\n4,0.")
    points = {"epochs": 20, "points": [[0.1, 2.0], [4.5, 0.65]]}
    (folder / "progress.json").write_text(json.dumps(points))
    curves = curves_of(run_of(root, "run"))
    assert curves["accuracy"] == ((1, 0.5), (3, 0.6))
    assert curves["loss"] == ((1, 0.9), (3, 0.7), (4, 0.0), (4.5, 0.65))
    waiting = dataclasses.replace(run_of(root, "run"), state="waiting")
    assert curves_of(waiting)["loss"] == ((1, 0.9), (3, 0.7), (4, 0.0))  # the epoch under way is begun anew
    few = {"epochs": 2, "points": [[0.5, 2.0], [1.0, 1.0], [1.5, "x"]]}
    (folder / "progress.json").write_text(json.dumps(few))
    assert curves_of(run_of(root, "run"))["loss"] == ((0.5, 2.0), (1.0, 1.0))


def test_an_offer_has_the_recipe_s_own_values():
    found = offer("digits")
    assert (found.domain, found.epochs, found.learning_rate, found.data) == ("image_classification", 40, 0.01, "digits")
    assert "mnist" in found.sets


def test_a_job_says_on_the_command_line_what_was_changed():
    asked = job_of("digits", {"epochs": 40, "seed": 3, "validation": True}, called="x")
    assert asked.command == "cnn train digits --seed 3 --validation"
    assert asked.recipe["loop"]["seed"] == 3
    assert domain_of(json.loads(json.dumps(asked.recipe))) == "image_classification"
    assert domain_of({"nonsense": {}}) == ""


def test_lists_and_options_of_the_model_are_flags_that_the_command_reads():
    settings = {"patch": (32, 32, 8), "options": {"dropout": 0.2, "widths": [64, 128], "act": "gelu"}}
    command = compare_command("a b", "d", settings)
    assert command == (
        "cnn compare 'a b' --data d --patch 32 32 8 --option dropout=0.2 --option 'widths=[64, 128]' --option act=gelu"
    )
    options = [model_option(word) for word in shlex.split(command) if "=" in word]
    assert dict(options) == settings["options"]


def test_all_wrong_settings_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        job_of("digits", {"epochs": 0, "learning_rate": -1.0}, called="x")
    assert len(caught.value.problems) == 2


def test_processes_are_told_apart():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    identity = process_start(child.pid)
    assert is_running(child.pid, identity)
    child.kill()
    if identity:
        wait(lambda: not is_running(child.pid, identity))  # a zombie, because nobody has asked for its end yet
    child.wait()
    assert not is_running(child.pid, identity)
    assert not is_running(0)


@pytest.mark.usefixtures("asleep")
def test_a_run_is_its_owner_s_from_the_first_moment_to_the_last(root: Path):
    folder = claim_folder(root, "hers")
    submit(root, folder, dataclasses.replace(job(), owner="abc"))
    assert (run_of(root, "hers").state, run_of(root, "hers").owner) == ("waiting", "abc")
    stop(root, run_of(root, "hers"))
    assert (run_of(root, "hers").state, run_of(root, "hers").owner) == ("stopped", "abc")
    resume(root, run_of(root, "hers"), domain="image_classification")
    assert run_of(root, "hers").owner == "abc"
    taken, entry = queue._take(root)
    assert (taken, entry["owner"], run_of(root, "hers").owner) == (folder, "abc", "abc")
    stop(root, run_of(root, "hers"))  # taken by a process that died at that very moment
    (root / QUEUE / "hers.json").write_text("{half")
    assert queue._take(root) is None
    assert (run_of(root, "hers").state, run_of(root, "hers").owner) == ("failed", "abc")
    (folder / "job.json").write_text('{"owner": ["abc"]}')
    assert run_of(root, "hers").owner == ""


def test_names_with_an_ending_tell_nothing_of_other_runs(root: Path):
    (root / "digits").mkdir()
    names = {claim_folder(root, "digits", apart=True).name for _ in range(20)}
    assert len(names) == 20 and all(name.startswith("digits-") and len(name) == 13 for name in names)
    with pytest.raises(CnnError, match=r"got '\.\./x'"):
        claim_folder(root, "../x", apart=True)


@pytest.mark.usefixtures("asleep")
def test_a_deleted_run_leaves_nothing(root: Path):
    for name in ("waiting", "done"):
        submit(root, claim_folder(root, name), job(name))
        (root / name / "upload").mkdir()
        (root / name / "upload" / "mine.csv").write_text("secret")
    stop(root, run_of(root, "done"))
    for name in ("waiting", "done"):
        delete(root, run_of(root, name))
    assert {file.name for file in root.rglob("*")} <= {QUEUE, LOCK_FILE}


@pytest.mark.usefixtures("asleep")
def test_a_run_is_not_deleted_while_it_is_trained(root: Path):
    folder = claim_folder(root, "busy")
    submit(root, folder, job())
    seen = run_of(root, "busy")
    taken, entry = queue._take(root)  # between the look and the deletion
    me = {"pid": os.getpid(), "mark": process_start(os.getpid())}
    (taken / "job.json").write_text(json.dumps({**entry, **me}))
    with pytest.raises(CnnError, match="the run busy is running; stop it first"):
        delete(root, seen)
    (taken / "job.json").write_text("{}")
    with folder_lock(folder), pytest.raises(StorageError, match="somebody else is writing"):
        delete(root, run_of(root, "busy"))
    assert folder.is_dir()


def two_classes() -> bytes:
    """Pictures of bars on a dark, grainy ground, tall and wide ones, no two of them alike, in a zip."""
    stream, random = io.BytesIO(), np.random.RandomState(0)
    with zipfile.ZipFile(stream, "w") as archive:
        for i in range(40):
            name, size = (("tall", (4, 14)), ("wide", (14, 4)))[i % 2]
            ground = Image.fromarray(random.randint(0, 40, (26, 26), dtype=np.uint8))
            ground.paste(200 + i, (x := 6 + i % 4, y := 6 + i % 3, x + size[0], y + size[1]))
            picture = io.BytesIO()
            ground.save(picture, "png")
            archive.writestr(f"{name}/{i}.png", picture.getvalue())
    return stream.getvalue()


def asked_on_a_page(root: Path, **more: bool) -> tuple[Path, dict[str, object]]:
    """Return a run folder with an upload, and what its process finds in the queue."""
    changes = {**SMALL, "validation": False, "epochs": 2, "data": "tall & wide.zip"}
    folder, asked = claim_folder(root, "mine"), job_of("digits", changes, called="mine")
    (folder / "upload").mkdir()
    (folder / "upload" / "tall & wide.zip").write_bytes(two_classes())
    return folder, dataclasses.asdict(dataclasses.replace(asked, **more))


def test_an_upload_goes_when_its_training_has_finished(root: Path, capsys: pytest.CaptureFixture[str]):
    folder, entry = asked_on_a_page(root)
    queue._run(folder, entry)
    assert (folder / "card.json").is_file() and [*(folder / "upload").iterdir()] == []
    for file in folder.glob("*.json"):  # the file is called as it was uploaded, and no place of this machine is named
        assert str(root) not in file.read_text()
    card = json.loads((folder / "card.json").read_text())
    assert card["recipe"]["data"]["data"] == "tall & wide.zip"
    assert "--data 'tall & wide.zip'" in card["command"]
    capsys.readouterr()
    assert main(["eval", str(folder), "--device", "cpu"]) == 1
    said = "cnn: tall & wide.zip was uploaded for this run and is not kept here; give its path with --data\n"
    assert capsys.readouterr().err == said
    (root / "copy.zip").write_bytes(two_classes())
    assert main(["eval", str(folder), "--data", str(root / "copy.zip"), "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == card["metrics"]["accuracy"]["n"] > 5


def test_an_upload_that_is_kept_can_be_measured_again(root: Path, capsys: pytest.CaptureFixture[str]):
    folder, entry = asked_on_a_page(root, keep_upload=True)
    queue._run(folder, entry)
    assert [file.name for file in (folder / "upload").iterdir()] == ["tall & wide.zip"]
    capsys.readouterr()
    assert main(["eval", str(folder), "--device", "cpu", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    card = json.loads((folder / "card.json").read_text())
    metric = card["metrics"]["accuracy"]
    assert measured["metrics"]["accuracy"] == pytest.approx(metric["mean"], abs=1e-6)
    assert measured["n"] == metric["n"] > 5


def test_a_stopped_run_goes_on_with_its_upload(root: Path, monkeypatch: pytest.MonkeyPatch):
    folder, entry = asked_on_a_page(root)
    (folder / "stop").write_text("")
    monkeypatch.setattr(queue, "EVERY", -1.0)
    queue._run(folder, entry)
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert [file.name for file in (folder / "upload").iterdir()] == ["tall & wide.zip"]
    (folder / "stop").unlink()
    monkeypatch.chdir(root)  # on the command line, as the page says it
    command = [*shlex.split(str(entry["command"]))[1:], "--run", "mine", "--name", "mine", "--resume", "--quiet"]
    assert main(command) == 0
    assert json.loads((folder / "status.json").read_text())["state"] == "trained"
