"""Photos of a digit on paper, made from the digits of scikit-learn: paper in uneven light, noise, JPEG."""

import io

import numpy as np
from PIL import Image, ImageFilter


def photo_of(digit: np.ndarray, light: str, *, seed: int, ink: float = 30, paper: float = 225) -> Image.Image:
    """Return a photo of 400 x 300 pixels.

    Args:
        digit: [8, 8] from 0 to 16.
        light: "even"; "vignette", a fifth darker towards the corners; "shadow", more than half darker on one side.
        seed: of place, light and noise.
        ink: grey level of the stroke in full light.
        paper: of the paper; darker than the ink it is a blackboard.
    """
    rng = np.random.default_rng(seed)
    width, height, edge = 400, 300, 150
    stroke = Image.fromarray((digit * 15).astype(np.uint8)).resize((edge, edge), Image.Resampling.BICUBIC)
    stroke = stroke.point(lambda v: 255 * (v > 110)).filter(ImageFilter.GaussianBlur(1))
    page = Image.new("L", (width, height))
    page.paste(stroke, (int((width - edge) * rng.uniform(0.3, 0.7)), int((height - edge) * rng.uniform(0.3, 0.7))))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shine = np.ones((height, width))
    if light == "vignette":
        shine = 1 - 0.2 * (x**2 + y**2) / 2
    if light == "shadow":
        turn = rng.uniform(0, 2 * np.pi)
        along = x * np.cos(turn) + y * np.sin(turn)
        shine = 1 - 0.6 / (1 + np.exp((along - rng.uniform(-0.5, 0.5)) / 0.04))
    values = (paper + (ink - paper) * (np.asarray(page) / 255)) * shine + rng.normal(0, 2, shine.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB").save(file, "JPEG", quality=85)
    return Image.open(file)
