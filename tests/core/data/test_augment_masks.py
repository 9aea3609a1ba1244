"""Masks that move with their pictures, flips along all axes, elastic deformation, noise."""

import math
from dataclasses import asdict

import pytest
import torch
from pydantic import ValidationError
from scipy.interpolate import BSpline
from torch import Tensor

from cnn_core.data.augment import Draws, apply, apply_with_mask, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.elastic import CELLS, POINTS, displacement, draw_points
from cnn_core.validation import parse

OFF = AugmentConfig()
ALL = AugmentConfig(
    flip="all", rotate=25, scale=0.2, zoom=0.1, shear=10, shift=2, light=0.2, cutout=2, elastic=1.0, noise=0.1
)
SIZES = [(9,), (7, 8), (6, 7, 5)]


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(config: AugmentConfig, size: tuple[int, ...], count: int, seed: int = 0) -> Draws:
    return draw(config, size, count=count, generator=chance(seed))


def turn(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[[c, -s], [s, c]]])


# ---- masks, by hand


def test_a_mask_is_turned_and_shifted_by_hand() -> None:
    mask = torch.tensor([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]])
    draws = Draws(matrix=turn(90), shift=torch.tensor([[0, 1]]))
    x, moved = apply_with_mask(mask[:, None].float() / 10, mask, draws, AugmentConfig(shift=1))
    # counter-clockwise: 3 6 9 / 2 5 8 / 1 4 7, then one to the right
    assert moved.tolist() == [[[0, 3, 6], [0, 2, 5], [0, 1, 4]]]
    torch.testing.assert_close(x[:, 0] * 10, moved.float(), atol=1e-4, rtol=0)


def test_a_mask_keeps_labels_whole_where_the_picture_is_blended() -> None:
    # sizes doubled about the centre of four cells: cell i is read at (i - 1.5) / 2 + 1.5 = 0.75, 1.25, 1.75, 2.25
    mask = torch.tensor([[0, 7, 3, 0]])
    x, moved = apply_with_mask(mask[:, None].float() / 10, mask, Draws(matrix=torch.tensor([[[0.5]]])), OFF)
    assert moved.tolist() == [[7, 7, 3, 3]]
    torch.testing.assert_close(x[0, 0] * 10, torch.tensor([0.75 * 7, 0.75 * 7 + 0.25 * 3, 0.25 * 7 + 0.75 * 3, 2.25]))


def test_what_moves_into_a_mask_is_background_or_mirrored() -> None:
    x, mask = torch.ones(1, 1, 4), torch.tensor([[5, 6, 7, 8]])
    draws = Draws(shift=torch.tensor([[2]]))
    assert apply_with_mask(x, mask, draws, AugmentConfig(shift=2))[1].tolist() == [[0, 0, 5, 6]]
    reflected = apply_with_mask(x, mask, draws, AugmentConfig(shift=2, border="reflect"))[1]
    assert reflected.tolist() == [[7, 6, 5, 6]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
@pytest.mark.parametrize("size", SIZES)
def test_light_noise_and_cutout_leave_the_mask_alone(size, dtype):
    config = AugmentConfig(light=0.3, noise=0.2, cutout=2)
    x, mask = torch.rand(3, 2, *size, generator=chance()), torch.randint(0, 100, (3, *size)).to(dtype)
    changed, same = apply_with_mask(x, mask, drawn(config, size, 3), config)
    assert torch.equal(same, mask)
    assert same.dtype == dtype
    assert not torch.equal(changed, x)


@pytest.mark.parametrize("border", ["zeros", "reflect"])
@pytest.mark.parametrize("size", [(40,), (24, 30), (16, 14, 18)])
def test_picture_and_mask_move_together(size, border):
    config = AugmentConfig(**{**vars(ALL), "light": 0.0, "noise": 0.0, "cutout": 0, "border": border})
    places = torch.stack(torch.meshgrid(*[torch.arange(s) for s in size], indexing="ij"))
    mask = (((places - torch.tensor(size).view(-1, *[1] * len(size)) / 2.5) ** 2).sum(0) < 25).long().expand(6, *size)
    x = mask[:, None].float()
    draws = drawn(config, size, 6)
    moved, labels = apply_with_mask(x, mask, draws, config)
    assert torch.equal(moved, apply(x, draws, config))
    assert not torch.equal(labels, mask)
    # where the blended picture is clearly inside or outside, the nearest label says the same
    sure = (moved[:, 0] - 0.5).abs() > 0.5 - 1e-4
    assert sure.double().mean() > 0.5
    assert torch.equal(labels[sure], (moved[:, 0] > 0.5).long()[sure])


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a mask \[2, 4, 5\]"):
        apply_with_mask(torch.zeros(2, 1, 4, 5), torch.zeros(2, 5, 4, dtype=torch.long), Draws(), OFF)


# ---- flips along all axes


def test_flips_by_hand() -> None:
    x = torch.tensor([[1.0, 2], [3, 4]]).expand(4, 1, 2, 2)
    flips = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    moved = apply(x, Draws(flips=flips), OFF)[:, 0].flatten(1).tolist()
    assert moved == [[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]]


def test_every_axis_is_mirrored_in_about_half_of_the_samples_by_itself() -> None:
    flips = drawn(AugmentConfig(flip="all"), (4, 4, 4), 2000).flips
    assert flips.shape == (2000, 3)
    assert ((flips.double().mean(0) - 0.5).abs() < 0.05).all()
    assert (torch.corrcoef(flips.T.double()) - torch.eye(3)).abs().max() < 0.1


# ---- elastic


def test_equal_control_points_are_a_shift() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4) / 12
    points = torch.zeros(1, 2, POINTS, POINTS)
    points[:, 0] = 1.0  # x first: everything is read one pixel further right
    moved, mask = apply_with_mask(x, (x[:, 0] * 12).round().long(), Draws(elastic=points), OFF)
    expected = [[1, 2, 3, 0], [5, 6, 7, 0], [9, 10, 11, 0]]
    assert mask[0].tolist() == expected
    torch.testing.assert_close(moved[0, 0] * 12, torch.tensor(expected, dtype=torch.float32), atol=1e-4, rtol=0)


