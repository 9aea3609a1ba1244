"""Photos of handwritten digits as people take them, made from digits in grey: pens, papers, desks, light, cameras.

`KINDS` are the kinds; `photo_of(digit, kind, seed=...)` makes one picture. Place, light and noise follow from the seed.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

Colour = tuple[float, float, float]  # 0 to 255
WHITE, BLACK, BLUE = (225.0, 225.0, 222.0), (30.0, 30.0, 32.0), (40.0, 60.0, 150.0)


@dataclass(frozen=True)
class Kind:
    """How a digit is written and photographed; edges in pixels, the digit's frame with its margin is `edge`."""

    ink: Colour = BLACK
    paper: Colour = WHITE
    size: tuple[int, int] = (400, 300)
    edge: int = 150
    stroke: float = 0.43  # level of the smoothed digit at which its stroke ends; less is a thicker pen
    light: str = "even"  # vignette, shadow, soft, hand, lamp
    lines: str = ""  # ruled, grid, margin
    desk: Colour | None = None  # around a smaller sheet
    turn: float = 0.0  # degrees at most
    tilt: float = 0.0  # share of an edge by which corners of the sheet are off
    texture: float = 0.0  # grey levels of unevenness of the paper
    blur: float = 0.7
    noise: float = 2.0
    quality: int = 85
    shrink: int = 1
    anywhere: bool = False  # near the frame too


KINDS = {
    "pen": Kind(),
    "ballpoint": Kind(ink=BLUE, stroke=0.55),
    "pencil": Kind(ink=(130, 130, 130), paper=(228, 226, 220), stroke=0.5, texture=2),
    "felt pen": Kind(stroke=0.25, ink=(20, 20, 25)),
    "red on yellow": Kind(ink=(190, 40, 40), paper=(240, 225, 120)),
    "green marker, lamp": Kind(ink=(30, 130, 70), paper=(235, 235, 235), stroke=0.3, light="lamp"),
    "cardboard": Kind(ink=(40, 30, 25), paper=(165, 130, 95), texture=5),
    "chalk": Kind(ink=(220, 220, 215), paper=(50, 62, 56), texture=4, stroke=0.35),
    "vignette": Kind(light="vignette"),
    "shadow": Kind(light="shadow"),
    "soft shadow": Kind(light="soft"),
    "hand's shadow": Kind(light="hand"),
    "pencil in shadow": Kind(ink=(125, 125, 125), light="shadow"),
    "small": Kind(edge=64, anywhere=True),
    "small in shadow": Kind(edge=64, light="shadow"),
    "far away": Kind(size=(1200, 900), edge=130, light="vignette", noise=4),
    "ruled": Kind(lines="ruled", ink=BLUE),
    "grid": Kind(lines="grid"),
    "margin": Kind(lines="margin", ink=BLUE),
    "grid in shadow": Kind(lines="grid", light="shadow"),
    "dark desk": Kind(desk=(70, 52, 40)),
    "light desk": Kind(desk=(172, 140, 105), turn=8),
    "tilted": Kind(tilt=0.10, desk=(90, 70, 55), turn=4),
    "turned": Kind(turn=14),
    "thumbnail": Kind(shrink=6, quality=75),
    "thumbnail in shadow": Kind(shrink=6, light="soft", quality=75),
    "blurred": Kind(blur=4, noise=3),
    "dark room": Kind(ink=(14, 14, 15), paper=(68, 64, 58), noise=7),
    "JPEG 12": Kind(quality=12, noise=4),
    "crumpled": Kind(texture=14, light="vignette"),
}


def photo_of(digit: np.ndarray, kind: str | Kind = "pen", *, seed: int) -> Image.Image:
    """Return a photo of one digit, [H, W] of any range from 0 on."""
    return photo_of_several([digit], kind, seed=seed)


