"""The drawing: what the browser may send, and the picture that it makes."""

import numpy as np
import pytest

from cnn_core.errors import DataError
from components.drawing_canvas import MOST_POINTS, MOST_STROKES, Stroke, draw, read_strokes


def test_a_horizontal_line_is_as_long_and_as_thick_as_the_pen_says():
    # Edge 100: a unit is a tenth of a pixel. From x 20 to 80 at y 50, pen 10 pixels wide with round ends.
    picture = np.asarray(draw((Stroke(100, ((200, 500), (800, 500))),), edge=100))
    lit = picture > 127
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    assert (rows[0], rows[-1]) == pytest.approx((45, 55), abs=1)
    assert (columns[0], columns[-1]) == pytest.approx((15, 85), abs=1)
    assert picture.max() == 255
    assert picture[:40].max() == 0


def test_a_single_point_is_a_disc():
    picture = np.asarray(draw((Stroke(200, ((500, 500),)),), edge=100)) / 255
    assert picture.sum() == pytest.approx(np.pi * 10**2, rel=0.05)


def test_nothing_drawn_is_a_sentence():
    with pytest.raises(DataError, match="nothing is drawn"):
        draw(())


def test_strokes_are_read_as_sent():
    assert read_strokes([{"w": 80, "p": [1, 2, 3, 4]}, {"w": 30, "p": [0, 1000]}]) == (
        Stroke(80, ((1, 2), (3, 4))),
        Stroke(30, ((0, 1000),)),
    )


@pytest.mark.parametrize(
    "value",
    [
        "drawing",
        {"w": 80, "p": [1, 2]},
        [None],
        [{"p": [1, 2]}],
        [{"w": 80}],
        [{"w": 0, "p": [1, 2]}],
        [{"w": 401, "p": [1, 2]}],
        [{"w": True, "p": [1, 2]}],
        [{"w": 80, "p": []}],
        [{"w": 80, "p": [1, 2, 3]}],
        [{"w": 80, "p": [1, 1001]}],
        [{"w": 80, "p": [-1, 5]}],
        [{"w": 80, "p": [1.5, 5]}],
        [{"w": 80, "p": [float("nan"), 5]}],
        [{"w": 80, "p": ["1", "2"]}],
        [{"w": 80, "p": [1, 2] * (MOST_POINTS + 2)}],
        [{"w": 80, "p": [1, 2]}] * (MOST_STROKES + 1),
    ],
)
def test_what_no_pen_makes_is_refused(value):
    with pytest.raises(DataError, match="clear it and draw again"):
        read_strokes(value)
