"""Training pictures end to end on the embedded digits: accuracy, card, transfer modes, saved precision."""

import copy
import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import image_classification
from cnn_core.classification import Report
from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError, ConfigError, DataError, UnknownNameError
from cnn_core.train.config import ModelConfig, override, read_recipe
from cnn_core.train.runs import read_rows
from cnn_core.weights import load_card, load_model, save_weights
from cnn_core.weights.reports import read_report
from image_classification.domain import compare, make_task, train
from image_classification.task import DataConfig, ImageTask, Recipe, TransferConfig, freeze
from image_classification.transfer import HeadTask

RECIPES = Path(image_classification.__file__).parent / "recipes"
QUICK = {"epochs": 3, "device": "cpu"}


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training of the digits recipe; its folder is used as weights by the other tests."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    train("digits", folder=folder, settings=QUICK)
    return folder


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes, bright bars that lie or stand, 30 pictures each."""
    root = tmp_path_factory.mktemp("shapes")
    for label in ("lying", "standing"):
        (root / label).mkdir()
        for i in range(30):
            picture = Image.new("L", (24, 24))
            box = (4, 4 + i % 14, 20, 7 + i % 14)
            picture.paste(200 + i, box if label == "lying" else (box[1], box[0], box[3], box[2]))
            picture.save(root / label / f"{i}.png")
    return root


def test_three_epochs_of_digits_leave_weights_that_know_what_they_are(digits_run: Path) -> None:
    card = load_card(digits_run)
    accuracy = card.metrics["accuracy"]
    assert accuracy["n"] == 599 and accuracy["split"] == "test" and accuracy["mean"] > 0.9
    assert card.labels == list("0123456789") and card.input["size"] == [8, 8] and card.recipe["loop"]["epochs"] == 3
    assert card.command == "cnn train digits --epochs 3 --device cpu"
    assert card.parameters > 1000 and card.dtype == "float16"


def test_the_figure_in_the_card_is_that_of_the_saved_weights(digits_run: Path) -> None:
    """Loaded from the float16 file and measured by the command's own function, the accuracy is the card's."""
    result = image_classification.evaluate_weights(str(digits_run), device="cpu")
    assert result["metrics"]["accuracy"] == pytest.approx(load_card(digits_run).metrics["accuracy"]["mean"], abs=1e-6)
    assert (result["data"], result["split"], result["n"]) == ("digits", "test", 599)


def test_the_figure_of_a_head_on_cached_features_is_that_of_the_saved_network_with_its_views(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mirrored digits are read worse, so the card must not give the figure of the plain ones."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    settings = {**QUICK, "weights": str(digits_run), "transfer": "bottleneck", "tta": "flip"}
    train("digits", folder=tmp_path / "run", settings=settings)
    result = image_classification.evaluate_weights(str(tmp_path / "run"), device="cpu")
    figure = load_card(tmp_path / "run").metrics["accuracy"]
    assert (figure["mean"], figure["n"]) == (pytest.approx(result["metrics"]["accuracy"], abs=1e-6), 599)


def test_the_encoder_of_cached_features_is_rounded_as_it_will_be_saved(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.1 is no number of float16: the nearest one is 0.0999755859375, 1638/16384."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    model, card = load_model(digits_run)
    with torch.no_grad():
        model.stages["stage2"][0].weight.fill_(0.1)
    exact = {key: getattr(card, key) for key in vars(card) if key not in ("sha256", "bytes", "dtype")}
    save_weights(model, exact, tmp_path / "exact", dtype="float32")
    for store, value in (("float32", 0.1), ("float16", 1638 / 16384)):
        starting = ModelConfig(weights=str(tmp_path / "exact"), store=store)
        task = make_task(Recipe(model=starting, transfer=TransferConfig("bottleneck")))
        task.build_data(torch.device("cpu"))
        assert torch.equal(task.whole.stages["stage2"][0].weight.unique(), torch.tensor([value]))


def test_several_seeds_give_mean_and_spread_and_the_first_ones_weights(tmp_path: Path) -> None:
    outcome = train("digits", folder=tmp_path, seeds=[3, 4], settings={**QUICK, "epochs": 1})
    accuracy = outcome.card.metrics["accuracy"]
    parts = [load_card(tmp_path / f"seed{seed}").metrics["accuracy"]["mean"] for seed in (3, 4)]
    assert accuracy["seeds"] == [3, 4] and accuracy["values"] == pytest.approx(parts)
    assert accuracy["mean"] == pytest.approx(sum(parts) / 2)
    assert accuracy["std"] == pytest.approx(abs(parts[0] - parts[1]) / 2**0.5, abs=1e-6)  # of two values
    first, _ = load_model(tmp_path / "seed3")
    joined, _ = load_model(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), joined.parameters(), strict=True))
    again = train("digits", folder=tmp_path, seeds=[3, 4], resume=True, settings={**QUICK, "epochs": 1})
    assert again.card.metrics == outcome.card.metrics  # nothing left to train


def test_a_mean_is_of_trainings_with_the_same_settings_that_came_to_their_end(tmp_path: Path) -> None:
    settings = {**QUICK, "epochs": 2}
    stopped = train("digits", folder=tmp_path / "a", seeds=[3, 4], settings=settings, observe=lambda p: p.epoch < 2)
    assert stopped.run.stopped and not (tmp_path / "a" / "card.json").exists()
    with pytest.raises(ConfigError, match="epochs was 2, now 3"):
        train("digits", folder=tmp_path / "a", seeds=[3, 4], settings=QUICK, resume=True)
    train("digits", folder=tmp_path / "a", seeds=[3, 4], settings=settings, resume=True)
    assert [len(read_rows(tmp_path / "a" / f"seed{seed}" / "log.csv")) for seed in (3, 4)] == [2, 2]
    with pytest.raises(ConfigError, match="epochs was 2, now 3"):
        train("digits", folder=tmp_path / "a", seeds=[3, 4, 5], settings=QUICK, resume=True)
    with pytest.raises(CnnError, match="already holds a run"):
        train("digits", folder=tmp_path / "a", seeds=[3, 4], settings=settings)
    train("digits", folder=tmp_path / "b", settings=settings)
    with pytest.raises(CnnError, match="already holds a run"):
        train("digits", folder=tmp_path / "b", seeds=[3, 4], settings=settings, resume=True)
    with pytest.raises(CnnError, match="several seeds in several processes"):
        train("digits", folder=tmp_path / "c", seeds=[3, 4], settings={**settings, "devices": 2})


def test_the_command_on_the_card_names_the_recipe(tmp_path: Path) -> None:
    settings = {**QUICK, "epochs": 1}
    named = train("digits", folder=tmp_path / "a", name="mine", settings=settings)
    assert (named.card.name, named.card.command) == ("mine", "cnn train digits --epochs 1 --device cpu")
    (tmp_path / "own.toml").write_text((RECIPES / "digits.toml").read_text())
    own = train(tmp_path / "own.toml", folder=tmp_path / "b", settings=settings)
    assert own.card.command == f"cnn train {tmp_path / 'own.toml'} --epochs 1 --device cpu"
    made = train(override(Recipe(), settings), folder=tmp_path / "c", name="made")
    assert "recipe.json" in made.card.command and not made.card.command.startswith("cnn train")


def test_weights_are_not_measured_on_what_they_learned_from(digits_run: Path) -> None:
    for name, data in ((str(digits_run), None), (str(digits_run), "digits"), ("fashion-mnist", "fashion-mnist")):
        with pytest.raises(CnnError, match="learned from the validation split too"):
            image_classification.evaluate_weights(name, data=data, split="val", device="cpu")


def test_own_pictures_that_were_learned_from_are_known_by_another_path(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(
        "photos", folder=tmp_path, settings={**QUICK, "data": str(shapes), "epochs": 1, "size": 16, "validation": False}
    )
    monkeypatch.chdir(shapes.parent)
    monkeypatch.setenv("HOME", str(shapes.parent))
    for path in (f"./{shapes.name}", f"~/{shapes.name}"):
        with pytest.raises(CnnError, match="learned from the validation split too"):
            image_classification.evaluate_weights(str(tmp_path), data=path, split="val", device="cpu")


@pytest.mark.parametrize(("count", "validation", "left"), [(2, True, "val"), (1, False, "test"), (2, False, "")])
def test_too_few_pictures_are_counted(tmp_path: Path, count: int, validation: bool, left: str) -> None:
    for label in ("dark", "light"):
        (tmp_path / label).mkdir()
        for i in range(count):
            Image.new("L", (8, 8), 200 * (label == "light") + i).save(tmp_path / label / f"{i}.png")
    task = ImageTask(Recipe(data=DataConfig(data=str(tmp_path), validation=validation, size=8)))
    if not left:
        task.build_data(torch.device("cpu"))
        return
    with pytest.raises(DataError, match=f"too few pictures, none is left for .*{left}.* at least three of each class"):
        task.build_data(torch.device("cpu"))


def test_muon_learns_with_the_rates_that_it_has_by_default(tmp_path: Path) -> None:
    settings = {"optimizer": "muon", "learning_rate": 0.1, "epochs": 4, "device": "cpu"}
    outcome = train("digits", folder=tmp_path, settings=settings)
    assert outcome.card.metrics["accuracy"]["mean"] > 0.95


def test_a_network_that_the_starting_weights_replace_is_named(
    digits_run: Path, shapes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for model, said in (("resnet20", True), ("fastnet", False)):
        caplog.clear()
        data, starting = DataConfig(data=str(shapes)), ModelConfig(model=model, weights=str(digits_run))
        ImageTask(Recipe(data=data, model=starting)).build_data(torch.device("cpu"))
        assert ("model 'resnet20' is not used" in caplog.text) == said


def test_a_way_of_transfer_needs_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'freeze' needs starting weights"):
        train("digits", folder=tmp_path, settings={"transfer": "freeze", **QUICK})


def test_without_validation_the_whole_training_set_is_learned_from() -> None:
    for validation, count in ((True, 1078), (False, 1198)):  # a tenth of each class is held out
        task = ImageTask(Recipe(data=DataConfig(validation=validation)))
        task.build_data(torch.device("cpu"))
        assert len(task.sets[task.training_split]) == count
        assert ("val" in task.sets) == validation
        assert len(task.sets["test"]) == 599


def test_training_pictures_are_normalised_as_those_to_answer_for_by_their_own_mean_and_deviation() -> None:
    task = ImageTask(Recipe())
    task.build_data(torch.device("cpu"))
    unit = task.sets["train"].images.double() / 255
    deviation = unit.square().mean() - unit.mean() ** 2
    assert task.contract.mean == (round(float(unit.mean()), 4),)
    assert task.contract.std == (round(float(deviation) ** 0.5, 4),)
    x, _ = next(iter(task.batches(EpochContext(0, torch.Generator().manual_seed(0)))))
    order = torch.randperm(len(unit), generator=torch.Generator().manual_seed(0))[: len(x)]
    torch.testing.assert_close(x, task.contract.normalize(task.sets["train"].images[order]), atol=1e-5, rtol=1e-5)


def test_smoothed_labels_give_every_class_its_share() -> None:
    """Chances 1/2, 1/4, 1/4 and the first class: log 2 for it, and on average 5/3 log 2 for the share of 0.3."""
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    step = ImageTask(override(Recipe(), {"label_smoothing": 0.3})).training_step(
        lambda x: logits, (torch.zeros(1), torch.tensor([0]))
    )
    assert float(step) == pytest.approx((0.7 + 0.3 * 5 / 3) * math.log(2))


def test_few_labels_per_class_leave_validation_and_test_as_they_are() -> None:
    task = ImageTask(Recipe(data=DataConfig(per_class=5)))
    task.build_data(torch.device("cpu"))
    assert torch.bincount(task.sets["train"].targets).tolist() == [5] * 10
    assert (len(task.sets["val"]), len(task.sets["test"])) == (120, 599)
    with pytest.raises(ConfigError, match=r"data\.per_class: expected a number greater than or equal to 1, got 0"):
        override(task.recipe, {"per_class": 0})


def test_own_pictures_train_with_shipped_style_weights_in_every_mode(
    digits_run: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    settings = {"epochs": 6, "batch_size": 8, "learning_rate": 0.005, "device": "cpu"}
    rows = compare(str(digits_run), str(shapes), folder=tmp_path / "runs", settings=settings)
    assert [row["mode"] for row in rows] == ["bottleneck", "freeze", "fine-tune", "scratch"]
    trained = {row["mode"]: row["trained"] for row in rows}
    assert trained["bottleneck"] == 128 * 2 + 2  # the head alone
    assert trained["bottleneck"] < trained["freeze"] < trained["fine-tune"] == trained["scratch"]
    assert {row["mode"]: row["accuracy"] for row in rows}["fine-tune"] == 1.0
    for mode in trained:
        card = load_card(tmp_path / "runs" / mode)
        assert card.labels == ["lying", "standing"] and card.input["size"] == [8, 8]
        assert card.input == load_card(tmp_path / "runs" / "freeze").input  # all see the same numbers
        assert card.command.startswith(f"cnn compare {digits_run} --data {shapes} --epochs 6")
        prediction = image_classification.load(str(tmp_path / "runs" / mode), device="cpu").predict(
            [shapes / "lying" / "3.png"]
        )[0]
        assert prediction.error is None and len(prediction.labels) == 2


def test_bottleneck_features_are_computed_once(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    recipe = Recipe(model=ModelConfig(weights=str(digits_run)), transfer=TransferConfig("bottleneck"))
    first = make_task(recipe)
    assert isinstance(first, HeadTask)
    first.build_data(torch.device("cpu"))
    files = sorted((tmp_path / "features").glob("*.npy"))
    times = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2  # train and val; the test is of the whole network
    second = make_task(recipe)
    second.build_data(torch.device("cpu"))
    assert [file.stat().st_mtime_ns for file in files] == times
    for file in files:
        file.unlink()  # the first two go on with what they have open
        file.write_bytes(b"damaged")
    third = make_task(recipe)
    third.build_data(torch.device("cpu"))  # a damaged cache is made anew, not believed
    for split, (features, _) in first.features.items():
        assert torch.equal(second.features[split][0], features) and torch.equal(third.features[split][0], features)


def test_frozen_stages_stay_bit_for_bit_also_their_statistics(digits_run: Path, shapes: Path, tmp_path: Path) -> None:
    before, _ = load_model(digits_run)
    settings = {"weights": str(digits_run), "data": str(shapes), "transfer": "freeze", "frozen_stages": 2, **QUICK}
    train("digits", folder=tmp_path / "run", settings=settings | {"batch_size": 8, "validation": True})
    after, _ = load_model(tmp_path / "run")
    old, new = before.state_dict(), after.state_dict()
    for name in old:
        if name.startswith(("stages.stem", "stages.stage1")):
            torch.testing.assert_close(new[name], old[name], msg=name, rtol=0, atol=0)
    assert not torch.equal(old["stages.stage2.0.weight"], new["stages.stage2.0.weight"])


def with_box(run: Path, folder: Path, box: float) -> str:
    """Copy a run's weights with another box in their card."""
    shutil.copytree(run, folder)
    card = json.loads((folder / "card.json").read_text())
    card["input"] |= {"fit": "digit", "box": box}
    (folder / "card.json").write_text(json.dumps(card))
    return str(folder)


