"""Texts per second: training against a textbook implementation, answering in bulk, and one sentence at a time.

The textbook implementation is what tutorials write: a DataLoader that collates padded tensors in a random order, an
embedding layer with dense gradients, three Conv1d, Adadelta over all parameters. Same texts, network and batch size;
with our weights it gives the scores that we give. The sentences are those of the film reviews MR.
"""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from record import figure, in_turns, ratio
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
    same_scores(plain, ours, encoded.numbers[: encoded.ends[1]])
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

    times = in_turns({"ours": here, "textbook": textbook}, rounds=5)
    ratio(
        "text-training", f"Kim's network: training, {50 * BATCHES:,} sentences of MR in batches of 50",
        ours=times["ours"], theirs=times["textbook"], peer="textbook PyTorch", wanted=10, held=4,
        right="the textbook network with our weights gives our scores within 1e-5",
        note=f"{50 * BATCHES / statistics.median(times['ours']):,.0f} sentences a second",
    )  # fmt: skip


@torch.no_grad()
def same_scores(plain: Textbook, ours: nn.Module, sentence: np.ndarray) -> None:
    """Give the textbook network our weights, and compare the class scores of a sentence."""
    plain.embedding.weight.copy_(ours.word_vectors())
    for conv, (weight, bias) in zip(plain.convs, ours.ngrams.filters(), strict=True):
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
    plain.linear.load_state_dict(ours.backbone.head.classifier.state_dict())
    ids = F.pad(torch.from_numpy(sentence.astype(np.int64))[None], (0, 5))  # our last window sees padding alone
    plain.eval(), ours.eval()
    torch.testing.assert_close(ours(ids), plain(ids), atol=1e-5, rtol=0)
    plain.train(), ours.train()


def test_bulk_answers_and_the_latency_of_one(reviews: TextSet, tmp_path: Path) -> None:
    settings = {"data": "mr", "tokenizer": "basic_english", "vector_size": 128, "epochs": 1, "min_count": 1}
    train("docstrings", folder=tmp_path / "run", settings={**settings, "options": {"widths": [3, 4, 5]}})
    predictor = load(tmp_path / "run", device="cpu")
    texts = reviews.texts * 4
    predictor.predict(reviews.texts)  # the first bulk makes the table of products
    started = time.perf_counter()
    answers = predictor.predict(texts)
    rate = len(answers) / (time.perf_counter() - started)
    alone, times = [], []
    for text in texts[:500]:
        started = time.perf_counter()
        alone += predictor.predict([text])
        times.append(time.perf_counter() - started)
    assert [answer.labels for answer in alone] == [answer.labels for answer in answers[:500]]
    median = 1000 * statistics.median(times[50:])
    figure("text-bulk", "sentences in bulk, from raw text", rate, unit="a second", wanted=60_000, most=False,
           n=len(texts), note="the same labels as one by one")  # fmt: skip
    figure("text-one", "one sentence, from raw text", median, unit="ms", wanted=0.2, most=True, n=len(times[50:]))
