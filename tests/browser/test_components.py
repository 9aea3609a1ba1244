"""What each component draws in the browser is what its Python sends: numbers worked by hand, without a server."""

import base64
import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from PIL import Image

import components.browser
from components.caption_explorer import Word, caption_explorer
from components.coloured import Span
from components.drawing_canvas import Stroke, drawing_canvas
from components.gallery import Item, gallery
from components.maps import Map, maps
from components.pictures import data_uri
from components.pixel_inspector import pixel_inspector
from components.training_replay import Figure, Look, training_replay
from components.writer import writer

pytestmark = [pytest.mark.browser, pytest.mark.smoke, pytest.mark.timeout(300)]

ZERO, PLUS, MINUS = [250, 248, 244], [168, 56, 15], [38, 82, 196]  # of signed maps on a light page
RED, GREEN = (data_uri(Image.new("RGB", (4, 4), colour)) for colour in ("red", "green"))

MOUNT = """async ([script, data]) => {
  window.answers = {};
  window.texts = [];
  const write = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    texts.push(text);
    write.call(this, text, ...place);
  };
  const module = await import(`data:text/javascript;base64,${script}`);
  const parentElement = document.querySelector("#part");
  module.default({ parentElement, data, setStateValue: (name, value) => { answers[name] = value; } });
  await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
}"""


