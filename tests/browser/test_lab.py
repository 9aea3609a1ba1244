"""The lab in a real browser: a convolution is stepped through, edited, and asked where a pixel came from."""

import re

import pytest
from steady import LINES, at_rest, box_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

STEPPER = ".convolution-stepper[data-ready]"
PAINTED = "canvases => canvases.map(canvas => canvas.toDataURL())"


def stepper_of(page):
    """The convolution that is stepped through, once it is there and at rest."""
    stepper = page.locator(STEPPER).first
    stepper.wait_for()
    at_rest(page)
    return stepper


@pytest.mark.smoke
def test_a_pixel_of_the_map_says_what_it_is_made_of(open_page):
    page = open_page("/lab_convolution")
    stepper = stepper_of(page)
    said = stepper.locator(".say")
    before = said.inner_text()
    stepper.get_by_role("button", name="One step on").click()
    assert said.inner_text() != before

    # A click in the middle of the map: the nine products that are shown add up to the number that is shown.
    canvas = stepper.locator(".output canvas")
    box = box_of(canvas)
    canvas.click(position={"x": box["width"] * 15.5 / 26, "y": box["height"] * 13.5 / 26})
    assert "(13, 15)" in said.inner_text()
    assert "rows 13 to 15, columns 15 to 17" in said.inner_text()
    patch, products = numbers(stepper, ".patch"), numbers(stepper, ".product")
    assert sum(products) == total(stepper)
    assert products == [p * k for p, k in zip(patch, [-1, 0, 1, -2, 0, 2, -1, 0, 1], strict=True)]

    canvas.focus()
    page.keyboard.press("ArrowUp")
    assert "(12, 15)" in said.inner_text()

    # A weight is typed; Python answers with another map.
    shown = stepper.get_attribute("data-ready")
    field = stepper.get_by_label("Kernel, row 2, column 2")
    field.fill("10")
    field.press("Enter")
    page.locator(f'.convolution-stepper[data-ready]:not([data-ready="{shown}"])').first.wait_for()
    page.wait_for_url(re.compile("kernel=own"))
    patch, products = numbers(stepper, ".patch"), numbers(stepper, ".product")
    assert products[4] == 10 * patch[4]
    assert sum(products) == total(stepper)


def test_weights_are_typed_one_after_the_other_without_leaving_the_keys(open_page):
    page = open_page("/lab_convolution?kind=convolution")  # the kernel slides turned by half a circle, and is typed so
    stepper = stepper_of(page)
    fields = [stepper.get_by_label(f"Kernel, row 1, column {column}") for column in (1, 2, 3)]
    before = [float(field.input_value().replace("\u2212", "-")) for field in fields]
    fields[0].focus()
    for key in ("ArrowUp", "ArrowUp", "Tab", "ArrowUp"):  # no waiting for answers
        page.keyboard.press(key)
    page.wait_for_url(re.compile("kernel=own"))
    at_rest(page)
    page.keyboard.press("Tab")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("weights=.*7"))
    at_rest(page)
    after = [float(field.input_value().replace("\u2212", "-")) for field in fields]
    assert after == [before[0] + 2, before[1] + 1, 7]
    assert fields[2].evaluate("field => field === field.getRootNode().activeElement")
    patch, products = numbers(stepper, ".patch"), numbers(stepper, ".product")
    assert products[2] == 7 * patch[2]


def test_a_wrong_weight_that_is_put_right_again_is_forgotten(open_page):
    page = open_page("/lab_convolution")
    stepper = stepper_of(page)
    said, field = stepper.locator(".say"), stepper.get_by_label("Kernel, row 1, column 1")
    before, weight = said.inner_text(), field.input_value()
    field.fill("1e999")
    field.press("Tab")
    assert field.get_attribute("aria-invalid") == "true"
    assert "from \u2212100 to 100" in said.inner_text()
    field.fill(weight)
    field.press("Tab")
    assert field.get_attribute("aria-invalid") == "false"
    assert said.inner_text() == before


