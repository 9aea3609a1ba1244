"""Draw the small pictures of the lab's index: `python apps/assets/make_lab.py`. Writes assets/lab/*.png."""

import sys
from pathlib import Path

from PIL import Image

APPS = Path(__file__).resolve().parents[1]
COLOURS = 96  # keep a picture below 30 kB


def main() -> int:
    """Draw them all; return an exit code."""
    sys.path.insert(0, str(APPS))
    from components.lab import IDEAS, THUMBNAILS
    from views.lab_parts.thumbs import thumbnail

    THUMBNAILS.mkdir(exist_ok=True)
    for idea in IDEAS:
        image = Image.fromarray(thumbnail(idea.name)).quantize(COLOURS, dither=Image.Dither.NONE)
        image.save(THUMBNAILS / f"{idea.name}.png", optimize=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