def test_the_box_of_the_starting_weights_is_that_of_the_training_pictures(
    digits_run: Path, shapes: Path, tmp_path: Path
) -> None:
    """Bars of 16 x 3 pixels whose longer side is to take half of the 8 x 8 frame: 4 x 1 pixels."""
    weights = with_box(digits_run, tmp_path / "half", 0.5)
    task = ImageTask(Recipe(data=DataConfig(data=str(shapes)), model=ModelConfig(weights=weights)))
    task.build_data(torch.device("cpu"))
    assert (task.contract.fit, task.contract.box) == ("digit", 0.5)
    lit = task.sets["train"].images[:, 0] > 0  # [N, 8, 8]
    lying = task.sets["train"].targets == 0
    assert (lit.any(1).sum(1) == torch.where(lying, 4, 1)).all()
    assert (lit.any(2).sum(1) == torch.where(lying, 1, 4)).all()


def test_weights_are_measured_with_their_own_box(shapes: Path, tmp_path: Path) -> None:
    """In a box of a single pixel, bars that lie look like bars that stand."""
    settings = {"data": str(shapes), "fit": "digit", "size": 8, "epochs": 6, "batch_size": 8, "device": "cpu"}
    train("digits", folder=tmp_path / "run", settings=settings)
    test = {"data": str(shapes), "device": "cpu"}
    assert image_classification.evaluate_weights(str(tmp_path / "run"), **test)["metrics"]["accuracy"] == 1.0
    blind = with_box(tmp_path / "run", tmp_path / "blind", 1 / 8)
    assert image_classification.evaluate_weights(blind, **test)["metrics"]["accuracy"] == 0.5


