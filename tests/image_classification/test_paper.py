"""Digits on paper as people photograph them: the network sees the digit, whatever paper, desk, light and lines."""

from dataclasses import replace

import numpy as np
import pytest
from paper import KINDS, photo_of, photo_of_several
from PIL import Image
from sklearn.datasets import load_digits

from cnn_core.data.files import data_root
from image_classification import load
from image_classification.characters import separate
from image_classification.data import load_set
from image_classification.paper import evenly_lit, sheet_alone, without_lines
from image_classification.preprocess import InputContract

CONTRACT = InputContract(1, (28, 28), fit="digit")
HARD = ("vignette", "shadow", "hand's shadow", "pencil in shadow", "ruled", "margin", "grid in shadow", "dark desk",
        "light desk", "thumbnail in shadow", "chalk")  # fmt: skip


@pytest.mark.parametrize("kind", HARD)
def test_the_digit_looks_the_same_on_every_paper(kind: str) -> None:
    """The correlation with the network's view of the same digit on plain paper is that of the same strokes."""
    how = replace(KINDS[kind], turn=0.0, stroke=0.43)  # the same strokes, upright
    for seed, digit in enumerate(load_digits().images[3:5]):
        plain = CONTRACT.to_uint8(photo_of(digit, "pen", seed=seed)).float().flatten()
        seen = CONTRACT.to_uint8(photo_of(digit, how, seed=seed)).float().flatten()
        assert float(np.corrcoef(plain, seen)[0, 1]) > 0.8, f"digit {seed}"


def test_the_edge_of_a_table_is_no_part_of_the_digit() -> None:
    page = np.full((300, 400), 220, np.uint8)
    page[:, :40] = 90  # a dark table beside the paper
    page[100:200, 190:205] = 20
    noisy = page + np.random.default_rng(0).integers(-6, 7, page.shape)
    _, placement = CONTRACT.place(Image.fromarray(noisy.astype(np.uint8)))
    assert placement.box == pytest.approx((190, 100, 205, 200), abs=3)


def page_on_desk(desk: float, paper: float, ink: float) -> np.ndarray:
    page = np.full((90, 120), desk, np.float32)
    page[12:78, 15:105] = paper
    page[30:60, 57:63] = ink
    return page


@pytest.mark.parametrize(("desk", "paper", "ink"), [(60, 225, 30), (170, 225, 30), (225, 60, 220)])
def test_the_desk_around_a_sheet_becomes_paper(desk: float, paper: float, ink: float) -> None:
    alone = sheet_alone(page_on_desk(desk, paper, ink))
    assert alone[0, 0] == alone[-1, -1] == pytest.approx(paper, abs=3)
    assert alone[45, 60] == ink
    assert np.abs(alone[:25] - paper).max() < 5


def test_what_is_no_sheet_stays_as_it_is() -> None:
    lit = page_on_desk(225, 225, 30)
    lit[:, 40:] *= 0.4  # half of the paper in the shadow, and the writing in that half
    bar = np.zeros((90, 120), np.float32)
    bar[20:70, 50:62] = 230  # a bright one on black
    for picture in (lit, bar, page_on_desk(225, 225, 30)):
        assert np.array_equal(sheet_alone(picture), picture)


@pytest.mark.parametrize("angle", [0, 1, 2, 3])
def test_the_lit_side_of_a_shadow_is_no_sheet(angle: int) -> None:
    """A ring across the edge of a shadow, from each of four sides: it was cut at the edge, and a 0 became a C."""
    y, x = np.mgrid[:120, :120]
    distance = np.hypot(y - 60, x - 60)
    light = np.rot90(np.where(x < 60, 235.0, 95.0), angle)
    photo = np.where((distance > 20) & (distance < 27), 30, light).astype(np.uint8)
    assert np.array_equal(sheet_alone(photo.astype(np.float32)), photo)
    seen = InputContract(1, (28, 28), fit="digit").to_uint8(Image.fromarray(photo))[0].float()
    parts = [seen[:14], seen[14:], seen[:, :14], seen[:, 14:]]
    assert min(float(part.sum()) for part in parts) > 0.7 * max(float(part.sum()) for part in parts)


def test_a_shadow_inside_the_picture_is_uneven_light_and_a_wide_stroke_is_not() -> None:
    y, x = np.mgrid[:90, :120]
    shadow = np.where((y - 45) ** 2 + (x - 60) ** 2 < 900, 0.6, 1) * 220.0
    stroke = page_on_desk(220, 220, 20)
    stroke[20:70, 40:80] = 20  # a third of the picture's width
    assert not evenly_lit(shadow.astype(np.float32))
    assert evenly_lit(stroke) and evenly_lit(page_on_desk(220, 220, 20))


def test_printed_lines_are_dropped_and_the_stroke_that_they_cross_stays() -> None:
    ink = np.zeros((100, 140), np.float32)
    ink[20::30] = 60
    ink[:, 12] = 80
    ink[30:70, 68:74] = 240
    left = without_lines(ink)
    rows, columns = np.nonzero(left)
    assert (left[30:70, 68:74] == 240).all()
    assert (rows.min(), rows.max()) == (30 - 1, 69 + 1) or (rows.min(), rows.max()) == (30, 69)
    assert columns.min() >= 66 and columns.max() <= 75
    assert np.array_equal(without_lines(left), left)


def test_several_characters_are_separated_in_reading_order() -> None:
    """Two lines; the second character of the first has a roof of its own, and a speck is no character."""
    ink = np.zeros((120, 160), np.float32)
    marks = [(12, 10, 40), (20, 60, 32), (10, 110, 40), (70, 30, 40)]  # top, left, height
    for top, left, height in marks:
        ink[top : top + height, left : left + 20] = 200
    ink[12:16, 58:84] = 200  # the roof
    ink[100:104, 120:124] = 200
    parts = separate(ink)
    assert [int(np.nonzero(part)[1].min()) for part in parts] == [10, 58, 110, 30]
    assert sum(part.sum() for part in parts) == ink.sum() - 16 * 200
    assert len(separate(parts[1])) == 1


def test_the_shipped_network_reads_several_digits_and_says_so() -> None:
    digits = load_digits()
    photo = photo_of_several([digits.images[n] for n in (2, 0, 4)], replace(KINDS["shadow"], edge=90), seed=1)
    answer, single = load("mnist", device="cpu").predict([photo, photo_of(digits.images[0], "ruled", seed=1)], top_k=1)
    (warning,) = answer.warnings
    assert warning.startswith("3 digits found, in reading order: 2 (") and ", 0 (" in warning and ", 4 (" in warning
    assert (answer.labels, single.labels, single.warnings) == (["2"], ["0"], None)


@pytest.mark.slow
@pytest.mark.skipif(not (data_root() / "MNIST").is_dir(), reason="reads MNIST's test digits")
@pytest.mark.timeout(3000)
def test_digits_of_other_people_are_read_on_every_paper() -> None:
    """The bar: 90 % of each kind and 95 % of all, MNIST's test digits, 40 of each kind."""
    tested, network, right = load_set("mnist", split="test"), load("mnist", device="cpu"), {}
    for number, kind in enumerate(KINDS):
        chosen = np.random.RandomState(number).choice(len(tested), 40, replace=False)
        photos = (photo_of(tested.images[i, 0].numpy(), kind, seed=int(i)) for i in chosen)
        answers = network.stream(photos, top_k=1)
        right[kind] = sum(a.labels == [str(int(tested.targets[i]))] for a, i in zip(answers, chosen, strict=True))
    assert min(right.values()) >= 36 and sum(right.values()) >= 0.95 * 40 * len(KINDS), right
