"""Two visitors of pages that are served to others: each browser has its own runs, and finds them again."""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import ROOT, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
sys.path.insert(0, str(ROOT / "apps"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a server that listens to all; `open_page` takes this one here."""
    with serving(folder, listens="0.0.0.0") as url:
        yield url


def test_what_one_browser_uploads_and_trains_no_other_sees(open_page, folder: Path, tmp_path: Path):
    from components.requests import example_csv

    anna = open_page("/train?recipe=docstrings")
    anna.get_by_role("radio", name="Your own").click()
    anna.get_by_text("At most 50 MB. You can have").wait_for()
    anna.get_by_text("Other visitors do not see it.").wait_for()
    table = tmp_path / "reviews.csv"
    table.write_text(example_csv().replace("hall", "sauna"))
    anna.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(table)
    anna.get_by_text(table.name).wait_for()  # another field that changes during an upload may make Streamlit lose it
    epochs = anna.get_by_role("spinbutton", name="Epochs")
    epochs.fill("1")
    epochs.press("Enter")
    anna.locator("[data-testid=stBaseButton-primary]:enabled", has_text="Train").click()
    anna.get_by_text("Accuracy of docstrings-").wait_for()
    (run,) = (folder / "runs").glob("docstrings-*")
    assert [*(run / "upload").iterdir()] == []  # the training has ended
    assert str(folder) not in (run / "card.json").read_text() + (run / "recipe.json").read_text()

    ben = open_page(f"/train?run={run.name}&compare={run.name}")
    ben.get_by_text("Nothing has been trained here yet.").wait_for()
    assert run.name not in ben.inner_text("body")
    ben.goto(f"{ben.url.split('/train')[0]}/text?weights=runs/{run.name}")
    ben.get_by_role("radiogroup", name="Network").wait_for()
    assert "docstrings-" not in ben.inner_text("body")

    (cookie,) = [found for found in anna.context.cookies() if found["name"] == "cnn_owner"]
    assert (cookie["sameSite"], len(cookie["value"])) == ("Strict", 43)
    assert cookie["value"] not in "".join(file.read_text() for file in run.glob("*.json"))
    anna.reload()
    anna.get_by_text("Accuracy of docstrings-").wait_for()  # the cookie came back
    second = anna.context.new_page()
    second.goto(anna.url)
    second.get_by_text("Accuracy of docstrings-").wait_for()
    with anna.expect_download() as waiting:
        anna.get_by_role("button", name="Weights (zip)").click()
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as archive:
        packed = {Path(name).name: archive.read(name) for name in archive.namelist()}
    assert {"card.json", "report.json"} <= packed.keys() and any(name.startswith("model-") for name in packed)
    assert b'"ngrams": null' in packed["report.json"] and b"lights" not in packed["report.json"]

    anna.get_by_role("button", name="Delete", exact=True).click()
    anna.get_by_role("button", name=f"Delete {run.name}").click()
    anna.get_by_text("Nothing has been trained here yet.").wait_for()
    assert not run.exists()
