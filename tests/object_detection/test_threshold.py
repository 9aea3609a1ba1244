"""The score from which on boxes are shown: chosen on validation data, for the weights that are kept."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_boxes import as_coco, squares

from cnn_core.cli import main
from cnn_core.confidence import ThresholdTask
from cnn_core.train.config import recipe_from_table
from cnn_core.weights import load_card
from object_detection import load, train
from object_detection.box_set import Truth
from object_detection.finding import Found
from object_detection.metrics import best_threshold
from object_detection.task import BoxTask, Recipe

TINY = {
    "model": "fastnet", "options": {"widths": [8, 16], "stem_stride": 2}, "pretrained": "none", "strides": [4, 8],
    "channels": 16, "depth": 1, "height": 64, "width": 96, "batch_size": 4, "ema": 0.0, "learning_rate": 0.01,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_coco(tmp_path_factory.mktemp("own"), squares(24))


def found(*scores: float) -> Found:
    """Boxes one beside the other, of one class, the first on the thing."""
    boxes = torch.tensor([[20.0 * k, 0, 20 * k + 10, 10] for k in range(len(scores))])
    return Found(boxes, torch.tensor(scores), torch.zeros(len(scores), dtype=torch.long))


def test_the_best_f1_by_hand() -> None:
    truths = [Truth.of([(0, 0, 10, 10)], [0])] * 2
    # Both things have a score of 0.62; two boxes of 0.33 and one of 0.47 are nothing. From 0.5 to 0.6 F1 is 1; at 0.35
    # to 0.45 it is 2*2/(2+3); above 0.62 it is 0. Of 0.5, 0.55 and 0.6 the middle is taken.
    answers = [found(0.62, 0.33, 0.47), found(0.62, 0.33)]
    assert best_threshold(answers, truths, classes=1) == 0.55


def test_it_is_chosen_for_the_weights_that_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**TINY, "data": str(data), "epochs": 8, "eval_every": 4}
    outcome = train("my-boxes", folder=tmp_path / "run", settings=settings)
    card = outcome.card
    task = BoxTask(recipe_from_table(Recipe, card.recipe, source="the card"))
    assert isinstance(task, ThresholdTask)
    task.build_data(torch.device("cpu"))
    assert card.input["chosen_on"] == f"the validation split, {len(task.sets['val'])} pictures"
    model = load(tmp_path / "run", device="cpu").model
    with torch.inference_mode():
        answers = task._found(model, "val")
    assert card.input["threshold"] == best_threshold(answers, task.sets["val"].truths, classes=2)
    task.contract = replace(task.contract, threshold=0.11)  # as another epoch would have left it
    with torch.inference_mode():
        task.choose_threshold(model)
    assert task.contract.threshold == card.input["threshold"]
    monkeypatch.setattr(
        BoxTask, "choose_threshold", lambda task, _: setattr(task, "contract", replace(task.contract, threshold=0.77))
    )
    asked = train("my-boxes", folder=tmp_path / "asked", settings={**settings, "epochs": 1})
    assert asked.card.input["threshold"] == asked.report.threshold == 0.77  # after all epochs, before the test
    monkeypatch.undo()
    fixed = train("my-boxes", folder=tmp_path / "fixed", settings={**settings, "epochs": 1, "threshold": 0.35})
    assert fixed.card.input["threshold"] == 0.35 and "chosen_on" not in fixed.card.input


def test_weights_that_held_nothing_out_get_theirs_from_a_second_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**TINY, "data": str(data), "epochs": 6, "validation": False, "threshold": 0.9}
    before = train("my-boxes", folder=tmp_path / "run", settings=settings).card
    assert before.input["threshold"] == 0.9
    asked = ["calibrate", str(tmp_path / "run"), "--epochs", "6", "--run", str(tmp_path / "second"), "--quiet"]
    assert main(asked) == 0
    after, second = load_card(tmp_path / "run"), load_card(tmp_path / "second")
    assert second.recipe["data"]["validation"] is True and "threshold" not in second.recipe["data"]
    assert after.input["threshold"] == second.input["threshold"] != 0.9
    assert after.input["chosen_on"] == f"{second.input['chosen_on']} of a second training"
    assert f"from a score of {after.input['threshold']} on" in capsys.readouterr().out
    assert after.sha256 == before.sha256 and after.metrics["map50"]["mean"] == before.metrics["map50"]["mean"]
    assert json.loads((tmp_path / "run" / "report.json").read_text())["threshold"] == after.input["threshold"]
    assert load(tmp_path / "run", device="cpu").predict(squares(1)[0][0])[0].threshold == after.input["threshold"]


def test_weights_that_held_data_out_need_no_second_training(data: Path, tmp_path: Path) -> None:
    settings = {**TINY, "data": str(data), "epochs": 6, "eval_every": 6}
    chosen = train("my-boxes", folder=tmp_path / "run", settings=settings).card.input
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    card["input"] = {**card["input"], "threshold": 0.9}
    del card["input"]["chosen_on"]
    (tmp_path / "run" / "card.json").write_text(json.dumps(card))
    assert main(["calibrate", str(tmp_path / "run"), "--run", str(tmp_path / "second"), "--quiet"]) == 0
    assert load_card(tmp_path / "run").input == chosen
    assert not (tmp_path / "second").exists()
