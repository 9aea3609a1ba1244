"""Two processes train like one with the same batch, in every domain; scans by `--devices` among their own tests."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from several import SETTINGS, train_all
from torch.distributed.run import parse_args
from trips import sentences, write_table

from cnn_core.processes import is_running
from cnn_core.train.runs import read_rows

HERE = Path(__file__).parent
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "127.0.0.1:0")  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=3000, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-3000:]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_rows(folder / "log.csv")]


def test_small_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Augmentation, odd batches, batch normalisation, sparse gradients, captions drawn by chance, means over words."""
    write_table(tmp_path / "texts.tsv", sentences(76))
    run(*TORCHRUN, HERE / "several.py", tmp_path)
    monkeypatch.setattr("image_captioning.scenes.COUNTS", {})
    train_all(tmp_path, devices=1)
    for recipe in SETTINGS:
        one, two = (losses(tmp_path / devices / recipe) for devices in ("1", "2"))
        assert len(one) == 2 and two == pytest.approx(one, abs=1e-4), recipe
        assert (tmp_path / "2" / recipe / "card.json").exists()


def test_the_commands_of_the_documentation_reach_cnn_as_they_are_written() -> None:
    """torchrun takes `--run` for a flag of its own that was not written out, unless two dashes stand before."""
    text = (HERE.parent / "docs" / "many-machines.md").read_text("utf-8")
    commands = re.findall(r"^    (?:.*&& )?torchrun (.*?)(?:  +.*)?$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        parsed = parse_args(shlex.split(command))
        assert parsed.module and parsed.training_script == "cnn_core.cli"
        assert shlex.join(parsed.training_script_args) == command.partition(" -- cnn_core.cli ")[2]
        assert "--run" in parsed.training_script_args


TINY = ("--device", "cpu", "--precision", "32-true", "--per-class", "20", "--epochs", "3", "--quiet")


def start(*command: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def test_two_hosts_that_find_each_other_train_like_one(tmp_path: Path) -> None:
    """The last command of the documentation, with both hosts on this machine."""
    digits = ("cnn_core.cli", "train", "digits", *TINY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = (sys.executable, "-m", "torch.distributed.run", "-m", "--nnodes", "2", "--nproc-per-node", "1",
            "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--")  # fmt: skip
    hosts = [start(*host, *digits, "--num-nodes", "2", "--run", tmp_path / "2") for _ in range(2)]
    run(sys.executable, "-m", *digits, "--run", tmp_path / "1")
    for process in hosts:
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said[-3000:]
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), abs=1e-3)


@pytest.mark.timeout(900)  # three trainings, each by a launcher and two processes that import torch
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path: Path) -> None:
    digits = ("-m", "--", "cnn_core.cli", "train", "digits", *TINY, "--epochs", "6", "--devices", "2")
    run(*TORCHRUN, *digits, "--run", tmp_path / "whole")
    folder = tmp_path / "killed"
    launcher = start(*TORCHRUN, *digits, "--run", folder)
    deadline = time.monotonic() + 200
    while not (folder / "log.csv").exists():  # an epoch is done
        assert launcher.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    workers = children(launcher.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    _, said = launcher.communicate(timeout=200)
    assert launcher.returncode == 1 and "SIGKILL" in said
    assert not any(is_running(worker) for worker in workers)
    assert len(losses(folder)) < 6
    run(*TORCHRUN, *digits, "--run", folder, "--resume")
    assert losses(folder) == losses(tmp_path / "whole")
    one, other = (next(place.glob("*.safetensors")) for place in (folder, tmp_path / "whole"))
    assert one.read_bytes() == other.read_bytes()


def children(parent: int) -> list[int]:
    """Return the processes that another one started, oldest first."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("words", "early"),
    [
        ("digits", 1e-3),
        ("docstrings --word-dropout 0 --option widths=1,2,3 --option dropout=0", 1e-3),
        ("phantom", 1e-3),
        ("scenes --word-dropout 0 --dropout 0", 1e-2),
    ],
)
def test_default_recipes(tmp_path: Path, words: str, early: float) -> None:
    """Of each domain as it is, but for the dropout that each process draws for itself.

    Rounding errors grow from step to step, as between two trainings whose first weights differ in the last digit: the
    losses of 40 epochs of digits differ by up to 6e-3 after the ninth, those of phantoms by 2e-2 after the third, those
    of scenes, whose epochs have many steps, by 2e-3 in the first and 4e-3 in the second.
    """
    words = ["train", *words.split(), "--device", "cpu", "--precision", "32-true", "--quiet"]
    run(sys.executable, "-m", "cnn_core.cli", *words, "--run", tmp_path / "1")
    run(*TORCHRUN, "-m", "--", "cnn_core.cli", *words, "--devices", "2", "--run", tmp_path / "2")
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    assert two[:2] == pytest.approx(one[:2], abs=early)
    assert two == pytest.approx(one, abs=0.03)
