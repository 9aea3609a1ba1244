"""Waiting until a page is at rest: on a slow machine it is drawn, and moves, long after its first words are there."""

from time import monotonic

STILL = 0.5  # seconds without a change
PATIENCE = 150.0  # seconds
LINES = ".stVegaLiteChart .mark-line path"  # of the charts of a page


def at_rest(page) -> None:
    """Wait until the server has nothing left to run for this page, and nothing on it has moved for a while."""
    _unchanged(page, lambda: page.evaluate(LAYOUT))


def box_of(locator) -> dict[str, float]:
    """Return the place of an element, in pixels of the window, once it has stopped moving."""
    locator.scroll_into_view_if_needed()
    return _unchanged(locator.page, locator.bounding_box)


# what runs, and where everything that can be clicked is
LAYOUT = """() => {
  const app = document.querySelector('.stApp');
  const busy = !app || app.dataset.testScriptState !== 'notRunning' || document.querySelector('[data-stale=true]');
  if (busy) return null;
  const places = [...document.querySelectorAll('button, a, input, textarea, canvas, svg, img, h1, h2')].map(
    e => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round).join(); });
  return places.join(' ');
}"""


def wait_until(page, script: str, arg=None) -> None:
    """Wait until a script is true of the page. (Playwright's own waiting evaluates texts, which the pages forbid.)"""
    end = monotonic() + PATIENCE
    while not page.evaluate(script, arg):
        assert monotonic() < end, f"not so within {PATIENCE:.0f} s: {script}"
        page.wait_for_timeout(50)


def _unchanged(page, look):
    """Return what `look` returns as soon as it is the same for `STILL` seconds, and not None."""
    end = monotonic() + PATIENCE
    seen, since = None, monotonic()
    while monotonic() < end:
        now = look()
        if now is None or now != seen:
            seen, since = now, monotonic()
        elif monotonic() - since >= STILL:
            return now
        page.wait_for_timeout(50)
    raise AssertionError(f"the page has not come to rest within {PATIENCE:.0f} s")
