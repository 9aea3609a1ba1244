"""What the Makefile installs, and when: with a `python` that writes down its arguments in place of the real one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
echo "$*" >> calls
[ "$2" != venv ] || { mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp "$0" .venv/bin/cnn; }
"""
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(tmp_path: Path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)

    def run(*words: str) -> list[str]:
        """Return what `make` with these words called."""
        calls = tmp_path / "calls"
        calls.write_text("")
        kept = {name: value for name, value in os.environ.items() if name not in ("ARGS", "MAKEFLAGS", "MAKELEVEL")}
        subprocess.run(["make", "PYTHON=./python", *words], cwd=tmp_path, env=kept, check=True, capture_output=True)
        return calls.read_text().splitlines()

    return run


EDITABLE = "-m pip install --constraint constraints.txt --editable"


def test_a_demo_installs_what_a_demo_needs_and_tests_what_they_need(make):
    _, _, installs, serves = make("demo")
    assert (installs, serves) == (f"{EDITABLE} .[demo]", "demo --port 8501")
    assert make("demo") == ["demo --port 8501"]
    assert [line for line in make("test") if "pip" in line][1:] == [f"{EDITABLE} .[dev]"]
    assert [line.split()[:2] for line in make("test")] == [["-m", "pytest"]]


def test_what_tests_need_is_enough_for_a_demo(make):
    assert make("setup")[-1] == f"{EDITABLE} .[dev]"
    assert make("demo", "PORT=1") == ["demo --port 1"]
    assert make("train-digits", "ARGS=--epochs 1") == ["train digits --epochs 1"]


def test_other_requirements_are_installed_anew(make, tmp_path):
    make("demo")
    os.utime(tmp_path / "pyproject.toml", (4e9, 4e9))  # seconds: later than anything
    assert f"{EDITABLE} .[demo]" in make("demo")


def test_torch_and_torchvision_come_together_from_the_index_that_is_given(make):
    calls = make("demo", "TORCH_INDEX=file:///some index")
    own = "-m pip install --constraint constraints.txt --no-deps --index-url file:///some index torch torchvision"
    assert calls[2:] == [own, f"{EDITABLE} .[demo]", "demo --port 8501"]


def test_the_site_is_built_beside_a_folder_of_its_name(make, tmp_path):
    (tmp_path / "docs").mkdir()
    os.utime(tmp_path / "docs", (4e9, 4e9))  # newer than what it is built from
    assert make("docs")[-1] == "-m mkdocs build"
