"""The pages Models and Train in a real browser: figures follow the input; a training outlives the page."""

import re

import pytest
from steady import LINES, at_rest, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def figures(page) -> list[str]:
    return page.locator("p.note[data-model] b").all_inner_texts()


@pytest.mark.smoke
def test_another_network_and_another_size_change_plan_and_figures(open_page):
    page = open_page("/models?model=lenet&size=32&dims=2")
    page.wait_for_selector(".network-diagram svg .box.conv")
    assert figures(page)[:2] == ["61,706", "416,520"]
    # another network, chosen with the keyboard alone
    field = page.get_by_role("combobox", name="Networks")
    field.click()
    field.fill("resnet-20")
    page.get_by_role("option", name=re.compile("ResNet-20")).wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("p.note[data-model=resnet20]").wait_for()
    page.keyboard.press("Escape")  # the open list hides the rest of the page from assistive technology
    before = page.locator("p.note[data-model=resnet20] b").nth(1).inner_text()
    size = page.get_by_role("spinbutton", name=re.compile("Input size"))
    size.fill("64")
    size.press("Enter")
    wait_until(
        page,
        "before => { const b = document.querySelectorAll('p.note[data-model=resnet20] b')[1];"
        " return b && b.textContent !== before; }",
        arg=before,
    )
    assert page.locator("p.note[data-model=resnet20] b").nth(0).inner_text() == "269,722"  # weights do not grow
    wait_until(page, "location.search.includes('size=64') && location.search.includes('resnet20')")
    again = open_page("/models" + page.url.split("/models")[1], width=390, scheme="dark")
    again.locator("p.note[data-model=resnet20]").wait_for()
    assert again.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_training_is_watched_survives_a_refresh_and_is_stopped(open_page):
    page = open_page("/train")
    page.get_by_test_id("stBaseButton-primary").wait_for()
    epochs = page.get_by_role("spinbutton", name="Epochs")
    epochs.fill("1")
    epochs.press("Enter")
    page.get_by_test_id("stBaseButton-primary").click()
    page.get_by_text("Accuracy of digits").wait_for()  # measured on the test set, after one epoch
    page.locator(LINES).first.wait_for()
    page.reload()
    page.get_by_text("Accuracy of digits").wait_for()
    page.locator(LINES).first.wait_for()
    epochs.fill("300")
    epochs.press("Enter")
    page.get_by_test_id("stBaseButton-primary").click()
    page.get_by_text(re.compile(r"[1-9]\d* of 300 epochs done")).first.wait_for()
    page.reload()  # the address has the run
    page.get_by_text(re.compile(r"[1-9]\d* of 300 epochs done")).first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Resume", exact=True).wait_for()
    page.get_by_text(re.compile(r"stopped after epoch \d+ of 300")).wait_for()
    at_rest(page)  # a click on a button that is just drawn again is lost
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Log (CSV)").click()
    assert waiting.value.suggested_filename == "digits-2-log.csv"
