"""The lab's numbers in a real browser: painted with the keyboard alone, on this picture and no other."""

import io
import re

import pytest
from PIL import Image
from steady import at_rest, box_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def grey(value: int) -> dict[str, object]:
    block = io.BytesIO()
    Image.new("L", (64, 64), value).save(block, "PNG")
    return {"name": f"grey-{value}.png", "mimeType": "image/png", "buffer": block.getvalue()}


def test_keys_paint_and_the_paint_stays_on_its_picture(open_page):
    page = open_page("/lab_seeing?picture=upload")
    upload = page.locator("input[type=file]")
    upload.set_input_files(grey(10))
    inspector = page.locator(".pixel-inspector[data-ready]")
    inspector.wait_for()
    at_rest(page)
    numbers, said = inspector.locator(".near canvas"), inspector.locator(".near figcaption")
    numbers.focus()
    row, column, value = map(int, re.findall(r"\d+", said.inner_text()))
    assert value == 10
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == f"Row {row + 1}, column {column + 1}: 10"
    page.keyboard.press("Space")
    assert said.inner_text() == f"Row {row + 1}, column {column + 1}: 255"
    undo = inspector.get_by_role("button", name="Put back")
    assert undo.is_enabled()
    for _ in range(20):  # to the frame's edge and on: the frame goes along
        page.keyboard.press("ArrowRight")
    assert said.inner_text() == f"Row {row + 1}, column {column + 21}: 10"

    shown = inspector.get_attribute("data-ready")
    upload.set_input_files(grey(200))
    page.locator(f'.pixel-inspector[data-ready]:not([data-ready="{shown}"])').wait_for()
    at_rest(page)
    assert page.locator(".pixel-inspector").get_by_role("button", name="Put back").is_disabled()
    numbers = page.locator(".pixel-inspector .near canvas")
    numbers.focus()
    assert page.locator(".pixel-inspector .near figcaption").inner_text().endswith(": 200")


def opened_lens(open_page, **settings: bool):
    """Open the painted seven, and return the page, its canvas of numbers and the middle of a cell near its corner."""
    page = open_page("/lab_seeing?picture=seven", **settings)
    page.locator(".pixel-inspector[data-ready]").wait_for()
    at_rest(page)
    canvas = page.locator(".pixel-inspector .near canvas")
    box = box_of(canvas)
    cell = box["width"] / 14
    return page, canvas, (box["x"] + 2.5 * cell, box["y"] + 2.5 * cell, cell)


def told(page) -> None:
    """Wait until Python has been told of the paint: the code that is folded away opens the painted picture."""
    page.locator("code", has_text='Image.open("picture.png")').wait_for(state="attached", timeout=20_000)


def test_only_the_first_button_paints_and_only_a_stroke_that_begins_here(open_page):
    page, _, (x, y, cell) = opened_lens(open_page)
    undo = page.locator(".pixel-inspector").get_by_role("button", name="Put back")
    page.mouse.click(x, y, button="right")
    page.keyboard.press("Escape")
    assert undo.is_disabled()
    page.mouse.move(x, y - 3.5 * cell)  # above the canvas
    page.mouse.down()
    page.mouse.move(x, y, steps=4)
    page.mouse.move(x + 2 * cell, y, steps=4)
    page.mouse.up()
    assert undo.is_disabled()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 2 * cell, y, steps=8)
    page.mouse.move(x + 2 * cell, y - 4 * cell)  # a stroke may end outside
    page.mouse.up()
    assert undo.is_enabled()
    told(page)


def test_a_stroke_that_is_taken_away_is_told_as_well(open_page):
    """The system may end a touch at any time: what is painted until then is on the screen, and must be in the code."""
    page, _, (x, y, cell) = opened_lens(open_page, touch=True)
    finger = page.context.new_cdp_session(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 2 * cell, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchCancel", "touchPoints": []})
    assert page.locator(".pixel-inspector").get_by_role("button", name="Put back").is_enabled()
    told(page)
