"""Steering in a closed loop: the car, the demonstrator and the score, against numbers worked by hand."""

import numpy as np
import pytest

from cnn_core.errors import CnnError
from lab.roads import AHEAD, BEFORE, LANE, LENGTH, SPACING, road_from
from lab.steering import (
    LOOKAHEAD,
    TEST_SEEDS,
    Push,
    View,
    demonstrator,
    drive,
    move,
    score,
    score_pushes,
    steering_angle,
    straight,
)

POINTS = round((BEFORE + LENGTH + AHEAD) / SPACING) + 1


@pytest.fixture(scope="module")
def straight_road():
    return road_from(np.zeros(POINTS))


@pytest.fixture(scope="module")
def circle():
    return road_from(np.full(POINTS, 0.02))


def test_wheels_turn_by_the_bicycle_models_angle():
    assert steering_angle(0.1) == pytest.approx(0.244979, abs=1e-6)  # atan(2.5 * 0.1)
    assert steering_angle(-0.1) == pytest.approx(-0.244979, abs=1e-6)
    assert steering_angle(5.0) == 0.4  # no further


def test_a_quarter_of_a_circle_of_10_m():
    pose = (0.0, 0.0, 0.0)
    for _ in range(10):
        pose = move(pose, 0.1, metres=np.pi / 2)  # ten times 9 degrees
    assert pose == pytest.approx((10, 10, np.pi / 2))
    assert move((1.0, 2.0, np.pi / 2), 0.0, metres=3) == pytest.approx((1, 5, np.pi / 2))


def test_the_demonstrator_steers_for_a_point_before_it(straight_road):
    view = View(straight_road, (50.0, 1.0, 0.0), 50.0, 1.0)
    assert demonstrator([view]) == pytest.approx([2 * -1 / (LOOKAHEAD**2 + 1)])
    assert demonstrator([View(straight_road, (50.0, 0.0, 0.0), 50.0, 0.0)]) == pytest.approx([0])


def test_always_straight_leaves_a_circle_where_geometry_says(circle, straight_road):
    """On a circle of 50 m the lane ends where sqrt(50^2 + x^2) = 51.75, at x = 13.3; the car was last in it at 13 m."""
    left, arrived = drive(straight, [circle, straight_road])
    assert left.metres == pytest.approx(50 * np.arctan(13 / 50), abs=0.02) and not left.arrived
    assert left.offsets[-1] == pytest.approx(50 - np.hypot(50, 13), abs=0.01)
    assert (arrived.metres, arrived.arrived) == (LENGTH, True)
    assert score([left, arrived]) == pytest.approx((left.metres + 200) / 400)


def test_a_push_moves_the_car_once_where_it_says(straight_road):
    (run,) = drive(straight, [straight_road], {0: [Push(40, -0.8)]})
    moved = np.flatnonzero(np.diff(run.offsets))
    assert moved.tolist() == [39] and run.along[40] == pytest.approx(40)
    assert run.offsets[40:] == pytest.approx(-0.8) and run.arrived
    (back,) = drive(demonstrator, [straight_road], {0: [Push(40, 1.5)]})
    assert abs(back.offsets[60]) < 0.3 and back.arrived  # two seconds later


def test_a_pushed_car_that_is_beyond_its_line_has_left(straight_road):
    (run,) = drive(straight, [straight_road], {0: [Push(10, 1.0), Push(30, 1.0)]})
    assert run.metres == pytest.approx(30, abs=1.1)
    assert abs(run.offsets[-1]) > LANE / 2


def test_roads_driven_together_are_driven_as_alone(circle, straight_road):
    together = drive(demonstrator, [straight_road, circle], {1: [Push(20, 1.0)]})
    (alone,) = drive(demonstrator, [circle], {0: [Push(20, 1.0)]})
    assert np.array_equal(together[1].poses, alone.poses)


def test_the_pushes_of_the_score_are_three_to_a_road_and_always_the_same():
    pushes = score_pushes()
    assert pushes == score_pushes() and sorted(pushes) == list(range(len(TEST_SEEDS)))
    assert all([push.metre for push in three] == [40, 90, 140] for three in pushes.values())
    assert all(0.8 <= abs(push.left) <= 1.4 for three in pushes.values() for push in three)


def test_what_makes_no_sense_is_refused(straight_road):
    for wrong in ((-1, 0.5), (201, 0.5), (10, 1.7), (10, float("nan"))):
        with pytest.raises(CnnError, match="a push must"):
            Push(*wrong)
    with pytest.raises(CnnError, match="expected a curvature, got nan"):
        move((0.0, 0.0, 0.0), float("nan"))
    with pytest.raises(CnnError, match="expected 1 curvatures from the driver, got 2"):
        drive(lambda views: [0.0, 0.0], [straight_road])
    with pytest.raises(CnnError, match="at least one drive"):
        score([])
