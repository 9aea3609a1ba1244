"""The viewer with a hand-made scan, with WebGL2 and without: what it shows is what the scan holds."""

import io
import re
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from server import FLAGS, ROOT, find_chromium, serving
from steady import at_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SHAPE = (48, 40, 31)  # three voxels of it make one of the overview
TINY = (20, 19, 16)  # the one voxel of the label "tiny": no third voxel, on no axis
SCRIPT = """
import sys
sys.path[:0] = [{apps!r}]
import numpy as np
import streamlit as st
from components import viewer as parts, volumes
from components.viewer import View, pack, pack_rest, viewer, with_heat

real = "real" in st.query_params  # its size
parts.MOST_AT_ONCE, volumes.SLAB = (5_000_000, 4_000_000) if real else (3000, 48 * 40 * 4)
parts.MOST_VOXELS = 1000 if "large" in st.query_params else 200_000_000
x, y, z = np.ogrid[tuple(slice(edge) for edge in ((512, 512, 300) if real else {shape}))]
voxels = ((x + 50 * y + 77 * z) % 3001 - 1024).astype(np.int16)
mask = ((x - 30) ** 2 + (y - 20) ** 2 + (z - 15) ** 2 < 64).astype(np.uint8)
mask[{tiny}] = 2
windows = {{"Wide": (476.0, 3000.0), "Narrow": (0.0, 400.0)}}
colours = [(230, 30, 30), (30, 230, 30)]
view = View(voxels, (1.0, 1.5, 2.0), mask, ["ball", "tiny"], colours, windows, start=(30, 20, 15))
st.button("Again")
slot = "heat" if st.toggle("Heat") else "plain"
packed = st.session_state.get(slot) or pack(view)
if slot == "heat" and "heat" not in packed.overview:
    packed = with_heat(st.session_state.get("plain", packed), (mask > 0) * np.float32(0.4))
viewer(packed, key="viewer")
if packed.waiting:
    st.session_state[slot] = pack_rest(packed)
    st.rerun()
"""
WITH = (*FLAGS, "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
WITHOUT = (*FLAGS, "--disable-3d-apis")
GREEN = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 1] > data[i] + 40 && data[i + 1] > data[i + 2] + 40) found++;
  return found;
}"""


@pytest.fixture(scope="module")
def scan_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("viewer")
    shutil.copytree(ROOT / "apps" / ".streamlit", folder / ".streamlit")
    script = folder / "page.py"
    script.write_text(SCRIPT.format(apps=str(ROOT / "apps"), shape=SHAPE, tiny=TINY))
    with serving(folder, script) as url:
        yield url


@pytest.fixture(scope="module", params=["niivue", "canvas"])
def browser(request: pytest.FixtureRequest, chromium) -> Iterator[object]:
    """A browser with WebGL2, which NiiVue needs, and one without."""
    flags = WITH if request.param == "niivue" else WITHOUT
    found = chromium.browser_type.launch(executable_path=find_chromium(), args=list(flags))
    found.engine = request.param
    yield found
    found.close()


@pytest.fixture
def open_scan(browser, scan_address: str) -> Iterator[object]:
    """Open the page with the scan; at the end there must be no error and no foreign request."""
    contexts, problems = [], []

    def open_(path: str = "/", *, lost: bool = False, ready: bool = True):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        if lost:
            page.route("**/media/*.gz", lambda route: route.abort())
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on("request", lambda request: _home(request.url, scan_address, problems))
        page.goto(scan_address + path)
        page.locator(".viewer[data-share='100']" if ready and not lost else ".viewer[data-ready]").wait_for()
        at_rest(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not problems


def _home(url: str, address: str, problems: list[str]) -> None:
    if url.startswith(("http", "ws")) and address.split("//")[1] not in url:
        problems.append(f"foreign request: {url}")


def go(page, at: tuple[int, int, int]) -> None:
    for name, place in zip(("Sagittal", "Coronal", "Axial"), at, strict=True):
        page.get_by_role("slider", name=f"{name} slice").fill(str(place))


def read(page) -> list[str]:
    return [part.strip() for part in page.locator(".read").inner_text().split("·")]


def held(at: tuple[int, int, int]) -> list[str]:
    """What the scan holds there, worked out from what the script writes into it."""
    x, y, z = at
    label = "tiny" if at == TINY else "ball" if (x - 30) ** 2 + (y - 20) ** 2 + (z - 15) ** 2 < 64 else "no label"
    value = (x + 50 * y + 77 * z) % 3001 - 1024
    return [f"Voxel {x + 1}, {y + 1}, {z + 1}", f"{value} HU".replace("-", "−"), label]


def picture(page) -> np.ndarray:
    """The view in 3-D, as it is seen."""
    shot = page.locator("figure.body .frame").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def changed(page, before: np.ndarray) -> np.ndarray:
    """Wait until the view in 3-D is another, and return it."""
    for _ in range(100):
        after = picture(page)
        if np.abs(after - before).max() > 40:
            return after
        page.wait_for_timeout(100)
    raise AssertionError("the view in 3-D stays as it was")


@pytest.mark.smoke
def test_the_crosshair_reads_what_the_scan_holds_at_every_edge_and_between(open_scan, browser):
    page = open_scan()
    far = tuple(edge - 1 for edge in SHAPE)
    for at in [(0, 0, 0), far, TINY, (30, 20, 15), (22, 20, 15), (23, 20, 15), (1, 38, 29), (46, 1, 2)]:
        go(page, at)
        assert read(page) == held(at)
    assert page.locator(".sharpness").inner_text().startswith("The planes show every voxel: 48 × 40 × 31.")
    assert page.locator("figure[data-step='1']").count() == 3
    page.locator(f"figure.body[data-engine={browser.engine}]").wait_for()


def test_a_label_of_one_voxel_is_seen_in_its_slice_alone(open_scan):
    page = open_scan()
    page.locator("input[name=opacity]").fill("100")
    for name, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        plane = page.locator(f"figure.{name} canvas")
        for beside, seen in ((-1, False), (0, True), (1, False)):
            at = list(TINY)
            at[axis] += beside
            go(page, tuple(at))
            assert (plane.evaluate(GREEN) > 0) is seen


def test_without_its_slabs_the_overview_keeps_the_label_and_says_what_it_is(open_scan):
    page = open_scan(lost=True)
    page.get_by_text("Some of the scan did not arrive and is shown at a third of its resolution").wait_for()
    page.locator("input[name=opacity]").fill("100")
    go(page, TINY)
    assert read(page)[0] == "Voxel 19, 19, 16" and read(page)[2] == "tiny"  # the corner of its block of three
    assert all(page.locator(f"figure.{name} canvas").evaluate(GREEN) > 0 for name in ("axial", "coronal", "sagittal"))


def test_the_first_slice_is_whole_before_the_rest_has_come(open_scan):
    page = open_scan(lost=True)
    assert page.locator("figure.axial").get_attribute("data-step") == "1"
    assert page.locator("figure.coronal").get_attribute("data-step") == "3"
    assert read(page) == held((30, 20, 15))


def test_a_scan_that_is_too_large_says_so_and_keeps_the_label(open_scan):
    page = open_scan("/?large", ready=False)
    assert page.locator(".sharpness").inner_text() == (
        "Shown at a third of its resolution; labels are never dropped: "
        "more than 0.001 million voxels are too many for a browser."
    )
    go(page, TINY)
    assert read(page)[2] == "tiny"


def test_a_rerun_and_another_overlay_leave_the_place_the_zoom_and_the_window(open_scan):
    page = open_scan()
    go(page, (5, 6, 7))
    page.get_by_role("button", name="Narrow").click()
    page.get_by_role("button", name="Zoom in").click()
    page.locator("figure.body[data-engine]").wait_for()
    page.locator("figure.body canvas").evaluate("canvas => { canvas.marked = true; }")
    page.locator("figure.axial").evaluate("figure => { figure.marked = true; }")
    for click in (page.get_by_role("button", name="Again"), page.get_by_text("Heat")):
        click.click()
        at_rest(page)
        page.locator(".viewer[data-share='100']").wait_for()
        assert read(page)[:3] == held((5, 6, 7)) and page.locator(".zoom output").inner_text() == "125 %"
        assert page.get_by_role("button", name="Narrow").get_attribute("aria-pressed") == "true"
        assert page.locator("figure.axial").evaluate("figure => figure.marked")
        assert page.locator("figure.body canvas").evaluate("canvas => canvas.marked")
    page.locator(".read", has_text="0 %").wait_for()
    go(page, (30, 20, 15))
    page.locator(".read", has_text="ball · 40 %").wait_for()


def test_zoom_keeps_the_crosshair_and_a_click_means_fewer_voxels(open_scan):
    page = open_scan()
    canvas = page.locator("figure.axial canvas")
    box = canvas.bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] / 2}

    def moved() -> int:
        canvas.click(position=middle)
        before = int(re.findall(r"\d+", read(page)[0])[0])
        canvas.click(position={**middle, "x": middle["x"] + 160})
        return before - int(re.findall(r"\d+", read(page)[0])[0])

    at_once = moved()
    assert at_once >= 8
    canvas.click(position=middle)
    before = read(page)
    for _ in range(6):
        page.keyboard.press("+")
    assert read(page) == before and page.locator(".zoom output").inner_text() == "381 %"
    canvas.click(position=middle)
    assert read(page) == before  # it lies where it lay
    assert abs(moved() - at_once / 1.25**6) <= 1
    page.get_by_role("button", name="Whole slice").click()
    assert page.locator(".zoom output").inner_text() == "100 %" and moved() == at_once
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    assert page.locator(".zoom output").inner_text() == "125 %"


def test_the_picture_is_moved_with_shift_and_the_crosshair_stays_on_its_voxel(open_scan):
    page = open_scan()
    canvas = page.locator("figure.axial canvas")
    canvas.click()
    for _ in range(6):
        page.keyboard.press("+")
    before, seen = read(page), canvas.evaluate("canvas => canvas.toDataURL()")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 50)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert read(page) == before and canvas.evaluate("canvas => canvas.toDataURL()") != seen
    page.mouse.click(x + 90, y + 50)  # what lay under the pointer went with it
    assert read(page) == before


def test_the_view_in_3d_turns_zooms_and_hides_what_is_hidden(open_scan, browser):
    page = open_scan()
    page.locator(f"figure.body[data-engine={browser.engine}]").wait_for()
    body = page.locator("figure.body canvas")
    seen = changed(page, np.zeros_like(picture(page)))
    red = (seen[..., 0] > seen[..., 1] + 40).mean()
    assert red > 0.01
    body.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    turned = changed(page, seen)
    page.keyboard.press("+")
    larger = changed(page, turned)
    assert (larger[..., 0] > larger[..., 1] + 40).mean() > 1.2 * red
    page.get_by_role("button", name="ball", exact=True).click()
    hidden = changed(page, larger)
    assert not (hidden[..., 0] > hidden[..., 1] + 40).any()
    assert (hidden[..., 1] > hidden[..., 0] + 40).any()  # the label of one voxel, which lay behind the ball


def test_the_volume_is_rendered_where_there_is_webgl2(open_scan, browser):
    page = open_scan()
    page.locator(f"figure.body[data-engine={browser.engine}]").wait_for()
    volume = page.get_by_role("button", name="Volume")
    if browser.engine == "canvas":
        assert volume.count() == 0
        return
    labels = changed(page, np.zeros_like(picture(page)))
    volume.click()
    rendered = changed(page, labels)
    assert volume.get_attribute("aria-pressed") == "true"
    assert (rendered.min(-1) > 30).mean() > 3 * (labels.min(-1) > 30).mean() + 0.05  # grey all around the ball


@pytest.mark.slow
def test_every_voxel_of_a_scan_of_real_size_is_reachable(open_scan):
    page = open_scan("/?real")
    assert page.locator(".sharpness").inner_text().startswith("The planes show every voxel: 512 × 512 × 300.")
    for at in [(0, 0, 0), (511, 511, 299), (256, 255, 149), TINY, (22, 20, 15), (510, 1, 151)]:
        go(page, at)
        assert read(page) == held(at)
    page.locator("figure.body[data-engine=canvas]").wait_for()  # too many voxels for WebGL in software, as here
