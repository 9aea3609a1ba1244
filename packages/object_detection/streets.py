"""Drawn street scenes with cars, people, three kinds of signs and lane lines: made, not downloaded, the truth is exact.

Held-out scenes have other layouts, colours and lights, drawn from other seeds. A box is that of the shape before
anything stands in front of it; things that would be hidden by more than a third are not put there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 320, 192  # pixels
LABELS = ("car", "lane line", "pedestrian", "speed limit", "stop sign", "warning sign")
COUNTS = {"train": 700, "val": 100, "test": 200}
SEEDS = {"train": 31, "val": 32, "test": 33}
HIDDEN = 0.33  # largest share of a box that another one may cover
_OVERSAMPLING = 2  # scenes are drawn larger and shrunk: smooth edges
_SKIES = ((150, 190, 235), (190, 200, 210), (235, 190, 150), (90, 110, 150))
_COATS = ((200, 40, 40), (40, 70, 160), (40, 130, 70), (230, 180, 40), (240, 240, 240), (60, 60, 70), (130, 60, 140))
_HOUSES = ((165, 125, 105), (190, 175, 150), (140, 140, 150), (120, 95, 85), (205, 195, 185))

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels; a pixel covers [x, x + 1)
Thing = tuple[str, Box]


@dataclass
class _Scene:
    """A street that is being drawn; coordinates are pixels of the finished picture."""

    random: np.random.RandomState
    image: Image.Image
    pen: ImageDraw.ImageDraw
    horizon: float
    vanishing: float  # x of the point on the horizon in which the lane lines meet
    things: list[Thing]

    def polygon(self, colour: tuple[int, ...], *points: tuple[float, float]) -> None:
        self.pen.polygon([(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points], fill=colour)

    def oval(self, colour: tuple[int, ...], box: Box) -> None:
        self.pen.ellipse([value * _OVERSAMPLING for value in box], fill=colour)

    def block(self, colour: tuple[int, ...], box: Box) -> None:
        left, top, right, bottom = box
        self.polygon(colour, (left, top), (right, top), (right, bottom), (left, bottom))

    def has_room(self, box: Box) -> bool:
        """Tell whether a thing in `box` hides no other one, and is hidden by none, lane lines apart."""
        if box[0] < 1 or box[1] < 1 or box[2] > WIDTH - 1 or box[3] > HEIGHT - 1:
            return False
        return all(label == "lane line" or _covered(box, other) < HIDDEN for label, other in self.things)


def street_scenes(split: str, count: int | None = None) -> Iterator[tuple[Image.Image, list[Thing]]]:
    """Yield the pictures of "train", "val" or "test" with the label and the box of everything in them.

    Args:
        split: which scenes.
        count: how many, from the first on; None: all of `COUNTS`.
    """
    for number in range(COUNTS[split] if count is None else count):
        yield _draw(np.random.RandomState([SEEDS[split], number]))


def _draw(random: np.random.RandomState) -> tuple[Image.Image, list[Thing]]:
    """Draw one scene: sky, houses and road first, then things from far to near."""
    sky = np.array(_SKIES[random.randint(len(_SKIES))]) + random.randint(-20, 21, 3)
    image = Image.new("RGB", (WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING), _tone(sky))
    scene = _Scene(
        random, image, ImageDraw.Draw(image), HEIGHT * random.uniform(0.3, 0.42), WIDTH * random.uniform(0.35, 0.65), []
    )
    _background(scene)
    _lane_lines(scene)
    wanted: list[Callable[[_Scene, float], None]] = [_car] * random.randint(0, 4)
    wanted += [_pedestrian] * random.randint(0, 4) + [_sign] * random.randint(0, 4)
    nearness = np.sort(random.uniform(0.0, 1.0, len(wanted)))
    for place, maker in zip(nearness, random.permutation(np.array(wanted, dtype=object)), strict=True):
        for _ in range(6):  # tries to find a free place
            before = len(scene.things)
            maker(scene, float(place))
            if len(scene.things) > before:
                break
    small = image.resize((WIDTH, HEIGHT), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(random.uniform(0, 0.8)))
    light = random.uniform(0.65, 1.15)
    grain = random.normal(0, random.uniform(1, 8), (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(np.asarray(small) * light + grain, 0, 255).astype(np.uint8)), scene.things


def _background(scene: _Scene) -> None:
    random, horizon = scene.random, scene.horizon
    grass = _tone(np.array((95, 130, 80)) + random.randint(-30, 31, 3))
    scene.block(grass, (0, horizon, WIDTH, HEIGHT))
    left = 0.0
    while left < WIDTH:
        width = random.uniform(20, 60)
        top = horizon - random.uniform(5, 0.9 * horizon)
        wall = np.array(_HOUSES[random.randint(len(_HOUSES))]) + random.randint(-15, 16, 3)
        scene.block(_tone(wall), (left, top, left + width, horizon + 2))
        for x in np.arange(left + 4, left + width - 6, 10):
            for y in np.arange(top + 4, horizon - 8, 12):
                scene.block(_tone(wall * 0.6), (x, y, x + 5, y + 7))
        left += width + random.choice((0, 0, 8))
    road = _tone(np.array((85, 85, 90)) + random.randint(-20, 21))
    half = WIDTH * random.uniform(0.42, 0.62)
    x = scene.vanishing
    scene.polygon(road, (x - 6, horizon), (x + 6, horizon), (x + half, HEIGHT), (x - half, HEIGHT))


def _lane_lines(scene: _Scene) -> None:
    """Two or three lines that run to the vanishing point; the middle one may be dashed."""
    random, horizon = scene.random, scene.horizon
    colour = ((235, 235, 230), (230, 195, 70))[random.randint(2)]
    places = [-random.uniform(0.28, 0.42), random.uniform(0.28, 0.42)]
    if random.rand() < 0.6:
        places.append(random.choice((-1, 1)) * random.uniform(0.06, 0.14))
    far = horizon + (HEIGHT - horizon) * random.uniform(0.12, 0.3)
    for number, place in enumerate(places):
        bottom_x = scene.vanishing + place * WIDTH
        dashed = number == 2 and random.rand() < 0.7
        points: list[tuple[float, float]] = []
        steps = 7 if dashed else 1
        for step in range(0, steps, 2):
            ends = [far + (HEIGHT - far) * (part / steps) ** 1.5 for part in (step, step + 1)]
            quad = [_on_line(scene, bottom_x, y) for y in ends]
            (xa, wa), (xb, wb) = quad
            corners = [(xa - wa, ends[0]), (xa + wa, ends[0]), (xb + wb, ends[1]), (xb - wb, ends[1])]
            scene.polygon(colour, *corners)
            points += corners
        xs, ys = zip(*points, strict=True)
        box = (max(0.0, min(xs)), min(ys), min(float(WIDTH), max(xs)), max(ys))
        scene.things.append(("lane line", box))


def _on_line(scene: _Scene, bottom_x: float, y: float) -> tuple[float, float]:
    """Return the middle and half the width of a lane line in row `y`."""
    share = (y - scene.horizon) / (HEIGHT - scene.horizon)
    return scene.vanishing + (bottom_x - scene.vanishing) * share, 0.6 + 2.2 * share


def _ground(scene: _Scene, nearness: float) -> float:
    """Return the row on which a thing stands: near the horizon at 0, near the lower edge at 1."""
    return scene.horizon + (HEIGHT - scene.horizon) * (0.18 + 0.75 * nearness)


def _car(scene: _Scene, nearness: float) -> None:
    random, ground = scene.random, _ground(scene, nearness)
    width = 20 + 70 * nearness * random.uniform(0.85, 1.15)
    height = width * random.uniform(0.62, 0.78)
    x = scene.vanishing + (random.uniform(-0.3, 0.3)) * WIDTH * (0.35 + nearness)
    box = (x - width / 2, ground - height, x + width / 2, ground)
    if not scene.has_room(box):
        return
    paint = np.array(_COATS[random.randint(len(_COATS))]) + random.randint(-20, 21, 3)
    left, top, right, bottom = box
    belt = top + 0.42 * height
    inset = width * random.uniform(0.1, 0.2)
    scene.polygon(_tone(paint), (left + inset, top), (right - inset, top), (right - 1, belt), (left + 1, belt))
    scene.polygon(
        (60, 75, 90), (left + inset + 2, top + 2), (right - inset - 2, top + 2), (right - 4, belt), (left + 4, belt)
    )
    scene.block(_tone(paint), (left, belt, right, bottom - 0.12 * height))
    lamp = ((250, 240, 190), (190, 30, 25))[random.randint(2)]
    for side in (left + 1, right - 1 - width * 0.16):
        scene.block(lamp, (side, belt + 0.1 * height, side + width * 0.16, belt + 0.24 * height))
    for side in (left + width * 0.04, right - width * 0.22):
        scene.block((25, 25, 28), (side, bottom - 0.16 * height, side + width * 0.18, bottom))
    scene.things.append(("car", box))


def _pedestrian(scene: _Scene, nearness: float) -> None:
    random, ground = scene.random, _ground(scene, nearness)
    height = 22 + 58 * nearness * random.uniform(0.85, 1.15)
    width = height * random.uniform(0.34, 0.44)
    x = scene.vanishing + random.choice((-1, 1)) * random.uniform(0.1, 0.48) * WIDTH * (0.5 + nearness)
    box = (x - width / 2, ground - height, x + width / 2, ground)
    if not scene.has_room(box):
        return
    left, top, right, bottom = box
    head, hip = top + 0.2 * height, top + 0.58 * height
    coat = np.array(_COATS[random.randint(len(_COATS))]) + random.randint(-20, 21, 3)
    trousers = _tone(np.array((50, 55, 75)) + random.randint(-25, 26, 3))
    skin = _tone(np.array((215, 170, 140)) * random.uniform(0.45, 1.05))
    radius = 0.1 * height
    scene.oval(skin, (x - radius, top, x + radius, top + 2 * radius))
    scene.polygon(
        trousers, (x - 0.2 * width, hip), (x + 0.05 * width, hip), (left + 0.28 * width, bottom), (left, bottom)
    )
    scene.polygon(
        trousers, (x - 0.05 * width, hip), (x + 0.2 * width, hip), (right, bottom), (right - 0.28 * width, bottom)
    )
    scene.polygon(
        _tone(coat),
        (x - 0.3 * width, head),
        (x + 0.3 * width, head),
        (right - 0.12 * width, hip),
        (left + 0.12 * width, hip),
    )
    scene.things.append(("pedestrian", box))


def _sign(scene: _Scene, nearness: float) -> None:
    """A stop sign, a speed limit or a warning sign on its post; the box is that of the plate."""
    random, ground = scene.random, _ground(scene, nearness)
    size = 14 + 26 * nearness * random.uniform(0.85, 1.15)
    x = scene.vanishing + random.choice((-1, 1)) * random.uniform(0.15, 0.48) * WIDTH * (0.5 + nearness)
    top = ground - size * random.uniform(2.6, 3.6)
    label = ("speed limit", "stop sign", "warning sign")[random.randint(3)]
    tall = size * 0.88 if label == "warning sign" else size
    box = (x - size / 2, top, x + size / 2, top + tall)
    if not scene.has_room(box):
        return
    scene.block((125, 125, 125), (x - 0.05 * size, top + 0.5 * size, x + 0.05 * size, ground))
    red, white = (200, 35, 35), (240, 240, 240)
    middle = top + size / 2
    if label == "speed limit":
        scene.oval(red, box)
        ring = 0.16 * size
        scene.oval(white, (box[0] + ring, box[1] + ring, box[2] - ring, box[3] - ring))
        for offset in (-0.12, 0.12):
            digit = (x + (offset - 0.07) * size, middle - 0.17 * size, x + (offset + 0.07) * size, middle + 0.17 * size)
            scene.block((20, 20, 20), digit)
    elif label == "stop sign":
        corner = 0.29 * size
        scene.polygon(red, *_octagon(box, corner))
        scene.block(white, (x - 0.33 * size, middle - 0.1 * size, x + 0.33 * size, middle + 0.1 * size))
    else:
        scene.polygon(red, (x, top), (box[2], box[3]), (box[0], box[3]))
        scene.polygon((245, 215, 60), (x, top + 0.26 * size), (x + 0.29 * size, top + 0.76 * size),
                      (x - 0.29 * size, top + 0.76 * size))  # fmt: skip
        scene.block((20, 20, 20), (x - 0.04 * size, top + 0.4 * size, x + 0.04 * size, top + 0.68 * size))
    scene.things.append((label, box))


def _octagon(box: Box, corner: float) -> list[tuple[float, float]]:
    left, top, right, bottom = box
    return [
        (left + corner, top), (right - corner, top), (right, top + corner), (right, bottom - corner),
        (right - corner, bottom), (left + corner, bottom), (left, bottom - corner), (left, top + corner),
    ]  # fmt: skip


def _covered(a: Box, b: Box) -> float:
    """Return the larger share of one of two boxes that the other covers."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(0.0, wide) * max(0.0, tall) / max(1e-9, smaller)


def _tone(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in np.clip(colour, 0, 255))
