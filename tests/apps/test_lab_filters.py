"""What filters learned: the stored tiles belong to the shipped weights, and the code gives their numbers again."""

import inspect

import pytest
from driving import html
from lab_pages import open_lab, run_shown_code

from cnn_core.weights import load_card
from components.lab import THUMBNAILS
from lab import preferences
from lab.filters import CHANNELS, PATCHES, STAGES, stored


@pytest.mark.parametrize("network", STAGES)
def test_the_stored_tiles_are_those_of_the_shipped_weights(network):
    wanted, tiles = stored(THUMBNAILS, network)
    assert wanted.sha256 == load_card(network).sha256, "make them again with: python apps/assets/make_lab.py filters"
    assert [len(row) for row in tiles] == [PATCHES + 1] * CHANNELS
    assert all(tile.shape == (wanted.edge, wanted.edge, 3) for row in tiles for tile in row)
    assert all(values == sorted(values, reverse=True) for values in wanted.values)


def test_the_filters_page_and_its_code_agree(monkeypatch):
    page = open_lab("filters", network="mnist")
    assert not page.warning
    wanted, _ = stored(THUMBNAILS, "mnist")
    names = run_shown_code(page, monkeypatch)
    assert names["moved"] == pytest.approx(wanted.preferred[0], rel=0.03)
    assert names["moved"] > wanted.values[0][0]  # gradient ascent finds more than the test pictures hold
    assert f"drawn {wanted.preferred[0]:.2f}" in html(page)


def test_the_formula_and_its_lines_are_those_of_the_ascent():
    page = open_lab("filters", network="mnist")
    (formula,) = [part.value for part in page.latex]
    assert r"\hat w_f = \tfrac{s_f}{|f|}" in formula and r"\partial s}" in formula
    assert rf"x = {preferences.LIMIT} \tanh \tfrac{{w}}{{{preferences.LIMIT}}}" in formula
    (shown,) = [part.value for part in page.code if part.value.startswith("# lab.preferences")]
    written = [line.strip() for line in inspect.getsource(preferences).splitlines()]
    lines = shown.splitlines()[1:]
    assert {*lines} <= {*written} and "spectrum" in lines[0] and "falloff" in lines[0]
