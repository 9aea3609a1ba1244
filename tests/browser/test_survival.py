"""What is trained on a page survives a lost connection, a refresh, a second tab, and the end of the server."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import TIMEOUT
from line import Line
from server import serving
from steady import LINES, at_rest, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

LEARNING = re.compile(r"[1-9]\d* of \d+ epochs done")


@dataclass(frozen=True)
class Form:
    """ "Your own classes" of a page."""

    path: str
    example: str  # the button that saves it
    go: str
    report: str  # of what the upload holds
    run: str


IMAGE = Form(
    "/image?weights=digits", "The example as a zip", "Train on my pictures", "120 pictures in 3 classes", "my-pictures"
)
TEXT = Form("/text?", "The example as CSV", "Train on my texts", "texts in 3 classes", "my-texts")
FORMS = pytest.mark.parametrize("form", [IMAGE, TEXT], ids=["image", "text"])


class Served:
    """A server that can end and begin anew, and the line to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = ExitStack()
        self.line = Line(0)
        self.begin()

    def begin(self) -> None:
        self.line.target = urlsplit(self.running.enter_context(serving(self.folder))).port


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    place = Served(tmp_path)
    yield place
    place.line.close()
    place.running.close()


def opened(chromium, address: str):
    """Open a page in a context of its own; a lost connection may say so on the console."""
    page = chromium.new_context(accept_downloads=True).new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    return page


def begun(page, form: Form, folder: Path):
    """Upload the page's own example and begin a training of more than ten seconds."""
    with page.expect_download() as saved:
        page.get_by_role("button", name=form.example).click()
    file = folder / saved.value.suggested_filename
    saved.value.save_as(file)
    if form is TEXT:
        lengthen(file)
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text(form.report).wait_for()
    if form is IMAGE:
        page.get_by_text("Everything (needs").click()
        page.get_by_role("slider", name="Epochs").press("End")
    at_rest(page)
    loaded = "() => performance.getEntriesByType('resource').filter(entry => /vega/i.test(entry.name)).length >= 3"
    wait_until(page, loaded)  # the code of charts is there before the first one, which may come when the line is cut
    page.get_by_role("button", name=form.go).click()
    page.get_by_text(LEARNING).first.wait_for()
    return file.name


def lengthen(file: Path, times: int = 25) -> None:
    """Write each text of the example many times, numbered: as it is, a fast machine learns it within one look."""
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, *(f"{number} {row}" for number in range(times) for row in rows)]) + "\n")


def is_there(page, form: Form) -> None:
    """The run, its curves, and at its end its score, its weights, and the network among those to ask."""
    page.get_by_text(re.compile(rf"^Accuracy of {form.run}$")).wait_for()
    page.locator(LINES).nth(1).wait_for(state="attached")  # a flat one has no height
    page.get_by_role("button", name="Weights (zip)").wait_for()
    page.get_by_role("radio", name=f"runs/{form.run}").wait_for()
    at_rest(page)
    assert page.get_by_role("combobox", name="Run").input_value() == form.run


def still_there(page, form: Form, file: str, served: Served) -> None:
    """As `is_there`, with the upload, and with no second run."""
    is_there(page, form)
    assert page.get_by_text(file).count()
    assert page.get_by_role("button", name=form.go).is_enabled()
    assert [path.name for path in (served.folder / "runs").iterdir() if not path.name.startswith(".")] == [form.run]


def survives(chromium, served: Served, form: Form, tmp_path: Path, *, seconds: int) -> None:
    page = opened(chromium, f"{served.line.address}{form.path}&view=Your+own+classes")
    file = begun(page, form, tmp_path)
    with served.line.cut():
        page.wait_for_timeout(1000 * seconds)
    still_there(page, form, file, served)
    page.reload()
    is_there(page, form)
    second = page.context.new_page()
    second.goto(f"{served.line.address}{form.path.split('?')[0]}?view=Your+own+classes")
    is_there(second, form)
    with second.expect_download() as saved:
        second.get_by_role("button", name="Weights (zip)").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert f"{form.run}/card.json" in archive.namelist()
        assert any(f"{form.run}/model-" in name for name in archive.namelist())
    if form is TEXT:  # it can be tried at once
        second.locator("textarea").fill("will it snow in Paris")
        second.locator(".answer .word", has_text="weather").wait_for()


@FORMS
def test_four_seconds_without_a_connection(chromium, served: Served, form: Form, tmp_path: Path):
    survives(chromium, served, form, tmp_path, seconds=4)


@pytest.mark.slow
@FORMS
def test_a_minute_without_a_connection(chromium, served: Served, form: Form, tmp_path: Path):
    survives(chromium, served, form, tmp_path, seconds=60)


@pytest.mark.slow
@FORMS
def test_the_end_of_the_server(chromium, served: Served, form: Form, tmp_path: Path):
    page = opened(chromium, f"{served.line.address}{form.path}&view=Your+own+classes")
    begun(page, form, tmp_path)
    served.running.close()
    served.begin()
    is_there(page, form)  # the page has found the new server by itself
