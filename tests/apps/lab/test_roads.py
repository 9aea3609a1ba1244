"""Drawn roads and the camera: their geometry, against numbers worked by hand."""

import numpy as np
import pytest

from cnn_core.errors import CnnError
from lab.camera import HEIGHT, WIDTH, Camera, line_share, render, seen_places
from lab.roads import AHEAD, BEFORE, LENGTH, SPACING, TURN, draw_road, road_from

POINTS = round((BEFORE + LENGTH + AHEAD) / SPACING) + 1


@pytest.fixture(scope="module")
def straight_road():
    return road_from(np.zeros(POINTS), seed=3)


@pytest.fixture(scope="module")
def circle():
    """To the left, with a radius of 50 m: its middle is at (0, 50)."""
    return road_from(np.full(POINTS, 0.02), seed=3)


def test_a_circle_is_one(circle):
    assert circle.at(0) == pytest.approx([0, 0, 0], abs=1e-9)
    assert circle.at(25 * np.pi) == pytest.approx([50, 50, np.pi / 2], abs=1e-2)  # a quarter of it
    assert np.hypot(circle.points[:, 0], circle.points[:, 1] - 50) == pytest.approx(50, abs=1e-2)


def test_where_a_point_lies(circle):
    angle = 1.0  # radians along the circle, 50 m; 1 m to the left is towards the middle
    x, y = 49 * np.sin(angle), 50 - 49 * np.cos(angle)
    assert circle.locate(x, y, near=48) == pytest.approx((50, 1), abs=5e-3)
    along, beside = circle.look_up(np.array([x], np.float32), np.array([y], np.float32))
    assert (along[0], beside[0]) == pytest.approx((50, 1), abs=0.02)  # the map has cells of 1 m


def test_roads_are_the_same_for_a_seed_and_turn_back_never():
    one = draw_road(5)
    draw_road.cache_clear()
    assert np.array_equal(one.points, draw_road(5).points) and one is not draw_road(5)
    assert not np.array_equal(one.curvature, draw_road(6).curvature)
    assert all(np.abs(draw_road(seed).points[:, 2]).max() < TURN for seed in range(5))
    assert not one.curvature[: round((BEFORE + 6) / SPACING)].any()  # the start is straight


@pytest.mark.parametrize("curvature", [np.zeros(7), np.full(POINTS, 0.2), np.full(POINTS, np.nan)])
def test_a_road_that_cannot_be_drawn_is_refused(curvature):
    with pytest.raises(CnnError, match=r"curvatures from -0\.1 to 0\.1"):
        road_from(curvature)
    with pytest.raises(CnnError, match="must be 0 or above, got -1"):
        draw_road(-1)


def test_a_point_is_seen_where_the_pinhole_puts_it():
    camera = Camera()  # focal length 0.6 * 128 = 76.8 pixels, horizon in row 0.3 * 64 = 19.2
    assert camera.project(10, 1.75) == pytest.approx((19.2 + 76.8 * 1.4 / 10, 64 - 76.8 * 0.175))
    assert camera.project(500, 0, up=1.4) == pytest.approx((19.2, 64))  # as high as the camera: on the horizon
    first, forward, left = camera.ground()
    assert (first, len(forward)) == (20, 44)
    assert forward[-1] == pytest.approx(76.8 * 1.4 / 44.3)  # the middle of the last row is 44.3 rows below it
    assert left[-1, 0] == pytest.approx(forward[-1] * 63.5 / 76.8)
    for row, column in ((0, 0), (20, 99)):
        assert camera.project(forward[row], left[row, column]) == pytest.approx((first + row + 0.5, column + 0.5))


def test_the_lines_are_painted_where_they_are(straight_road):
    along, beside = seen_places(straight_road, (20.0, 0.0, 0.0))
    lines = line_share(along, beside)
    _, forward, _ = Camera().ground()
    for row in (25, 43):  # the right edge, 1.75 m to the right of the lane's middle
        share = lines[row, 64:]
        seen = (share * (np.arange(64, 128) + 0.5)).sum() / share.sum()
        assert seen == pytest.approx(Camera().project(forward[row], -1.75)[1], abs=0.05)
        width = 0.15 * 76.8 / forward[row]  # in pixels
        assert share.sum() == pytest.approx(width, abs=0.02)
    assert along[43, 64] == pytest.approx(20 + forward[43], abs=0.01)


def test_a_picture_is_the_same_again_and_changes_with_the_place(straight_road):
    picture = render(straight_road, (20.0, 0.0, 0.0))
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture, render(straight_road, (20.0, 0.0, 0.0)))
    assert np.abs(picture.astype(int) - render(straight_road, (20.0, 0.5, 0.0))).mean() > 1
    assert render(straight_road, (20.0, 0.0, 0.0), Camera(104, 208)).shape == (104, 208, 3)


@pytest.mark.parametrize("settings", [{"height": 4}, {"width": 5000}, {"above": 0}, {"focal_share": -1},
                                      {"horizon_share": 1.0}])  # fmt: skip
def test_a_camera_that_cannot_be_is_refused(settings):
    with pytest.raises(CnnError, match=r"8 to 1024|above the ground"):
        Camera(**settings)
    with pytest.raises(CnnError, match="before the camera"):
        Camera().project(0, 1)
