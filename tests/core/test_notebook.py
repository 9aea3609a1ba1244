"""What Jupyter shows of results, through Jupyter's own names."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import audio_classification
import image_captioning
import image_classification
import object_detection
import text_classification
from cnn_core.classification import Prediction
from cnn_core.notebook import bar, table
from cnn_core.weights import find_weights, load_card

SAMPLES = Path(__file__).parents[2] / "apps" / "assets" / "samples"


def test_cells_are_escaped_and_bars_are_not() -> None:
    shown = table([("<script>", bar(0.5))], head=("a", "b"), title="x & y")
    assert "&lt;script&gt;" in shown and "<script>" not in shown and "x &amp; y" in shown
    assert "width:6.00em" in shown  # half of 12
    assert "width:12.00em" in bar(7.0) and "width:0.00em" in bar(-1.0)


def test_a_prediction_is_a_table_with_bars_and_its_notes() -> None:
    shown = Prediction("a.png", ["cat", "dog"], [0.75, 0.25], note="cut", known=False)._repr_html_()
    assert "75.0%" in shown and "width:9.00em" in shown and "none of these" in shown and "<p>cut</p>" in shown
    assert "no picture" in Prediction("b.png", error="no picture")._repr_html_()


def test_an_explanation_shows_the_picture_that_it_saves(tmp_path: Path) -> None:
    predictor = image_classification.load("mnist", device="cpu")
    why = predictor.explain(SAMPLES / "mnist-61.png")
    why.save(tmp_path / "why.png")
    shown = np.asarray(Image.open(io.BytesIO(why._repr_png_())))
    assert np.array_equal(shown, np.asarray(Image.open(tmp_path / "why.png")))


@pytest.mark.parametrize(
    ("package", "name", "sample"),
    [
        (audio_classification, "fsdd-wave", "spoken-7-theo.wav"),
        (object_detection, "streets", "photo-coffee.jpg"),
        (image_captioning, "scenes", "drawn-ship.png"),
    ],
)
def test_the_other_domains_show_themselves_too(package, name: str, sample: str) -> None:
    predictor = package.load(name, device="cpu")
    (found,) = predictor.predict([next(SAMPLES.glob(f"{sample[:8]}*"))])
    assert found._repr_html_().startswith("<p><b>")
    assert repr(predictor).startswith(f"<{package.__name__} predictor: {name}, ")


def test_a_text_shows_its_colours_without_a_page_around_them() -> None:
    why = text_classification.load("sst2", device="cpu").explain("A plot that goes nowhere.")
    shown = why._repr_html_()
    assert shown.startswith("<p><span") and "doctype" not in shown and "plot" in shown


def test_a_card_shows_figures_and_limits() -> None:
    card = load_card(find_weights("mnist"))
    shown = card._repr_html_()
    assert f"{card.metrics['accuracy']['mean']:.4f}" in shown and card.command in shown and card.limits[0] in shown
