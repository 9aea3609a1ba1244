"""The medical page in a real browser: move through a scan, change what is shown, take the mask along."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from steady import at_rest, box_of, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CHEST = "/medical?weights=lung-ct"
SAMPLE = Path(__file__).resolve().parents[2] / "apps" / "assets" / "samples" / "chest-ct.nii.gz"
# how many pixels of a plane are clearly redder than grey: the colour of the first label
RED = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] > data[i + 1] + 30 && data[i] > data[i + 2] + 30) red++;
  return red / (data.length / 4);
}"""
MEAN = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
  return sum / (data.length / 4);
}"""
# lets what is unpacked from now on wait until it is told to go on
SLOW = """() => {
  window.held = 0;
  const gate = new Promise((go) => { window.release = go; });
  const read = Response.prototype.arrayBuffer;
  Response.prototype.arrayBuffer = async function () {
    const body = await read.call(this);
    window.held++;
    await gate;
    return body;
  };
}"""


def ready(page) -> None:
    """Wait until the scan is there, segmented."""
    page.locator(".viewer[data-ready]").wait_for()
    at_rest(page)


def axial(page):
    return page.locator("figure.axial canvas")


def solid(page) -> Image.Image:
    """The view in 3-D, as it is seen."""
    return Image.open(io.BytesIO(page.locator("figure.body .frame").screenshot())).convert("RGB")


def red(picture: Image.Image) -> float:
    """The share of pixels that are clearly redder than grey."""
    r, g, b = np.asarray(picture).astype(int).transpose(2, 0, 1)
    return float(((r > g + 30) & (r > b + 30)).mean())


def solid_until(page, wanted) -> None:
    """Wait until the share of red in the view in 3-D is as wanted: it is computed once a slider rests."""
    for _ in range(100):
        if wanted(red(solid(page))):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the view in 3-D stays {red(solid(page)):.3f} red")


def place(page) -> list[int]:
    """The voxel under the crosshair, counted from 1."""
    said = page.locator(".read").inner_text()
    return [int(part) for part in said.split("·")[0].replace("Voxel", "").split(",")]


def test_a_segmented_scan_is_there_on_opening(open_page):
    page = open_page(CHEST)
    ready(page)
    assert page.get_by_text("Research and teaching only, not for diagnosis.").first.is_visible()
    assert 0.03 < axial(page).evaluate(RED) < 0.6
    for name in ("coronal", "sagittal"):
        assert page.locator(f"figure.{name} canvas").evaluate(RED) > 0.01
    solid_until(page, lambda share: share > 0.02)


@pytest.mark.smoke
def test_the_planes_are_linked(open_page):
    page = open_page(CHEST)
    ready(page)
    before, picture = place(page), axial(page).evaluate(MEAN)
    slider = page.get_by_role("slider", name="Axial slice")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert place(page) == [before[0], before[1], before[2] + 1]
    assert slider.get_attribute("aria-valuetext") == f"slice {before[2] + 1} of 29"
    assert axial(page).evaluate(MEAN) != picture
    box = box_of(page.locator("figure.coronal canvas"))
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert place(page)[0] > 167 / 2 and place(page)[1] == before[1]  # the patient's right is on the left
    assert slider.get_attribute("aria-valuetext") == f"slice {place(page)[2]} of 29"


def test_keys_move_the_crosshair(open_page):
    page = open_page(CHEST)
    ready(page)
    x, y, z = place(page)
    axial(page).focus()
    for key in ("ArrowLeft", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    assert place(page) == [x + 1, y + 1, z + 1]


def test_window_overlay_and_labels_change_what_is_seen(open_page):
    page = open_page(CHEST)
    ready(page)
    lung = axial(page).evaluate(MEAN)
    page.get_by_role("button", name="Bone").click()
    assert axial(page).evaluate(MEAN) < lung - 10
    assert page.get_by_role("button", name="Bone").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Lung", exact=True).click()
    page.locator("input[name=opacity]").fill("0")
    assert axial(page).evaluate(RED) < 0.005  # the crosshair alone
    page.locator("input[name=opacity]").fill("80")
    assert axial(page).evaluate(RED) > 0.03
    page.get_by_role("button", name="lung", exact=True).click()
    assert axial(page).evaluate(RED) < 0.005
    solid_until(page, lambda share: share == 0)


def elsewhere(open_page):
    """Open the chest, go to another slice, and return the page and that place."""
    page = open_page(CHEST)
    ready(page)
    axial(page).focus()
    page.keyboard.press("PageUp")
    return page, place(page)


def test_the_place_is_kept_when_the_uncertainty_is_shown(open_page):
    page, before = elsewhere(open_page)
    page.get_by_text("Uncertainty", exact=True).click()
    wait_until(page, "() => document.body.innerText.includes('Bright where the network is uncertain')")
    page.locator(".read", has_text="%").wait_for()
    assert place(page) == before


def test_the_place_is_kept_when_an_overlay_comes_before_the_last_is_unpacked(open_page):
    page, before = elsewhere(open_page)
    page.evaluate(SLOW)
    for overlay in ("Uncertainty", "Labels"):
        page.get_by_text(overlay, exact=True).click()
        at_rest(page)
    assert page.evaluate("held") == 2
    page.evaluate("release()")
    at_rest(page)
    assert place(page) == before


def test_the_downloaded_mask_is_the_command_lines(open_page, tmp_path: Path):
    page = open_page(CHEST)
    ready(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Mask (NIfTI)").click()
    assert waiting.value.suggested_filename == "chest-ct_mask.nii.gz"
    downloaded = nib.load(Path(waiting.value.path()).rename(tmp_path / "downloaded.nii.gz"))
    command = [sys.executable, "-m", "cnn_core.cli", "predict", "lung-ct", str(SAMPLE), "--output", str(tmp_path)]
    subprocess.run([*command, "--device", "cpu"], check=True, capture_output=True)
    made, scan = nib.load(tmp_path / "chest-ct_mask.nii.gz"), nib.load(SAMPLE)
    assert downloaded.shape == made.shape == scan.shape and (downloaded.affine == scan.affine).all()
    assert (np.asarray(downloaded.dataobj) == np.asarray(made.dataobj)).all()
    assert np.asarray(downloaded.dataobj).mean() > 0.02


def test_an_own_scan_is_uploaded_and_a_wrong_file_refused(open_page, tmp_path: Path):
    page = open_page("/medical?weights=phantom")
    ready(page)
    (tmp_path / "note.nii.gz").write_bytes(gzip.compress(b"this is no scan" * 50))
    page.get_by_text("Upload", exact=True).first.click()
    page.locator("input[type=file]").set_input_files(tmp_path / "note.nii.gz")
    page.get_by_text("expected a NIfTI file").wait_for()
    part = nib.load(SAMPLE).slicer[40:100, 40:100, 5:15]
    nib.save(part, tmp_path / "part.nii.gz")
    page.locator("input[type=file]").set_input_files(tmp_path / "part.nii.gz")
    page.get_by_text("60 × 60 × 10 voxels").wait_for()
    ready(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(open_page, scheme: str):
    page = open_page(CHEST, width=390, scheme=scheme)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert axial(page).bounding_box()["width"] > 300
