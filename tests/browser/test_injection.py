"""Foreign text on the pages: names, labels, limits and columns that would be pictures, links, formulas or scripts.

Whatever a page shows of a card, a file or a run is shown sign by sign. The runs below could have come from anybody.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from server import ROOT, serving
from steady import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

# Each kind with a word of its own, which stands alone in an element only if the kind was rendered.
EVIL = (
    "<img src=x onerror=window.ran=1><b>tagged</b> ![pictured](//evil.example/a.png) [linked](//evil.example) "
    "$\\frac{1}{2}$ :red[coloured] :material/home: :smile: **bold** _slanted_ `coded` ~~struck~~ # | "
    "https://evil.example/auto www.evil.example evil@evil.example </script><script>window.ran=1</script>"
)
WORDS = ("tagged", "linked", "coloured", "bold", "slanted", "coded", "struck", "home")
ELEMENTS = "img[src='x'], img[src*='evil'], a[href*='evil'], .katex, [data-testid=stIconMaterial]:text-is('home')"
FOLDER = EVIL.replace("/", "|")[:240]  # a folder's name holds no slash


def poisoned(runs: Path, source: str, change: Callable[[dict], None]) -> None:
    """Leave shipped weights among the runs as somebody may have altered them."""
    weights = ROOT / "packages" / source
    domain = source.split("/")[0]
    folder = shutil.copytree(weights, runs / f"{domain} {FOLDER}"[:240])
    card = json.loads((folder / "card.json").read_text())
    evil_labels = {label: f"{label} {EVIL}" for label in card["labels"]}
    card["labels"] = [*evil_labels.values()]
    card.update(licence=EVIL, limits=[EVIL], machine=EVIL, command=EVIL, version=EVIL)
    change(card)
    (folder / "status.json").write_text(json.dumps({"state": "trained", "epoch": 2, "epochs": 2}))
    (folder / "card.json").write_text(json.dumps(card))
    if (folder / "report.json").exists():
        text = (folder / "report.json").read_text()
        for label, evil in evil_labels.items():
            text = text.replace(json.dumps(label), json.dumps(evil))
        (folder / "report.json").write_text(text)
    (folder / "log.csv").write_text(f"epoch,loss,val_{EVIL.replace(',', '')}\n1,0.5,0.5\n2,0.4,0.6\n")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("evil")
    runs = folder / "runs"
    poisoned(runs, "image_classification/weights/digits", lambda card: None)
    poisoned(runs, "medical_segmentation/weights/phantom", lambda card: None)

    def words(card: dict) -> None:
        card["input"]["vocabulary"] = [f"{word}{EVIL.replace(' ', '')}" for word in card["input"]["vocabulary"]]

    poisoned(runs, "image_captioning/weights/scenes", words)
    poisoned(runs, "text_classification/weights/trec", lambda card: None)
    failed = runs / f"failed {FOLDER}"[:240]
    failed.mkdir()
    (failed / "job.json").write_text(json.dumps({"error": EVIL, "command": EVIL, "recipe": {"data": {"data": EVIL}}}))
    with serving(folder) as url:
        yield url


def weights(domain: str) -> str:
    return quote(f"runs/{domain} {FOLDER}"[: 240 + len("runs/")], safe="")


def innocent(page) -> None:
    """Check that the text is there, and that nothing of it was rendered or run."""
    page.get_by_text(re.compile(":\u2060?red\\[coloured\\]")).first.wait_for(state="attached")
    at_rest(page)
    page.evaluate("document.querySelectorAll('details').forEach(fold => (fold.open = true))")
    assert page.evaluate("window.ran") is None
    assert page.locator(ELEMENTS).count() == 0, page.locator(ELEMENTS).first.evaluate("e => e.outerHTML")
    for word in WORDS:
        found = page.get_by_text(word, exact=True)
        assert found.count() == 0, found.first.evaluate("e => e.parentElement.outerHTML")
    assert "😄" not in page.locator("body").inner_text()


@pytest.mark.parametrize("path", ["image", "image?view=Many+pictures", "image?part=Inside", "image?part=Compare"])
def test_labels_limits_and_licence_of_an_image_network_are_text(open_page, path):
    page = open_page(f"/{path}{'&' if '?' in path else '?'}weights={weights('image_classification')}")
    innocent(page)


def open_upload(open_page):
    """The image page, ready for a picture."""
    page = open_page("/image?weights=digits")
    at_rest(page)
    page.get_by_role("radio", name="Upload").click()
    return page


def test_file_names_are_text(open_page):
    page = open_upload(open_page)
    picture = (ROOT / "apps/assets/samples/mnist-0.png").read_bytes()
    name = f"{FOLDER}.png"
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": picture})
    page.locator("figcaption", has_text=":red[coloured]").wait_for()
    innocent(page)
    broken = {"name": name, "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + b"\0" * 99}
    page.locator("input[type=file]").first.set_input_files(broken)
    page.get_by_role("alert").wait_for()
    innocent(page)


def test_a_picture_beyond_the_limit_is_not_sent(open_page):
    page = open_upload(open_page)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "upload_file" in request.url else None)
    large = {"name": "large.png", "mimeType": "image/png", "buffer": bytes(21 * 1024**2)}
    page.locator("input[type=file]").first.set_input_files(large)
    page.get_by_text(re.compile(r"20(\.0)? ?MB or smaller")).wait_for()
    assert not sent


@pytest.mark.parametrize("path", ["text", "text?view=What+the+filters+look+for", "text?part=Compare"])
def test_labels_and_n_grams_of_a_text_network_are_text(open_page, path):
    page = open_page(f"/{path}{'&' if '?' in path else '?'}weights={weights('text_classification')}")
    innocent(page)


def test_columns_and_rows_of_a_table_are_text_and_no_spreadsheet_computes_them(open_page):
    page = open_page("/text?weights=trec&view=Many+texts")
    at_rest(page)
    cell = EVIL.replace('"', "'")
    table = f'"first {cell}","second {cell}"\n"a","=1+1 {cell}"\n"b","What is {cell}?"\n'.encode()
    name = f"{FOLDER}.csv"
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "text/csv", "buffer": table})
    innocent(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Table (CSV)").click()
    assert "\n'=1+1" in Path(waiting.value.path()).read_text().replace('"', "")
    page.get_by_test_id("stDataFrame").hover()
    page.get_by_role("button", name="Search").wait_for()  # the tools of the table, without their download
    assert not page.get_by_role("button", name="Download").filter(visible=True).count()


def test_labels_of_a_mask_are_text(open_page):
    page = open_page(f"/medical?weights={weights('medical_segmentation')}")
    innocent(page)


def test_words_of_a_caption_are_text(open_page):
    page = open_page(f"/captions?weights={weights('image_captioning')}")
    innocent(page)


def test_runs_and_their_errors_are_text(open_page):
    page = open_page(f"/train?run={weights('failed').removeprefix('runs%2F')}")
    page.get_by_role("alert").first.wait_for()
    innocent(page)
    page = open_page(f"/train?run={weights('text_classification').removeprefix('runs%2F')}")
    innocent(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_test_id("stPopoverBody").get_by_role("button").wait_for()
    innocent(page)


@pytest.mark.smoke
def test_the_page_runs_no_foreign_script_and_is_shown_in_no_frame(chromium, address):
    context = chromium.new_context()
    page = context.new_page()
    refused = {}
    page.on("requestfailed", lambda request: refused.update({request.url: request.failure}))
    answer = page.goto(address)
    page.get_by_role("heading").first.wait_for()
    assert answer.headers["x-frame-options"] == "DENY" and answer.headers["x-content-type-options"] == "nosniff"
    page.evaluate(
        "() => { const part = document.createElement('div'); document.body.append(part);"
        " part.innerHTML = '<img src=data:x onerror=window.ran=1><img src=http://evil.example/a.png>';"
        " const script = document.createElement('script'); script.textContent = 'window.ran = 2';"
        " part.append(script); }"
    )
    frame = context.new_page()
    frame.set_content(f"<iframe src='{address}'></iframe>")
    frame.wait_for_timeout(1000)
    assert page.evaluate("window.ran") is None
    assert refused["http://evil.example/a.png"] == "csp"
    assert not frame.frames[1].locator("#root").count()
    context.close()
