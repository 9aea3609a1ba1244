"""A canvas to draw on, and the picture that the strokes make.

Our own component instead of streamlit-drawable-canvas: it can be drawn on with the keyboard, fits any width, sends the
strokes alone (no picture to decode that a stranger sent), keeps an example that the first stroke replaces, and is 200
lines instead of a bundled editor.
"""

from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from cnn_core.errors import DataError
from components.browser import component, is_whole, sent

UNITS = 1000  # coordinates and widths are thousandths of the edge
MOST_STROKES = 200
MOST_POINTS = 2000  # per stroke
WIDTHS, BRUSH = (1, 400), 80  # of the pen; the one to begin with
EDGE = 280  # pixels of the picture: ten times MNIST's
OVERSAMPLE = 3  # lines are drawn this much larger and shrunk, for smooth edges


@dataclass(frozen=True)
class Stroke:
    """One line of the pen: its width, and the points (x, y) in thousandths of the edge."""

    width: int
    points: tuple[tuple[int, int], ...]


def drawing_canvas(*, key: str, example: tuple[Stroke, ...], label: str) -> tuple[Stroke, ...]:
    """Show the canvas and return what is drawn on it: `example` until the user draws.

    Args:
        key: of the widget; the drawing is kept under it for the session.
        example: the drawing to begin with; the user's first stroke replaces it.
        label: what screen readers call the canvas.

    Raises:
        DataError: what came from the browser is not a drawing.
    """
    drawn = sent(key, "strokes")
    strokes = example if drawn is None else read_strokes(drawn)
    data = {
        "strokes": [{"w": s.width, "p": [number for point in s.points for number in point]} for s in strokes],
        "example": drawn is None,
        "brush": BRUSH,
        "label": label,
        "id": key,  # one for ever: the canvas knows better than Python, which hears of finished strokes only
    }
    component("drawing_canvas")(key=key, data=data, on_strokes_change=lambda: None)
    return strokes


def read_strokes(value: Any) -> tuple[Stroke, ...]:
    """Check a drawing as the browser sends it, `[{"w": 80, "p": [x, y, x, y, ...]}, ...]`.

    Raises:
        DataError: it is something else, or larger than a hand draws.
    """
    if not isinstance(value, list) or len(value) > MOST_STROKES:
        raise DataError(f"the drawing must be a list of at most {MOST_STROKES} strokes; clear it and draw again")
    return tuple(_read_stroke(stroke) for stroke in value)


def _read_stroke(stroke: Any) -> Stroke:
    width, numbers = (stroke.get("w"), stroke.get("p")) if isinstance(stroke, dict) else (None, None)
    right = (
        is_whole(width, *WIDTHS)
        and isinstance(numbers, list)
        and 2 <= len(numbers) <= 2 * MOST_POINTS + 2
        and len(numbers) % 2 == 0
        and all(is_whole(number, 0, UNITS) for number in numbers)
    )
    if not right or width is None or numbers is None:
        raise DataError("the drawing holds a stroke that no pen makes; clear it and draw again")
    whole = [int(number) for number in numbers]
    return Stroke(int(width), tuple(zip(whole[::2], whole[1::2], strict=True)))


def draw(strokes: tuple[Stroke, ...], *, edge: int = EDGE) -> Image.Image:
    """Return the strokes as a picture of mode "L", white on black, `edge` pixels wide and high.

    Raises:
        DataError: there is nothing to draw.
    """
    if not strokes:
        raise DataError("nothing is drawn yet; draw on the black square")
    large = Image.new("L", (edge * OVERSAMPLE, edge * OVERSAMPLE))
    pen = ImageDraw.Draw(large)
    scale = edge * OVERSAMPLE / UNITS
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke.points]
        radius = stroke.width * scale / 2
        pen.line(points, fill=255, width=max(1, round(2 * radius)))
        for x, y in points:  # round joints and ends
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return large.resize((edge, edge), Image.Resampling.BOX)
