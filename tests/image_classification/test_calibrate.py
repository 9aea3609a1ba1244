"""`cnn calibrate`: weights that learned from all their data take confidence over from a second training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cnn_core.cli import main
from cnn_core.confidence import among_references
from cnn_core.errors import CnnError
from cnn_core.weights import load_card, load_state
from image_classification.data import load_set
from image_classification.domain import DOMAIN, train
from image_classification.predict import load


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, learned without validation data, and calibrated."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    train("digits", folder=folder, settings={"epochs": 2, "device": "cpu"})
    return folder


def test_scores_are_divided_and_answers_stay(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, card = load_state(run)
    assert card.confidence is None and card.recipe["data"]["validation"] is False
    old, error = load(run, device="cpu"), DOMAIN.evaluate_weights(str(run), device="cpu")
    assert main(["calibrate", str(run), "--epochs", "1", "--run", str(tmp_path / "second"), "--quiet"]) == 0
    said = capsys.readouterr().out
    after, card = load_state(run)
    assert card.confidence is not None and card.confidence["data"] == "held out in a second training (--epochs 1)"
    second = load_card(tmp_path / "second").confidence
    assert second is not None and card.confidence["temperature"] == second["temperature"]
    theirs, ours = load_state(tmp_path / "second")[0]["head.references"], after["head.references"]
    ranks = [
        float((among_references(references) < said["threshold"]).double().mean())
        for references, said in ((theirs, second), (ours, card.confidence))
    ]
    assert ranks[0] == pytest.approx(ranks[1], abs=0.01) and f"temperature {second['temperature']}" in said
    ratio = before["head.classifier.weight"] / after["head.classifier.weight"]
    assert float(ratio.median()) == pytest.approx(second["temperature"], rel=0.01)
    assert after["head.references"].dtype == torch.int8 and "head.references" not in before
    new, after_error = load(run, device="cpu"), DOMAIN.evaluate_weights(str(run), device="cpu")
    assert after_error["metrics"]["accuracy"] == pytest.approx(error["metrics"]["accuracy"], abs=0.01)
    noise = [np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8) for i in range(30)]
    assert [p.labels[0] for p in new.predict(noise)] == [p.labels[0] for p in old.predict(noise)]
    tested = load_set("digits", split="test")
    assert np.mean([p.known for p in new.predict(list(tested.images[:200, 0].numpy()))]) > 0.85
    for threshold, known in ((0.0, True), (1.01, False)):
        new.card = replace(card, confidence={**card.confidence, "threshold": threshold})
        assert [p.known for p in new.predict(noise)] == [known] * 30
    assert all(p.known for p in old.predict(noise))


def test_twice_is_not_more_than_once(run: Path, tmp_path: Path) -> None:
    main(["calibrate", str(run), "--epochs", "1", "--run", str(tmp_path / "second"), "--quiet"])
    once, _ = load_state(run)
    main(["calibrate", str(run), "--epochs", "1", "--run", str(tmp_path / "second"), "--quiet"])
    twice, _ = load_state(run)
    assert torch.allclose(once["head.classifier.weight"], twice["head.classifier.weight"], rtol=1e-3)


def test_weights_of_a_package_are_not_calibrated(tmp_path: Path) -> None:
    from cnn_core.calibration import calibrate_weights

    with pytest.raises(CnnError, match="only classifiers and detectors that are trained here"):
        calibrate_weights(DOMAIN, "imagenet", folder=tmp_path)
