"""The view from a car: a pinhole camera over flat ground, and the picture that it takes of a drawn road.

A point `forward` metres before the camera, `left` and `up` from it is seen `focal * left / forward` pixels to the left
of the middle and `focal * up / forward` above the horizon (Hartley, Zisserman 2004, "Multiple View Geometry in Computer
Vision", section 6.1, doi:10.1017/CBO9780511811685; the camera looks straight ahead).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from cnn_core.errors import CnnError
from lab.roads import LANE, LENGTH, Colour, Road

HEIGHT, WIDTH = 64, 128  # pixels of the picture that the network sees
LINE, DASH, GAP = 0.15, 3.0, 4.5  # metres: width of a line; length of a dash and of the gap behind it
SHOULDER = 0.4  # metres of asphalt beyond a line
DARK = 0.62  # of a shadow
FAR = 70.0  # metres at which the haze has swallowed half of the colours


@dataclass(frozen=True)
class Camera:
    """A camera that looks straight ahead, and the size of its pictures in pixels."""

    height: int = HEIGHT
    width: int = WIDTH
    above: float = 1.4  # metres over the ground
    focal_share: float = 0.6  # focal length as a share of the width: 80 degrees from side to side
    horizon_share: float = 0.3  # of the height, from above

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 8 or max(self.height, self.width) > 1024:
            raise CnnError(f"a picture must have 8 to 1024 pixels a side, got {self.height} x {self.width}")
        if self.above <= 0 or self.focal_share <= 0 or not 0 < self.horizon_share < 1:
            raise CnnError("a camera is above the ground, has a focal length above 0 and a horizon in its picture")

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.focal_share * self.width

    @property
    def horizon(self) -> float:
        """Row of the horizon."""
        return self.horizon_share * self.height

    def project(self, forward: float, left: float, up: float = 0.0) -> tuple[float, float]:
        """Return row and column of a point: metres before the camera, to its left, and above the ground.

        Raises:
            CnnError: the point is not before the camera.
        """
        if forward <= 0:
            raise CnnError(f"a point must be before the camera to be seen, got {forward} m")
        return (
            self.horizon + self.focal * (self.above - up) / forward,
            self.width / 2 - self.focal * left / forward,
        )

    def ground(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Return the first row of ground, and metres forward [R] and to the left [R, W] of its pixels' middles."""
        return _ground(self)


@cache
def _ground(camera: Camera) -> tuple[int, np.ndarray, np.ndarray]:
    first = int(np.ceil(camera.horizon + 0.5))
    below = np.arange(first, camera.height) + 0.5 - camera.horizon
    forward = camera.focal * camera.above / below
    left = forward[:, None] * (camera.width / 2 - np.arange(camera.width) - 0.5) / camera.focal
    return first, forward.astype(np.float32), left.astype(np.float32)


SEEN = Camera()  # of the network


