"""The image page in a real browser: draw, upload, keys, narrow screens, colours."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from steady import at_rest, box_of, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

READER = "/image?weights=digits"
CANVAS = "canvas.plate[aria-label]"  # with its name it has its code: before, it would not hear


def answered(page, other_than: str = "") -> str:
    """Wait for an answer (another one than before) and for the rest of the page; return the answer."""
    wait_until(
        page,
        "before => { const word = document.querySelector('.answer .word');"
        " return word && word.textContent !== before && !document.querySelector('[data-stale=true] .word'); }",
        arg=other_than,
    )
    at_rest(page)
    return page.locator(".answer .word").first.inner_text()


def draw(page, *strokes: list[tuple[float, float]]) -> None:
    """Draw with the mouse; coordinates are fractions of the canvas."""
    box = box_of(page.locator(CANVAS))
    for points in strokes:
        for i, (x, y) in enumerate(points):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4 if i else 1)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def oval(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    import math

    return [(x + rx * math.sin(t * math.pi / 12), y - ry * math.cos(t * math.pi / 12)) for t in range(25)]


def test_the_page_opens_with_an_answered_example(open_page):
    page = open_page(READER)
    assert answered(page) == "5"
    assert page.locator(".bars > li").count() == 10


@pytest.mark.smoke
def test_a_drawn_zero_is_read_as_soon_as_the_pen_is_lifted(open_page):
    page = open_page(READER)
    answered(page)
    draw(page, oval(0.5, 0.5, 0.2, 0.3))
    assert answered(page, other_than="5") == "0"
    assert page.get_by_role("button", name="Undo").is_enabled()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Nothing is drawn yet").wait_for()
    at_rest(page)
    draw(page, [(0.5, 0.2), (0.5, 0.8)])
    assert answered(page) == "1"


def test_a_drawing_survives_a_look_at_the_samples(open_page):
    page = open_page(READER)
    answered(page)
    draw(page, oval(0.5, 0.5, 0.2, 0.3))
    answered(page, other_than="5")
    page.get_by_role("radio", name="Samples").click()
    page.locator("figure", has_text="A seven").wait_for()
    page.get_by_role("radio", name="Draw", exact=True).click()
    page.locator(CANVAS).wait_for()
    assert answered(page, other_than="7") == "0"
    middle, rim = page.locator(CANVAS).evaluate(
        "c => [[280, 280], [280, 112]].map(([x, y]) => c.getContext('2d').getImageData(x, y, 1, 1).data[0])"
    )
    assert middle < 50 < 200 < rim  # the ring is on the canvas again


def test_the_canvas_can_be_drawn_on_with_keys_alone(open_page):
    page = open_page(READER)
    answered(page)
    page.locator(CANVAS).focus()
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(24):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert answered(page, other_than="5") == "1"


def test_tab_reaches_every_control_in_the_order_of_the_page(open_page):
    page = open_page(READER)
    answered(page)
    page.wait_for_selector(CANVAS)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => { let e = document.activeElement; while (e.shadowRoot && e.shadowRoot.activeElement)"
                " e = e.shadowRoot.activeElement;"
                " return e.getAttribute('aria-label') || e.innerText.slice(0, 20) || e.tagName; }"
            )
        )
    # the networks are one stop, at the first of them; the arrow keys go on from there
    wanted = [
        "Photos, 1,000 kinds",
        "One picture",
        "Draw",
        "Canvas to draw a digit on",
        "Undo",
        "Clear",
        "Brush width",
        "CSV",
    ]
    found = [next((i for i, name in enumerate(reached) if want in name), None) for want in wanted]
    assert None not in found, list(zip(wanted, found, strict=True)) + reached
    assert found == sorted(found)


def test_an_uploaded_picture_is_answered_with_its_reason(open_page, tmp_path: Path):
    picture = Image.new("L", (300, 200), 255)
    picture.paste(0, (140, 30, 160, 170))  # a one, dark on light
    picture.save(tmp_path / "one.png")
    page = open_page(READER)
    answered(page)
    page.get_by_role("radio", name="Upload").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "one.png")
    page.locator("figcaption", has_text="one.png").wait_for()
    assert answered(page) == "1"
    page.locator("figcaption", has_text="What speaks for “1”").wait_for()


def test_a_broken_picture_is_a_sentence(open_page, tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99)
    page = open_page(READER)
    answered(page)
    page.get_by_role("radio", name="Upload").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.png")
    warning = page.get_by_role("alert")
    warning.wait_for()
    assert "roken.png" in warning.inner_text()
    assert "Traceback" not in page.locator("body").inner_text()


def test_the_probabilities_can_be_downloaded(open_page):
    page = open_page(READER)
    answered(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON").click()
    answer = json.loads(Path(waiting.value.path()).read_text())
    assert answer["labels"][0] == "5"
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Heat map (PNG)").click()
    assert Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())).size == (280, 280)


def test_an_address_brings_back_what_was_on_the_page(open_page):
    page = open_page(READER)
    answered(page)
    page.get_by_role("radio", name="Samples").click()
    page.get_by_role("button", name="a zero").click()
    page.locator("figure", has_text="A zero").wait_for()
    wait_until(page, "location.search.includes('sample=zero')")
    again = open_page(page.url.split("/", 3)[3].join(["/", ""]))
    again.locator("figure", has_text="A zero").wait_for()


def test_a_channel_is_chosen_by_a_click(open_page):
    page = open_page(READER + "&part=Inside+the+network")
    page.locator(".gallery button").nth(3).wait_for()
    at_rest(page)
    page.locator(".gallery button").nth(3).click()
    page.locator("figcaption", has_text=re.compile("^Channel 3 of")).wait_for()


PLACES = [
    "/",
    READER,
    READER + "&part=Inside+the+network",
    READER + "&part=Side+by+side",
    READER + "&view=Many+pictures",
    READER + "&view=Your+own+classes",
]


@pytest.mark.parametrize("path", PLACES)
def test_nothing_sticks_out_of_a_narrow_screen(open_page, path: str):
    page = open_page(path, width=390, touch=True)
    page.wait_for_selector("h1")
    page.wait_for_selector(".word, [data-testid=stDataFrame], [data-testid=stFileUploader]")
    at_rest(page)
    sticking = page.evaluate(
        "() => [...document.querySelectorAll('.stMain *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('.scroll, pre, [data-testid=stDataFrame], [role=tablist]')).map(e => e.outerHTML.slice(0, 120))"
    )
    assert not sticking
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def luminance(color: list[float]) -> float:
    """Relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(open_page, scheme: str):
    """WCAG 2 asks for a contrast of 4.5 : 1; colours are read from a pixel, whatever notation the browser uses."""
    page = open_page(READER, scheme=scheme)
    answered(page)
    read = (
        "([selector, kind]) => { const c = document.createElement('canvas').getContext('2d');"
        " c.fillStyle = getComputedStyle(document.querySelector(selector))[kind]; c.fillRect(0, 0, 1, 1);"
        " return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); }"
    )
    ground = luminance(page.evaluate(read, [".stApp", "backgroundColor"]))
    assert (ground > 0.5) == (scheme == "light")
    for selector in ("h1", ".lead", ".note", ".answer .kicker", ".answer .sure", ".bars .value", "figcaption"):
        text = luminance(page.evaluate(read, [selector, "color"]))
        contrast = (max(text, ground) + 0.05) / (min(text, ground) + 0.05)
        assert contrast >= 4.5, (selector, contrast)
