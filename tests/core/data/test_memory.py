"""Batches out of memory: every sample once an epoch, shares that add up, chance that can be repeated."""

import pytest
import torch
from torch import Tensor

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.memory import EpochContext, MemoryBatches, take_share
from cnn_core.errors import CnnError
from cnn_core.nn.dims import channels_last

STRONG = AugmentConfig(flip="alternate", rotate=20, shift=2, light=0.2, cutout=2)


def keep(x: Tensor) -> Tensor:
    return x


def batches(count: int = 10, batch_size: int = 4, size: tuple[int, ...] = (6, 5), **settings) -> MemoryBatches:
    inputs = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, *[1] * len(size)).expand(-1, 2, *size).contiguous()
    settings = {"normalize": keep, "augment": AugmentConfig(), **settings}
    return MemoryBatches(inputs, torch.arange(count), batch_size=batch_size, **settings)


def context(epoch: int = 0, rank: int = 0, world: int = 1, seed: int = 3) -> EpochContext:
    return EpochContext(epoch, torch.Generator().manual_seed(seed + epoch), rank, world)


def test_inputs_and_targets_stay_together_on_the_scale_0_to_1():
    for x, y in batches(256, 64).epoch(context()):
        assert x.shape == (64, 2, 6, 5)
        assert x.dtype == torch.float32
        torch.testing.assert_close(x[:, 1, 3, 2] * 255, y.float())


def test_an_epoch_shows_no_sample_twice_and_leaves_the_rest_out_by_chance():
    set_of_ten = batches(10, 4)
    assert len(set_of_ten) == 2
    left_out = set()
    for epoch in range(20):
        seen = torch.cat([y for _, y in set_of_ten.epoch(context(epoch))]).tolist()
        assert len(seen) == len(set(seen)) == 8
        left_out |= {*range(10)} - {*seen}
    assert left_out == {*range(10)}


def test_the_order_follows_from_the_generator():
    one, again, other = (
        torch.cat([y for _, y in batches(100, 10).epoch(context(seed=seed))]).tolist() for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other
    assert sorted(one) == [*range(100)]
    assert one != sorted(one)


@pytest.mark.parametrize("size", [(9,), (6, 5), (4, 5, 6)])
def test_shares_of_the_processes_are_the_whole_batch_augmentation_included(size):
    def parts(rank: int, world: int) -> list[tuple[Tensor, Tensor]]:
        return list(batches(20, 6, size, augment=STRONG).epoch(context(epoch=1, rank=rank, world=world)))

    whole = parts(0, 1)
    assert len(whole) == 3
    for rank in (0, 1):
        for (x, y), (some_x, some_y) in zip(whole, parts(rank, 2), strict=True):
            assert torch.equal(some_x, x[rank::2])
            assert torch.equal(some_y, y[rank::2])


def test_shares_of_a_batch_that_does_not_divide():
    shares = [[*range(7)][take_share(7, context(rank=rank, world=3))] for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]


def test_all_processes_compute_a_batch_that_has_no_sample_for_one_of_them():
    """The mean of their gradients is its gradient; so is what is normalised over all of them."""
    both = [next(batches(1, 32).epoch(context(rank=rank, world=2))) for rank in (0, 1)]
    assert torch.equal(both[0][0], both[1][0]) and len(both[0][0]) == 1
    assert [take_share(2, context(rank=rank, world=2)) for rank in (0, 1)] == [slice(0, 2, 2), slice(1, 2, 2)]


def test_a_batch_larger_than_the_set_is_the_set():
    (only,) = batches(3, 100).epoch(context())
    assert sorted(only[1].tolist()) == [0, 1, 2]


def test_an_empty_set_has_no_batches():
    empty = batches(0, 4)
    assert len(empty) == 0
    assert list(empty.epoch(context())) == []


def test_inputs_and_targets_of_different_number_are_refused():
    with pytest.raises(CnnError, match="3 inputs and 2 targets"):
        MemoryBatches(
            torch.zeros(3, 1, 2, 2, dtype=torch.uint8),
            torch.zeros(2, dtype=torch.long),
            batch_size=1,
            normalize=keep,
            augment=AugmentConfig(),
        )


def test_normalisation_comes_after_augmentation():
    darkest = [
        x.min().item()
        for x, _ in batches(200, 50, normalize=lambda x: x - 5, augment=AugmentConfig(shift=3)).epoch(context())
    ]
    assert darkest == [-5] * 4  # what moves in is black before, not grey after


def test_alternate_flips_turn_each_sample_in_the_next_epoch():
    data = MemoryBatches(
        torch.arange(8 * 4, dtype=torch.uint8).reshape(8, 1, 4),
        torch.arange(8),
        batch_size=8,
        normalize=keep,
        augment=AugmentConfig(flip="alternate"),
    )
    first, second = (next(iter(data.epoch(context(epoch)))) for epoch in (0, 1))
    assert torch.equal(first[0][first[1].argsort()].flip(-1), second[0][second[1].argsort()])


def test_the_set_itself_is_never_changed():
    data = batches(50, 10, augment=STRONG)
    before = data.inputs.clone()
    list(data.epoch(context()))
    assert torch.equal(data.inputs, before)


def test_pictures_and_volumes_are_laid_out_channels_last():
    (picture, _), *_ = batches(8, 4).epoch(context())
    assert picture.is_contiguous(memory_format=torch.channels_last)
    (volume, _), *_ = batches(8, 4, (4, 5, 6)).epoch(context())
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    signal = torch.zeros(2, 3, 4)
    assert channels_last(signal) is signal


def test_masks_move_with_their_inputs_and_halves_are_taken_as_they_are():
    inputs = torch.randint(0, 2, (12, 1, 8, 8), dtype=torch.uint8)
    masks = inputs[:, 0].clone()
    augment = AugmentConfig(flip="all", shift=2)
    for held in (inputs * 255, inputs.half()):
        loader = MemoryBatches(held, masks, batch_size=4, normalize=keep, augment=augment)
        for x, y in loader.epoch(context()):
            assert y.dtype == torch.int64
            assert torch.equal(x[:, 0].long(), y)


def test_masks_of_another_size_are_refused():
    with pytest.raises(CnnError, match=r"as large as their inputs, \[8, 8\], got \[3, 8, 7\]"):
        MemoryBatches(
            torch.zeros(3, 1, 8, 8), torch.zeros(3, 8, 7), batch_size=1, normalize=keep, augment=AugmentConfig()
        )
