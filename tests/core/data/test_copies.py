"""Copies among pictures: what is the same again, what only looks alike, and what stays together."""

import io

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from sklearn.datasets import load_digits

from cnn_core.data.copies import nearly_same, same_pixels, together


def scene(seed: int, *, edge: int = 160) -> Image.Image:
    """A smooth coloured picture with details, unlike every other seed's."""
    rng = np.random.default_rng(seed)
    large = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize(
        (edge, edge), Image.Resampling.BICUBIC
    )
    fine = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).resize(
        (edge, edge), Image.Resampling.BICUBIC
    )
    return Image.blend(large, fine.filter(ImageFilter.GaussianBlur(1)), 0.25)


def saved(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def pixels(*pictures: Image.Image, edge: int = 64) -> torch.Tensor:
    small = [np.asarray(picture.resize((edge, edge), Image.Resampling.BOX)) for picture in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).contiguous()


def test_the_same_pixels_are_known_again() -> None:
    images = torch.tensor([[[[1]]], [[[2]]], [[[1]]], [[[1]]]], dtype=torch.uint8)
    assert same_pixels(images).tolist() == [0, 1, 0, 0]


def test_a_picture_that_was_saved_again_or_changed_a_little_is_a_near_copy() -> None:
    first, other = scene(0), scene(1)
    changed = [
        saved(first, 75),
        first.resize((120, 120)).resize((160, 160)),
        ImageEnhance.Brightness(first).enhance(1.1),
    ]
    assert nearly_same(pixels(first, other, *changed)).tolist() == [[0, 2], [0, 3], [0, 4], [2, 3], [2, 4], [3, 4]]


def test_pictures_of_their_own_and_mirror_images_are_no_copies() -> None:
    scenes = [scene(seed) for seed in range(150)]
    mirrored = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in scenes]
    assert len(nearly_same(pixels(*scenes, *mirrored))) == 0


def test_drawings_on_one_background_are_no_copies() -> None:
    """Digits of one kind agree in most of the hash: they must not collapse into one."""
    digits = torch.from_numpy(load_digits().images * 15).to(torch.uint8)[:, None]
    pages = torch.zeros(len(digits), 1, 64, 64, dtype=torch.uint8)
    pages[:, :, 16:48, 16:48] = digits.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert len(nearly_same(pages)) == 0
    assert len(nearly_same(pixels(scene(0), saved(scene(0), 40), edge=28))) == 0  # too small to tell


def test_what_is_paired_or_shares_a_value_is_in_one_unit() -> None:
    units = together(6, np.array([[0, 1], [4, 4]]), [None, "a", "a", None, None, "b"], [None, None, 7, 7, None, None])
    assert units[0] == units[1] == units[2] == units[3]
    assert len({units[0], units[4], units[5]}) == 3
    assert together(0, np.empty((0, 2), dtype=np.int64)).tolist() == []
