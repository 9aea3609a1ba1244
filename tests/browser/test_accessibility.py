"""No page has a serious finding of axe, in the light and in the dark theme (rules of WCAG 2.1 A and AA)."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from every_page import PAGES
from steady import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
SERIOUS = ("serious", "critical")
# Contrast of an element's words to the page, by WCAG 2.1; what is transparent shows the page.
CONTRAST = """button => {
  const pixel = document.createElement('canvas').getContext('2d');
  const light = (colours) => {
    for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...pixel.getImageData(0, 0, 1, 1).data].map(
      v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = getComputedStyle(document.querySelector('.stApp')).backgroundColor;
  const style = getComputedStyle(button);
  const words = getComputedStyle(button.querySelector('p')).color;
  const ground = [page, style.backgroundColor];
  const both = [light(ground), light([...ground, words])];
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_there_are_no_serious_findings(open_page, path: str, scheme: str) -> None:
    page = open_page(path, scheme=scheme)
    page.locator(PAGES[path]).first.wait_for()
    if page.locator("[data-testid=stCode]").count():
        page.locator("[data-testid=stCode] .token").first.wait_for(state="attached")  # its colours come later
    at_rest(page)
    page.wait_for_timeout(1500)  # fades
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}}).response["violations"]
    serious = [
        f"{violation['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][:300]}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]
    assert not serious, "\n\n".join(serious)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/text?view=Your+own+classes", "/image?view=Your+own+classes"])
def test_a_disabled_button_can_be_read(open_page, path: str, scheme: str) -> None:
    page = open_page(path, scheme=scheme)
    button = page.get_by_role("button", name="Train on my")
    button.wait_for()
    at_rest(page)
    assert button.is_disabled()
    assert button.evaluate(CONTRAST) >= 4.5
