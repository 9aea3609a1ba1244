"""One preprocessing: geometry and numbers worked by hand."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnn_core.data.fits import Placement
from cnn_core.errors import ConfigError, DataError
from image_classification.data import load_set
from image_classification.predict import load
from image_classification.preprocess import InputContract, tta_logits


def grey(rows) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=np.uint8))


def columns(width: int, height: int) -> Image.Image:
    """Column x has the grey level 10 x."""
    return grey(np.tile(10 * np.arange(width), (height, 1)))


def test_crop_takes_the_middle():
    tensor, placement = InputContract(1, (2, 2), fit="crop").place(columns(6, 2))
    assert tensor.tolist() == [[[20, 30], [20, 30]]]
    assert placement == Placement((2, 0, 4, 2), (0, 0, 2, 2))


def test_crop_scales_the_shorter_side():
    tensor, placement = InputContract(1, (2, 2), fit="crop").place(columns(12, 4))  # shorter side 4 -> 2
    assert placement.box == (4, 0, 8, 4)
    # Bilinear shrinking by 2 weights 4 columns 1:3:3:1 (the triangle of radius 2 at distances 1.5, 0.5, 0.5, 1.5):
    # (30 + 3 * 40 + 3 * 50 + 60) / 8 = 45 and (50 + 3 * 60 + 3 * 70 + 80) / 8 = 65.
    assert tensor[0, 0].tolist() == [45, 65]


def test_pad_leaves_the_rest_black():
    tensor, placement = InputContract(3, (4, 4), fit="pad").place(Image.new("RGB", (8, 4), (9, 8, 7)))
    assert placement == Placement((0, 0, 8, 4), (0, 1, 4, 3))
    assert tensor[:, :, 0].tolist() == [[0, 9, 9, 0], [0, 8, 8, 0], [0, 7, 7, 0]]


def test_stretch_uses_everything():
    tensor, placement = InputContract(1, (1, 2), fit="stretch").place(grey([[0, 0, 100, 100]] * 8))
    assert placement.box == (0, 0, 4, 8)
    assert tensor.shape == (1, 1, 2)
    assert tensor[0, 0, 0] < 50 < tensor[0, 0, 1]


def test_colour_becomes_grey_by_luma_and_grey_becomes_colour():
    colour = InputContract(1, (1, 1), fit="stretch").to_uint8(Image.new("RGB", (1, 1), (100, 200, 50)))
    assert colour.item() == 153  # (299 * 100 + 587 * 200 + 114 * 50) / 1000 = 153.0
    assert InputContract(3, (1, 1), fit="stretch").to_uint8(grey([[77]])).flatten().tolist() == [77, 77, 77]


def test_normalize_by_hand():
    contract = InputContract(2 + 1, (1, 1), mean=(0.5, 0.0, 1.0), std=(0.25, 1.0, 0.5), fit="crop")
    x = contract.normalize(torch.tensor([255, 51, 0], dtype=torch.uint8).view(1, 3, 1, 1))
    assert x.dtype == torch.float32
    assert torch.allclose(x.flatten(), torch.tensor([2.0, 0.2, -2.0]), atol=1e-6)


def test_prepare_stacks_any_mix(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (9, 5), (255, 0, 0, 255)).save(path)
    x = InputContract(3, (4, 4)).prepare([path, np.zeros((7, 3)), torch.zeros(1, 2, 2), Image.new("CMYK", (3, 3))])
    assert x.shape == (4, 3, 4, 4)
    assert x[0, :, 0, 0].tolist() == [1, 0, 0]
    assert InputContract(3, (4, 4)).prepare([]).shape == (0, 3, 4, 4)


def test_an_opened_picture_is_turned_upright_as_its_file_is(tmp_path):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path, exif=exif)
    contract = InputContract(1, (8, 8))
    upright = contract.prepare([path])
    assert upright[0, 0, 0, -1] == 0  # the first pixel comes to the right
    with Image.open(path) as opened:
        assert torch.equal(contract.prepare([opened]), upright)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "digit", "garment"])
def test_native_pictures_pass_unchanged(fit):
    array = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    array[[0, -1], :], array[:, [0, -1]] = 0, 0
    contract = InputContract(1, (28, 28), fit=fit)
    assert np.array_equal(contract.to_uint8(array)[0].numpy(), array)
    assert contract.place(array)[1] == Placement((0, 0, 28, 28), (0, 0, 28, 28))
    colour = np.random.default_rng(0).integers(0, 256, (3, 6, 4), dtype=np.uint8)
    if fit in ("crop", "pad", "stretch"):
        assert np.array_equal(InputContract(3, (6, 4), fit=fit).to_uint8(torch.from_numpy(colour)).numpy(), colour)


def test_drawn_digit_is_inverted_boxed_and_centred():
    # A black 2 x 4 stroke on white, far from the middle: inverted, its longer side becomes 4 of 16 x 0.25 pixels.
    page = np.full((40, 30), 255, dtype=np.uint8)
    page[30:34, 3:5] = 0
    tensor, placement = InputContract(1, (16, 16), fit="digit", box=0.25).place(page)
    expected = torch.zeros(16, 16, dtype=torch.uint8)
    expected[7:11, 8:10] = 255  # its middle, 2 rows and 1 column from its corner, as near to (8.5, 8.5) as pixels allow
    assert torch.equal(tensor[0], expected)
    assert placement == Placement((3, 30, 5, 34), (8, 7, 10, 11))


def test_light_digit_on_dark_is_not_inverted():
    page = np.zeros((40, 40), dtype=np.uint8)
    page[10:14, 20:22] = 200
    tensor = InputContract(1, (16, 16), fit="digit", box=0.25).to_uint8(page)
    assert tensor.sum() == 8 * 255  # the same stroke, brightened to 255


def test_digit_is_placed_by_its_centre_of_mass():
    # An L of 20 x 20 with a heavy foot in a 28 x 28 frame: LeCun's rule moves it up and left of the box's middle.
    page = np.full((60, 60), 255, dtype=np.uint8)
    page[10:30, 10:12] = 0  # 40 pixels, middle (y 20, x 11)
    page[26:30, 12:30] = 0  # 72 pixels, middle (y 28, x 21)
    tensor, placement = InputContract(1, (28, 28), fit="digit").place(page)
    y, x = (40 * 10 + 72 * 18) / 112, (40 * 1 + 72 * 11) / 112  # from the box's corner: 15.14, 7.43
    left, top = round(14.5 - x), max(round(14.5 - y), 0)  # 7, -1 -> 0: not beyond the margin of 4
    assert placement.at == (left, top, left + 20, top + 20) == (7, 0, 27, 20)
    assert tensor.max() == 255


def test_photo_of_paper_loses_its_shadow():
    random = np.random.default_rng(0)
    paper = np.tile(np.linspace(130, 220, 300), (200, 1))  # a shadow from the left
    paper[60:140, 100:110] -= 60  # less than the shadow
    photo = np.clip(paper + random.normal(0, 4, paper.shape), 0, 255).astype(np.uint8)
    tensor, placement = InputContract(1, (28, 28), fit="digit").place(photo)
    left, top, right, bottom = placement.box
    assert abs(left - 100) <= 2
    assert abs(right - 110) <= 2
    assert abs(top - 60) <= 2
    assert abs(bottom - 140) <= 2
    assert (tensor[0, 0] == 0).all()


def test_garment_fills_the_frame_and_is_negated():
    page = np.full((50, 80), 240, dtype=np.uint8)
    page[10:40, 20:35] = 40
    tensor, placement = InputContract(1, (28, 28), fit="garment").place(page)
    assert placement == Placement((20, 10, 35, 40), (7, 0, 21, 28))
    assert tensor[0, 1:27, 8:20].min() == 255
    assert tensor[0, :, 7:21].min() > 230  # the rim is blended with what is around it
    assert tensor[0, :, :7].max() == 0
    assert tensor[0, :, 21:].max() == 0


@pytest.mark.parametrize(
    "page", [np.full((9, 9), 255, np.uint8), np.zeros((300, 200), np.uint8), np.full((1, 1), 7, np.uint8)]
)
@pytest.mark.parametrize("fit", ["digit", "garment"])
def test_nothing_but_background_is_an_error(page, fit):
    with pytest.raises(DataError, match="nothing but background"):
        InputContract(1, (28, 28), fit=fit).to_uint8(page)


def test_black_on_white_digits_of_the_networks_size_are_read_as_well_as_white_on_black():
    """Their strokes touch two edges nearly always; the paper may be grey, noisy or lit from one side."""
    digits = load_set("digits", split="test").subset(np.arange(100))
    ink = digits.images[:, 0].numpy().astype(np.float32)  # [N, 8, 8]
    noise = np.random.default_rng(0).normal(0, 3, ink.shape)
    papers = {"white": 255 - ink, "grey": 200 - ink / 2, "noisy": 235 - 0.8 * ink + noise,
              "lit from the right": np.linspace(160, 240, 8) - 0.6 * ink}  # fmt: skip
    network = load("digits", device="cpu")
    for name, paper in papers.items():
        x = network.contract.prepare(list(paper.clip(0, 255).astype(np.uint8)))
        right = int((network.probabilities(x).argmax(1) == digits.targets).sum())
        assert right >= 98, f"{name}: {right}"  # of 100; as they come, white on black, all are right


@pytest.mark.parametrize("fit", ["digit", "garment"])
def test_every_picture_of_the_networks_size_with_two_grey_values_is_readable(fit):
    random = np.random.default_rng(0)
    pictures = [np.add.outer(255 - 9 * np.arange(8), -8 * np.arange(8)), 200 + np.eye(8), np.indices((8, 8)).sum(0) % 2]
    for edge in (2, 3, 8, 28):
        for low in (0, 150, 254):
            some = random.integers(low, 256, (20, edge, edge))
            some[:, 0, 0], some[:, 0, 1] = 255, low
            pictures += [*some, np.where(some > (255 + low) // 2, 255, low)]
    single = np.full((8, 8), 255)
    for i in range(64):  # one pixel alone, corners included
        pictures.append(single.copy())
        pictures[-1].flat[i] = 254
    for picture in pictures:
        shown = picture.reshape(-1, *picture.shape[-2:])[-1]
        contract = InputContract(1, shown.shape, fit=fit)
        assert contract.to_uint8(shown.astype(np.uint8)).max() > 0
    with pytest.raises(DataError, match="nothing but background"):
        InputContract(1, (8, 8), fit=fit).to_uint8(single.astype(np.uint8))


def test_strokes_from_edge_to_edge_are_found():
    page = np.full((64, 64), 240, dtype=np.uint8)
    page[28:36], page[:, 28:36] = 20, 20  # a cross: an eighth of the frame
    tensor = InputContract(1, (28, 28), fit="digit").to_uint8(page)
    assert (tensor[0, 5, [6, 14, 23]] > 128).tolist() == [False, True, False]
    assert (tensor[0, 14, [6, 14, 23]] > 128).tolist() == [True, True, True]


def test_a_speck_that_is_darker_than_the_object_is_passed_over():
    page = np.full((1200, 1200), 255, dtype=np.uint8)
    page[300:600, 300:600] = 235
    page[1000, 1000] = 0
    tensor, placement = InputContract(1, (28, 28), fit="digit").place(page)
    assert placement.box == pytest.approx((300, 300, 600, 600), abs=1)
    assert tensor[0, 4:24, 4:24].min() > 128


def test_very_large_and_very_thin_pictures():
    page = np.full((3000, 2000), 255, dtype=np.uint8)
    page[1000:2000, 900:1000] = 0
    tensor, placement = InputContract(1, (28, 28), fit="digit").place(page)
    assert placement.box == pytest.approx((900, 1000, 1000, 2000), abs=6)
    assert (tensor > 128).sum() == 20 * 2
    for shape in ((1, 500), (500, 1)):
        for fit in ("crop", "pad", "stretch"):
            assert InputContract(1, (8, 8), fit=fit).to_uint8(np.full(shape, 9, np.uint8)).shape == (1, 8, 8)


def test_heat_goes_back_to_where_it_came_from():
    # Frame pixels 2..6 x 0..4 show picture pixels 10..18 x 20..28: two picture pixels each.
    placement = Placement((10, 20, 18, 28), (2, 0, 6, 4))
    heat = torch.zeros(8, 8)
    heat[1, 3] = 1.0  # frame column 3, row 1 -> picture columns 12, 13, rows 22, 23
    heat[7, 7] = 5.0  # outside of what shows the picture
    back = placement.to_picture(heat, (40, 30))
    assert back.shape == (40, 30)
    assert back.argmax().item() // 30 in (22, 23)
    assert back.argmax().item() % 30 in (12, 13)
    inside = back[20:28, 10:18].sum()
    assert inside > 0
    assert back.sum() == inside
    # 0.75 + 0.25 of the way between pixel centres, in both axes: 4 cells of 9/16, 8 of 3/16, 4 of 1/16.
    assert inside == pytest.approx((4 * 9 + 8 * 3 + 4 * 1) / 16)


def test_json_round_trip():
    contract = InputContract(3, (32, 24), mean=(0.1, 0.2, 0.3), std=(0.5,), fit="pad", tta="flip", box=0.5)
    assert InputContract.from_json(json.loads(json.dumps(contract.to_json()))) == contract


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"channels": 2, "size": [0, 5], "fit": "squash", "tta": "all"}, ["channels", "size", "fit", "tta"]),
        ({"size": [8, 8], "colour": 1}, ["'colour'", "'channels' is missing"]),
        ({"channels": 1, "size": [8, 8], "mean": ["x", 0.2], "std": [0.0]}, ["mean.0", "std.0"]),
        ({"channels": 1, "size": [8, 8], "mean": "abc", "std": [float("nan")]}, ["mean", "std"]),
        ({"channels": 1, "size": [8, 8], "mean": [0.1, 0.2]}, ["mean: expected numbers for 1 channels"]),
        ({"channels": 3, "size": [8, 8], "fit": "digits", "box": 2}, ["fit", "box"]),
        ({"channels": 1, "size": 8}, ["size"]),
        ([1], ["table"]),
    ],
)
def test_a_wrong_contract_lists_all_its_problems(values, words):
    with pytest.raises(ConfigError) as caught:
        InputContract.from_json(values)
    for word in words:
        assert word in str(caught.value)


class Corner(nn.Module):
    """Score 0: the upper left pixel; score 1: the upper right one."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], x[:, 0, 0, -1]], 1)


