"""Random patches with a share around labelled cells."""

import pytest
import torch
from torch import Tensor

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError
from medical_segmentation import patches
from medical_segmentation.patches import PatchBatches


def context(seed: int = 0, *, epoch: int = 0, rank: int = 0, world: int = 1) -> EpochContext:
    return EpochContext(epoch, torch.Generator().manual_seed(seed), rank, world)


def keep(x: Tensor) -> Tensor:
    return x


def batches(volumes: list[Tensor], masks: list[Tensor], **settings: object) -> PatchBatches:
    settings = {
        "patch": (4, 4), "batch_size": 4, "steps": 5, "normalize": keep, "augment": AugmentConfig(), **settings
    }  # fmt: skip
    return PatchBatches(volumes, masks, **settings)


def counting(*size: int) -> Tensor:
    """A volume whose cells are numbered, as fractions of 1000."""
    return torch.arange(torch.Size(size).numel()).reshape(1, *size) / 1000


def test_a_patch_is_a_piece_of_its_volume_and_its_mask_the_same_piece() -> None:
    volume = counting(9, 11)
    mask = (volume[0] * 1000).round().long()  # the label is the cell's number
    for x, labels in batches([volume], [mask], foreground=0.5).epoch(context()):
        assert x.shape == (4, 1, 4, 4)
        assert labels.shape == (4, 4, 4)
        assert labels.dtype == torch.int64
        assert torch.equal((x[:, 0] * 1000).round().long(), labels)
        corner = labels[:, :1, :1]
        steps = torch.arange(4)[:, None] * 11 + torch.arange(4)
        assert torch.equal(labels, corner + steps)


@pytest.mark.parametrize("size", [(13,), (9, 6), (5, 6, 7)])
def test_patches_lie_everywhere_in_the_volume_in_every_dimension(size):
    volume, n = torch.rand(2, *size), len(size)
    mask = torch.arange(volume[0].numel()).reshape(size)
    loader = batches([volume], [mask], patch=(3,) * n, batch_size=50, steps=20, foreground=0.0)
    corners = torch.cat([labels.flatten(1)[:, 0] for _, labels in loader.epoch(context())])
    allowed = mask[tuple(slice(0, s - 2) for s in size)].flatten()
    assert corners.unique().tolist() == sorted(allowed.tolist())


def test_a_smaller_volume_is_surrounded_by_zeros() -> None:
    volume, mask = torch.ones(1, 2, 6), torch.full((2, 6), 3)
    for foreground in (0.0, 1.0):
        for x, labels in batches([volume], [mask], foreground=foreground).epoch(context()):
            assert (x.sum((1, 2, 3)) == 8).all()  # two rows of four
            assert torch.equal(labels, (x[:, 0] * 3).long())


def test_the_asked_share_is_centred_on_labelled_cells_of_all_classes_alike() -> None:
    mask = torch.zeros(60, 60, dtype=torch.uint8)
    mask[20:30, 20:30], mask[50, 50] = 1, 2  # a hundred cells of one class, a single one of the other
    counts = []
    for foreground in (0.0, 0.5, 1.0):
        loader = batches([torch.rand(1, 60, 60)], [mask], patch=(5, 5), batch_size=100, steps=10, foreground=foreground)
        centres = torch.cat([labels[:, 2, 2] for _, labels in loader.epoch(context())])
        counts.append([int((centres == label).sum()) for label in (0, 1, 2)])
    assert counts[0][2] < 10  # 1 of 3136 places
    assert 210 < counts[1][2] < 290  # half of a half, and what falls there by chance
    assert 210 < counts[1][1] < 320
    assert counts[2][0] == 0
    assert 450 < counts[2][1] < 550


def test_a_label_at_the_edge_stays_inside_the_patch() -> None:
    mask = torch.zeros(10, 10, dtype=torch.long)
    mask[0, 9] = 1
    for _, labels in batches([torch.rand(1, 10, 10)], [mask], foreground=1.0).epoch(context()):
        assert labels[:, 0, 3].tolist() == [1] * 4  # moved inwards, not padded


