"""A running server and a Chromium for the browser tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from server import FLAGS, find_chromium, serving  # noqa: E402 (after the path)

TIMEOUT = 150_000  # ms, an upper bound only: the first answer waits for torch, and test machines can be slow
# Opened at /image, Streamlit first looks for its server below that path, and then one level up.
HARMLESS = ("_stcore/health", "_stcore/host-config")


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs for the whole session."""
    with serving(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A browser; without one the tests fail where they are meant to run (CI), and skip elsewhere."""
    path = find_chromium()
    if path is None:
        sentence = "there is no Chromium; install it (Debian: apt-get install chromium)"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address: str) -> Iterator[object]:
    """Open a path in a fresh context; at the end there must be no error on the console and no foreign request."""
    contexts, problems = [], []

    def open_(path: str = "/", *, width: int = 1280, scheme: str = "light", touch: bool = False):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=touch, accept_downloads=True
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on("console", lambda message: _console(message, problems))
        page.on("request", lambda request: _request(request, address, problems))
        page.goto(address + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not problems


def _console(message, problems: list[str]) -> None:
    place = message.location.get("url", "")
    if message.type == "error" and not any(part in place for part in HARMLESS):
        problems.append(f"console: {message.text} ({place})")


def _request(request, address: str, problems: list[str]) -> None:
    if request.url.startswith(("http://", "https://", "ws://")) and address.split("//")[1] not in request.url:
        problems.append(f"foreign request: {request.url}")
