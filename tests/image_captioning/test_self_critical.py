"""Training on the reward of captions that the network draws itself."""

from pathlib import Path

import pytest
import torch
from tiny_captions import TINY

from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError
from cnn_core.train.config import override
from image_captioning.batches import CaptionBatches, Pictures
from image_captioning.model import CaptionBatch
from image_captioning.recipe import Recipe
from image_captioning.self_critical import self_critical_loss
from image_captioning.task import CaptionTask


@pytest.fixture
def task(few_scenes: object, run: Path) -> CaptionTask:
    settings = {**TINY, "weights": str(run), "rewarded_epochs": 1, "dropout": 0.0, "batch_size": 4}
    task = CaptionTask(override(Recipe(), settings))
    task.build_data(torch.device("cpu"))
    return task


def first_batch(task: CaptionTask, *, epoch: int) -> CaptionBatch:
    return next(iter(task.batches(EpochContext(epoch, torch.Generator().manual_seed(0)))))


def test_the_rewarded_caption_becomes_likelier(task: CaptionTask) -> None:
    model, batch = task.build_model(), first_batch(task, epoch=1)
    red = task.contract.encode(["red"])[0]

    def probability() -> float:
        with torch.no_grad():
            return float(model.eval()(batch).logits.softmax(1)[:, red].mean())

    before = probability()
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for _ in range(12):
        optimizer.zero_grad()
        loss = self_critical_loss(
            model.train(), batch, contract=task.contract, drawn=4,
            reward=lambda texts, _: [text.count("red") / len(text) for text in texts],
        )  # fmt: skip
        loss.backward()
        optimizer.step()
    assert probability() > 1.5 * before
    assert model.training is False  # of the last `probability`


def test_captions_that_are_all_alike_to_the_reward_teach_nothing(task: CaptionTask) -> None:
    model, batch = task.build_model(), first_batch(task, epoch=1)
    loss = self_critical_loss(model, batch, contract=task.contract, drawn=3, reward=lambda texts, _: [0.7] * len(texts))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_each_caption_is_scored_against_its_own_picture(task: CaptionTask) -> None:
    batch, seen = first_batch(task, epoch=1), []
    self_critical_loss(
        task.build_model(), batch, contract=task.contract, drawn=2,
        reward=lambda texts, pictures: seen.extend(pictures) or [0.0] * len(texts),
    )  # fmt: skip
    assert seen == [number for number in batch.source.tolist() for _ in range(2)]
    train = task.sets["train"]
    for row, number in zip(range(4), batch.source.tolist(), strict=True):
        assert torch.equal(batch.pictures[row], task.contract.normalize(train.images[number : number + 1])[0])


def test_the_last_epochs_are_rewarded(task: CaptionTask) -> None:
    assert first_batch(task, epoch=0).source is None
    assert first_batch(task, epoch=1).source is not None
    pictures = Pictures(torch.zeros(4, 2, 3), contract=None, device=torch.device("cpu"))
    batches = CaptionBatches(pictures, [[[5, 2]]] * 4, batch_size=2, per_picture=0)
    assert next(batches.epoch(EpochContext(99, torch.Generator()))).source is None
    parts = task.parts(first_batch(task, epoch=1), 2)
    assert torch.cat([part.source for part in parts]).tolist() == first_batch(task, epoch=1).source.tolist()


def test_a_batch_without_its_pictures_numbers_is_refused(task: CaptionTask) -> None:
    with pytest.raises(CnnError, match="which pictures they hold"):
        self_critical_loss(
            task.build_model(), first_batch(task, epoch=0), contract=task.contract, drawn=2, reward=lambda *_: [0.0]
        )