def test_volumes_without_labels_are_drawn_only_where_any_place_will_do() -> None:
    volumes = [torch.full((1, 8, 8), 0.25), torch.full((1, 8, 8), 0.5)]
    masks = [torch.zeros(8, 8, dtype=torch.long), torch.ones(8, 8, dtype=torch.long)]
    focused = torch.cat([x[:, 0, 0, 0] for x, _ in batches(volumes, masks, foreground=1.0).epoch(context())])
    assert focused.unique().tolist() == [0.5]
    anywhere = torch.cat([x[:, 0, 0, 0] for x, _ in batches(volumes, masks, foreground=0.0).epoch(context())])
    assert anywhere.unique().tolist() == [0.25, 0.5]
    empty = batches(volumes, [masks[0]] * 2, foreground=1.0)
    assert len(list(empty.epoch(context()))) == len(empty) == 5


def test_one_generator_gives_one_epoch_and_processes_share_its_batches() -> None:
    volumes, masks = [torch.rand(1, 12, 9), torch.rand(1, 7, 20)], []
    masks = [(volume[0] > 0.7).long() for volume in volumes]
    augment = AugmentConfig(flip="all", rotate=20, elastic=1.0, noise=0.1, light=0.1)

    def epoch(seed: int, **share: int) -> list[tuple[Tensor, Tensor]]:
        return list(batches(volumes, masks, augment=augment, margin=2).epoch(context(seed, **share)))

    one, again, other = epoch(1), epoch(1), epoch(2)
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0][0], other[0][0])
    for rank in range(3):
        for whole, part in zip(one, epoch(1, rank=rank, world=3), strict=True):
            assert torch.equal(whole[0][rank::3], part[0])
            assert torch.equal(whole[1][rank::3], part[1])


def test_a_margin_brings_in_what_is_really_there() -> None:
    volume, mask = torch.ones(1, 40, 40), torch.ones(40, 40, dtype=torch.long)
    augment = AugmentConfig(rotate=45, shift=3)
    settings = {"patch": (8, 8), "augment": augment, "foreground": 0.0, "steps": 10}
    middle = [(volume, mask, 0), (volume, mask, 10)]
    blank = [
        sum(int((labels == 0).sum()) for _, labels in batches([v], [m], margin=margin, **settings).epoch(context()))
        for v, m, margin in middle
    ]
    assert blank[0] > 300
    assert blank[1] < blank[0] / 4  # what is left lies at the edge of the volume


def test_bytes_and_halves_become_the_range_0_to_1_and_are_normalised() -> None:
    mask = torch.zeros(4, 4, dtype=torch.long)
    for volume in (torch.full((1, 4, 4), 51, dtype=torch.uint8), torch.full((1, 4, 4), 0.2, dtype=torch.float16)):
        x, _ = next(batches([volume], [mask], normalize=lambda x: x * 10).epoch(context()))
        assert x.dtype == torch.float32
        torch.testing.assert_close(x, torch.full((4, 1, 4, 4), 2.0), atol=1e-2, rtol=0)
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_few_cells_are_remembered_of_a_large_class(monkeypatch) -> None:
    monkeypatch.setattr(patches, "REMEMBERED", 5)
    loader = batches([torch.rand(1, 10, 10)], [torch.ones(10, 10, dtype=torch.long)])
    assert loader.cells[0][0].tolist() == [0, 24, 49, 74, 99]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volumes": []}, "one or more volumes"),
        ({"masks": [torch.zeros(8, 7, dtype=torch.long)]}, r"volume 0: .*\[1, 8, 8\] and \[8, 7\]"),
        ({"patch": (4, 4, 4)}, "3 axes"),
        ({"patch": (4, 0)}, "patch"),
        ({"volumes": [torch.zeros(1, 8, 8, dtype=torch.int16)]}, "uint8, or floats"),
        ({"masks": [torch.zeros(8, 8)]}, "whole numbers"),
        ({"batch_size": 0, "steps": 0, "margin": -1}, "batch_size: .*; steps: .*; margin: "),
        ({"foreground": 1.5}, "foreground"),
        ({"foreground": float("nan")}, "foreground"),
    ],
)
def test_what_does_not_fit_is_said(change, message):
    data = {"volumes": [torch.zeros(1, 8, 8)], "masks": [torch.zeros(8, 8, dtype=torch.long)]}
    data |= {key: change[key] for key in data if key in change}
    with pytest.raises(CnnError, match=message):
        batches(data["volumes"], data["masks"], **{k: v for k, v in change.items() if k not in data})
