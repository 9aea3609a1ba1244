"""Take the README's pictures from the real pages: `make screenshots`. Writes docs/screenshots/*.png.

Names as arguments take only those.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from server import FLAGS, ROOT, find_chromium, serving
from steady import at_rest, wait_until

FOLDER = ROOT / "docs" / "screenshots"
LIMIT = 150_000  # bytes of a picture
SHOTS = (  # name, path, width, height, colour scheme
    ("home", "/", 1280, 900, "light"),
    ("image", "/image?weights=mnist", 1280, 1180, "light"),
    ("image-dark", "/image?weights=mnist", 1280, 1180, "dark"),
    ("image-inside", "/image?weights=mnist&part=Inside+the+network", 1280, 1600, "light"),
    ("image-photo", "/image?weights=cifar10&sample=ship&method=integrated-gradients", 1280, 1240, "dark"),
    ("image-phone", "/image?weights=mnist", 390, 1180, "light"),
    ("text", "/text", 1280, 1180, "light"),
    ("text-dark", "/text?weights=ag-news&part=Attribution", 1280, 1180, "dark"),
    ("text-filters", "/text?weights=trec&view=What+the+filters+look+for", 1280, 1280, "light"),
    ("text-phone", "/text?weights=trec", 390, 1180, "light"),
    ("medical", "/medical", 1280, 1240, "light"),
    ("medical-dark", "/medical?weights=lidc-nodule&overlay=Uncertainty", 1280, 1240, "dark"),
    ("captions", "/captions", 1280, 1240, "light"),
    ("captions-phone", "/captions", 390, 1180, "dark"),
    ("audio", "/audio", 1280, 1560, "light"),
    ("detection", "/detection", 1280, 1500, "light"),
    ("drive", "/lab_drive", 1280, 900, "light"),
    ("lab", "/lab", 1280, 1180, "light"),
    ("lab-convolution", "/lab_convolution", 1280, 1300, "light"),
    ("models", "/models?model=resnet18", 1280, 940, "light"),
)


def main() -> int:
    """Take all pictures; return an exit code."""
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write("there is no Chromium; install it (Debian: apt-get install chromium)\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        wanted = sys.argv[1:] or [shot[0] for shot in SHOTS]
        for name, path, width, height, scheme in (shot for shot in SHOTS if shot[0] in wanted):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            context.set_default_timeout(120_000)
            page = context.new_page()
            page.goto(address + path)
            settle(page)
            if path.startswith(("/lab", "/models")):
                page.wait_for_timeout(6000)  # their parts come one by one
                settle(page)
            if path.startswith("/image") and "sample=" not in path:
                page.wait_for_selector("canvas")  # the canvas's code comes later than the answer
                page.wait_for_timeout(500)
            if path.startswith("/text") and "view=" not in path:
                page.wait_for_selector("textarea")  # the field's code comes later than the answer
                page.wait_for_timeout(500)
            page.screenshot(path=FOLDER / f"{name}.png")
            compress(FOLDER / f"{name}.png")
            context.close()
        browser.close()
    return 0


def settle(page: Page) -> None:
    """Wait until the answer is there, nothing is awaited or stale, and fonts and pictures are loaded."""
    page.wait_for_selector(".lead")
    at_rest(page)
    wait_until(
        page,
        "() => !['StatusWidget', 'Spinner', 'Skeleton'].some(kind => document.querySelector(`[data-testid=st${kind}]`))"
        " && !document.body.innerText.includes('is being loaded')"
        " && document.fonts.status === 'loaded' && [...document.images].every(image => image.complete)",
    )
    wait_until(
        page,
        "() => ['viewer', 'caption-explorer'].every(part => !document.querySelector(`.${part}:not([data-ready])`))",
    )
    page.wait_for_timeout(500)  # fades


def compress(file: Path) -> None:
    """Reduce a picture to as many colours as keep it below the limit."""
    image = Image.open(file).convert("RGB")
    for colors in (256, 128, 64):
        image.quantize(colors, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size <= LIMIT:
            return


if __name__ == "__main__":
    raise SystemExit(main())