def test_test_time_views_by_hand():
    x = torch.tensor([[[[8.0, 4.0, 0.0], [2.0, 6.0, 1.0], [3.0, 5.0, 7.0]]]])
    assert tta_logits(Corner(), x).tolist() == [[8, 0]]
    assert tta_logits(Corner(), x, tta="flip").tolist() == [[4, 4]]
    # Reflected at the edge, the picture moved down-right begins with x[1, 1] = 6 and ends in its row with x[1, 1] = 6;
    # moved up-left it begins with x[1, 1] = 6 too. Half of (8 + 0) / 2, and a quarter of 6 and of 6 each.
    assert tta_logits(Corner(), x, tta="flip-shift").tolist() == [[5, 5]]
    assert tta_logits(Corner(), x, tta="shift").tolist() == [[7, 3]]  # 8 / 2 + 2 * 6 / 4, 0 / 2 + 2 * 6 / 4


@pytest.mark.slow
@pytest.mark.skipif(
    "CNN_DATA_DIR" not in os.environ, reason="CNN_DATA_DIR, the folder with the official sets, is not set"
)
@pytest.mark.parametrize(("name", "fit"), [("mnist", "digit"), ("fashion_mnist", "garment")])
def test_official_pictures_pass_unchanged(name, fit):
    if not (Path(os.environ["CNN_DATA_DIR"]) / {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name]).is_dir():
        pytest.skip(f"CNN_DATA_DIR holds no {name}")
    for split in ("train+val", "test"):
        images = load_set(name, split=split).images
        contract = InputContract(1, (28, 28), fit=fit)
        assert torch.equal(torch.stack([contract.to_uint8(image) for image in images]), images)


def test_embedded_digits_pass_unchanged():
    images = load_set("digits", split="train+val").images
    contract = InputContract(1, (8, 8), fit="digit")
    assert torch.equal(torch.stack([contract.to_uint8(image) for image in images]), images)
