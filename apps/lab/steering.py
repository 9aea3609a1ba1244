"""Steering in a closed loop: what a driver does changes what it sees next.

The car is the kinematic bicycle model (Rajamani 2012, "Vehicle Dynamics and Control", section 2.2,
doi:10.1007/978-1-4614-1433-9; here the point between the rear wheels is followed). A driver answers the view with a
curvature in 1/m, as PilotNet does. The score is how far the car comes before its middle leaves the lane.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cnn_core.errors import CnnError
from lab.camera import SEEN, render
from lab.roads import LANE, LENGTH, Road

SPEED, SECONDS = 10.0, 0.1  # m/s; between two decisions
WHEELBASE, MOST_TURNED = 2.5, 0.4  # metres; radians that the front wheels turn to either side
LOOKAHEAD = 8.0  # metres before the car where the point lies that the demonstrator steers for
FURTHEST = 1.6  # metres that a push moves the car at most: it still stands in its lane
TEST_SEEDS = tuple(range(1, 21))  # the 20 roads of the score

Pose = tuple[float, float, float]  # x and y in metres, heading in radians


@dataclass(frozen=True)
class Push:
    """The car is moved sideways, as by a gust: after how many metres, and how far to the left (negative: right).

    Raises:
        CnnError: it begins beyond the road, or moves the car out of its lane.
    """

    metre: float
    left: float

    def __post_init__(self) -> None:
        if not 0 <= self.metre <= LENGTH:
            raise CnnError(f"a push must come within the {LENGTH:g} m of the road, got {self.metre:g} m")
        if not abs(self.left) <= FURTHEST:
            raise CnnError(f"a push must be {FURTHEST:g} m at most to either side, got {self.left:g} m")


@dataclass(frozen=True, eq=False)
class View:
    """What a driver may look at: a network at the picture, the demonstrator at the truth."""

    road: Road
    pose: Pose
    metre: float  # along the road
    offset: float  # to the left of the lane's middle

    @cached_property
    def picture(self) -> np.ndarray:
        """The camera's picture: uint8 [H, W, 3]."""
        return render(self.road, self.pose, SEEN)


Driver = Callable[[Sequence[View]], Sequence[float]]  # views of several cars -> curvatures in 1/m, left positive


@dataclass(frozen=True, eq=False)
class Run:
    """A drive: what was so before each decision, one row each, and how it ended."""

    poses: np.ndarray  # [T, 3]
    along: np.ndarray  # [T] metres along the road
    offsets: np.ndarray  # [T] metres to the left of the lane's middle
    curvatures: np.ndarray  # [T] answers of the driver, 1/m
    metres: float  # on the lane, from 0 to `LENGTH`

    @property
    def arrived(self) -> bool:
        return self.metres >= LENGTH


def steering_angle(curvature: float) -> float:
    """Return the angle of the front wheels for a curvature, `atan(WHEELBASE * curvature)`, as far as they turn."""
    return float(np.clip(np.arctan(WHEELBASE * curvature), -MOST_TURNED, MOST_TURNED))


def move(pose: Pose, curvature: float, *, metres: float = SPEED * SECONDS) -> Pose:
    """Return where the car is after so many metres with the wheels held still: exactly on an arc.

    Raises:
        CnnError: the curvature is no number.
    """
    if not np.isfinite(curvature):
        raise CnnError(f"expected a curvature, got {curvature}; the network's weights are damaged")
    x, y, heading = pose
    turned = np.tan(steering_angle(curvature)) / WHEELBASE * metres
    chord = metres * np.sinc(turned / 2 / np.pi)  # sin(t / 2) / (t / 2)
    middle = heading + turned / 2
    return float(x + chord * np.cos(middle)), float(y + chord * np.sin(middle)), float(heading + turned)


def straight(views: Sequence[View]) -> list[float]:
    """Never steer."""
    return [0.0] * len(views)


