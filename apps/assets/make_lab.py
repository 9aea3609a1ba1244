"""Make what the lab stores, in assets/lab: `python apps/assets/make_lab.py [WHAT]`.

WHAT is "thumbnails" (the default, drawn from some of the others) or one of these. "filters" searches the first 2,000
test pictures of MNIST and of Fashion-MNIST (CNN_DATA_DIR) for what channels want to see. "sharing" and "overfitting"
train on embedded digits, one minute and eight. "transfer" trains 168 times from the weights `mnist`, on Fashion-MNIST
too (CNN_DATA_DIR), half an hour.
"""

import sys
from importlib import import_module
from pathlib import Path

from PIL import Image

APPS = Path(__file__).resolve().parents[1]
STORED = ("filters", "sharing", "overfitting", "transfer")
COLOURS = 96  # keep a picture below 30 kB


def main() -> int:
    """Make what is wanted, by default the thumbnails; return an exit code."""
    sys.path.insert(0, str(APPS))
    wanted = sys.argv[1] if len(sys.argv) > 1 else "thumbnails"
    if wanted not in ("thumbnails", *STORED):
        sys.stderr.write(f"expected one of {', '.join(('thumbnails', *STORED))}, got {wanted}\n")
        return 2
    if wanted in STORED:
        import_module(f"views.lab_parts.{wanted}").make(APPS / "assets" / "lab")
    else:
        thumbnails()
    return 0


def thumbnails() -> None:
    """Draw the small pictures of the index."""
    from components.lab import IDEAS, THUMBNAILS
    from views.lab_parts.thumbs import thumbnail

    THUMBNAILS.mkdir(exist_ok=True)
    for idea in IDEAS:
        image = Image.fromarray(thumbnail(idea.name)).quantize(COLOURS, dither=Image.Dither.NONE)
        image.save(THUMBNAILS / f"{idea.name}.png", optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