def test_a_signal_is_displaced() -> None:
    x = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]])
    moved = apply(x, Draws(elastic=torch.full((1, 1, POINTS), -1.0)), OFF)
    torch.testing.assert_close(moved, torch.tensor([[[0.0, 0.1, 0.2, 0.3]]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("edge", [1, 7, 48])
def test_displacements_are_scipys_cubic_spline(edge: int) -> None:
    points = torch.randn(1, 1, POINTS, generator=chance(), dtype=torch.float64)
    spline = BSpline(range(-3, CELLS + 4), points[0, 0].numpy(), 3)
    theirs = torch.from_numpy(spline((torch.arange(edge).double().numpy() + 0.5) / edge * CELLS))
    torch.testing.assert_close(displacement(points, (edge,))[0, 0], theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_displacements_have_the_asked_deviation(size):
    moved = displacement(draw_points(2.0, count=3000, spatial_dims=len(size), generator=chance()), size)
    assert moved.shape == (3000, len(size), *size)
    deviation = moved.std(0)
    assert 1.75 < deviation.min() <= deviation.max() < 2.2
    assert moved.mean(0).abs().max() < 0.2


def test_displacements_of_the_axes_are_in_order_x_first() -> None:
    points = torch.zeros(1, 3, POINTS, POINTS, POINTS)
    points[:, 0, -1] = 1.0  # along x, at the far end of the first axis only
    moved = displacement(points, (30, 4, 5))[0]
    assert moved[0, 0].abs().max() == 0
    assert moved[0, -1].min() > 0.1
    assert moved[1:].abs().max() == 0


# ---- noise


def test_noise_has_the_drawn_deviation_and_stays_in_range() -> None:
    x = torch.full((2, 1, 100, 100), 0.5)
    draws = Draws(noise=torch.tensor([0.05, 0.0]), noise_seed=torch.tensor([1, 2]))
    noisy = apply(x, draws, AugmentConfig(noise=0.05))
    assert noisy[0].std() == pytest.approx(0.05, rel=0.05)
    assert noisy[0].mean() == pytest.approx(0.5, abs=0.002)
    assert torch.equal(noisy[1], x[1])
    ends = apply(x * 2, draws, AugmentConfig(noise=0.05))
    assert ends.max() == 1
    deviation = drawn(AugmentConfig(noise=0.2), (4,), 2000).noise
    assert 0 <= deviation.min() < 0.01
    assert 0.19 < deviation.max() <= 0.2


# ---- together


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1,)])
def test_processes_that_draw_alike_hold_the_parts_of_one_batch(size):
    x, mask = torch.rand(5, 2, *size, generator=chance()), torch.randint(0, 4, (5, *size), generator=chance())
    whole = apply_with_mask(x, mask, drawn(ALL, size, 5), ALL)
    assert whole[0].shape == x.shape
    assert 0 <= whole[0].min() <= whole[0].max() <= 1
    for rank in range(3):
        part = slice(rank, 5, 3)
        mine = apply_with_mask(x[part], mask[part], drawn(ALL, size, 5)[part], ALL)
        assert torch.equal(mine[0], whole[0][part])
        assert torch.equal(mine[1], whole[1][part])
    nothing = apply_with_mask(x[:0], mask[:0], drawn(ALL, size, 5)[:0], ALL)
    assert nothing[0].shape == (0, *x.shape[1:])


def test_new_settings_leave_what_older_ones_draw_as_it_was() -> None:
    old = AugmentConfig(rotate=20, shift=2, light=0.2, cutout=3)
    new = AugmentConfig(**{**vars(old), "elastic": 2.0, "noise": 0.1, "flip": "all"})
    one, other = drawn(old, (8, 8), 4), drawn(new, (8, 8), 4)
    for name in ("matrix", "shift", "brightness", "contrast", "cutout"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    # the first angle that seed 0 has always drawn: (0.4963 - 0.5) * 40 degrees
    assert math.degrees(math.asin(float(one.matrix[0, 1, 0]))) == pytest.approx(
        (0.49625658988952637 - 0.5) * 40, abs=1e-3
    )


def test_impossible_settings_are_named() -> None:
    for name in ("elastic", "noise"):
        with pytest.raises(ValidationError, match=name):
            parse(AugmentConfig, {name: -0.1})
    assert parse(AugmentConfig, asdict(ALL)) == ALL
