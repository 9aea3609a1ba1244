"""Receptive field, augmentation, timeline: the numbers shown, and the code that gives them again."""

import re

import numpy as np
import pytest
from driving import checked, figures, html
from lab_pages import open_lab, run_shown_code

from cnn_core.models.registry import list_models, model_spec
from components.networks import networks, predictor
from components.samples import find_sample
from lab.milestones import MILESTONES, parameters
from views.lab_parts.augmentation import run as augment
from views.lab_parts.picture import sample_picture
from views.lab_parts.receptive import edge_of, run


def test_the_edge_of_most_of_the_heat():
    heat = np.zeros((9, 9))
    heat[4, 4], heat[4, 6], heat[0, 0] = 90, 6, 4
    assert edge_of(heat, [4, 4]) == 5
    assert edge_of(heat, [4, 4], share=0.5) == 1
    assert edge_of(0 * heat, [4, 4]) == 0


@pytest.mark.parametrize("network", ["cifar10", "mnist"])
def test_the_field_page_and_its_code_agree(network, monkeypatch):
    page = open_lab("receptive", network=network)
    assert not page.warning
    names = run_shown_code(page, monkeypatch)
    asked = predictor(networks("image_classification")[network])
    shown = run(asked, {"cifar10": "dahlia", "mnist": "seven"}[network], None)
    assert np.allclose(names["heat"].numpy(), shown.maps[1].values, atol=1e-5)
    assert f"<b>{shown.size} × {shown.size} pixels</b>" in html(page)
    assert shown.inside <= shown.size + 1


def test_any_cell_that_a_browser_names_chooses_one():
    asked = predictor(networks("image_classification")["mnist"])
    stage, row, column = run(asked, "seven", None).chosen
    last = (2 * row, 2 * column)  # of a map with an odd edge, whose middle was chosen
    assert run(asked, "seven", (0, 0, 0)).chosen == (stage, 0, 0)  # a pixel of the picture: the cell over it
    assert run(asked, "seven", (1, 27, 27)).chosen == (stage, *last)
    assert run(asked, "seven", (stage, 10**9, 0)).chosen == (stage, last[0], 0)
    assert run(asked, "seven", (99, 0, 0)).chosen == (stage, 0, 0)


def test_all_augmentations_are_shown_and_the_code_makes_them(monkeypatch):
    page = open_lab("augmentation", picture="eight", seed="7", strength="2")
    shown = augment(sample_picture(find_sample("eight"), edge=128, mode="RGB"), 7, 2.0)
    names = run_shown_code(page, monkeypatch)
    assert len(names["changed"]) == len(shown) - 1
    for figure in shown[1:]:
        title, said = figure.caption.split(": ", 1)
        assert said in html(page)
        assert names["changed"][title].description == said
        again = np.round(255 * np.moveaxis(names["changed"][title].picture.numpy(), 0, -1))
        assert np.array_equal(again, figure.image)
    checked(page.button[0].click().run())
    assert html(page).count("<figure") == len(shown)


@pytest.mark.parametrize("seed", ["", "-1", "1e9", "٣", "99999"])
def test_a_seed_that_is_none_is_one(seed):
    shown, first = (figures(open_lab("augmentation", picture="eight", seed=asked)) for asked in (seed, "1"))
    assert [caption for caption, _ in shown] == [caption for caption, _ in first]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(shown, first, strict=True))


def test_milestones_open_registered_networks_only(monkeypatch):
    page = open_lab("timeline")
    linked = re.findall(r'href="models\?model=(\w+)"', html(page))
    assert linked == [entry.model for entry in MILESTONES if entry.model in list_models()]
    assert {"lenet", "alexnet", "vgg16", "inception", "resnet50"} <= set(linked)
    names = run_shown_code(page, monkeypatch)
    counts = parameters(frozenset(entry.model for entry in MILESTONES))
    assert names["counts"].items() <= counts.items()
    assert counts["vgg16"] == 138_357_544  # torchvision's
    assert counts["resnet50"] == 25_557_032
    assert "138,357,544 parameters" in html(page)


def test_years_go_forward():
    years = [int(entry.year) for entry in MILESTONES]
    assert years == sorted(years)


def test_years_are_those_of_the_networks():
    told = {entry.model: int(entry.year) for entry in MILESTONES if entry.model}
    told.pop("alexnet")  # of 2012; the repository's is the one-column form of 2014
    assert told == {name: model_spec(name).year for name in told}
