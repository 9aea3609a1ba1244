"""The lab's numbers in a real browser: painted with the keyboard alone, on this picture and no other."""

import io
import re

import pytest
from PIL import Image
from steady import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def grey(value: int) -> dict[str, object]:
    block = io.BytesIO()
    Image.new("L", (64, 64), value).save(block, "PNG")
    return {"name": f"grey-{value}.png", "mimeType": "image/png", "buffer": block.getvalue()}


def test_keys_paint_and_the_paint_stays_on_its_picture(open_page):
    page = open_page("/lab_seeing?picture=upload")
    upload = page.locator("input[type=file]")
    upload.set_input_files(grey(10))
    lens = page.locator(".lens[data-ready]")
    lens.wait_for()
    at_rest(page)
    numbers, said = lens.locator(".near canvas"), lens.locator(".near figcaption")
    numbers.focus()
    row, column, value = map(int, re.findall(r"\d+", said.inner_text()))
    assert value == 10
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == f"Row {row + 1}, column {column + 1}: 10"
    page.keyboard.press("Space")
    assert said.inner_text() == f"Row {row + 1}, column {column + 1}: 255"
    undo = lens.get_by_role("button", name="Put back")
    assert undo.is_enabled()
    for _ in range(20):  # to the frame's edge and on: the frame goes along
        page.keyboard.press("ArrowRight")
    assert said.inner_text() == f"Row {row + 1}, column {column + 21}: 10"

    shown = lens.get_attribute("data-ready")
    upload.set_input_files(grey(200))
    page.locator(f'.lens[data-ready]:not([data-ready="{shown}"])').wait_for()
    at_rest(page)
    assert page.locator(".lens").get_by_role("button", name="Put back").is_disabled()
    numbers = page.locator(".lens .near canvas")
    numbers.focus()
    assert page.locator(".lens .near figcaption").inner_text().endswith(": 200")