@pytest.fixture
def shown(chromium, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Returns a function that calls one which shows a component, and returns the browser's page with it alone."""
    part, errors, nothing = {}, [], SimpleNamespace(edits=None, strokes=None, chosen=None)

    def component(name: str, **files: str) -> Callable:
        part.update(files)
        return lambda *, data, **_: part.update(data=data) or nothing

    monkeypatch.setattr(st.components.v2, "component", component)
    components.browser.component.clear()
    context = chromium.new_context(viewport={"width": 900, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))

    def show(call: Callable[[], object]) -> object:
        call()
        page.set_content(f'<style>{part["css"]}</style><div id="part" style="color:#111">{part["html"]}</div>')
        page.evaluate(MOUNT, [base64.b64encode(part["js"].encode()).decode(), part["data"]])
        return page

    yield show
    context.close()
    components.browser.component.clear()
    assert not errors


def painted(canvas) -> np.ndarray:
    """The pixels of a canvas, [H, W, 3]."""
    uri = canvas.evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")).astype(int)


def cells(canvas, rows: int, columns: int) -> list:
    """The colour in the middle of every cell of a canvas, row by row."""
    pixels = painted(canvas)
    height, width = len(pixels) / rows, len(pixels[0]) / columns
    return [
        pixels[int((i + 0.5) * height), int((j + 0.5) * width)].tolist() for i in range(rows) for j in range(columns)
    ]


def press(canvas, row: float, column: float, rows: int, columns: int) -> None:
    """Click into the middle of a cell."""
    box = canvas.bounding_box()
    place = {"x": box["width"] * (column + 0.5) / columns, "y": box["height"] * (row + 0.5) / rows}
    canvas.click(position=place)


def test_a_words_veil_and_alternatives_are_its_own(shown):
    words = [
        Word("a", 0.25, [("the", 0.7), ("a", 0.25), ("two", 0.0004)], RED),
        Word("cat", 0.9, [("cat", 0.9)], GREEN),
    ]
    sentences = [("a cat", "22.5 %"), ("a dog", "1 in 9")]
    page = shown(lambda: caption_explorer(RED, sentences, words, key="t", alt="a.png", size=(40, 20), chosen=0))
    buttons = page.locator(".sentence button")
    assert buttons.all_inner_texts() == ["a", "cat"]
    assert page.locator(".veil").get_attribute("src") == GREEN  # of the last word
    buttons.nth(0).click()
    assert page.locator(".veil").get_attribute("src") == RED
    rows = page.locator(".word li").all_inner_texts()
    assert [row.split("\n") for row in rows] == [["the", "70.0 %"], ["a", "25.0 %"], ["two", "< 0.1 %"]]
    widths = page.locator(".word .fill").evaluate_all("fills => fills.map(fill => parseFloat(fill.style.width))")
    assert widths == pytest.approx([70, 25, 0.04])
    assert page.locator(".word .top .name").inner_text() == "a"
    assert buttons.evaluate_all("all => all.map(one => one.style.getPropertyValue('--sure'))") == ["0.25", "0.9"]
    offered = page.locator(".others li")
    assert [tuple(row.split("\n")) for row in offered.all_inner_texts()] == sentences
    offered.nth(1).get_by_role("button").click()
    assert page.evaluate("answers.chosen") == 1
    place = page.locator(".frame").bounding_box()
    page.mouse.move(place["x"] + 0.25 * place["width"], place["y"] + 0.5 * place["height"])
    page.mouse.down()
    page.mouse.move(place["x"] + 0.75 * place["width"], place["y"] + 0.9 * place["height"])
    page.mouse.up()
    assert page.evaluate("answers.box") == pytest.approx([0.25, 0.5, 0.75, 0.9], abs=0.02)


def test_a_replay_shows_the_figures_and_the_pictures_of_its_moment(shown):
    looks = [
        Look("Filter", "weights", np.array([[[1, -1]], [[0, 2]], [[-2, 0]]], np.float32)),
        Look("Map", "map", np.array([[[0, 1]], [[1, 0]], [[4, 2]]], np.float32), "grey"),
    ]
    figures = [Figure("Loss", [2.0, 1.0, 0.25]), Figure("Accuracy", [0.1, 0.5, 0.905], percent=True)]
    page = shown(lambda: training_replay([0, 6, 12], figures, looks, key="f", columns=2))
    assert page.locator("output").inner_text() == "step 12"
    assert page.locator(".values b").all_inner_texts() == ["0.250", "90.5 %"]
    weights, values = page.locator(".looks canvas").all()
    assert cells(weights, 1, 2) == [MINUS, ZERO]
    assert cells(values, 1, 2) == [[255] * 3, [128] * 3]
    page.locator("input").fill("0")
    assert page.locator("output").inner_text() == "step 0"
    assert page.locator(".values b").all_inner_texts() == ["2.000", "10.0 %"]
    half = [[round(z + (end - z) / 2) for z, end in zip(ZERO, ends, strict=True)] for ends in (PLUS, MINUS)]
    assert cells(weights, 1, 2) == [pytest.approx(colour, abs=1) for colour in half]
    assert cells(values, 1, 2) == [[0] * 3, [64] * 3]


def test_a_cell_of_a_map_says_its_number_and_frames_what_it_has_seen(shown):
    small = np.array([[1, 2], [3, -4.5]], np.float32)
    whole = [
        Map("Picture", np.arange(24, dtype=np.float32).reshape(4, 6), limits=(0, 23)),
        Map("Pooled", small, "signed", size=2, stride=2, says="2 × 2 cells"),
    ]
    page = shown(lambda: maps(whole, key="m", chosen=(1, 0, 1), reports=True))
    first, second = page.locator("canvas").all()
    said = page.locator(".value")
    assert page.locator("figcaption").all_inner_texts() == ["Picture\n4 × 6", "Pooled\n2 × 2 cells"]
    assert said.all_inner_texts() == ["2 × 2 cells", "(0, 1) = 2"]
    assert framed(first, 4, 6) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    press(second, 1, 1, 2, 2)
    assert said.all_inner_texts() == ["2 × 2 cells", "(1, 1) = \u22124.50"]
    assert framed(first, 4, 6) == [(2, 2), (2, 3), (3, 2), (3, 3)]
    assert page.evaluate("answers.chosen") == [1, 1, 1]
    press(first, 3, 1, 4, 6)
    assert said.all_inner_texts() == ["(3, 1) = 19", "(1, 0) = 3"]
    two = [zero + (end - zero) * 2 / 4.5 for zero, end in zip(ZERO, PLUS, strict=True)]
    assert cells(second, 2, 2)[1] == pytest.approx(two, abs=1)
    assert cells(second, 2, 2)[3] == MINUS
    assert [grey for grey, *_ in cells(first, 4, 6)][:3] == [0, 11, 22]


ACCENT = [210, 68, 12]


def framed(canvas, rows: int, columns: int) -> list[tuple[int, int]]:
    """The cells inside of the frame that is drawn on a canvas."""
    pixels = painted(canvas)
    down, right = np.nonzero((np.abs(pixels - ACCENT).sum(-1)) < 12)
    edges = [down.min() * rows / len(pixels), down.max() * rows / len(pixels)]
    edges += [right.min() * columns / len(pixels[0]), right.max() * columns / len(pixels[0])]
    top, bottom, left, last = (round(float(edge)) for edge in edges)
    return [(i, j) for i in range(top, bottom) for j in range(left, last)]


def test_the_numbers_under_the_frame_are_those_of_the_pixels_on_their_scale(shown):
    picture = np.arange(400, dtype=np.int64).reshape(20, 20).astype(np.uint8)
    page = shown(lambda: pixel_inspector(picture, key="l", label="x", factor=[0.01], shift=[-1.0], digits=2))
    assert page.locator(".near figcaption").inner_text() == "Rows 3 to 16, columns 3 to 16"
    numbers = [f"{0.01 * float(v) - 1:.2f}".replace("-", "\u2212") for v in picture[3:17, 3:17].ravel()]
    assert page.evaluate("texts.slice(-196)") == numbers
    greys = [grey for grey, *_ in cells(page.locator(".whole canvas"), 20, 20)]
    assert greys[:60] == picture.ravel()[:60].tolist()
    press(page.locator(".whole canvas"), 7, 12, 20, 20)
    assert page.locator(".near figcaption").inner_text() == "Rows 0 to 13, columns 5 to 18"
    press(page.locator(".near canvas"), 1, 2, 14, 14)
    assert page.evaluate("answers.edits") == [[1 * 20 + 7, int(page.locator("input").input_value())]]


def test_the_grid_shows_each_picture_and_sends_the_one_that_is_clicked(shown):
    items = [Item("red", RED, "a red one", "Red"), Item("green", GREEN, "a green one", "Green")]
    page = shown(lambda: gallery(items, key="g", default="green", label="Samples"))
    buttons = page.locator("button")
    assert page.locator("img").evaluate_all("images => images.map(image => image.src)") == [RED, GREEN]
    assert buttons.all_inner_texts() == ["Red", "Green"]
    assert buttons.evaluate_all("all => all.map(one => one.ariaPressed)") == ["false", "true"]
    buttons.nth(0).click()
    assert page.evaluate("answers.chosen") == "red"


def test_words_are_marked_by_their_side_and_strength(shown):
    text = "so \U0001f642 bad, very good"
    spans = [Span(5, 8, -0.5, "bad: \u22121.20"), Span(15, 19, 1.0, "good: +2.40")]
    how = {"key": "w", "label": "Text", "revision": "r", "legend": ("speaks for", "speaks against")}
    page = shown(lambda: writer(text, spans, chips=[("Rain", "will it rain")], said="", **how))
    marks = page.locator("mark").evaluate_all(
        "all => all.map(m => [m.textContent, m.className, m.style.getPropertyValue('--strength'), m.dataset.said])"
    )
    assert marks == [["bad", "against", "0.500", "bad: \u22121.20"], ["good", "for", "1.000", "good: +2.40"]]
    assert page.locator("textarea").input_value() == text
    page.get_by_role("button", name="Rain").click()
    assert page.evaluate("answers.text") == "will it rain"


def test_a_drawing_is_shown_where_it_is_and_sent_as_it_is_drawn(shown):
    page = shown(lambda: drawing_canvas(key="s", example=(Stroke(100, ((200, 300), (800, 300))),), label="Canvas"))
    canvas = page.locator("canvas")
    lit = painted(canvas)[..., 0] > 127
    rows, columns = np.flatnonzero(lit.any(1)) / len(lit), np.flatnonzero(lit.any(0)) / len(lit)
    ends = [edge for places in (rows, columns) for edge in (places.min(), places.max())]
    assert ends == pytest.approx([0.25, 0.35, 0.15, 0.85], abs=0.01)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.7 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.9 * box["height"])
    page.mouse.up()
    ((stroke),) = page.evaluate("answers.strokes")
    assert stroke["p"] == pytest.approx([200, 700, 200, 900], abs=4)
