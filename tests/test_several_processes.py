"""Two processes train like one with the same batch, in every domain; scans by `--devices` among their own tests."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from several import SETTINGS, train_all
from torch.distributed.run import parse_args
from trips import sentences, write_table

from cnn_core.train.runs import read_rows

HERE = Path(__file__).parent
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "127.0.0.1:0")  # fmt: skip


def run(*command: str | Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=3000, env=environment)
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
