"""`cnn bench fsdd-speakers`: who is left out of which training, and what the table says."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_classification import BENCHES, bench
from audio_classification.data import load_sets

SPEAKERS = ("anna", "ben", "cleo", "dora", "emil", "fay")


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for speaker in SPEAKERS:
        for digit in (0, 1):
            soundfile.write(folder / f"{digit}_{speaker}_0.wav", np.full(800, 0.1), 8000)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    return tmp_path


def test_every_speaker_is_left_out_once_and_the_mean_is_over_speakers(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, dict[str, int]]] = []

    def train_once(recipe: str, place: Path, settings: dict[str, int]) -> Any:
        trained.append((place.relative_to(tmp_path / "out").as_posix(), settings))
        right = 0.5 + 0.1 * settings["fold"] + 0.02 * settings["seed"]
        return SimpleNamespace(metrics={"accuracy": {"mean": right}}, seconds=2.0)

    monkeypatch.setattr(bench, "DOMAIN", SimpleNamespace(train_once=train_once))
    said: list[str] = []
    rows = bench.speakers(tmp_path / "out", seeds=(0, 1), report=said.append)
    assert [place for place, _ in trained] == [
        f"fsdd-speakers/{name}-seed{seed}" for name in SPEAKERS for seed in (0, 1)
    ]
    for fold, name in enumerate(SPEAKERS):
        sets = load_sets("fsdd", splits=("train+val", "test"), fold=fold)
        assert {*sets["test"].groups} == {name} and name not in sets["train+val"].groups
    row = rows["fsdd-speakers"]
    assert row["speakers"] == pytest.approx({name: 0.51 + 0.1 * k for k, name in enumerate(SPEAKERS)})
    assert (row["mean"], row["n"], row["seconds"]) == (pytest.approx(0.76), 12, 24.0)
    assert row["std"] == pytest.approx(0.1 * 3.5**0.5, abs=1e-6)  # of six numbers a tenth apart
    assert len(said) == 12 and "without anna" in said[0]
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| anna | 0.510 |" in table and "| mean and spread of the speakers | 0.760 ± 0.187 |" in table
    assert json.loads((tmp_path / "out" / "table.json").read_text())["columns"]["fsdd-speakers"]["n"] == 12


def test_the_bench_can_be_found() -> None:
    assert BENCHES["fsdd-speakers"].columns == ("fsdd-speakers",)
