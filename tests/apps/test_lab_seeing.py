"""What a computer sees: the numbers shown, what may be painted, and the code that gives the numbers again."""

import numpy as np
import pytest
from driving import checked, html
from lab_pages import open_lab, run_shown_code
from PIL import Image

from cnn_core.errors import DataError
from components.pixel_inspector import inspector_key, paint, read_edits
from components.samples import find_sample
from lab.pixels import normalised, unit
from views.lab_parts.seeing import SCALES

SEVEN = np.asarray(Image.open(find_sample("seven").path))


def test_it_opens_with_a_digit_that_a_network_reads():
    page = open_lab("seeing")
    assert '<p class="word">7</p>' in html(page)
    assert not page.warning


def test_scales_worked_by_hand():
    assert unit(np.array([0, 51, 255], np.uint8)).tolist() == pytest.approx([0, 0.2, 1])
    assert normalised(np.array([0, 255]), 0.5, 0.25).tolist() == pytest.approx([-2, 2])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("picture", ["seven", "dahlia"])
def test_the_code_shown_gives_the_numbers_shown(scale, picture, monkeypatch):
    page = open_lab("seeing", scale=scale, picture=picture)
    names = run_shown_code(page, monkeypatch)
    chosen = SCALES[scale]
    image = np.asarray(Image.open(find_sample(picture).path))
    assert names["picture"].shape == ((28, 28) if picture == "seven" else (64, 64, 3))
    if picture == "seven":
        assert np.allclose(
            names["numbers"], image * chosen.factor + chosen.shift, atol=1e-5
        )  # as pixel_inspector.js writes them
    low = names["picture"] * chosen.factor + chosen.shift
    assert np.allclose(names["numbers"], low, atol=1e-5)


def test_painted_pixels_reach_the_network():
    page = open_lab("seeing")
    page.session_state[f"{inspector_key('seven', SEVEN)}-kept"] = [[i, 0] for i in range(784)]
    checked(page.run())
    assert '<p class="word">7</p>' not in html(page)
    assert 'Image.open("picture.png")' in page.code[-1].value


def test_painting_changes_these_pixels_only():
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert paint(picture, {4: 200}).tolist() == [[0, 1, 2], [3, 200, 5]]
    assert picture[1, 1] == 4


@pytest.mark.parametrize("value", ["x", [[0]], [[-1, 0]], [[4, 0]], [[0, 256]], [[0, 0.5]], [[0, True]], [[0, 1]] * 5])
def test_forged_paint_is_a_sentence(value):
    with pytest.raises(DataError, match="painted pixels"):
        read_edits(value, size=4)
