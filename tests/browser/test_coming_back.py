"""Another page and back: the upload and the network are still there, by the links and by the browser's Back."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from server import FLAGS, find_chromium
from steady import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ASSETS = Path(__file__).resolve().parents[2] / "apps" / "assets" / "samples"


def go(page, path: str) -> None:
    """Open another page as a visitor does, by the menu."""
    page.get_by_test_id("stTopNavSection").filter(has_text="Try").click()
    page.locator(f"a[href$='{path}']").click()
    page.wait_for_url(lambda url: urlsplit(url).path == path)
    at_rest(page)


def chosen(page) -> str:
    """The network that is chosen."""
    return page.get_by_role("radiogroup", name="Network").locator("[aria-checked=true]").inner_text()


def test_uploads_and_networks_of_all_pages_are_kept(open_page, tmp_path: Path):
    Image.new("L", (300, 200), 40).save(tmp_path / "grey.png")
    (tmp_path / "texts.csv").write_text("text\nWho wrote it?\nWhere is it?\n")
    places = [  # path, network, what is opened, file, where it is seen
        ("/image", "Clothes", ("radio", "Upload"), tmp_path / "grey.png", "figcaption:has-text('grey.png')"),
        ("/text", "Questions", ("tab", "Many texts"), tmp_path / "texts.csv", "p.note:has-text('2 texts answered')"),
        ("/medical", "Nodule rating", ("radio", "Upload"), ASSETS / "lidc-benign-2.png", ".answer .word"),
        ("/captions", "Photos", ("radio", "Upload"), tmp_path / "grey.png", "button:has-text('Word by word')"),
    ]
    page = open_page("/image")
    page.locator(".answer .word").wait_for()
    for path, network, (role, name), file, seen in places:
        go(page, path)
        page.get_by_role("radio", name=network, exact=True).click()
        at_rest(page)
        page.get_by_role(role, name=name, exact=True).click()
        at_rest(page)
        page.locator("input[type=file]").set_input_files(file)
        page.locator(seen).first.wait_for()
        at_rest(page)
    for path, network, (role, name), file, seen in places:
        go(page, path)
        page.locator(seen).first.wait_for()
        assert chosen(page) == network
        assert page.get_by_text(f"{file.name}, uploaded before").count()
        assert page.get_by_role(role, name=name, exact=True).get_attribute(
            "aria-selected" if role == "tab" else "aria-checked"
        ) == "true"  # fmt: skip
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("A photo, a scan, a drawing").wait_for()


def test_back_gives_back_the_choice_and_the_page_before(open_page):
    page = open_page("/image?weights=mnist")
    page.locator(".answer .word").wait_for()
    at_rest(page)
    page.get_by_role("radio", name="Digits, 8 × 8").click()
    page.wait_for_url(re.compile("weights=digits"))
    at_rest(page)
    page.get_by_role("tab", name="Many pictures").click()
    page.get_by_test_id("stDataFrame").wait_for()
    at_rest(page)
    go(page, "/text")
    page.go_back()
    page.get_by_test_id("stDataFrame").wait_for()
    at_rest(page)
    assert chosen(page) == "Digits, 8 × 8"
    page.go_back()
    page.locator(".answer .word").wait_for()
    at_rest(page)
    assert chosen(page) == "Digits, 8 × 8"
    page.go_back()
    page.wait_for_url(lambda url: "digits" not in url)
    at_rest(page)
    assert chosen(page) == "Digits"
    page.go_forward()
    page.wait_for_url(re.compile("weights=digits"))
    at_rest(page)
    assert chosen(page) == "Digits, 8 × 8"


def test_a_page_that_is_not_secure_says_why_there_is_no_camera(open_page, chromium, address: str):
    """Chromium gives the camera to https and to this machine alone."""
    page = open_page("/image?weights=mnist")
    page.get_by_role("radio", name="Camera").click()
    page.get_by_text("Camera on").wait_for()
    assert page.evaluate("isSecureContext && Boolean(navigator.mediaDevices)")
    rule = "--host-resolver-rules=MAP pages.example 127.0.0.1"
    browser = chromium.browser_type.launch(executable_path=find_chromium(), args=[*FLAGS, rule])
    try:
        page = browser.new_page()
        page.goto(re.sub("//[^:]+:", "//pages.example:", address) + "/image?weights=mnist")
        page.get_by_role("radio", name="Camera").click()
        page.get_by_text("use Upload, or open the page by https or localhost").wait_for()
        assert not page.evaluate("isSecureContext || Boolean(navigator.mediaDevices)")
        assert not page.get_by_text("Camera on").count()
    finally:
        browser.close()
