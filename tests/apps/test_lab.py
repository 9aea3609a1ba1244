"""The index of the lab, and what all its pages have."""

import numpy as np
import pytest
from driving import html
from lab_pages import ROOT, open_lab, run_shown_code
from PIL import Image

from components.lab import IDEAS, THUMBNAILS
from lab.thumbnails import HEIGHT, WIDTH, thumbnail
from views.lab_parts.learning import finite, matrices, train


def test_the_index_leads_to_every_idea():
    lab = open_lab("")
    assert [link.page for link in lab.page_link] == [f"lab_{idea.name}" for idea in IDEAS]
    assert html(lab).count("<img") == len(IDEAS)


def test_every_page_of_the_lab_is_an_idea():
    pages = {f"views/{file.name}" for file in (ROOT / "apps" / "views").glob("lab_*.py")}
    assert sorted(pages) == sorted(idea.page for idea in IDEAS)


@pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.name)
def test_every_idea_has_a_picture_of_its_own(idea):
    picture = thumbnail(idea.name)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.std() > 10
    kept = np.asarray(Image.open(THUMBNAILS / f"{idea.name}.png").convert("RGB")).astype(int)
    assert np.abs(kept - picture).mean() < 8, "make it again with: python apps/assets/make_lab.py"


def test_the_learning_page_and_its_code_agree(monkeypatch):
    page = open_lab("learning")
    names = run_shown_code(page, monkeypatch)
    shown = train(0.1, 32, 0)
    last = names["moments"][-1]
    assert shown.steps[-1] == last.step == 300
    assert shown.figures[0].values[-1] == pytest.approx(last.loss)
    assert shown.accuracy == pytest.approx(last.accuracy)
    assert shown.accuracy > 0.85
    step = dict(matrices(0.05)[0])
    assert np.allclose(step["Gradient"], names["step"].gradient)
    assert np.allclose(step["New kernel"], names["step"].kernel)
    for number in names["step"].gradient.flatten().tolist():
        assert f">{number:.3g}".replace("-", "−") in html(page)


def test_a_step_makes_the_loss_smaller():
    _, before, after = matrices(0.05)
    assert 0 < after < before


def test_a_training_that_explodes_is_shown_all_the_same():
    assert finite(float("nan")) == finite(float("inf")) == 1e6
    shown = train(1.0, 1, 0)
    assert all(np.isfinite(figure.values).all() for figure in shown.figures)
