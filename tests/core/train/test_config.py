"""Recipes: what is accepted, what is refused, and in which words."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from cnn_core.domains import domain_folders, load_domain, recipe_files
from cnn_core.errors import ConfigError
from cnn_core.train.config import (
    AugmentConfig,
    LoopConfig,
    ModelConfig,
    OptimizerConfig,
    override,
    read_recipe,
    recipe_from_table,
    setting_homes,
    to_table,
)
from cnn_core.train.values import fits


@dataclass(frozen=True)
class Recipe:
    description: str = ""
    limits: list[str] = field(default_factory=list)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


def build(**table: Any) -> Recipe:
    return recipe_from_table(Recipe, table, source="test")


def problems(**table: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build(**table)
    return caught.value.problems


def written(tmp_path, text: str | bytes):
    file = tmp_path / "mine.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_an_empty_table_is_the_defaults():
    assert build() == Recipe()


def test_values_land_in_their_sections_and_whole_numbers_serve_as_real_ones():
    recipe = build(description="x", limits=["a"], loop={"epochs": 3}, optimizer={"learning_rate": 1, "warmup": 0})
    assert recipe.loop.epochs == 3
    assert recipe.optimizer.learning_rate == 1.0
    assert type(recipe.optimizer.learning_rate) is float
    assert type(recipe.optimizer.warmup) is float
    assert recipe.limits == ["a"]


def test_everything_wrong_is_reported_at_once():
    found = problems(
        descripton="x",
        limits="one",
        optimiser={},
        epochs=3,
        loop=7,
        augment={"rotate": -1, "border": "mirror", "flop": "random"},
        optimizer={"learning_rate": "fast", "momentum": 1},
    )
    assert sorted(found) == sorted([
        "unknown setting 'descripton', did you mean description?",
        "limits: expected a list, each a text, got 'one'",
        "unknown setting 'optimiser', did you mean optimizer?",
        "epochs: belongs into the table [loop]",
        "loop: expected a table [loop], got 7",
        "border: expected zeros or reflect, got 'mirror'",
        "unknown setting 'flop', did you mean flip?",
        "rotate: expected a number of 0 or more, got -1.0",
        "learning_rate: expected a number, got 'fast'",
        "momentum: expected from 0 to below 1, got 1.0",
    ])  # fmt: skip


def test_a_setting_in_the_wrong_table_is_sent_to_the_right_one():
    assert problems(model={"epochs": 3}) == ["epochs: belongs into the table [loop]"]


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("loop", "epochs", True, "epochs: expected a whole number, got True"),
        ("loop", "epochs", 2.5, "epochs: expected a whole number, got 2.5"),
        ("loop", "epochs", 2.0, "epochs: expected a whole number, got 2.0"),
        ("loop", "epochs", 10**30, f"epochs: expected a whole number, got {10**30}"),
        ("loop", "epochs", 0, "epochs: expected at least 1, got 0"),
        ("loop", "batch_size", -8, "batch_size: expected at least 1, got -8"),
        ("loop", "devices", 0, "devices: expected at least 1, got 0"),
        ("loop", "num_nodes", 0, "num_nodes: expected at least 1, got 0"),
        ("loop", "eval_every", 0, "eval_every: expected at least 1, got 0"),
        ("loop", "micro_batch", -1, "micro_batch: expected 0 or more, got -1"),
        ("loop", "patience", -1, "patience: expected 0 or more, got -1"),
        ("loop", "seed", -1, "seed: expected 0 to 4294967295, got -1"),
        ("loop", "seed", 2**32, "seed: expected 0 to 4294967295, got 4294967296"),
        ("loop", "device", "gpu", "device: expected auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ("loop", "device", "cuda:x", "device: expected auto, cpu, cuda, cuda:1 or mps, got 'cuda:x'"),
        ("loop", "device", "auto:1", "device: expected auto, cpu, cuda, cuda:1 or mps, got 'auto:1'"),
        ("loop", "compile", 1, "compile: expected true or false, got 1"),
        ("loop", "precision", "bf16", "precision: expected auto or 32-true or bf16-mixed or 16-mixed, got 'bf16'"),
        ("model", "model", "", "model: expected a model name, got an empty one"),
        ("model", "model", None, "model: expected a text, got None"),
        ("model", "weights", 3, "weights: expected a text or nothing, got 3"),
        ("model", "options", [1], "options: expected a table of numbers, texts and lists, got [1]"),
        ("model", "options", {"a": {"b": math.nan}}, None),
        ("model", "options", {"a": object}, None),
        ("augment", "rotate", math.nan, "rotate: expected a number, got nan"),
        ("augment", "rotate", math.inf, "rotate: expected a number, got inf"),
        ("augment", "rotate", 10**400, None),
        ("augment", "rotate", True, "rotate: expected a number, got True"),
        ("augment", "shift", -1, "shift: expected a number of 0 or more, got -1"),
        ("augment", "light", 1.0, "light: expected below 1, got 1.0"),
        ("augment", "zoom", 1, "zoom: expected below 1, got 1.0"),
        ("augment", "scale", 1.5, "scale: expected below 1, got 1.5"),
        ("augment", "shear", 90, "shear: expected below 90 degrees, got 90.0"),
        ("augment", "crop", 0, "crop: expected a fraction above 0 and up to 1, got 0.0"),
        ("augment", "crop", 1.01, "crop: expected a fraction above 0 and up to 1, got 1.01"),
        ("augment", "flip", True, "flip: expected none or random or alternate or all, got True"),
        ("optimizer", "learning_rate", 0, "learning_rate: expected above 0, got 0.0"),
        ("optimizer", "bias_learning_rate", -1, "bias_learning_rate: expected above 0, got -1.0"),
        ("optimizer", "ema", 1, "ema: expected from 0 to below 1, got 1.0"),
        ("optimizer", "warmup", 1.0, "warmup: expected from 0 to below 1, got 1.0"),
        ("optimizer", "label_smoothing", -0.1, "label_smoothing: expected from 0 to below 1, got -0.1"),
        ("optimizer", "weight_decay", -1, "weight_decay: expected 0 or more, got -1.0"),
        ("optimizer", "clip", -1, "clip: expected 0 or more, got -1.0"),
        ("optimizer", "warmup", "long", "warmup: expected a number or nothing, got 'long'"),
    ],
)
def test_impossible_values(section, name, value, message):
    found = problems(**{section: {name: value}})
    assert len(found) == 1
    assert found[0].startswith(f"{name}: expected")
    if message:
        assert found == [message]


def test_one_device_by_number_is_not_several():
    assert problems(loop={"device": "cuda:1", "devices": 2}) == [
        "devices: expected 1 with the one device cuda:1, got 2"
    ]


def test_each_entry_of_a_list_is_checked():
    assert problems(limits=["a", 3]) == ["limits: expected a list, each a text, got ['a', 3]"]


def test_a_truth_value_is_no_choice_of_numbers():
    assert fits(1, Literal[1, 2])
    assert not fits(True, Literal[1, 2])


def test_a_long_value_is_cut_in_the_message():
    (message,) = problems(loop={"epochs": "x" * 10000})
    assert len(message) < 120


def test_options_may_be_nested_plain_values():
    options = {"widths": [64, 128], "act": "gelu", "deep": {"rate": 0.5, "on": True}}
    recipe = build(model={"options": options})
    assert recipe.model.options == options
    assert build(**json.loads(json.dumps(to_table(recipe)))) == recipe


# ---- files


def test_a_recipe_file_holds_the_differences(tmp_path):
    file = written(
        tmp_path, "# cnn train mine\ndescription = 'Grüße'\n[loop]\nepochs = 9\n[model.options]\nwidths = [1, 2]\n"
    )
    recipe = read_recipe(Recipe, file)
    assert (recipe.description, recipe.loop.epochs, recipe.model.options) == ("Grüße", 9, {"widths": [1, 2]})


def test_the_domain_of_a_file_and_a_mark_of_windows_editors_are_passed_over(tmp_path):
    recipe = read_recipe(Recipe, written(tmp_path, "\ufeffdomain = 'image_classification'\r\n[loop]\r\nepochs = 2\r\n"))
    assert recipe.loop.epochs == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[loop\nepochs = 3", "not a TOML file"),
        ("[loop]\nepochs = 3\nepochs = 4", "not a TOML file"),
        (b"\xff\xfe\x00", "not a TOML file"),
        ("a = " + "[" * 100000, "not a TOML file"),
        ("[loop]\nepochs = 1979-05-27", "epochs: expected a whole number, got datetime.date"),
        ("[model]\noptions = {day = 1979-05-27}", "options: expected a table"),
        ("[optimizer]\nlearning_rate = nan", "learning_rate: expected a number, got nan"),
        ("[[loop]]\nepochs = 3", "loop: expected a table [loop]"),
    ],
)
def test_damaged_files(tmp_path, text, words):
    with pytest.raises(ConfigError, match=r"mine\.toml: ") as caught:
        read_recipe(Recipe, written(tmp_path, text))
    assert words in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(Recipe, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(Recipe, tmp_path)


# ---- override and round trip


def test_override_replaces_by_unique_name():
    before = build(loop={"epochs": 3}, model={"options": {"a": 1}})
    after = override(before, {"epochs": 4, "model": "lenet", "rotate": 5, "description": "new", "options": {"b": 2}})
    assert (after.loop.epochs, after.model.model, after.augment.rotate, after.description) == (4, "lenet", 5.0, "new")
    assert after.model.options == {"b": 2}
    assert before.loop.epochs == 3
    assert before.model.options == {"a": 1}


def test_override_can_take_a_value_away():
    assert override(build(model={"weights": "mnist"}), {"weights": None}).model.weights is None


def test_override_names_everything_unknown_and_checks_values():
    with pytest.raises(ConfigError) as caught:
        override(Recipe(), {"epoch": 3, "loop": {"epochs": 3}, "xyzzy": 1})
    assert caught.value.problems[0] == "unknown setting 'epoch', did you mean epochs?"
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="epochs: expected at least 1, got 0"):
        override(Recipe(), {"epochs": 0})


def test_round_trip_leaves_out_what_is_none():
    recipe = build(loop={"epochs": 3}, augment={"crop": 0.5})
    table = to_table(recipe)
    assert "warmup" not in table["optimizer"]
    assert "weights" not in table["model"]
    assert recipe_from_table(Recipe, table, source="again") == recipe
    assert json.loads(json.dumps(table)) == table


def test_two_sections_with_a_field_of_one_name_are_a_defect():
    @dataclass(frozen=True)
    class Other:
        epochs: int = 1

        def problems(self) -> list[str]:
            return []

    Bad = dataclasses.make_dataclass(
        "Bad",
        [("loop", LoopConfig, field(default_factory=LoopConfig)), ("other", Other, field(default_factory=Other))],
        frozen=True,
    )
    with pytest.raises(ValueError, match=r"'epochs' is in \[loop\] and in \[other\]"):
        recipe_from_table(Bad, {}, source="bad")


# ---- what is shipped


@pytest.mark.parametrize("name", sorted(recipe_files()))
def test_every_shipped_recipe_loads_and_opens_with_its_command(name):
    domain, file = recipe_files()[name]
    recipe = read_recipe(load_domain(domain).RECIPE, file)
    assert recipe.description
    assert file.read_text("utf-8").startswith(f"# cnn train {name}")
    assert recipe_from_table(type(recipe), to_table(recipe), source=name) == recipe


@pytest.mark.parametrize("domain", sorted(domain_folders()))
def test_settings_of_a_domain_have_one_home_and_defaults_without_problems(domain):
    kind = load_domain(domain).RECIPE
    assert "epochs" in setting_homes(kind)
    assert recipe_from_table(kind, {}, source=domain) == kind()
