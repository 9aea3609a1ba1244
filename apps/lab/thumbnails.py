"""The small picture of each idea, computed by the same code as its page."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ASSETS = Path(__file__).resolve().parents[1] / "assets"
DIGIT, PALACE, DAHLIA = (ASSETS / "samples" / name for name in ("mnist-0.png", "photo-china.jpg", "photo-flower.jpg"))
COLOURS = 96  # keep a picture below 30 kB
WIDTH, HEIGHT = 360, 216
ZERO, PLUS, MINUS = (24, 22, 20), (255, 157, 102), (124, 162, 255)


def make(folder: Path) -> None:
    """Draw and store all of them."""
    for name in _DRAWN:
        image = Image.fromarray(thumbnail(name)).quantize(COLOURS, dither=Image.Dither.NONE)
        image.save(folder / f"{name}.png", optimize=True)


def thumbnail(name: str) -> np.ndarray:
    """Return the picture of an idea, uint8 [HEIGHT, WIDTH, 3]."""
    return np.asarray(_DRAWN[name]().convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.NEAREST))


def signed(values: np.ndarray) -> Image.Image:
    """Colour a map [H, W]: blue below zero, orange above."""
    share = values / max(1e-9, np.abs(values).max())
    ends = np.where(share[..., None] < 0, MINUS, PLUS)
    return Image.fromarray(np.round(ZERO + (ends - np.array(ZERO)) * np.abs(share)[..., None]).astype(np.uint8))


def _digit() -> np.ndarray:
    return np.asarray(Image.open(DIGIT).convert("L"))[4:22, :]  # three by five cells nearly


def _wide(file: Path, mode: str = "L", width: int = 120) -> np.ndarray:
    image = Image.open(file).convert(mode)
    height = round(width * HEIGHT / WIDTH)
    scale = width / image.width
    image = image.resize((width, round(image.height * scale)))
    top = (image.height - height) // 2
    return np.asarray(image)[top : top + height]


def _edges(values: np.ndarray, kernel: str) -> np.ndarray:
    import torch

    from lab.kernels import find_kernel
    from lab.stepwise import convolve

    x = torch.from_numpy(values.astype(np.float32))[None]
    return convolve(x, find_kernel(kernel).weight[None, None], padding=1, padding_mode="replicate")[0].numpy()


def _seeing() -> Image.Image:
    values = _digit()[2:11, 7:22]
    image = Image.fromarray(values).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)
    for (row, column), value in np.ndenumerate(values):
        place = (column * WIDTH / 15 + 12, row * HEIGHT / 9 + 12)
        pen.text(place, str(value), fill=0 if value > 140 else 190, anchor="mm", font_size=10)
    return image


def _convolution() -> Image.Image:
    return signed(_edges(np.pad(_digit(), ((0, 0), (1, 1))), "sobel-x"))


def _pooling() -> Image.Image:
    """A third of the picture each: as it is, after ReLU, after pooling."""
    values = _wide(PALACE)
    edges = np.maximum(0, _edges(values, "sobel-x"))
    height, width = (n // 4 * 4 for n in edges.shape)
    pooled = edges[:height, :width].reshape(height // 4, 4, width // 4, 4).max((1, 3)).repeat(4, 0).repeat(4, 1)
    third = width // 3
    parts = (values[:height, :third], edges[:height, third : 2 * third], pooled[:, 2 * third : width])
    shown = [part / most for part, most in zip(parts, (255, edges.max(), pooled.max()), strict=True)]
    return Image.fromarray(np.round(255 * np.concatenate(shown, 1) ** 0.8).astype(np.uint8))


def _lines(*curves: tuple[np.ndarray, tuple[int, int, int]]) -> Image.Image:
    image = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT), ZERO)
    pen = ImageDraw.Draw(image)
    for values, colour in curves:
        x = np.linspace(60, 2 * WIDTH - 60, len(values))
        y = 2 * HEIGHT - 70 - (2 * HEIGHT - 140) * values
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=colour, width=8, joint="curve")
    return image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def _sharing() -> Image.Image:
    """A digit at three places."""
    from lab.sharing import stored

    digit = np.pad(np.array(stored(ASSETS / "lab").digits[3]), ((0, 0), (1, 1))) * 255 // 16
    return Image.fromarray(
        np.concatenate([np.roll(digit, by, (0, 1)) for by in ((2, -2), (0, 0), (-2, 2))], 1)[:14].astype(np.uint8)
    )


def _overfitting() -> Image.Image:
    """The loss of 50 digits, and of new ones."""
    from lab.overfitting import stored

    run = stored(ASSETS / "lab")[50]["none"]
    return _lines((np.array(run.loss) / max(run.loss), MINUS), (np.array(run.test_loss) / max(run.loss), PLUS))


def _activations() -> Image.Image:
    import torch

    from lab.activations import curve

    values, slopes = curve("gelu", torch.linspace(-4, 4, 161))
    return _lines(((slopes.numpy() + 0.3) / 4.3, MINUS), ((values.numpy() + 0.3) / 4.3, PLUS))


def _sound() -> Image.Image:
    from lab.sounds import drawn_wave, picture

    seen = picture(drawn_wave("rising melody"), 512).flip(0).numpy()
    low, high = np.percentile(seen, (20, 100))
    share = ((seen - low) / (high - low)).clip(0, 1)[..., None]
    colours = np.array(ZERO) * (1 - share) + np.array(PLUS) * share
    return Image.fromarray(colours.astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def _receptive() -> Image.Image:
    image = Image.fromarray(_wide(DAHLIA, "RGB")).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)
    for edge in (18, 60, 150):
        box = [WIDTH / 2 - edge / 2, HEIGHT / 2 - edge / 2, WIDTH / 2 + edge / 2, HEIGHT / 2 + edge / 2]
        pen.rectangle(box, outline=PLUS, width=4)
    return image


def _learning() -> Image.Image:
    from lab.learning import digits, learn
    from lab.small import small_network

    moments = list(learn(small_network("convolution"), digits(), rate=0.1, batch=32, steps=60, every=3))
    loss = np.array([moment.loss for moment in moments])
    return _lines((loss / loss.max(), MINUS), (np.array([moment.accuracy for moment in moments]), PLUS))


def _augmentation() -> Image.Image:
    import torch

    from lab.augmentations import AUGMENTATIONS, augmented

    x = torch.from_numpy(np.asarray(Image.open(DAHLIA).convert("RGB").resize((72, 72))) / 255)
    x = x.permute(2, 0, 1).float()
    tiles = [x, *(augmented(x, one, seed=4, strength=1.5).picture for one in AUGMENTATIONS[1:10])]
    rows = [torch.cat(tiles[i : i + 5], 2) for i in (0, 5)]
    sheet = (255 * torch.cat(rows, 1)).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(sheet)


def _filters() -> Image.Image:
    """Ten drawn pictures; `filters` of make_lab.py makes them first."""
    from lab.filters import stored, stretched

    _, tiles = stored(ASSETS / "lab", "fashion-mnist")
    drawn = [stretched(row[0]) for row in tiles[:10]]
    return Image.fromarray(np.concatenate([np.concatenate(drawn[:5], 1), np.concatenate(drawn[5:], 1)], 0))


def _timeline() -> Image.Image:
    from lab.milestones import MILESTONES

    image = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT), ZERO)
    pen = ImageDraw.Draw(image)
    middle = HEIGHT
    pen.line([(50, middle), (2 * WIDTH - 50, middle)], fill=(90, 84, 76), width=4)
    first = int(MILESTONES[0].year)
    for entry in MILESTONES:
        x = 60 + (2 * WIDTH - 120) * (int(entry.year) - first) / (2024 - first)
        pen.ellipse([x - 15, middle - 15, x + 15, middle + 15], fill=PLUS, outline=ZERO, width=4)
    for text, place, anchor in ((str(first), 60, "lm"), ("2024", 2 * WIDTH - 60, "rm")):
        pen.text(
            (place - (20 if anchor == "lm" else -20), middle + 60),
            text,
            fill=(190, 182, 170),
            anchor=anchor,
            font_size=40,
        )
    return image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def _transfer() -> Image.Image:
    """The frozen encoder and the network from nothing against labels per class."""
    from lab.transfer import stored

    runs = stored(ASSETS / "lab")["digits"].runs
    known, nothing = (
        np.array([np.mean(run.accuracy) for run in runs[way].values()]) for way in ("bottleneck", "scratch")
    )
    return _lines((nothing, MINUS), (known, PLUS))


def _drive() -> Image.Image:
    """The view from the car in a bend, larger than the network sees it."""
    from lab.camera import Camera, render
    from lab.roads import draw_road

    road = draw_road(14)
    x, y, heading = road.at(60.0)
    return Image.fromarray(render(road, (float(x), float(y), float(heading)), Camera(HEIGHT, WIDTH)))


_DRAWN = {
    "seeing": _seeing, "convolution": _convolution, "pooling": _pooling, "activations": _activations,
    "receptive": _receptive, "learning": _learning, "augmentation": _augmentation,
    "sharing": _sharing, "overfitting": _overfitting, "filters": _filters, "timeline": _timeline,
    "sound": _sound, "transfer": _transfer, "drive": _drive,
}  # fmt: skip
