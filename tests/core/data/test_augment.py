"""Augmentation against torchvision, NumPy and numbers worked by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from cnn_core.data.augment import Draws, apply, draw
from cnn_core.data.augment_config import AugmentConfig

OFF = AugmentConfig()
ALL = AugmentConfig(
    flip="alternate", rotate=20, scale=0.2, zoom=0.1, shear=10, shift=3, crop=0.5, light=0.3, cutout=3
)  # fmt: skip
SIZES = [(9,), (7, 8), (5, 6, 7)]


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(config: AugmentConfig, size: tuple[int, ...], count: int, seed: int = 0, epoch: int = 0) -> Draws:
    return draw(config, size, count=count, generator=chance(seed), indices=torch.arange(count), epoch=epoch)


def picture(*size: int, count: int = 1, channels: int = 1, seed: int = 5) -> Tensor:
    return torch.rand(count, channels, *size, generator=chance(seed))


def matrix(rows: list[list[float]]) -> Tensor:
    return torch.tensor([rows])


def turn(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return matrix([[c, -s], [s, c]])


@pytest.mark.parametrize("size", SIZES)
def test_nothing_changes_when_everything_is_off(size):
    x = picture(*size, count=3)
    draws = drawn(OFF, size, 3)
    assert all(value is None for value in vars(draws).values())
    assert torch.equal(apply(x, draws, OFF), x)


# ---- where things move, by hand


def test_shift_of_a_signal_by_hand():
    x = torch.tensor([1.0, 2, 3, 4]).expand(4, 1, 4)
    draws = Draws(shift=torch.tensor([[1], [-2], [0], [9]]))
    zeros = apply(x, draws, AugmentConfig(shift=9))[:, 0]
    assert zeros.tolist() == [[0, 1, 2, 3], [3, 4, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]]
    mirrored = apply(x, draws, AugmentConfig(shift=9, border="reflect"))[:, 0]
    # around 1 2 3 4 lie ...4 3 2 | 1 2 3 4 | 3 2 1 2...; nine to the right reads positions -9..-6 of period 6
    assert mirrored.tolist() == [[2, 1, 2, 3], [3, 4, 3, 2], [1, 2, 3, 4], [4, 3, 2, 1]]


def test_shift_of_a_picture_moves_down_and_right_for_positive_numbers():
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]
    moved = apply(x, Draws(shift=torch.tensor([[1, 0]])), AugmentConfig(shift=1))
    assert moved[0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    moved = apply(x, Draws(shift=torch.tensor([[-1, 1]])), AugmentConfig(shift=1, border="reflect"))
    assert moved[0, 0].tolist() == [[5, 4, 5], [8, 7, 8], [5, 4, 5]]


@pytest.mark.parametrize("border", ["zeros", "reflect"])
@pytest.mark.parametrize("size", SIZES)
def test_shift_equals_torchs_padding_and_a_cut(size, border):
    config = AugmentConfig(shift=3, border=border)
    x = picture(*size, count=20, channels=2)
    draws = drawn(config, size, 20)
    mode = "reflect" if border == "reflect" else "constant"
    padded = torch.nn.functional.pad(x, (3,) * 2 * len(size), mode=mode)
    for i, moved in enumerate(apply(x, draws, config)):
        starts = (3 - draws.shift[i]).tolist()
        window = tuple(slice(start, start + edge) for start, edge in zip(starts, size, strict=True))
        assert torch.equal(moved, padded[(i, slice(None), *window)])


@pytest.mark.parametrize("size", SIZES)
def test_flip_mirrors_the_last_axis_of_the_chosen_samples(size):
    x = picture(*size, count=3)
    moved = apply(x, Draws(flip=torch.tensor([True, False, True])), AugmentConfig(flip="random"))
    assert torch.equal(moved[0], x[0].flip(-1))
    assert torch.equal(moved[1], x[1])
    assert torch.equal(moved[2], x[2].flip(-1))


def test_a_positive_angle_turns_counter_clockwise_as_torchvisions_rotate():
    x = picture(5, 5)
    quarter = apply(x, Draws(matrix=turn(90)), OFF)
    torch.testing.assert_close(quarter, torch.rot90(x, 1, (2, 3)), atol=1e-5, rtol=0)  # rot90: counter-clockwise
    x = picture(12, 9, channels=3)
    ours = apply(x, Draws(matrix=turn(25)), OFF)
    torch.testing.assert_close(ours, tvf.rotate(x, 25, InterpolationMode.BILINEAR), atol=1e-5, rtol=0)


def test_a_positive_slope_is_torchvisions_positive_shear():
    x, slope = picture(9, 12), math.tan(math.radians(15))
    ours = apply(x, Draws(matrix=matrix([[1, slope], [0, 1]])), OFF)
    theirs = tvf.affine(x, 0, [0, 0], 1, [15, 0], InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert not torch.allclose(ours, tvf.affine(x, 0, [0, 0], 1, [-15, 0], InterpolationMode.BILINEAR), atol=1e-2)


@pytest.mark.parametrize("factor", [0.7, 1.6])
def test_scale_is_torchvisions_scale(factor):
    x = picture(10, 13)
    ours = apply(x, Draws(matrix=matrix([[1 / factor, 0], [0, 1 / factor]])), OFF)
    theirs = tvf.affine(x, 0, [0, 0], factor, [0, 0], InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_an_offset_of_whole_pixels_reads_further_right_and_down():
    x = picture(6, 7)
    ours = apply(x, Draws(matrix=torch.eye(2)[None], offset=torch.tensor([[2.0, -1.0]])), OFF)  # x first
    expected = torch.zeros_like(x)
    expected[:, :, 1:, :5] = x[:, :, :5, 2:]
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_signal_is_resampled_as_numpy_interpolates():
    x = picture(11)
    ours = apply(x, Draws(matrix=matrix([[1 / 1.7]]), offset=torch.tensor([[0.3]])), OFF)
    places = (np.arange(11) - 5) / 1.7 + 5 + 0.3
    theirs = np.interp(places, np.arange(11), x[0, 0].double().numpy())
    np.testing.assert_allclose(ours[0, 0].double().numpy(), theirs, atol=1e-5)


@pytest.mark.parametrize(("plane", "axes"), [((0, 1), (3, 4)), ((0, 2), (2, 4)), ((1, 2), (2, 3))])
def test_a_volume_turns_in_each_plane(plane, axes):
    x = picture(5, 5, 5)
    turned = torch.eye(3)[None]
    i, j = plane  # x first: 0 is the last axis
    turned[0, i, i] = turned[0, j, j] = 0
    turned[0, i, j], turned[0, j, i] = -1, 1
    ours = apply(x, Draws(matrix=turned), OFF)
    torch.testing.assert_close(ours, torch.rot90(x, 1, axes), atol=1e-5, rtol=0)


def test_what_moves_in_is_black_or_mirrored():
    x = torch.ones(1, 1, 6, 6)
    half = matrix([[2.0, 0], [0, 2.0]])  # half the size: the outer ring lies outside the input
    zeros = apply(x, Draws(matrix=half), OFF)[0, 0]
    assert zeros[0].tolist() == [0] * 6
    assert zeros[2, 2] == 1
    assert apply(x, Draws(matrix=half), AugmentConfig(border="reflect")).min() == 1


def test_light_by_hand():
    x = torch.tensor([[[0.2, 0.4]], [[0.2, 0.4]], [[0.0, 1.0]]])
    draws = Draws(brightness=torch.tensor([0.1, 0.0, 0.0]), contrast=torch.tensor([1.5, 0.0, 2.0]))
    changed = apply(x, draws, AugmentConfig(light=0.5))
    # mean 0.3: 0.3 - 0.1 * 1.5 + 0.1 and 0.3 + 0.1 * 1.5 + 0.1; contrast 0 leaves the mean; 0.5 +- 1 is clamped
    expected = torch.tensor([[[0.25, 0.55]], [[0.3, 0.3]], [[0.0, 1.0]]])
    torch.testing.assert_close(changed, expected)


def test_light_agrees_with_torchvisions_contrast_on_grey():
    x = picture(6, 6)
    ours = apply(x, Draws(brightness=torch.zeros(1), contrast=torch.tensor([1.4])), AugmentConfig(light=0.4))
    torch.testing.assert_close(ours, tvf.adjust_contrast(x, 1.4))


def test_cutout_by_hand():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    blank = apply(x, Draws(cutout=torch.tensor([[1, 2]])), AugmentConfig(cutout=2))[0, 0]
    assert blank.tolist() == [[0, 1, 2, 3], [4, 5, 7.5, 7.5], [8, 9, 7.5, 7.5], [12, 13, 14, 15]]
    sticking_out = apply(x, Draws(cutout=torch.tensor([[-1, 3]])), AugmentConfig(cutout=2))[0, 0]
    assert (sticking_out != x[0, 0]).nonzero().tolist() == [[0, 3]]


@pytest.mark.parametrize("size", SIZES)
def test_cutout_blanks_a_cube_with_the_mean_of_each_channel(size):
    x = picture(*size, count=2, channels=2)
    corner = torch.ones(2, len(size), dtype=torch.long)
    changed = apply(x, Draws(cutout=corner), AugmentConfig(cutout=3))
    assert int((changed != x).sum()) == 2 * 2 * 3 ** len(size)
    inside = (slice(None), slice(None), *[slice(1, 4)] * len(size))
    mean = x.flatten(2).mean(2).reshape(2, 2, *[1] * len(size))
    torch.testing.assert_close(changed[inside], mean.expand_as(changed[inside]))


# ---- what is drawn


def test_angles_fill_the_range_and_nothing_else():
    draws = drawn(AugmentConfig(rotate=30), (8, 8), 2000)
    angle = torch.atan2(draws.matrix[:, 1, 0], draws.matrix[:, 0, 0]) * 180 / math.pi
    assert angle.abs().max() <= 30.001
    assert angle.min() < -29
    assert angle.max() > 29
    assert angle.std() == pytest.approx(60 / math.sqrt(12), rel=0.05)  # of a uniform distribution
    gram = draws.matrix @ draws.matrix.mT
    torch.testing.assert_close(gram, torch.eye(2).expand_as(gram))  # a turn and nothing else


def test_rotation_in_three_dimensions_is_rigid_and_turns_every_axis():
    draws = drawn(AugmentConfig(rotate=90), (8, 8, 8), 500)
    gram = draws.matrix @ draws.matrix.mT
    torch.testing.assert_close(gram, torch.eye(3).expand_as(gram), atol=1e-5, rtol=0)
    assert (draws.matrix - torch.eye(3)).abs().amax(0).min() > 0.5


def test_sizes_are_within_the_fraction_and_zoom_differs_by_axis():
    scale = 1 / drawn(AugmentConfig(scale=0.2), (8, 8), 1000).matrix
    assert torch.equal(scale[:, 0, 0], scale[:, 1, 1])
    assert 0.8 - 1e-5 <= scale[:, 0, 0].min() < 0.81 < 1.19 < scale[:, 0, 0].max() <= 1.2 + 1e-5
    zoom = 1 / drawn(AugmentConfig(zoom=0.2), (8, 8), 1000).matrix
    assert min(zoom[:, 0, 0].min(), zoom[:, 1, 1].min()) >= 0.8 - 1e-5
    correlation = torch.corrcoef(torch.stack([zoom[:, 0, 0], zoom[:, 1, 1]]))[0, 1]
    assert abs(correlation) < 0.1


def test_shear_stays_below_its_angle():
    draws = drawn(AugmentConfig(shear=20), (8, 8), 1000)
    slope = draws.matrix[:, 0, 1]
    assert math.tan(math.radians(19)) < slope.abs().max() <= math.tan(math.radians(20)) + 1e-6
    assert torch.equal(draws.matrix[:, 1], torch.tensor([0.0, 1.0]).expand(1000, 2))


@pytest.mark.parametrize("size", SIZES)
def test_a_crop_keeps_its_share_of_the_area_and_lies_anywhere_inside(size):
    draws = drawn(AugmentConfig(crop=0.4), size, 2000)
    share = torch.linalg.det(draws.matrix)
    assert 0.4 - 1e-5 <= share.min() < 0.41
    assert 0.99 < share.max() <= 1 + 1e-5
    edges = torch.tensor(size[::-1])
    window = torch.diagonal(draws.matrix, dim1=1, dim2=2) * edges
    assert (draws.offset.abs() + window / 2 <= edges / 2 + 1e-4).all()
    touching = (draws.offset.abs() + window / 2 > edges / 2 - 0.05 * edges).double().mean(0)
    assert (touching > 0.05).all()  # not in the middle only
    assert draws.offset.mean(0).abs().max() < 0.05 * max(size)


def test_a_crop_shows_nothing_from_outside():
    x = torch.ones(200, 1, 16, 16)
    cropped = apply(x, drawn(AugmentConfig(crop=0.3), (16, 16), 200), AugmentConfig(crop=0.3))
    assert cropped[:, :, 1:-1, 1:-1].min() > 0.999  # the outermost half pixel is interpolated with the border


def test_every_whole_shift_and_every_cutout_centre_comes_up():
    draws = drawn(AugmentConfig(shift=2, cutout=3), (6, 4), 2000)
    assert draws.shift.unique().tolist() == [-2, -1, 0, 1, 2]
    assert (draws.cutout[:, 0] + 1).unique().tolist() == [0, 1, 2, 3, 4, 5]
    assert (draws.cutout[:, 1] + 1).unique().tolist() == [0, 1, 2, 3]


def test_light_is_drawn_within_its_fraction():
    draws = drawn(AugmentConfig(light=0.3), (4, 4), 2000)
    assert -0.3 <= draws.brightness.min() < -0.29 < 0.29 < draws.brightness.max() <= 0.3
    assert 0.7 <= draws.contrast.min() < 0.71 < 1.29 < draws.contrast.max() <= 1.3 + 1e-6


def test_random_flip_is_about_half():
    assert 900 < drawn(AugmentConfig(flip="random"), (4, 4), 2000).flip.sum() < 1100


def test_alternate_flip_shows_each_sample_from_the_other_side_every_epoch():
    config = AugmentConfig(flip="alternate")
    first, second, third = (drawn(config, (4, 4), 10000, epoch=epoch).flip for epoch in range(3))
    assert torch.equal(second, ~first)
    assert torch.equal(third, first)
    assert 4900 < first.sum() < 5100
    assert 480 < first[::10].sum() < 520  # also where sample numbers and classes go together
    some = torch.tensor([17, 3, 9999])
    part = draw(config, (4, 4), count=3, generator=chance(8), indices=some, epoch=0)
    assert torch.equal(part.flip, first[some])  # whatever the batch


def test_alternate_flip_says_that_it_needs_the_samples_numbers():
    with pytest.raises(ValueError, match="needs the indices"):
        draw(AugmentConfig(flip="alternate"), (4, 4), count=2, generator=chance())


# ---- promises over everything together


@pytest.mark.parametrize("border", ["zeros", "reflect"])
@pytest.mark.parametrize("size", [*SIZES, (1,), (1, 1), (2, 1, 3)])
def test_shape_range_and_input_are_kept(size, border):
    config = AugmentConfig(**{**vars(ALL), "border": border, "shift": 40, "cutout": 4})
    for count in (1, 8):
        x = picture(*size, count=count, channels=2)
        before = x.clone()
        changed = apply(x, drawn(config, size, count), config)
        assert changed.shape == x.shape
        assert changed.isfinite().all()
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert torch.equal(x, before)  # nothing is done in place


@pytest.mark.parametrize("size", SIZES)
def test_processes_that_draw_alike_hold_the_parts_of_one_batch(size):
    x = picture(*size, count=7, channels=2)
    whole = apply(x, drawn(ALL, size, 7), ALL)
    for rank in range(3):
        share = slice(rank, 7, 3)
        assert torch.equal(apply(x[share], drawn(ALL, size, 7)[share], ALL), whole[share])


def test_a_process_without_a_sample_gets_an_empty_batch():
    empty = apply(picture(5, 6, count=2)[2::3], drawn(ALL, (5, 6), 2)[2::3], ALL)
    assert empty.shape == (0, 1, 5, 6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_number_format_is_kept_and_positions_stay_exact(dtype):
    x = torch.rand(4, 2, 40, 40, generator=chance()).to(dtype)
    config = AugmentConfig(rotate=20, scale=0.2, shift=3, cutout=3)
    draws = drawn(config, (40, 40), 4)
    changed = apply(x, draws, config)
    assert changed.dtype == dtype
    torch.testing.assert_close(changed.float(), apply(x.float(), draws, config), atol=0.01, rtol=0)


def test_one_seed_gives_one_batch_and_another_seed_another():
    x = picture(8, 8, count=4)
    one, again, other = (apply(x, drawn(ALL, (8, 8), 4, seed=seed), ALL) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.gpu
def test_the_device_is_kept_and_agrees_with_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    x = picture(9, 8, count=6, channels=3)
    draws = drawn(ALL, (9, 8), 6)
    there = apply(x.cuda(), draws, ALL)
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), apply(x, draws, ALL), atol=1e-5, rtol=0)