def test_a_small_weight_is_shown_as_it_was_typed(open_page):
    page = open_page("/lab_convolution")
    stepper = stepper_of(page)
    field = stepper.get_by_label("Kernel, row 1, column 1")
    field.fill("-0.003")
    field.press("Tab")
    page.wait_for_url(re.compile("weights=-0.003_"))
    at_rest(page)
    assert field.input_value() == "\u22120.003"


def test_play_fills_the_map_and_can_be_paused(open_page):
    page = open_page("/lab_convolution", width=390)
    stepper = page.locator(STEPPER).first
    at_rest(page)
    stepper.get_by_role("button", name="Play").click()
    page.wait_for_timeout(300)
    stepper.get_by_role("button", name="Pause").click()
    row, _ = map(int, re.search(r"\((\d+), (\d+)\)", stepper.locator(".say").inner_text()).groups())
    assert row < 20  # it began at the first row
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("path", "part"), [
    ("/lab_seeing", ".pixel-inspector"),
    ("/lab_convolution", ".convolution-stepper"),
    ("/lab_activations", ".maps"),
    ("/lab_learning", ".training-replay"),
    ("/lab_drive", ".drive-replay"),
])  # fmt: skip
def test_a_picture_follows_the_theme_while_it_is_shown_and_not_after(open_page, path: str, part: str):
    page = open_page(path)
    page.locator(f"{part}[data-ready]").first.wait_for()
    at_rest(page)
    canvases = page.locator(f"{part} canvas")
    light = canvases.evaluate_all(PAINTED)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
    assert canvases.evaluate_all(PAINTED) != light
    page.get_by_test_id("stPageLink").last.click()
    page.locator(part).first.wait_for(state="detached")
    at_rest(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(500)  # an error on the console would be seen by `open_page`


def test_a_chart_is_drawn_with_fitted_axes_and_says_its_numbers(open_page):
    """Under the policy of the pages, which allows no `eval`: `open_page` sees every error on the console."""
    page = open_page("/lab_overfitting", width=390)
    page.locator(LINES).nth(5).wait_for()  # two lines in each of three charts
    at_rest(page)
    chart = page.locator(".stVegaLiteChart").nth(1)
    assert "Nothing 0.6441 at 1500; Dropout 0.4092 at 1500" in chart.get_attribute("aria-label")
    words = chart.locator(".role-axis-label text").all_text_contents()
    ticks = [float(word) for word in words if "." in word]  # of the vertical axis
    assert 0.2 < min(ticks) < max(ticks) < 0.8
    box = box_of(chart)
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 60)  # just before the end of the upper line
    tip = page.locator("#vg-tooltip-element")
    tip.wait_for()
    assert [text.strip() for text in tip.inner_text().split("\n") if text.strip()][:3] == ["Nothing", "steps", "1,450"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


DRIVEN = """slider => new Promise(resolve => {
  const look = () => slider.value > 3 ? resolve() : requestAnimationFrame(look);
  look();
})"""


def test_a_car_is_pushed_with_the_keys_and_driven_again(open_page):
    page = open_page("/lab_drive?push=0&driver=straight", width=390)
    replay = page.locator(".drive-replay[data-ready]")
    replay.wait_for()
    at_rest(page)
    before, said = replay.get_attribute("data-ready"), replay.locator(".say").inner_text()
    assert said.startswith("Always straight: left the lane after")
    view = replay.locator("canvas.view")
    view.focus()
    page.keyboard.press("Space")
    replay.get_by_role("button", name="Pause").wait_for()
    replay.get_by_role("slider").evaluate(DRIVEN)
    page.keyboard.press("Space")
    replay.get_by_role("button", name="Play").wait_for()
    page.keyboard.press("ArrowLeft")
    page.locator(f'.drive-replay[data-ready]:not([data-ready="{before}"])').wait_for()
    page.wait_for_url(re.compile("push=1"))
    at_rest(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def numbers(stepper, name: str) -> list[float]:
    return [float(text.replace("\u2212", "-")) for text in stepper.locator(name).all_inner_texts()]


def total(stepper) -> float:
    return float(stepper.locator("output").inner_text().replace("\u2212", "-"))