def demonstrator(views: Sequence[View]) -> list[float]:
    """Steer by pure pursuit for a point of the lane's middle `LOOKAHEAD` before the car, which it knows.

    The arc through a point `left` metres to the side at a distance `d` has the curvature `2 left / d^2` (Coulter 1992,
    "Implementation of the Pure Pursuit Path Tracking Algorithm", CMU-RI-TR-92-01).
    """
    answers = []
    for view in views:
        x, y, heading = view.pose
        goal = view.road.at(view.metre + LOOKAHEAD)
        dx, dy = goal[0] - x, goal[1] - y
        left = dy * np.cos(heading) - dx * np.sin(heading)
        answers.append(float(2 * left / (dx * dx + dy * dy)))
    return answers


def start(road: Road) -> Pose:
    """Return the pose at the beginning of a road."""
    x, y, heading = road.at(0.0)
    return float(x), float(y), float(heading)


def drive(driver: Driver, roads: Sequence[Road], pushes: Mapping[int, Sequence[Push]] | None = None) -> list[Run]:
    """Drive all roads at once, each until its end or until the car has left the lane.

    Args:
        driver: answers the views of all cars that still drive.
        roads: one car on each.
        pushes: by the number of the road in `roads`; each comes once.

    Raises:
        CnnError: the driver does not give one number for each view.
    """
    cars = [_Car(road, (pushes or {}).get(i, ())) for i, road in enumerate(roads)]
    while moving := [car for car in cars if car.drives()]:
        views = [car.view() for car in moving]
        answers = driver(views)
        if len(answers) != len(views):
            raise CnnError(f"expected {len(views)} curvatures from the driver, got {len(answers)}")
        for car, view, answer in zip(moving, views, answers, strict=True):
            car.go(view, float(answer))
    return [car.run() for car in cars]


class _Car:
    """One car on its road, with what it has done."""

    def __init__(self, road: Road, pushes: Sequence[Push]) -> None:
        self.road = road
        self.waiting = sorted(pushes, key=lambda push: push.metre)
        self.pose = start(road)
        self.metre, self.offset = road.locate(*self.pose[:2], near=0.0)
        self.rows: list[tuple[float, ...]] = []
        self.furthest = max(0.0, self.metre)

    def drives(self) -> bool:
        return self.furthest < LENGTH and abs(self.offset) <= LANE / 2 and len(self.rows) < 2 * LENGTH

    def view(self) -> View:
        """Return the view, after a push that is due."""
        if self.waiting and self.metre >= self.waiting[0].metre:
            left, (x, y, heading) = self.waiting.pop(0).left, self.pose
            across = self.road.at(self.metre)[2]
            self.pose = (float(x - left * np.sin(across)), float(y + left * np.cos(across)), heading)
            self._place()
        return View(self.road, self.pose, self.metre, self.offset)

    def go(self, view: View, curvature: float) -> None:
        self.rows.append((*view.pose, view.metre, view.offset, curvature))
        self.pose = move(view.pose, curvature)
        self._place()
        if abs(self.offset) <= LANE / 2:
            self.furthest = max(self.furthest, min(self.metre, LENGTH))

    def _place(self) -> None:
        self.metre, self.offset = self.road.locate(*self.pose[:2], near=self.metre)

    def run(self) -> Run:
        table = np.array(self.rows)
        return Run(table[:, :3], table[:, 3], table[:, 4], table[:, 5], round(self.furthest, 3))


def score(runs: Sequence[Run]) -> float:
    """Return the share of all metres that were driven on the lane, 0 to 1.

    Raises:
        CnnError: there is no run.
    """
    if not runs:
        raise CnnError("expected at least one drive to score")
    return sum(run.metres for run in runs) / (LENGTH * len(runs))


def score_pushes(count: int = len(TEST_SEEDS)) -> dict[int, list[Push]]:
    """Return the pushes of the score: three on every road, 0.8 to 1.4 m to either side, the same every time."""
    generator = np.random.default_rng(2016)
    pushes: dict[int, list[Push]] = {}
    for road in range(count):
        sides = generator.choice((-1.0, 1.0), 3) * generator.uniform(0.8, 1.4, 3)
        pushes[road] = [Push(metre, round(float(left), 2)) for metre, left in zip((40, 90, 140), sides, strict=True)]
    return pushes
