"""Film the README's four acts on the real pages: draw, type, scan, caption. `make screenshots` writes acts.webp.

Each act is a list of steps; after a step one frame is taken, and how long it stays is part of the step.
"""

import io
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from server import FLAGS, find_chromium, serving
from steady import at_rest, box_of
from take_screenshots import FOLDER, settle

FILE = FOLDER / "acts.webp"
SIZE = (1120, 900)  # of the window
SHOWN = (800, 643)  # of a frame
MOST = 1_500_000  # bytes
HOLD = 1600  # ms at the end of an act
SEVEN = [(0.3, 0.26), (0.45, 0.25), (0.68, 0.25), (0.6, 0.42), (0.52, 0.6), (0.46, 0.78)]
SENTENCE = ("A dull, ", "predictable ", "plot, ", "saved by two ", "wonderful ", "actors.")

Step = Iterator[int]  # ms that the frame after it stays


def scroll(page: Page, selector: str) -> None:
    """Bring a part of the page below the navigation."""
    page.locator(selector).first.evaluate("part => part.scrollIntoView({block: 'start'})")
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollBy(0, -90)")
    at_rest(page)


def draw(page: Page) -> Step:
    """Draw a seven, and see where the network looked."""
    page.get_by_role("button", name="Clear").click()
    at_rest(page)
    yield 500
    box = box_of(page.locator("canvas.plate[aria-label]"))
    for number, (x, y) in enumerate(SEVEN):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if number == 0:
            page.mouse.down()
        yield 120
    page.mouse.up()
    at_rest(page)
    scroll(page, ".answer")
    yield HOLD


def write(page: Page) -> Step:
    """Write a review; its words are coloured while one writes."""
    page.locator("textarea").click()
    page.keyboard.press("Control+a")
    for part in SENTENCE:
        page.keyboard.type(part)
        page.wait_for_timeout(700)
        at_rest(page)
        yield 500
    yield HOLD


def scan(page: Page) -> Step:
    """Walk through a chest, slice by slice."""
    page.locator("figure.axial canvas").scroll_into_view_if_needed()
    canvas = box_of(page.locator("figure.axial canvas"))
    yield 700
    for step in range(9):
        share = 0.5 + 0.25 * math.sin(step * math.pi / 4)
        page.mouse.click(canvas["x"] + share * canvas["width"], canvas["y"] + (0.4 + 0.025 * step) * canvas["height"])
        page.wait_for_timeout(250)
        yield 220
    yield HOLD


def caption(page: Page) -> Step:
    """Go through the words of a caption, each with the place where the network looked."""
    words = page.locator(".sentence button")
    scroll(page, ".caption-explorer")
    for number in range(min(12, words.count())):
        words.nth(number).click()
        page.wait_for_timeout(250)
        yield 320
    yield HOLD


ACTS: tuple[tuple[str, Callable[[Page], Step]], ...] = (
    ("/image?weights=mnist", draw),
    ("/text?weights=sst2", write),
    ("/medical", scan),
    ("/captions?weights=scenes", caption),
)


def main() -> int:
    """Film all acts; return an exit code."""
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write("there is no Chromium; install it (Debian: apt-get install chromium)\n")
        return 1
    frames: list[Image.Image] = []
    times: list[int] = []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for path, act in ACTS:
            page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
            page.set_default_timeout(120_000)
            page.goto(address + path)
            settle(page)
            for time in act(page):
                picture = Image.open(io.BytesIO(page.screenshot()))
                frames.append(picture.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS))
                times.append(time)
            page.close()
        browser.close()
    for quality in (80, 65, 50):
        frames[0].save(FILE, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=quality, method=6)
        if FILE.stat().st_size <= MOST:
            break
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
