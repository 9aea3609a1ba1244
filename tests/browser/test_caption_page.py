"""The caption page in a real browser: choose words, see the map change, cover a part of the picture."""

import pytest
from steady import at_rest, box_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SCENES = "/captions?weights=scenes"


def ready(page):
    """Wait until the picture has its sentence; return the words."""
    page.locator(".caption-explorer[data-ready]").wait_for()
    at_rest(page)
    return page.locator(".sentence button")


def chosen(words) -> list[bool]:
    """Which of the words is chosen."""
    return [word.get_attribute("aria-checked") == "true" for word in words.all()]


def veil(page) -> str:
    """What lies over the picture."""
    return page.locator(".caption-explorer .veil.on").get_attribute("src")


@pytest.mark.smoke
def test_a_word_that_is_clicked_changes_the_map(open_page):
    page = open_page(SCENES)
    words = ready(page)
    assert words.count() > 5 and words.last.get_attribute("aria-checked") == "true"
    maps = {veil(page)}
    for i in (0, 5):
        words.nth(i).click()
        assert words.nth(i).get_attribute("aria-checked") == "true"
        assert page.locator(".word .top .name").inner_text() == words.nth(i).inner_text()
        maps.add(veil(page))
    assert len(maps) == 3
    words.nth(5).click()
    assert page.locator(".caption-explorer .veil.on").count() == 0


def test_words_are_chosen_with_the_keys(open_page):
    page = open_page(SCENES)
    words = ready(page)
    words.last.focus()
    page.keyboard.press("ArrowRight")  # from the last to the first
    assert words.first.get_attribute("aria-checked") == "true"
    before = veil(page)
    page.keyboard.press("ArrowLeft")
    assert words.last.get_attribute("aria-checked") == "true" and veil(page) != before


def test_word_by_word_goes_through_the_sentence(open_page):
    page = open_page(SCENES)
    words = ready(page)
    page.get_by_role("button", name="Word by word").click()
    page.locator(".sentence button:nth-of-type(2)[aria-checked=true]").wait_for()
    page.get_by_role("button", name="Stop").click()
    stopped_at = chosen(words)  # a slow machine may have gone on by a word or two
    page.wait_for_timeout(1500)  # longer than a word is shown
    assert stopped_at.index(True) >= 1 and chosen(words) == stopped_at


def test_another_sentence_is_explained_when_chosen(open_page):
    page = open_page(SCENES)
    words = ready(page)
    other = page.locator(".others ol button").nth(1)
    text = other.inner_text()
    other.click()
    page.locator(".others ol li:nth-child(2) button[aria-pressed=true]").wait_for()
    at_rest(page)
    assert " ".join(words.all_inner_texts()) == text


def test_a_part_that_is_covered_changes_the_sentence(open_page):
    page = open_page(SCENES)
    ready(page)
    place = box_of(page.locator(".caption-explorer .frame"))
    page.mouse.move(place["x"] + 0.6 * place["width"], place["y"] + 0.55 * place["height"])
    page.mouse.down()
    page.mouse.move(place["x"] + 0.99 * place["width"], place["y"] + 0.98 * place["height"], steps=4)
    page.mouse.up()
    table = page.get_by_role("region", name="Probabilities of the words")
    table.wait_for()
    at_rest(page)
    said = page.locator(".answer.small .word").inner_text()
    assert "circle" not in said and "cross" in said  # the circle was covered
    before, after = (
        float(cell.split()[0]) for cell in table.locator("tr", has_text="circle").locator("td.number").all_inner_texts()
    )
    assert after < before / 2
    page.get_by_role("button", name="Uncover").click()
    table.wait_for(state="detached")


def test_a_part_is_covered_with_the_keys(open_page):
    page = open_page(SCENES)
    ready(page)
    page.get_by_role("button", name="Cover a part").click()
    box = page.locator(".caption-explorer .box")
    before = box.bounding_box()
    page.keyboard.press("ArrowRight")
    assert box.bounding_box()["x"] > before["x"]
    page.keyboard.press("Shift+ArrowDown")
    assert box.bounding_box()["height"] > before["height"]
    page.get_by_role("region", name="Probabilities of the words").wait_for()


def test_the_page_fits_a_telephone(open_page):
    page = open_page(SCENES, width=390)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
