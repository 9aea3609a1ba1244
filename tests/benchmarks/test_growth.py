"""How costs grow: time per item against the number of items, the size of one, the width of a search, processes.

A curve fails when the largest size costs half as much again per item as the smallest one (of processes: when two are
slower than one), and when the answers differ.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pytest
import torch
from record import curve

import image_captioning
import image_classification
import medical_segmentation
import text_classification
from cnn_core.train.runs import read_rows
from medical_segmentation.windows import Windows, segment

WORDS = ("the", "film", "is", "a", "quiet", "and", "funny", "story", "about", "people", "who", "never", "say", "it")
MORE = 1.5  # times the cost per item
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]


def costs(sizes: Sequence[int], work: Callable[[int], object], *, rounds: int = 3) -> list[tuple[float, float]]:
    """Return (size, median seconds) of each; the smallest one warms up."""
    work(sizes[0])
    points = []
    for size in sizes:
        times = []
        for _ in range(rounds):
            begun = perf_counter()
            work(size)
            times.append(perf_counter() - begun)
        points.append((size, median(times)))
    return points


def record(key: str, work: str, axis: str, points: list[tuple[float, float]], *, factor: float, unit: str) -> None:
    each = [(size, factor * seconds / size) for size, seconds in points]
    curve(key, work, axis=axis, unit=unit, points=each)
    assert each[-1][1] <= MORE * each[0][1]


def test_sentences() -> None:
    predictor = text_classification.load("sst2", device="cpu")
    chance = np.random.RandomState(0)
    texts = [" ".join(chance.choice(WORDS, 18)) for _ in range(50_000)]
    few, many = predictor.predict(texts[:500]), predictor.predict(texts)
    assert [p.labels for p in few] == [p.labels for p in many[:500]]
    points = costs([500, 5_000, 50_000], lambda n: predictor.predict(texts[:n]))
    record("grow-sentences", "sentences of 18 words (sst2)", "sentences", points, factor=1e6, unit="µs a sentence")


def test_length_of_a_text() -> None:
    predictor = text_classification.load("sst2", device="cpu")
    texts = {n: [" ".join(WORDS[i % len(WORDS)] for i in range(n))] * 64 for n in (20, 200, 2_000)}
    points = costs(list(texts), lambda n: predictor.predict(texts[n]))
    record(
        "grow-length", "64 texts of so many words (sst2)", "words", points, factor=1e6, unit="µs a word and 64 texts"
    )


def test_pictures(tmp_path: Path) -> None:
    predictor = image_classification.load("mnist", device="cpu")
    chance = np.random.RandomState(0)
    pictures = [chance.randint(0, 256, (28, 28)).astype(np.uint8) for _ in range(5_000)]
    few, many = list(predictor.stream(pictures[:50])), list(predictor.stream(pictures))
    assert [p.labels[0] for p in few] == [p.labels[0] for p in many[:50]]
    points = costs([50, 500, 5_000], lambda n: sum(1 for _ in predictor.stream(pictures[:n])))
    record("grow-pictures", "pictures of 28 x 28 (mnist)", "pictures", points, factor=1e3, unit="ms a picture")


def test_volumes() -> None:
    predictor = medical_segmentation.load("phantom", device="cpu")
    windows, generator = Windows((64, 64, 64)), torch.Generator().manual_seed(0)
    volumes = {edge**3: torch.randn(edge, edge, edge, generator=generator) for edge in (64, 128, 256)}
    points = costs(list(volumes), lambda n: segment(predictor.model, volumes[n], windows), rounds=1)
    each = [(size, 1e6 * seconds / size) for size, seconds in points]
    curve("grow-volume", "a volume in windows of 64^3 that share a quarter (phantom)", axis="voxels",
          unit="s a million voxels", points=each, note="a single window shares nothing")  # fmt: skip
    assert each[-1][1] <= MORE * each[1][1]


def test_beams() -> None:
    predictor = image_captioning.load("flickr8k", device="cpu")
    pictures = torch.randint(0, 256, (32, 3, 224, 224), generator=torch.Generator().manual_seed(0)).byte()
    with torch.inference_mode():
        memory = predictor.remember(pictures)
        points = costs([1, 2, 5, 10, 20], lambda beams: image_captioning.search.beam_search(
            predictor.model.decoder, memory, beams=beams, longest=predictor.contract.longest))  # fmt: skip
    curve("grow-beams", "captions of 32 pictures, features given (flickr8k)", axis="beams", unit="ms a picture",
          points=[(beams, 1000 * seconds / 32) for beams, seconds in points])  # fmt: skip
    assert points[-1][1] <= 20 * points[0][1]


def test_processes(tmp_path: Path) -> None:
    """Epochs of a network that computes more than it sends, by one process of one thread and by two, in turns."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two cores")
    epochs: dict[int, list[float]] = {1: [], 2: []}
    losses: dict[int, float] = {}
    for turn, devices in enumerate((1, 2, 1, 2)):
        folder = tmp_path / str(turn)
        command = [
            sys.executable, "-m", "cnn_core.cli", "train", "phantom", "--epochs", "5", "--batch-size", "8", "--device",
            "cpu", "--precision", "32-true", "--quiet", "--devices", str(devices), "--run", str(folder),
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        rows = read_rows(folder / "log.csv")
        ends = [float(row["seconds"]) for row in rows]
        epochs[devices] += [end - begin for begin, end in pairwise(ends)]  # the first one warms up
        losses[devices] = float(rows[-1]["loss"])
    points = [(devices, median(seconds)) for devices, seconds in epochs.items()]
    assert losses[2] == pytest.approx(losses[1], abs=0.05)
    curve("grow-processes", "an epoch of phantom in batches of 8, one thread a process", axis="processes", unit="s",
          points=points, note="median of 8; losses agree within 0.05")  # fmt: skip
    assert points[1][1] < points[0][1]