def photo_of_several(digits: list[np.ndarray], kind: str | Kind = "pen", *, seed: int) -> Image.Image:
    """Return a photo of digits beside each other, in this order."""
    how = kind if isinstance(kind, Kind) else KINDS[kind]
    rng = np.random.default_rng(seed)
    width, height = how.size
    sheet = np.empty((height, width, 3))
    sheet[:] = how.paper
    if how.texture:
        sheet += _texture(rng, (height, width), how.texture)[..., None]
    _rule(sheet, how.lines, rng)
    spread = (0.02, 0.98) if how.anywhere else (0.3, 0.7)
    left, top = ((edge - how.edge * (n if n > 1 else 1)) * rng.uniform(*spread)
                 for edge, n in ((width, len(digits)), (height, 1)))  # fmt: skip
    mask = Image.new("L", (width, height))
    for place, digit in enumerate(digits):
        mask.paste(_stroke(digit, how), (int(left) + place * how.edge, int(top)))
    cover = np.asarray(mask)[..., None] / 255
    sheet = sheet * (1 - cover) + np.array(how.ink) * cover
    photo = Image.fromarray(np.clip(sheet, 0, 255).astype(np.uint8))
    photo = _on_desk(photo, how, rng)
    values = np.asarray(photo.filter(ImageFilter.GaussianBlur(how.blur))).astype(float)
    values *= _light(how.light, (height, width), rng)[..., None]
    photo = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).reduce(how.shrink)
    values = np.asarray(photo) + rng.normal(0, how.noise, (photo.height, photo.width, 1))
    file = io.BytesIO()
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=how.quality)
    return Image.open(file)


def _stroke(digit: np.ndarray, how: Kind) -> Image.Image:
    """Return the strokes of a digit as a mask of the kind's edge, smooth and then cut at the pen's level."""
    grey = Image.fromarray((digit * (255 / max(1.0, float(digit.max())))).astype(np.uint8))
    grey = grey.resize((how.edge, how.edge), Image.Resampling.BICUBIC)
    grey = grey.filter(ImageFilter.GaussianBlur(how.edge / 100))
    level = 255 * how.stroke
    return grey.point([int(min(255, max(0, (v - level) * 6 + 128))) for v in range(256)])


def _texture(rng: np.random.Generator, shape: tuple[int, int], strength: float) -> np.ndarray:
    """Return unevenness of paper: bumps of several sizes, [H, W]."""
    total = np.zeros(shape)
    for cells in (6, 14, 40):
        bumps = Image.fromarray(rng.normal(0, strength / 2, (cells, cells)).astype(np.float32))
        total += np.asarray(bumps.resize(shape[::-1], Image.Resampling.BICUBIC))
    return total


def _rule(sheet: np.ndarray, lines: str, rng: np.random.Generator) -> None:
    """Print the lines of an exercise book."""
    height, width = sheet.shape[:2]
    first = int(rng.integers(5, 35))
    if lines == "ruled":
        for y in range(first, height, 38):
            sheet[y : y + 2] = (150, 170, 205)
    if lines == "grid":
        for y in range(first, height, 24):
            sheet[y] = (170, 180, 210)
        for x in range(first, width, 24):
            sheet[:, x] = (170, 180, 210)
    if lines == "margin":
        for y in range(first, height, 38):
            sheet[y] = (175, 190, 215)
        sheet[:, 40:42] = (215, 120, 120)


def _on_desk(photo: Image.Image, how: Kind, rng: np.random.Generator) -> Image.Image:
    """Lay the sheet on a desk, turn it and look at it from the side."""
    if not (how.desk or how.turn or how.tilt):
        return photo
    width, height = photo.size
    inset = 0.09 if how.desk else 0.0
    angle = np.deg2rad(rng.uniform(-how.turn, how.turn))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([width, height]) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half  # of the sheet
    seen = (corners * (1 - 2 * inset)) @ turn.T + rng.uniform(-1, 1, (4, 2)) * how.tilt * half + half
    rows, right = [], []
    for (x, y), (u, v) in zip(seen, corners + half, strict=True):  # from the photo to the sheet, as PIL wants it
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    around = tuple(int(v) for v in (how.desk or how.paper))
    return photo.transform(
        photo.size, Image.Transform.PERSPECTIVE, np.linalg.solve(rows, right).tolist(), Image.Resampling.BILINEAR,
        fillcolor=around,
    )  # fmt: skip


def _light(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return the share of light on every pixel, [H, W]."""
    height, width = shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    if kind == "vignette":
        return 1 - 0.2 * (x**2 + y**2) / 2
    if kind == "shadow":
        return 1 - 0.6 / (1 + np.exp((along - rng.uniform(-0.5, 0.5)) / 0.04))
    if kind == "soft":
        return 1 - 0.5 / (1 + np.exp((along - rng.uniform(-0.5, 0.5)) / 0.25))
    if kind == "hand":
        a, b = rng.uniform(-0.9, 0.9, 2)
        return 1 - 0.45 / (1 + np.exp((((x - a) / 0.6) ** 2 + ((y - b) / 0.8) ** 2 - 1) / 0.1))
    if kind == "lamp":
        a, b = rng.uniform(-0.8, 0.8, 2)
        return 0.72 + 0.5 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.25)
    return np.ones(shape)
