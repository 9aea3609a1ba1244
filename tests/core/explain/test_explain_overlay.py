"""Colours of heat, alone and on a picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_core.errors import CnnError
from cnn_core.explain import colorize, heat_limits, overlay
from cnn_core.explain.overlay import scale


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* (0..100) of sRGB colours, by the formulas of IEC 61966-2-1 and CIE 15: another space than the scales'."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


def test_the_heat_scale_rises_evenly_in_lightness():
    light = lightness(scale(False))
    assert light[0] < 10
    assert light[-1] > 90
    # In 16 steps every one is visibly lighter than the last, and none is more than four times as large as another.
    steps = np.diff(light[::17])
    assert steps.min() > 2
    assert steps.max() < 4 * steps.min()


def test_the_signed_scale_is_lightest_in_the_middle_and_its_arms_are_alike():
    table = scale(True)
    light = lightness(table)
    middle = int(np.argmax(light))
    assert light[middle] > 93
    assert abs(middle - 127.5) < 3
    assert np.all(np.diff(light[:120:17]) > 2)
    assert np.all(np.diff(light[136::17]) < -2)
    assert abs(light[0] - light[-1]) < 8
    # Blue against orange: told apart by people who do not see red and green as different.
    assert table[20, 2] > table[20, 0] + 60
    assert table[-20, 0] > table[-20, 2] + 60


def test_colorize_takes_any_shape_and_both_ends_of_the_scale():
    for shape in [(5,), (3, 4), (2, 3, 4)]:
        heat = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
        colors = colorize(heat, limits=(0, 1))
        assert colors.dtype == np.uint8
        assert colors.shape == (*shape, 3)
        assert colors.reshape(-1, 3)[0].tolist() == scale(False)[0].tolist()
        assert colors.reshape(-1, 3)[-1].tolist() == scale(False)[-1].tolist()
    signed = colorize(torch.tensor([-2.0, 0.0, 1.0]), signed=True, limits=(-2, 2))
    middle, three_quarters = scale(True)[[128, 191]]
    assert signed.tolist() == [scale(True)[0].tolist(), middle.tolist(), three_quarters.tolist()]


def test_limits_ignore_the_outlier_but_not_the_only_hot_pixel():
    heat = np.linspace(0, 1, 10_000)
    heat[5000] = 1e6
    low, high = heat_limits(heat)
    assert low == 0
    assert 0.9 < high < 1.01
    lone = np.zeros(10_000)
    lone[7] = 3.0
    assert heat_limits(lone) == (0, 3)
    assert heat_limits(-lone, signed=True) == (-3, 3)


def picture(height: int = 6, width: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_no_heat_shows_the_picture_and_full_heat_shows_the_hottest_colour():
    rgb = picture()
    heat = np.zeros((6, 4))
    heat[5, 0] = 1.0
    out = overlay(rgb, heat, alpha=1.0)
    assert out.dtype == np.uint8
    assert out.shape == (6, 4, 3)
    assert out[5, 0].tolist() == scale(False)[-1].tolist()
    elsewhere = np.ones((6, 4), bool)
    elsewhere[5, 0] = False
    assert np.array_equal(out[elsewhere], rgb[elsewhere])


def test_signed_heat_is_blue_against_and_orange_for_and_leaves_the_rest():
    grey = np.full((1, 3), 128, np.uint8)
    out = overlay(grey, np.array([[-1.0, 0.0, 1.0]]), signed=True, alpha=1.0)
    assert out[0, 0].tolist() == scale(True)[0].tolist()
    assert out[0, 2].tolist() == scale(True)[-1].tolist()
    assert np.abs(out[0, 1].astype(int) - 128).max() <= 8  # 0 lies between the two middle entries of the table


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0])
@pytest.mark.parametrize("signed", [False, True])
def test_a_constant_map(value, signed):
    rgb = picture()
    out = overlay(rgb, np.full((6, 4), value), signed=signed, alpha=0.5)
    if signed and value:  # everything speaks for, or against
        expected = scale(True)[-1 if value > 0 else 0]
        assert np.abs(out.astype(int) - (rgb / 2 + expected / 2)).max() <= 1
    else:  # nothing stands out
        assert np.array_equal(out, rgb)


def test_all_forms_of_one_picture_give_one_overlay():
    rgb = picture()
    heat = np.linspace(0, 1, 24).reshape(6, 4)
    expected = overlay(rgb, heat)
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    for form in (Image.fromarray(rgb), rgb / 255.0, (rgb / 255.0).astype(np.float32), tensor, tensor / 255):
        assert np.abs(overlay(form, torch.from_numpy(heat)).astype(int) - expected).max() <= 1
    grey = rgb[..., 0]
    expected = overlay(np.repeat(grey[..., None], 3, axis=2), heat)
    for form in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None], Image.fromarray(grey)):
        assert np.array_equal(overlay(form, heat), expected)


def test_pictures_with_alpha_palette_or_16_channels_of_trouble_come_through_pil():
    for mode in ("RGBA", "P", "L", "1", "CMYK"):
        assert overlay(Image.new(mode, (4, 6)), np.eye(6, 4)).shape == (6, 4, 3)


def test_heat_of_another_size_is_scaled_to_the_picture():
    heat = np.zeros((2, 2))
    heat[0, 1] = 1.0  # upper right
    out = overlay(np.zeros((40, 80, 3), np.uint8), heat).astype(int).sum(2)
    assert out.shape == (40, 80)
    assert out[:10, 70:].min() > 300
    assert out[30:, :40].max() == 0
    small = overlay(np.zeros((4, 4), np.uint8), np.kron(heat, np.ones((64, 64)))).astype(int).sum(2)
    assert small[0, 3] > 300
    assert small[3, 0] == 0
    spot = np.zeros((64, 64))
    spot[:4, :4] = 1.0  # lies between the points at which a 4 x 4 picture would look, and is not lost all the same
    assert overlay(np.full((4, 4), 255, np.uint8), spot)[0, 0].max() < 250


def test_slices_of_a_volume_share_limits():
    volume = np.zeros((2, 4, 4))
    volume[0], volume[1, 0, 0] = 0.1, 1.0
    grey = np.zeros((4, 4), np.uint8)
    alone, shared = overlay(grey, volume[0]), overlay(grey, volume[0], limits=heat_limits(volume))
    assert alone.max() == 0  # a constant slice by itself
    assert shared.max() > 0


@pytest.mark.parametrize(
    ("image", "heat", "sentence"),
    [
        (np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4)), r"expected a picture.*\[4, 4, 2\]"),
        (np.zeros((0, 4), np.uint8), np.zeros((4, 4)), "expected a picture"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros((4, 4)), "expected a picture"),
        ("cat.png", np.zeros((4, 4)), "expected a picture.*str"),
        (np.zeros((4, 4), np.int64), np.zeros((4, 4)), "uint8, or floating point from 0 to 1, got int64"),
        (torch.full((3, 4, 4), -2.0), np.zeros((4, 4)), "undo the normalisation"),
        (np.full((4, 4), np.nan), np.zeros((4, 4)), "from 0 to 1, got nan"),
        (np.zeros((4, 4)), np.zeros((1, 4, 4)), r"heat map \[H, W\], got \[1, 4, 4\]; take one sample"),
        (np.zeros((4, 4)), np.full((4, 4), np.inf), "finite numbers"),
        (np.zeros((4, 4)), np.zeros((0, 4)), "finite numbers"),
    ],
)
def test_what_is_no_picture_or_no_heat_is_refused(image, heat, sentence):
    with pytest.raises(CnnError, match=sentence):
        overlay(image, heat)


def test_alpha_is_checked():
    with pytest.raises(CnnError, match="alpha must be between 0 and 1, got 2"):
        overlay(np.zeros((4, 4)), np.eye(4), alpha=2)