def render(road: Road, pose: tuple[float, float, float], camera: Camera = SEEN) -> np.ndarray:
    """Take a picture of a road: uint8 [H, W, 3], RGB.

    Args:
        road: what is seen.
        pose: x, y (metres) and heading (radians) of the camera.
        camera: its size and its optics.
    """
    first, forward, _ = camera.ground()
    along, beside = seen_places(road, pose, camera)
    metre = float(along[-1, camera.width // 2] - forward[-1])
    brightness = np.interp(metre, (0, LENGTH), road.light)
    picture = np.empty((camera.height, camera.width, 3), np.float32)
    picture[:first] = _sky(road, pose[2], camera, first)
    ground = _colours(road, pose, along, beside, camera)
    haze = (1 - 0.5 ** (forward / FAR))[:, None, None]
    picture[first:] = ground * (1 - haze) + _colour(road.look.sky[1]) * haze
    _plant(picture, road, pose, camera)
    return np.round(255 * np.clip(picture * brightness, 0, 1)).astype(np.uint8)


def seen_places(road: Road, pose: tuple[float, float, float], camera: Camera = SEEN) -> tuple[np.ndarray, np.ndarray]:
    """Return where the ground of a picture lies: metres along the road and to the left of the lane's middle, [R, W]."""
    _, forward, left = camera.ground()
    x, y, heading = pose
    cos, sin = np.float32(np.cos(heading)), np.float32(np.sin(heading))
    return road.look_up(x + forward[:, None] * cos - left * sin, y + forward[:, None] * sin + left * cos)


def line_share(along: np.ndarray, beside: np.ndarray, camera: Camera = SEEN) -> np.ndarray:
    """Return how much of each pixel of the ground [R, W] is a painted line, 0 to 1."""
    _, forward, _ = camera.ground()
    pixel = (forward / camera.focal)[:, None]  # metres from side to side of a pixel
    dashed = np.where((along % (DASH + GAP)) < DASH, _stripe(beside - LANE / 2, pixel), 0)
    return np.maximum(dashed, np.maximum(_stripe(beside + LANE / 2, pixel), _stripe(beside - 1.5 * LANE, pixel)))


def _stripe(beside: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Return how much of a pixel, so many metres wide and so far from the middle of a line, the line covers."""
    high = np.minimum(beside + pixel / 2, LINE / 2)
    low = np.maximum(beside - pixel / 2, -LINE / 2)
    return np.clip((high - low) / pixel, 0, 1)


def _colours(
    road: Road, pose: tuple[float, float, float], along: np.ndarray, beside: np.ndarray, camera: Camera
) -> np.ndarray:
    """Return the colours of the ground: [R, W, 3]."""
    look, (_, forward, _) = road.look, camera.ground()
    pixel = (forward / camera.focal)[:, None]
    fine = (_noise(along, beside, road.seed) - 0.5) * np.clip(0.25 / pixel, 0, 1)
    patches = 0.5 + 0.25 * (np.sin(0.9 * along + road.seed) + np.sin(1.1 * beside - 0.35 * along))
    on_road = np.clip((LANE + SHOULDER - np.abs(beside - LANE / 2)) / pixel + 0.5, 0, 1)
    line = 0.95 * line_share(along, beside, camera)
    light = 1 + (0.16 - 0.06 * on_road) * fine
    slanted = along - 0.5 * beside
    for start, end in road.shadows:
        if start - 15 < along.max() and end + 15 > along.min():
            shade = np.clip(1.5 - np.abs(slanted - (start + end) / 2) / (end - start) * 2, 0, 1)
            light = light * (1 - (1 - DARK) * shade)
    ground = np.empty((*along.shape, 3), np.float32)
    for i in range(3):  # a colour at a time: several times as fast as all three
        one, other = look.grass[0][i], look.grass[1][i]
        grass = one + (other - one) * patches
        ground[..., i] = ((grass + (look.asphalt[i] - grass) * on_road) * (1 - line) + look.line[i] * line) * light
    return ground


def _sky(road: Road, heading: float, camera: Camera, count: int) -> np.ndarray:
    """Return so many rows of sky and hills, from above: [count, W, 3]; the hills move past when the car turns."""
    rows = (np.arange(count, dtype=np.float32) + 0.5)[:, None]
    share = np.clip(rows / camera.horizon, 0, 1)[..., None]
    sky = _colour(road.look.sky[0]) * (1 - share) + _colour(road.look.sky[1]) * share
    angle = heading + np.arctan((camera.width / 2 - np.arange(camera.width) - 0.5) / camera.focal)
    ridge = 0.09 + 0.035 * np.sin(5 * angle + road.seed) + 0.02 * np.sin(13 * angle + 2 * road.seed)
    hills = np.clip(rows - (camera.horizon - ridge * camera.height * 0.9) + 0.5, 0, 1)[..., None].astype(np.float32)
    far = 0.6 * _colour(road.look.hills) + 0.4 * _colour(road.look.sky[1])
    return sky * (1 - hills) + far * hills


def _colour(colour: Colour) -> np.ndarray:
    return np.array(colour, np.float32)


def _plant(picture: np.ndarray, road: Road, pose: tuple[float, float, float], camera: Camera) -> None:
    """Draw the trees into the picture, the farthest first."""
    x, y, heading = pose
    dx, dy = road.trees[:, 0] - x, road.trees[:, 1] - y
    forward = dx * np.cos(heading) + dy * np.sin(heading)
    left = dy * np.cos(heading) - dx * np.sin(heading)
    seen = np.flatnonzero((forward > 2.5) & (forward < 50) & (np.abs(left) < forward + 3))
    for i in seen[np.argsort(-forward[seen])]:
        depth, height, tone = float(forward[i]), float(road.trees[i, 2]), float(road.trees[i, 3])
        foot, column = camera.project(depth, float(left[i]))
        scale = camera.focal / depth
        haze = 1 - 0.5 ** (depth / FAR)
        bark, leaves = (
            (1 - haze) * _colour(colour) * (0.8 + 0.4 * tone) + haze * _colour(road.look.sky[1])
            for colour in ((0.25, 0.19, 0.14), road.look.tree)
        )
        if height * scale > 8:
            _fill(picture, (foot - 0.3 * height * scale, foot), (column, 0.05 * height * scale), bark, round_=False)
        _fill(picture, (foot - height * scale, foot - 0.22 * height * scale), (column, 0.27 * height * scale), leaves)


def _fill(
    picture: np.ndarray,
    rows: tuple[float, float],
    across: tuple[float, float],
    colour: np.ndarray,
    *,
    round_: bool = True,
) -> None:
    """Fill an ellipse or a box from row to row around a column, half a width to either side, with soft edges."""
    (top, foot), (column, half) = rows, across
    low, high = max(0, int(top) - 1), min(picture.shape[0], int(foot) + 2)
    start, end = max(0, int(column - half) - 1), min(picture.shape[1], int(column + half) + 2)
    if low >= high or start >= end:
        return
    down = (np.arange(low, high) + 0.5)[:, None] - (top + foot) / 2
    right = (np.arange(start, end) + 0.5)[None] - column
    tall = max(0.5, (foot - top) / 2)
    wide = max(0.4, half)
    if round_:
        share = np.clip((1 - np.hypot(down / tall, right / wide)) * min(tall, wide) + 0.5, 0, 1)
    else:
        share = np.clip(wide - np.abs(right) + 0.5, 0, 1) * np.clip(tall - np.abs(down) + 0.5, 0, 1)
    part = picture[low:high, start:end]
    picture[low:high, start:end] = part + (colour - part) * share[..., None].astype(np.float32)


def _noise(along: np.ndarray, beside: np.ndarray, seed: int) -> np.ndarray:
    """Return a number from 0 to 1 for each square of 0.4 m: the same for the same square."""
    x, y = (np.floor(2.5 * place).astype(np.int32).view(np.uint32) for place in (along, beside))
    mixed = x * np.uint32(374761393) + y * np.uint32(668265263) + np.uint32(seed * 974711 % 2**32)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    return ((mixed >> np.uint32(16)) & np.uint32(255)).astype(np.float32) / 255
