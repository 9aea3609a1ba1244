"""kill -9 at any moment of a training, and --resume: the same weights, bit for bit, and the same log.

KILLS is the number of trainings of each kind that are killed, some of them more than once. Half of the moments are
spread evenly over the time that a training takes, half are file events: before a file is opened, renamed or removed.
"""

import csv
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from raising import KILLED, Nursery, raising

from medical_segmentation.phantom import write_phantoms

KILLS = int(os.environ.get("KILLS", "5"))
AGAIN = 0.3  # how many of the resumed ones are killed, too

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120 + 120 * KILLS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL on this system"),
]
SMALL = {
    "digits": ["--per-class", "20", "--epochs", "4", "--option", "widths=[8,8]", "--option", "stem_kernel=2"],
    "phantom": [
        "--patch", "16", "16", "16", "--epochs", "4", "--eval-every", "2", "--option", "widths=[8,8]",
        "--option", "strided=true", "--option", "stem_stride=2",
    ],
    "scenes": [
        "--epochs", "3", "--hidden", "16", "--word-size", "16", "--attention-size", "16", "--beams", "1",
        "--option", "widths=[8,16]", "--option", "stem_stride=2",
    ],
    "drawn-sounds": ["--epochs", "4", "--option", "widths=[8,16]", "--mels", "24"],
    "streets": [
        "--height", "64", "--width", "96", "--epochs", "4", "--channels", "16", "--depth", "1", "--batch-size", "4",
        "--strides", "4", "8", "--option", "widths=[8,16]", "--option", "stem_stride=2", "--eval-every", "2",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    write_phantoms(folder / "phantoms", {"train": 3, "val": 1, "test": 1})
    with raising(folder) as nursery:
        yield nursery


def command(recipe: str, run: Path, *more: str) -> list[str]:
    data = ["--data", "phantoms"] if recipe == "phantom" else []
    exact = ["--device", "cpu", "--precision", "32-true", "--quiet"]
    return ["train", recipe, "--run", str(run), *data, *exact, *SMALL[recipe], *more]


def left(run: Path) -> dict[str, object]:
    """What a training leaves that does not depend on when it ran."""
    card = json.loads((run / "card.json").read_text())
    for dated in ("created", "seconds"):
        card.pop(dated)
    with (run / "log.csv").open() as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    weights = [(file.name, file.read_bytes()) for file in run.glob("model*.safetensors")]
    names = sorted(file.name for file in run.iterdir() if not file.name.startswith("events."))
    status = json.loads((run / "status.json").read_text())
    return {
        "weights": weights, "rows": rows, "card": card, "files": names, "state": status["state"],
        "data": json.loads((run / "data.json").read_text()),
    }  # fmt: skip


@pytest.mark.parametrize("recipe", SMALL)
def test_a_killed_training_goes_on_to_the_same_end(recipe: str, nursery: Nursery, tmp_path: Path, capsys) -> None:
    count = tmp_path / "count"
    whole = tmp_path / "whole"
    assert nursery.do({"run": command(recipe, whole)}) == 0, nursery.log.read_text()  # fills the caches
    counted = tmp_path / "counted"
    began = time.monotonic()
    assert nursery.do({"run": command(recipe, counted), "watch": str(counted), "count": str(count)}) == 0
    seconds, events = time.monotonic() - began, int(count.read_text())
    expected = left(whole)
    assert left(counted) == expected
    assert len(expected["weights"]) == 1 and len(expected["rows"]) >= 3

    chance, kills, before_checkpoint = random.Random(recipe), 0, 0
    for number in range(KILLS):
        run, at = tmp_path / f"run{number}", (number + chance.random()) / KILLS
        moments = [at, *(chance.random() for _ in range(3) if chance.random() < AGAIN)]
        story = []
        for moment in moments:
            task = {"run": command(recipe, run, *(["--resume"] if story else []))}
            if (number + len(story)) % 2:
                ending = nursery.do({**task, "watch": str(run), "at": 1 + int(moment * events)})
            else:
                ending = nursery.do(task, after=moment * seconds)
            assert ending in (0, KILLED), (story, nursery.log.read_text()[-3000:])
            story.append((round(moment, 3), ending))
            kills += ending == KILLED
            before_checkpoint += ending == KILLED and not (run / "last.pt").exists()
        ending = nursery.do({"run": command(recipe, run, "--resume")})
        assert ending == 0, (story, nursery.log.read_text()[-3000:])
        found = left(run)
        for part, value in expected.items():
            assert found[part] == value, (part, story)
    with capsys.disabled():
        print(f"\n{recipe}: {KILLS} trainings of {seconds:.1f} s and {events} file events, killed {kills} times, ")
        print(f"{before_checkpoint} of them before the first checkpoint")
