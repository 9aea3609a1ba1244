"""The text page in a real browser: type, see the right words coloured, keys, odd scripts, narrow screens, colours."""

import json
from pathlib import Path

import pytest
from steady import at_rest, wait_until
from test_image_page import luminance

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

REVIEWS = "/text?weights=sst2"
MARKS = """() => {
  const find = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.classList.contains('writer')) return element;
      const found = element.shadowRoot && find(element.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  const writer = find(document);
  if (!writer) return null;
  return [...writer.querySelectorAll('mark')].map(mark => [
    mark.textContent, mark.className, Number(mark.style.getPropertyValue('--strength')), mark.dataset.said,
  ]);
}"""


def answered(page, word: str) -> None:
    """Wait until the answer is `word`, and for the rest of the page."""
    wait_until(
        page,
        "word => document.querySelector('.answer .word')?.textContent === word"
        " && !document.querySelector('[data-stale=true] .word')",
        arg=word,
    )
    at_rest(page)


def marks(page) -> dict[str, tuple[str, float]]:
    """The coloured words: their side and strength."""
    return {word: (side, strength) for word, side, strength, _ in page.evaluate(MARKS) or []}


def until_marked(page, word: str, side: str) -> dict[str, tuple[str, float]]:
    """Wait until a word is coloured on a side."""
    for _ in range(600):
        found = marks(page)
        if found.get(word, ("", 0))[0] == side:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"{word!r} is not coloured {side}: {found}")


