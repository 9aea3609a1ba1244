"""Own tables of few texts: they are seen often enough, and words that no training text has are known."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cnn_core.data.memory import EpochContext
from text_classification import load, train
from text_classification.recipe import DataConfig, Recipe
from text_classification.task import TextTask

ANIMALS = ["cat", "dog", "horse", "cow", "sheep", "goat", "pig", "lion", "tiger", "bear"]
VEHICLES = ["car", "bus", "truck", "train", "bicycle", "motorcycle", "van", "tram", "ship", "boat"]
FRAMES = [
    "we saw a {} today",
    "the {} was near the old house",
    "there is a {} in front of you",
    "my neighbour has a {}",
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """80 sentences on animals and on vehicles."""
    path = tmp_path / "things.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for label, words in (("animal", ANIMALS), ("vehicle", VEHICLES)):
            rows.writerows((frame.format(word), label) for word in words for frame in FRAMES)
    return path


@pytest.mark.parametrize(("least", "rounds"), [(0, 1), (64, 1), (65, 2), (640, 10)])
def test_an_epoch_goes_through_few_texts_several_times(table: Path, least: int, rounds: int) -> None:
    recipe = Recipe(data=DataConfig(data=str(table), epoch_texts=least))
    task = TextTask(replace(recipe, loop=replace(recipe.loop, batch_size=10)))
    task.build_data(torch.device("cpu"))
    count = len(task.sets["train"])
    assert count == 64  # 8 each for validation and test
    assert task.steps_per_epoch() == rounds * 7
    sizes = [len(y) for _, y in task.batches(EpochContext(0, torch.Generator().manual_seed(0)))]
    assert len(sizes) == rounds * 7 and sum(sizes) == rounds * count


def test_words_that_no_training_text_has_are_known_to_the_recipe_for_own_texts(table: Path, tmp_path: Path) -> None:
    unseen = {
        "animal": ["wolf", "fox", "rabbit", "mouse", "elephant", "monkey"],
        "vehicle": ["plane", "helicopter", "taxi", "tractor", "scooter", "ferry"],
    }
    train("my-texts", folder=tmp_path / "run", settings={"data": str(table), "device": "cpu", "epochs": 2})
    predictor = load(tmp_path / "run", device="cpu")
    for label, words in unseen.items():
        answers = [answer.labels[0] for answer in predictor.predict([f"we saw a {word} today" for word in words])]
        assert answers.count(label) >= 5, answers
