"""`cnn predict --output --resume` of the domains that answer files, and what a long run shows meanwhile."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_core.cli import progress
from cnn_core.cli.answer_files import AnswerFiles
from cnn_core.cli.progress import shown_progress

COUNT = 4


def make_pictures(folder: Path, edge: int) -> None:
    folder.mkdir()
    for number in range(COUNT):
        values = np.random.default_rng(number).integers(0, 256, (edge, edge), np.uint8)
        Image.fromarray(values).save(folder / f"{number}.png")


def make_sounds(folder: Path, seconds: int) -> None:
    folder.mkdir()
    for number in range(COUNT):
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            tone = 9000 * np.sin(np.arange(8000 * seconds) * (0.1 + 0.1 * number))
            file.writeframes(tone.astype("<i2").tobytes())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show progress from the first item on, every time."""
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(progress, "EVERY", 0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("weights", "make", "size", "shown"),
    [
        ("drawn-sounds", make_sounds, 1, "4 of 4 sounds"), ("streets", make_pictures, 80, "4 of 4 pictures"),
        ("mnist", make_pictures, 28, "4 of 4 pictures"), ("nodule-malignancy", make_pictures, 64, "4 inputs"),
    ],
)  # fmt: skip
def test_an_interrupted_run_ends_in_the_files_of_one_that_was_not(
    cnn: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str, make: Callable, size: int, shown: str
) -> None:
    make(tmp_path / "in", size)
    inputs = sorted((tmp_path / "in").iterdir()) if shown == "4 inputs" else ["in"]
    answer = cnn("predict", weights, *inputs, "--output", "whole")
    assert answer.code == 0 and shown in answer.err
    add, left = AnswerFiles.add, 2

    def stopping(self: AnswerFiles, item: dict) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        add(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(AnswerFiles, "add", stopping)
        assert cnn("predict", weights, *inputs, "--output", "part", "--quiet").code == 130
    assert not (tmp_path / "part" / "predictions.json").exists()
    answer = cnn("predict", weights, *inputs, "--output", "part", "--resume")
    assert answer.code == 0 and len(answer.out.splitlines()) == COUNT - 2 and shown in answer.err
    files = sorted(file.name for file in (tmp_path / "whole").iterdir())
    assert {"predictions.csv", "predictions.json"} <= {*files} and (weights != "streets" or "boxes.coco.json" in files)
    assert files == sorted(file.name for file in (tmp_path / "part").iterdir())
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "part" / name).read_bytes(), name


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("total", [2, None])
def test_more_items_than_were_counted_are_counted_on(capsys: pytest.CaptureFixture[str], total: int | None) -> None:
    with shown_progress(total, "sounds") as bar:
        for _ in range(5):
            bar.update()
    assert ("5 of 2 sounds" if total else "5 sounds") in capsys.readouterr().err
