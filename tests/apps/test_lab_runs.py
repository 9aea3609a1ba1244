"""The pages of stored trainings: what is stored is what the shown code gives, and the controls reach all of it."""

import numpy as np
import pytest
from driving import html
from lab_pages import open_lab, run_shown_code

import image_classification.domain
from components.lab import THUMBNAILS
from lab import overfitting, sharing, transfer


def test_the_sharing_page_and_its_code_agree(monkeypatch):
    page = open_lab("sharing", digit="3", down="1", right="-2")
    names = run_shown_code(page, monkeypatch)
    kind = sharing.stored(THUMBNAILS).kinds["convolution"]
    assert names["first_layer_cost"]("convolution", **names["size"]) == (kind.first, kind.products) == (156, 21_600)
    assert names["moments"][-1].accuracy == pytest.approx(kind.accuracy[0][0], abs=0.006)  # two digits of 360
    assert names["probabilities"] == pytest.approx(kind.answers[3][sharing.place_of(1, -2)], abs=0.05)
    assert f'<p class="word">{int(np.argmax(names["probabilities"]))}</p>' in html(page)


def test_the_costs_are_those_of_the_formulas():
    kinds, cells, patch = sharing.stored(THUMBNAILS).kinds, 12 * 12, 5 * 5
    assert kinds["dense"].first == 6 * cells * cells + 6 * cells
    assert kinds["local"].first == 6 * cells * (patch + 1)
    assert kinds["convolution"].first == 6 * (patch + 1)
    assert kinds["local"].products == kinds["convolution"].products == 6 * cells * patch
    assert kinds["everywhere"].parameters == 64 * (patch + 1) + 64 * 10 + 10


def test_only_the_maximum_over_all_places_forgets_the_place():
    """What the page's words say."""
    kinds = sharing.stored(THUMBNAILS).kinds
    by_two = {name: np.mean([row[2] for row in kind.accuracy]) for name, kind in kinds.items()}
    assert by_two["everywhere"] > 0.95 and max(by_two[name] for name in ("dense", "local", "convolution")) < 0.3
    assert all(np.mean([row[0] for row in kind.accuracy]) > 0.95 for kind in kinds.values())


@pytest.mark.parametrize("digit", range(0, 10, 3))
def test_every_digit_and_place_has_an_answer(digit):
    page = open_lab("sharing", digit=str(digit), down="2", right="2")
    assert html(page).count('class="answer') == 4
    assert sum(map(sum, sharing.stored(THUMBNAILS).digits[digit])) > 0


def test_the_overfitting_page_and_its_code_agree(monkeypatch):
    page = open_lab("overfitting", remedies="dropout")
    names = run_shown_code(page, monkeypatch)
    run = overfitting.stored(THUMBNAILS)[50]["dropout"]
    assert names["moments"][-1].accuracy == pytest.approx(run.final[0], abs=0.02)
    assert "Dropout" in html(page)


def test_few_digits_are_learned_by_heart():
    """What the page shows: on its own digits the loss vanishes, on new ones it turns, and more digits help most."""
    runs = overfitting.stored(THUMBNAILS)
    alone = runs[50]["none"]
    assert alone.loss[-1] < 0.01 and alone.test_loss[-1] > 1.05 * min(alone.test_loss)
    assert runs[50]["dropout"].test_loss[-1] < alone.test_loss[-1]
    assert max(np.mean(run.final) for run in runs[50].values()) < np.mean(runs[1437]["none"].final)
    assert all(len(run.loss) == 31 and len(run.final) == 5 for size in runs.values() for run in size.values())


def test_remedies_are_chosen_in_the_address():
    page = open_lab("overfitting", remedies="none,augment", digits="200")
    assert page.pills(key="remedies").value == ["none", "augment"]
    page.pills(key="remedies").set_value(["all"]).run()
    assert page.query_params["remedies"] in ("all", ["all"])
    assert "print(moments[-1].loss" in page.code[-1].value and "weight_decay" in page.code[-1].value


def test_the_stored_transfers_are_those_of_the_shipped_weights():
    targets = transfer.stored(THUMBNAILS)
    sha256 = transfer.encoder_sha256()
    for target in targets.values():
        assert target.sha256 == sha256, "make them again with: python apps/assets/make_lab.py transfer"
        assert all(list(runs) == list(transfer.LABELS) for runs in target.runs.values())
    assert (targets["digits"].n, targets["fashion_mnist"].n) == (599, 10_000)


def test_the_transfer_page_and_its_code_agree(tmp_path, monkeypatch):
    """The quickest way of the four: the others take as long as they say."""
    page = open_lab("transfer", to="digits", labels="5")
    monkeypatch.setattr(image_classification.domain, "LEARNING_RATES", {"bottleneck": 3e-3})
    code = page.code[-1].value.replace('Path("runs/compare")', f'Path("{tmp_path}")')
    names: dict[str, object] = {}
    exec(compile(code, "snippet.py", "exec"), names)
    run = transfer.stored(THUMBNAILS)["digits"].runs["bottleneck"][5]
    assert names["row"]["trained"] == run.trained
    assert names["row"]["accuracy"] == pytest.approx(run.accuracy[0], abs=0.02)
    assert f"{100 * np.mean(run.accuracy):.1f} ±" in html(page)