def write(page, text: str) -> None:
    """Replace what stands in the field by typing."""
    page.locator("textarea").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def test_the_page_opens_with_an_answered_example(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    found = until_marked(page, "mess", "for")
    assert found["joy"][0] == "against"
    assert page.locator("textarea").input_value() == "The plot is a mess, but the two leads are a joy to watch."


@pytest.mark.smoke
def test_typing_colours_the_right_words(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    write(page, "A wonderful film.")
    answered(page, "positive")
    found = until_marked(page, "wonderful", "for")
    assert found["wonderful"][1] == 1  # the strongest
    page.keyboard.type(" No: a dull, stupid mess!")
    answered(page, "negative")
    found = until_marked(page, "wonderful", "against")
    assert {found[word][0] for word in ("dull", "stupid", "mess")} == {"for"}
    assert page.locator("textarea").input_value() == "A wonderful film. No: a dull, stupid mess!"


def test_the_colours_lie_under_their_words(open_page):
    """The layer below has the width, the height and the lines of the field above, whatever is written."""
    page = open_page(REVIEWS)
    answered(page, "negative")
    page.locator("textarea").fill("A wonderful film\n\n" + "with a very long tail " * 60 + "\nthe end\n")
    until_marked(page, "wonderful", "for")
    same = page.locator("textarea").evaluate(
        "field => { const under = field.parentElement.querySelector('.under'); const [a, b] ="
        " [field, under].map(e => e.getBoundingClientRect()); const [c, d] = [field, under].map(e =>"
        " { const s = getComputedStyle(e); return [s.font, s.lineHeight, s.padding, s.whiteSpace].join(); });"
        " return [a.top - b.top, a.left - b.left, a.width - b.width, a.height - b.height, c === d,"
        " field.scrollHeight - field.clientHeight]; }"
    )
    assert same == [0, 0, 0, 0, True, 0]


def test_no_letter_is_lost_while_the_server_answers(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    page.locator("textarea").click()
    page.keyboard.press("Control+a")
    text = "The quick brown fox jumps over the lazy dog, and it is a wonderful, wonderful thing to watch."
    page.keyboard.type(text, delay=45)  # ms: pauses and answers come in between
    answered(page, "positive")
    assert page.locator("textarea").input_value() == text
    # in the middle, while the last answer is on its way
    for _ in range(17):
        page.keyboard.press("ArrowLeft")
    page.keyboard.type("xyz", delay=250)
    page.wait_for_timeout(1500)
    assert page.locator("textarea").input_value() == text[:-17] + "xyz" + text[-17:]
    assert page.locator("textarea").evaluate("field => field.selectionStart") == len(text) - 17 + 3


def test_colours_stay_with_their_words_before_the_answer_comes(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    until_marked(page, "mess", "for")
    page.locator("textarea").evaluate(
        "field => { field.value = 'Well. ' + field.value; field.dispatchEvent(new InputEvent('input')); }"
    )
    assert marks(page)["mess"][0] == "for"  # at once, by the page alone


def test_emoji_and_other_scripts_are_coloured_in_place(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    page.locator("textarea").fill("👩‍👩‍👧🙂 مرحبا 你好 WONDERFUL 🎬 film")
    found = until_marked(page, "WONDERFUL", "for")
    assert not any("\ud83d" in word for word in found)  # no emoji is cut in half
    answered(page, "positive")


def test_a_mebibyte_can_be_pasted(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    page.locator("textarea").evaluate(
        "field => { field.value = 'a wonderful film '.repeat(61681); field.dispatchEvent(new InputEvent('input')); }"
    )
    answered(page, "positive")
    page.get_by_text("only the first 4000 words were read").wait_for()
    assert page.get_by_text("Only the first 100,000 characters are read.").is_visible()
    assert page.locator("textarea").evaluate("field => field.value.length") == 17 * 61681


def test_the_number_of_a_word_is_told_to_pointer_and_caret(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    until_marked(page, "mess", "for")
    x, y = page.locator("mark", has_text="mess").evaluate(
        "mark => { const box = mark.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }"
    )
    page.mouse.move(x, y)
    page.locator(".hint", has_text="mess: +").wait_for()
    assert page.locator("textarea").get_attribute("title").endswith("for “negative”")
    page.mouse.move(0, 0)
    page.locator(".hint", has_text="speaks against it").wait_for()
    page.locator("textarea").focus()
    page.keyboard.press("Control+Home")
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    page.locator(".hint", has_text="mess: +").wait_for()


def test_examples_and_clear_are_buttons_by_the_field(open_page):
    page = open_page("/text?weights=trec")
    answered(page, "a person")
    page.get_by_role("button", name="How many").click()
    answered(page, "a number")
    assert page.get_by_role("button", name="How many").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("the answer appears here while you type").wait_for()
    assert page.locator("textarea").evaluate("field => field === field.getRootNode().activeElement")
    page.keyboard.type("Where is Lisbon?")
    answered(page, "a place")


def test_a_text_survives_a_look_elsewhere_and_another_network(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    write(page, "A wonderful film.")
    answered(page, "positive")
    page.get_by_role("tab", name="What the filters look for").click()
    page.locator(".ngrams section").first.wait_for()
    page.get_by_role("tab", name="One text").click()
    page.locator("textarea").wait_for()
    assert page.locator("textarea").input_value() == "A wonderful film."
    page.get_by_role("radio", name="Questions").click()
    page.get_by_text("This asks for").wait_for()
    assert page.locator("textarea").input_value() == "A wonderful film."


def test_another_network_brings_its_own_example(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    page.get_by_role("radio", name="Questions").click()
    answered(page, "a person")
    assert page.locator("textarea").input_value().startswith("Who wrote")
    wait_until(page, "location.search.includes('weights=trec')")


def test_the_field_is_named_and_described_for_screen_readers(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    until_marked(page, "mess", "for")
    field = page.get_by_role("textbox", name="Text to answer: a sentence of a film review")
    described = field.evaluate("f => f.getRootNode().getElementById(f.getAttribute('aria-describedby')).textContent")
    assert described.startswith("for negative: mess")
    assert "against it: joy" in described


def test_the_answer_can_be_downloaded(open_page):
    page = open_page(REVIEWS)
    answered(page, "negative")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON").click()
    answer = json.loads(Path(waiting.value.path()).read_text("utf-8"))
    assert answer["input"].startswith("The plot is a mess")
    assert answer["labels"][0] == "negative"


PLACES = ["", "&part=Smallest+deletion", "&part=Attribution", "&part=Side+by+side", "&view=Many+texts",
          "&view=What+the+filters+look+for", "&view=Your+own+classes"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_nothing_sticks_out_of_a_narrow_screen(open_page, place: str):
    page = open_page("/text?weights=trec" + place, width=390, touch=True)
    page.wait_for_selector(".word, .ngrams, [data-testid=stDataFrame], [data-testid=stFileUploader]")
    at_rest(page)
    sticking = page.evaluate(
        "() => [...document.querySelectorAll('.stMain *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('.scroll, pre, [data-testid=stDataFrame], [role=tablist]')).map(e => e.outerHTML.slice(0, 120))"
    )
    assert not sticking
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_coloured_words_can_be_read_in_both_themes(open_page, scheme: str):
    """WCAG 2 asks for a contrast of 4.5 : 1; the ground is the word's colour over the page's."""
    page = open_page(REVIEWS + "&part=Attribution", scheme=scheme)
    answered(page, "negative")
    until_marked(page, "mess", "for")
    for word in ("mess", "joy"):
        for place in (".coloured mark", ".under mark"):
            ink, ground = page.locator(place, has_text=word).first.evaluate(
                "mark => { const c = document.createElement('canvas').getContext('2d');"
                " const paint = (...colors) => { for (const color of colors) { c.fillStyle = color;"
                " c.fillRect(0, 0, 1, 1); } return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };"
                " const page = getComputedStyle(document.querySelector('.stApp'));"
                " return [paint(page.color), paint(page.backgroundColor, getComputedStyle(mark).backgroundColor)]; }"
            )
            light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (word, place, ink, ground)
