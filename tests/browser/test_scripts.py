"""What the scripts of the components compute, run in the browser against numbers worked by hand."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from server import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.smoke]

COMPONENTS = ROOT / "apps" / "components"
IMPORT = "text => import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))"
LIGHT = {"zero": [250, 250, 250], "plus": [150, 50, 0], "minus": [0, 50, 150]}


@pytest.fixture(scope="module")
def page(chromium) -> Iterator[Any]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def grids(page) -> Any:
    return page.evaluate_handle(IMPORT, (COMPONENTS / "grids.js").read_text("utf-8"))


def call(grids: Any, name: str, *arguments: Any) -> Any:
    return grids.evaluate("(grids, [name, values]) => grids[name](...values)", [name, list(arguments)])


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0, 2, "0"), (3.00001, 2, "3"), (-3, 2, "−3"), (0.126, 2, "0.13"), (-0.5, 1, "−0.5"), (-0.001, 2, "0.00"),
     (123.456, 2, "123.5"), (-1015, 2, "−1015"), (99.994, 2, "99.99")],
)  # fmt: skip
def test_numbers_are_written_short_and_with_a_real_minus(grids, value, digits, text):
    assert call(grids, "written", value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (-2, "−2"), (1 / 9, "1/9"), (-0.25, "−1/4"), (0.0625, "1/16"), (2 / 3, "2/3"), (0.15, "0.15"),
     (-0.012, "−0.012"), (0, "0")],
)  # fmt: skip
def test_weights_are_written_as_people_write_them(grids, value, text):
    assert str(call(grids, "fraction", value)) == text


def test_float32_values_come_as_they_were_packed(grids):
    values = np.array([0, -1.5, 3.25, 1e6], "<f4")
    got = grids.evaluate("(grids, text) => [...grids.unpack(text)]", base64.b64encode(values.tobytes()).decode())
    assert got == [0, -1.5, 3.25, 1e6]


@pytest.mark.parametrize(("values", "ends"), [([], [0, 0]), ([2, 5], [0, 5]), ([-3, -1], [-3, 0]), ([-1, 4], [-1, 4])])
def test_the_range_of_a_map_holds_zero(grids, values, ends):
    assert call(grids, "limits", values) == ends


@pytest.mark.parametrize(
    ("kind", "low", "high", "value", "colour"),
    [
        ("grey", 0, 10, 5, [128, 128, 128]), ("grey", 0, 10, -1, [0, 0, 0]), ("grey", 0, 10, 99, [255, 255, 255]),
        ("grey", 3, 3, 3, [0, 0, 0]),  # a map of one value
        ("signed", -4, 2, 0, [250, 250, 250]), ("signed", -4, 2, 4, [150, 50, 0]),
        ("signed", -4, 2, 2, [200, 150, 125]),
        ("signed", -4, 2, -4, [0, 50, 150]), ("signed", -4, 2, -2, [125, 150, 200]),
        ("signed", 0, 0, 0, [250, 250, 250]),
    ],
)  # fmt: skip
def test_colours_run_evenly_and_stop_at_their_ends(grids, kind, low, high, value, colour):
    scale = "(grids, [value, ...rest]) => grids.colourScale(...rest)(value)"
    assert grids.evaluate(scale, [value, kind, low, high, LIGHT]) == colour


@pytest.mark.parametrize(
    ("colour", "ink"),
    [
        ([255, 255, 255], "#1d1b18"),
        ([0, 0, 0], "#ffffff"),
        ([0, 0, 255], "#ffffff"),
        ([130, 130, 130], "#ffffff"),
        ([150, 150, 150], "#1d1b18"),
    ],
)
def test_text_on_a_colour_can_be_read(grids, colour, ink):
    assert call(grids, "readable", colour) == ink


@pytest.mark.parametrize(("x", "y", "cell"), [(10, 20, [0, 0]), (59, 29, [0, 4]), (60, 40, [1, 4]), (0, 99, [1, 0])])
def test_the_cell_under_the_pointer_stays_inside(grids, x, y, cell):
    """A canvas of 2 rows and 5 columns, 50 x 20 pixels, whose corner lies at (10, 20)."""
    canvas = (
        "(grids, [x, y]) => grids.cellAt({ clientX: x, clientY: y },"
        " { getBoundingClientRect: () => ({ left: 10, top: 20, width: 50, height: 20 }) }, 2, 5)"
    )
    assert grids.evaluate(canvas, [x, y]) == cell


def test_a_map_is_painted_cell_by_cell_in_rows(grids):
    painted = (
        "grids => { const small = grids.bitmap(2, 3, (i) => [i, 10 * i, 255]);"
        " return [small.width, small.height, ...small.getContext('2d').getImageData(0, 0, 3, 2).data]; }"
    )
    assert grids.evaluate(painted) == [3, 2, *(n for i in range(6) for n in (i, 10 * i, 255, 255))]


@pytest.mark.parametrize(("shown", "width", "cell"), [(300, 30, 10), (100, 30, 3), (10, 30, 1), (0, 32, 10)])
def test_a_canvas_has_whole_pixels_for_every_cell(grids, shown, width, cell):
    fitted = (
        "(grids, [shown, width]) => { const canvas = { clientWidth: shown };"
        " return [grids.fitCanvas(canvas, 2, width), canvas.width, canvas.height]; }"
    )
    assert grids.evaluate(fitted, [shown, width]) == [cell, cell * width, 2 * cell]


def test_a_part_is_made_once_and_hears_of_new_data_alone(page):
    module = page.evaluate_handle(IMPORT, (COMPONENTS / "mount.js").read_text("utf-8"))
    heard = module.evaluate(
        """async ({ mount }) => {
          const heard = [];
          class Part {
            constructor(root) { heard.push("made"); this.root = root; }
            load(data) { heard.push(data.text); }
            stop() { heard.push("stopped"); }
          }
          document.body.innerHTML = "<section><div class='part'></div></section>";
          const parentElement = document.querySelector("section");
          const root = document.querySelector(".part");
          const call = async (data) => {
            const leave = mount(".part", Part)({ parentElement, data });
            await null;
            heard.push(root.dataset.ready);
            return leave;
          };
          await call({ id: "a", text: "one" });
          await call({ id: "a", text: "the same" });
          const anonymous = { text: "two" };
          await call(anonymous);
          await call(anonymous);
          (await call({ id: "b", text: "three" }))();
          return heard;
        }"""
    )
    assert heard == ["made", "one", "a", "a", "two", "", "", "three", "b", "stopped"]


@pytest.mark.parametrize("name", sorted(file.stem for file in COMPONENTS.glob("*.js")))
def test_every_script_is_one_module_with_what_it_imports(page, name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "apps")
    from components.browser import script

    text = script(name)
    assert not re.search(r"^import ", text, re.MULTILINE)
    kind = page.evaluate(f"async text => typeof (await ({IMPORT})(text)).default", text)
    assert kind == ("function" if "export default" in text else "undefined")
