"""Texts per second: training against a textbook implementation, answering in bulk, and one sentence at a time.

The textbook implementation is what tutorials write: a DataLoader that collates padded tensors in a random order, an
embedding layer with dense gradients, three Conv1d, Adadelta over all parameters. Same texts, network and batch size.
The sentences are those of the film reviews MR.
"""

import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cnn_core.data.files import data_root
from cnn_core.data.memory import EpochContext
from cnn_core.train.config import override
from cnn_core.train.optim import build_optimizers
from text_classification import load, train
from text_classification.data import TextSet, load_sets
from text_classification.recipe import Recipe
from text_classification.task import TextTask

BATCHES = 40  # that are timed
pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def reviews() -> TextSet:
    if not (data_root() / "text" / "mr").is_dir():
        pytest.skip("needs the real sentences of film reviews (MR) in CNN_DATA_DIR")
    return load_sets("mr", splits=["train+val"])["train+val"]


class Textbook(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 300, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(300, 100, width, padding=width - 1) for width in (3, 4, 5))
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(300, 2)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids).transpose(1, 2)
        return self.linear(self.dropout(torch.cat([F.relu(conv(x)).max(2).values for conv in self.convs], 1)))


def test_training_is_several_times_the_textbooks(reviews: TextSet) -> None:
    settings = {"data": "mr", "tokenizer": "whitespace", "batch_size": 50, "validation": False}
    task = TextTask(override(Recipe(), settings))
    task.build_data(torch.device("cpu"))
    ours, optimizers = task.build_model(), []
    optimizers = build_optimizers(ours, task.recipe.optimizer)
    encoded, targets = task.encoded["train+val"], task.targets["train+val"]
    samples = [(torch.from_numpy(encoded.numbers[a:b].astype(np.int64)), int(y))
               for a, b, y in zip(encoded.ends[:-1], encoded.ends[1:], targets, strict=True)]  # fmt: skip
    plain = Textbook(task.contract.vocab_size)
    adadelta = torch.optim.Adadelta(plain.parameters())

    def collate(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        padded = nn.utils.rnn.pad_sequence([ids for ids, _ in batch], batch_first=True)
        return padded, torch.tensor([y for _, y in batch])

    def textbook() -> None:
        for _, (x, y) in zip(range(BATCHES), DataLoader(samples, 50, shuffle=True, collate_fn=collate), strict=False):
            adadelta.zero_grad()
            F.cross_entropy(plain(x), y).backward()
            adadelta.step()

    def here() -> None:
        context = EpochContext(0, torch.Generator().manual_seed(0))
        for _, batch in zip(range(BATCHES), task.batches(context), strict=False):
            for optimizer in optimizers:
                optimizer.zero_grad()
            task.training_step(ours, batch).backward()
            for optimizer in optimizers:
                optimizer.step()

    seconds = {textbook: [], here: []}
    for _ in range(4):  # the first round warms up
        for way, times in seconds.items():
            started = time.perf_counter()
            way()
            times.append(time.perf_counter() - started)
    theirs, own = (statistics.median(times[1:]) for times in seconds.values())
    print(
        f"\n{torch.get_num_threads()} threads: textbook {50 * BATCHES / theirs:.0f} sentences/s, "
        f"here {50 * BATCHES / own:.0f}, ratio {theirs / own:.1f}"
    )
    assert theirs / own >= 5


def test_bulk_answers_and_the_latency_of_one(reviews: TextSet, tmp_path: Path) -> None:
    settings = {"data": "mr", "tokenizer": "basic_english", "vector_size": 128, "epochs": 1, "min_count": 1}
    train("docstrings", folder=tmp_path / "run", settings={**settings, "options": {"widths": [3, 4, 5]}})
    predictor = load(tmp_path / "run", device="cpu")
    texts = reviews.texts * 4
    predictor.predict(reviews.texts)  # the first bulk makes the table of products
    started = time.perf_counter()
    answers = predictor.predict(texts)
    rate = len(answers) / (time.perf_counter() - started)
    times = []
    for text in texts[:500]:
        started = time.perf_counter()
        predictor.predict([text])
        times.append(time.perf_counter() - started)
    median = 1000 * statistics.median(times[50:])
    print(
        f"\n{os.cpu_count()} processors: {rate:.0f} sentences/s from raw text, one sentence in {median:.2f} ms (median)"
    )
    assert rate >= 20_000
    assert median < 3
