"""An example to train on: drawings of three shapes, made here in a moment."""

import io
import random
import zipfile
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageDraw

PER_CLASS = 40
EDGE = 64  # pixels


@cache
def example_zip() -> bytes:
    """Return a zip with the folders circle, cross and triangle, 40 drawings in each; the same bytes every time."""
    rng = random.Random(7)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, paint in (("circle", _circle), ("cross", _cross), ("triangle", _triangle)):
            for i in range(PER_CLASS):
                drawn = io.BytesIO()
                _drawing(paint, rng).save(drawn, "PNG")
                archive.writestr(zipfile.ZipInfo(f"{name}/{i:02}.png"), drawn.getvalue())
    return buffer.getvalue()


def _drawing(paint: Callable[..., None], rng: random.Random) -> Image.Image:
    """Return one shape somewhere, at some size, somewhat turned, with a pen of some width."""
    large = Image.new("L", (3 * EDGE, 3 * EDGE), rng.randint(0, 30))
    radius = rng.uniform(0.28, 0.42) * 3 * EDGE
    centre = [1.5 * EDGE + rng.uniform(-0.25, 0.25) * EDGE for _ in "xy"]
    paint(ImageDraw.Draw(large), *centre, radius, width=rng.randint(9, 20), ink=rng.randint(170, 255))
    return large.rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR).resize((EDGE, EDGE), Image.Resampling.BOX)


def _circle(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, *, width: int, ink: int) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=width)


def _cross(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, *, width: int, ink: int) -> None:
    pen.line((x - radius, y - radius, x + radius, y + radius), fill=ink, width=width)
    pen.line((x - radius, y + radius, x + radius, y - radius), fill=ink, width=width)


def _triangle(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, *, width: int, ink: int) -> None:
    corners = [(x, y - radius), (x + 0.87 * radius, y + 0.5 * radius), (x - 0.87 * radius, y + 0.5 * radius)]
    pen.line([*corners, corners[0], corners[1]], fill=ink, width=width, joint="curve")