def test_weights_for_grey_pictures_refuse_to_train_on_colour(digits_run: Path, shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(CnnError, match="takes 1 channels, the recipe asks for 3"):
        train("digits", folder=tmp_path / "x", settings={"weights": str(digits_run), "channels": 3, **QUICK})


def test_pictures_too_small_for_a_network_are_told_the_size_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(CnnError, match=r"alexnet takes pictures from 63 pixels on, those of digits have 8.*--size 63"):
        train("digits", folder=tmp_path / "x", settings={**QUICK, "model": "alexnet", "options": {}})


@pytest.mark.parametrize("sizes", [{"batch_size": 1}, {"batch_size": 4, "micro_batch": 1}])
def test_a_single_picture_that_becomes_one_cell_is_told_how_many_it_takes(tmp_path: Path, sizes: dict) -> None:
    """8 x 8 pixels are one cell after three of resnet18's five halvings."""
    settings = {**QUICK, "model": "resnet18", "options": {}, **sizes}
    with pytest.raises(CnnError, match=r"at 8 x 8 pixels .* at least 2 pictures at once, got 1; .*--micro-batch"):
        train("digits", folder=tmp_path, settings=settings)


def test_unknown_names_come_back_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown recipe 'digit'; did you mean digits"):
        train("digit", folder=tmp_path / "a")
    with pytest.raises(ConfigError, match="unknown field 'epoch', did you mean epochs"):
        train("digits", folder=tmp_path / "b", settings={"epoch": 3})
    with pytest.raises(UnknownNameError, match="unknown model 'fastnets'; did you mean fastnet"):
        train("digits", folder=tmp_path / "c", settings={"model": "fastnets", **QUICK})
    with pytest.raises(UnknownNameError, match="mnist"):
        train("digits", folder=tmp_path / "d", settings={"weights": "mnnist", **QUICK})


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_recipe_is_valid_and_opens_with_its_command(file: Path) -> None:
    recipe = read_recipe(Recipe, file)
    assert file.read_text().startswith(f"# cnn train {file.stem} ")
    assert recipe.description and recipe.limits
    if file.stem != "my-pictures":  # whose validation curve is watched, and whose weights nobody ships
        assert not recipe.data.validation, (
            "shipped weights learn from the whole training set, nothing chosen on the test set"
        )


def test_the_shipped_recipe_is_what_the_card_repeats(digits_run: Path) -> None:
    recipe = read_recipe(Recipe, RECIPES / "digits.toml")
    stored = json.loads((digits_run / "recipe.json").read_text())
    expected = dataclasses.asdict(recipe)
    assert stored["augment"] == json.loads(json.dumps(expected["augment"]))


def test_a_run_leaves_the_report_of_its_test_set(digits_run: Path) -> None:
    report = read_report(digits_run, Report.from_json, limit=1 << 20)
    confusion = np.array(report.confusion)
    assert (report.n, confusion.shape, confusion.sum()) == (599, (10, 10), 599)
    assert confusion.trace() / 599 == pytest.approx(load_card(digits_run).metrics["accuracy"]["mean"], abs=1e-6)
    assert len(report.mistakes) == min(50, 599 - confusion.trace())
    assert all(mistake.input.startswith("test/") and mistake.truth != mistake.answer for mistake in report.mistakes)


def frozen_stem() -> nn.Sequential:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Dropout(0.5))
    model = nn.Sequential(stem, nn.Flatten(), nn.Linear(8, 2))
    freeze(stem)
    return model


def test_a_frozen_part_stays_as_it_is_while_the_rest_trains():
    model = frozen_stem()
    before = copy.deepcopy(model[0].state_dict())
    model.train()
    assert not any(part.training for part in model[0].modules())
    assert model[2].training
    x = torch.randn(6, 1, 6)
    assert torch.equal(model[0](x), model[0](x))  # no dropout
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0, weight_decay=0.1)
    model(x).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model[0].state_dict().items())
    assert model[0][0].weight.grad is None
    assert model[2].weight.grad is not None


def test_a_copy_of_a_frozen_network_is_frozen_by_itself():
    model = frozen_stem()
    twin = copy.deepcopy(model).train()
    assert not twin[0].training
    twin[0][0].weight.data.add_(1)
    assert not torch.equal(twin[0][0].weight, model[0][0].weight)
    assert twin[0].train.__self__ is twin[0]
