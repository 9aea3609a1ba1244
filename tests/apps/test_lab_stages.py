"""Pooling and activations: panels, tables and the code that gives their numbers again."""

import numpy as np
import pytest
import torch
from driving import as_bars, bars, checked, html, library
from lab_pages import open_lab, run_shown_code

from components.maps import Map
from components.samples import find_sample
from views.lab_parts.picture import sample_picture
from views.lab_parts.pooling import run


@pytest.mark.parametrize("address", [{}, {"picture": "dahlia", "kernel": "outline", "pool": "mean", "window": "3"}])
def test_the_pooling_page_and_its_code_agree(address, monkeypatch):
    page = open_lab("pooling", **address)
    edge, window = 96, int(address.get("window", 2))
    assert f"1 × {edge // window} × {edge // window}" in html(page)
    names = run_shown_code(page, monkeypatch)
    shown = run(
        sample_picture(find_sample(address.get("picture", "palace")), edge=edge),
        address.get("kernel", "sobel-x"), address.get("pool", "max"), window,
    )  # fmt: skip
    for one, name in zip(shown.maps[1:], ("convolved", "rectified", "pooled"), strict=True):
        assert np.allclose(one.values, names[name][0].numpy())


def test_each_panel_says_what_its_cells_see():
    shown = run(sample_picture(find_sample("seven"), edge=28), "sobel-x", "max", 2)
    # a 3 x 3 kernel with padding 1, then windows of 2: cell i sees 4 pixels from 2 i - 1 on
    assert [(one.size, one.stride, one.start) for one in shown.maps] == [(1, 1, 0), (3, 1, -1), (3, 1, -1), (4, 2, -1)]
    assert shown.rows[0] == ("Convolution", "1 × 28 × 28", "9", f"{9 * 28 * 28:,}", "3 × 3")


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_activation_page_and_its_code_agree(activation, monkeypatch):
    page = open_lab("activations", activation=activation)
    names = run_shown_code(page, monkeypatch)
    assert f"{float(names['value']):.4f}".replace("-", "−") in html(page)
    assert f"{float(names['slope']):.4f}".replace("-", "−") in html(page)
    loss = names["cross_entropy"](names["answer"], 5)
    assert f"{loss:.4f} = −ln {float(names['answer'][5]):.4f}" in html(page)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_the_bars_are_the_softmax_of_the_scores_at_the_temperature(temperature):
    page = open_lab("activations")
    checked(page.slider(key="temperature").set_value(temperature).run())
    reader = library("image_classification", "mnist")
    with torch.inference_mode():
        scores = reader.model(reader.contract.prepare([find_sample("broken-five").path]))[0]
    probabilities = torch.softmax(scores / temperature, 0)
    order = scores.argsort(descending=True).tolist()
    names = [f"{i}  (score {scores[i]:.2f})".replace("-", "−") for i in order]
    for (name, width, said), (called, share, text) in zip(
        bars(page)[0], as_bars(names, probabilities[order].tolist()), strict=True
    ):
        assert (name, said) == (called, text) and width == pytest.approx(share, abs=0.02)
    assert f"{-probabilities[5].log():.3f}" in html(page)


def test_the_cell_over_a_pixel_is_the_one_whose_middle_is_nearest():
    cells = Map("", np.zeros((3, 3)), size=3, stride=2, start=-1)  # middles at the pixels 0, 2 and 4
    assert [cells.nearest(pixel, 3) for pixel in (0, 2, 3, 4, 9)] == [0, 1, 2, 2, 2]


def test_the_sound_page_and_its_code_agree(monkeypatch):
    page = open_lab("sound", sound="tone", size="512", kernel="mean")
    names = run_shown_code(page, monkeypatch)
    hertz, loud = names["hertz"], names["loud"]
    assert f"The loudest here: {float(hertz[loud.argmax()]):,.0f} Hz" in html(page)
    assert names["seen"].shape == (64, 101)
    assert len(page.get("audio")) == 2  # the sound, and what the kernel makes of it
    assert "8,000 / 512" in html(page) and "15.625 Hz" in html(page)
