"""Drawn roads: a lane of curves and straights, what stands beside it, and where a point lies relative to it.

Lengths are metres, angles radians, curvatures 1/m; left is positive. A road begins at the origin and heads along x. The
reference line is the middle of the right-hand lane, in which the car drives: the lane ends `LANE` / 2 to either side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from cnn_core.errors import CnnError

LANE = 3.5  # width of a lane
LENGTH = 200.0  # to be driven
BEFORE, AHEAD = 10.0, 60.0  # drawn before the start and beyond the end, so that a view is never cut
SPACING = 0.25  # between points of the reference line
TIGHTEST, WIDEST = 32.0, 90.0  # radius of curves
EASING = 10.0  # over which a curve begins and ends
TURN = 1.9  # by which a road turns away from its first direction at most: it never meets itself
CELL, REACH = 1.0, 30.0  # edge of a cell of the map of offsets; how far beside the road it goes
TREES = 45

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Colours (RGB, 0 to 1) and light of a road."""

    sky: tuple[Colour, Colour]  # above, at the horizon
    hills: Colour
    grass: tuple[Colour, Colour]  # patches of the two
    asphalt: Colour
    line: Colour
    tree: Colour


LOOKS = (
    Look(((0.36, 0.60, 0.86), (0.78, 0.88, 0.95)), (0.40, 0.53, 0.50), ((0.36, 0.53, 0.24), (0.28, 0.45, 0.20)),
         (0.38, 0.38, 0.40), (0.93, 0.93, 0.90), (0.16, 0.33, 0.17)),
    Look(((0.30, 0.33, 0.55), (0.96, 0.70, 0.52)), (0.36, 0.31, 0.42), ((0.43, 0.42, 0.24), (0.35, 0.34, 0.20)),
         (0.36, 0.33, 0.35), (0.95, 0.84, 0.66), (0.20, 0.23, 0.18)),
    Look(((0.62, 0.66, 0.70), (0.80, 0.82, 0.83)), (0.52, 0.57, 0.58), ((0.35, 0.44, 0.30), (0.30, 0.39, 0.27)),
         (0.30, 0.31, 0.33), (0.82, 0.83, 0.82), (0.20, 0.30, 0.22)),
    Look(((0.42, 0.66, 0.90), (0.90, 0.89, 0.80)), (0.66, 0.55, 0.40), ((0.74, 0.62, 0.36), (0.65, 0.53, 0.30)),
         (0.46, 0.44, 0.43), (0.97, 0.95, 0.88), (0.42, 0.42, 0.20)),
    Look(((0.45, 0.62, 0.80), (0.86, 0.88, 0.88)), (0.50, 0.42, 0.36), ((0.62, 0.42, 0.20), (0.48, 0.40, 0.20)),
         (0.34, 0.33, 0.34), (0.95, 0.86, 0.40), (0.66, 0.34, 0.12)),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Road:
    """A drawn road.

    Args:
        seed: the number it was drawn from.
        curvature: of the reference line at points `SPACING` apart, from -`BEFORE` to `LENGTH` + `AHEAD`: [N].
        points: x, y and heading of the reference line there: [N, 3].
        trees: x, y, height and shade (0 to 1) of each: [T, 4].
        shadows: where shadows fall over the road, from and to: [M, 2].
        look: its colours.
        light: brightness at the start and at the end.
    """

    seed: int
    curvature: np.ndarray
    points: np.ndarray
    trees: np.ndarray
    shadows: np.ndarray
    look: Look
    light: tuple[float, float]

    def at(self, metre: float) -> np.ndarray:
        """Return x, y and heading of the reference line at a distance from the start: [3]."""
        index = (metre + BEFORE) / SPACING
        return np.array([np.interp(index, np.arange(len(self.points)), column) for column in self.points.T])

    def locate(self, x: float, y: float, *, near: float, within: float = 6.0) -> tuple[float, float]:
        """Return how far along the road a point is, and how far to the left of the reference line.

        Args:
            x, y: the point.
            near: about how far along it is.
            within: metres before and after that are searched.
        """
        middle, reach = round((near + BEFORE) / SPACING), round(within / SPACING)
        first = int(np.clip(middle - reach, 0, len(self.points) - 1))
        part = self.points[first : max(first + 1, middle + reach + 1)]
        index = first + int(np.argmin(np.hypot(part[:, 0] - x, part[:, 1] - y)))
        along, beside = _relative(self.points[index], np.array([x]), np.array([y]))
        return float(index * SPACING - BEFORE + along[0]), float(beside[0])

    @cached_property
    def map(self) -> tuple[np.ndarray, np.ndarray]:
        """The lower left corner [2], and for cells of `CELL` metres, distance along the road and offset: [2, H, W]."""
        from scipy.spatial import cKDTree

        low = self.points[:, :2].min(0) - REACH
        columns, rows = np.ceil((self.points[:, :2].max(0) + REACH - low) / CELL).astype(int) + 1
        y, x = np.mgrid[:rows, :columns] * CELL
        x, y = (x + low[0]).ravel(), (y + low[1]).ravel()
        _, nearest = cKDTree(self.points[:, :2]).query(np.stack([x, y], 1))
        along, beside = _relative(self.points[nearest].T, x, y)
        cells = np.stack([nearest * SPACING - BEFORE + along, np.clip(beside, -REACH, REACH)])
        return low, cells.reshape(2, rows, columns).astype(np.float32)

    def look_up(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distance along the road and offset to the left of many points, from the map: [...] twice."""
        low, cells = self.map
        rows, columns = cells.shape[1:]
        column = np.clip((x - np.float32(low[0])) / CELL, 0, columns - 1.001)
        row = np.clip((y - np.float32(low[1])) / CELL, 0, rows - 1.001)
        left, below = column.astype(np.int32), row.astype(np.int32)
        right, above, index = column - left, row - below, below * columns + left
        found = []
        for values in cells.reshape(2, -1):
            low_row = values.take(index)
            low_row += (values.take(index + 1) - low_row) * right
            high_row = values.take(index + columns)
            high_row += (values.take(index + columns + 1) - high_row) * right
            found.append(low_row + (high_row - low_row) * above)
        return found[0], found[1]


def _relative(point: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far before and left of a point (x, y, heading) others are."""
    cos, sin = np.cos(point[2]), np.sin(point[2])
    dx, dy = x - point[0], y - point[1]
    return dx * cos + dy * sin, dy * cos - dx * sin


def reference_line(curvature: np.ndarray) -> np.ndarray:
    """Return x, y and heading of a line with these curvatures at points `SPACING` apart: [N] -> [N, 3].

    The point `BEFORE` metres from the first is the origin, and its heading 0.
    """
    start = round(BEFORE / SPACING)
    steps = (curvature[1:] + curvature[:-1]) / 2 * SPACING
    heading = np.concatenate([[0.0], np.cumsum(steps)])
    middle = (heading[1:] + heading[:-1]) / 2
    x = np.concatenate([[0.0], np.cumsum(np.cos(middle) * SPACING)])
    y = np.concatenate([[0.0], np.cumsum(np.sin(middle) * SPACING)])
    turned = -heading[start]
    x, y = x - x[start], y - y[start]
    cos, sin = np.cos(turned), np.sin(turned)
    return np.stack([x * cos - y * sin, x * sin + y * cos, heading + turned], 1)


def road_from(curvature: np.ndarray, *, seed: int = 0) -> Road:
    """Return a road of given curvatures, whose look and trees are drawn from the seed.

    Raises:
        CnnError: there are not as many curvatures as points, or one is tighter than the car turns.
    """
    wanted = round((BEFORE + LENGTH + AHEAD) / SPACING) + 1
    if curvature.shape != (wanted,) or not np.isfinite(curvature).all() or np.abs(curvature).max() > 0.1:
        raise CnnError(f"expected {wanted} curvatures from -0.1 to 0.1 per metre, got {list(curvature.shape)}")
    generator = np.random.default_rng([seed, 1])
    points = reference_line(curvature)
    look = LOOKS[int(generator.integers(len(LOOKS)))]
    start, end = generator.uniform(0.75, 1.15, 2)
    starts = np.sort(generator.uniform(0, LENGTH + AHEAD, int(generator.integers(0, 12))))
    shadows = np.stack([starts, starts + generator.uniform(0.8, 4.0, len(starts))], 1)
    place = generator.integers(0, len(points), TREES)
    left = generator.random(TREES) < 0.5
    beside = np.where(left, LANE * 1.5, -LANE / 2) + np.where(left, 1, -1) * generator.uniform(3, 18, TREES)
    x, y, heading = points[place].T
    x, y = x - beside * np.sin(heading), y + beside * np.cos(heading)
    trees = np.stack([x, y, generator.uniform(3, 8, TREES), generator.random(TREES)], 1)
    nearest = np.hypot(points[:, :1] - x, points[:, 1:2] - y).argmin(0)
    _, offset = _relative(points[nearest].T, x, y)  # the road may bend towards a tree
    kept = (offset > LANE * 1.5 + 2) | (offset < -LANE / 2 - 2)
    return Road(seed, curvature, points, trees[kept], shadows, look, (float(start), float(end)))


@cache
def draw_road(seed: int) -> Road:
    """Draw a road: straights and curves of 20 to 45 m, the first 12 m straight. The same seed gives the same road.

    Raises:
        CnnError: the seed is below 0.
    """
    if seed < 0:
        raise CnnError(f"the seed of a road must be 0 or above, got {seed}")
    generator = np.random.default_rng(seed)
    count = round((BEFORE + LENGTH + AHEAD) / SPACING) + 1
    while True:
        curvature = np.zeros(count)
        at = round((BEFORE + 12) / SPACING)
        while at < count:
            end = at + round(float(generator.uniform(20, 45)) / SPACING)
            if generator.random() < 0.75:
                curvature[at:end] = generator.choice((-1, 1)) / generator.uniform(TIGHTEST, WIDEST)
            at = end
        window = round(EASING / SPACING)
        curvature = np.convolve(np.pad(curvature, (window // 2, window - 1 - window // 2), "edge"),
                                np.full(window, 1 / window), "valid")  # fmt: skip
        if np.abs(reference_line(curvature)[:, 2]).max() < TURN:
            return road_from(curvature, seed=seed)


def draw_roads(seeds: Sequence[int]) -> list[Road]:
    """Draw several roads."""
    return [draw_road(seed) for seed in seeds]
