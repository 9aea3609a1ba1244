"""Recipes: what is accepted, what is refused, and in which words."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.domains import domain_folders, load_domain, recipe_files
from cnn_core.errors import ConfigError
from cnn_core.train.config import (
    LoopConfig,
    ModelConfig,
    OptimizerConfig,
    override,
    read_recipe,
    recipe_from_table,
    setting_homes,
    to_table,
)
from cnn_core.validation import Settings, parse


@dataclass(frozen=True)
class Recipe(Settings):
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
        "unknown field 'descripton', did you mean description?",
        "limits: expected a valid array, got 'one'",
        "unknown field 'optimiser', did you mean optimizer or options?",
        "epochs: belongs into the table [loop]",
        "loop: expected a table [loop], got 7",
        "augment.border: expected 'zeros' or 'reflect', got 'mirror'",
        "unknown field 'flop', did you mean loop or flip?",
        "augment.rotate: expected a number greater than or equal to 0, got -1",
        "optimizer.learning_rate: expected a valid number, got 'fast'",
        "optimizer.momentum: expected a number less than 1, got 1",
    ])  # fmt: skip


def test_a_setting_in_the_wrong_table_is_sent_to_the_right_one():
    assert problems(model={"epochs": 3}) == ["epochs: belongs into the table [loop]"]


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("loop", "epochs", True, "expected a valid integer, got True"),
        ("loop", "epochs", 2.5, "expected a valid integer, got 2.5"),
        ("loop", "epochs", 2.0, "expected a valid integer, got 2.0"),
        ("loop", "epochs", 10**30, f"expected a number less than or equal to {2**53}, got {10**30}"),
        ("loop", "epochs", 0, "expected a number greater than or equal to 1, got 0"),
        ("loop", "batch_size", -8, "expected a number greater than or equal to 1, got -8"),
        ("loop", "devices", 0, "expected a number greater than or equal to 1, got 0"),
        ("loop", "num_nodes", 0, "expected a number greater than or equal to 1, got 0"),
        ("loop", "eval_every", 0, "expected a number greater than or equal to 1, got 0"),
        ("loop", "micro_batch", -1, "expected a number greater than or equal to 0, got -1"),
        ("loop", "patience", -1, "expected a number greater than or equal to 0, got -1"),
        ("loop", "seed", -1, "expected a number greater than or equal to 0, got -1"),
        ("loop", "seed", 2**32, "expected a number less than 4294967296, got 4294967296"),
        ("loop", "device", "gpu", "expected auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ("loop", "device", "cuda:x", "expected auto, cpu, cuda, cuda:1 or mps, got 'cuda:x'"),
        ("loop", "device", "auto:1", "expected auto, cpu, cuda, cuda:1 or mps, got 'auto:1'"),
        ("loop", "compile", 1, "expected a valid boolean, got 1"),
        ("loop", "precision", "bf16", "expected 'auto', '32-true', 'bf16-mixed' or '16-mixed', got 'bf16'"),
        ("model", "model", "", "expected a text that is not empty, got ''"),
        ("model", "model", None, "expected a valid string, got None"),
        ("model", "weights", 3, "expected a valid string, got 3"),
        ("model", "options", [1], "expected an object, got [1]"),
        ("model", "options", {"a": {"b": math.nan}}, None),
        ("model", "options", {"a": object}, None),
        ("augment", "rotate", math.nan, "expected a finite number, got nan"),
        ("augment", "rotate", math.inf, "expected a finite number, got inf"),
        ("augment", "rotate", 10**400, None),
        ("augment", "rotate", True, "expected a valid number, got True"),
        ("augment", "shift", -1, "expected a number greater than or equal to 0, got -1"),
        ("augment", "light", 1.0, "expected a number less than 1, got 1.0"),
        ("augment", "zoom", 1, "expected a number less than 1, got 1"),
        ("augment", "scale", 1.5, "expected a number less than 1, got 1.5"),
        ("augment", "shear", 90, "expected a number less than 90, got 90"),
        ("augment", "crop", 0, "expected a number greater than 0, got 0"),
        ("augment", "crop", 1.01, "expected a number less than or equal to 1, got 1.01"),
        ("augment", "flip", True, "expected 'none', 'random', 'alternate' or 'all', got True"),
        ("optimizer", "learning_rate", 0, "expected a number greater than 0, got 0"),
        ("optimizer", "bias_learning_rate", -1, "expected a number greater than 0, got -1"),
        ("optimizer", "ema", 1, "expected a number less than 1, got 1"),
        ("optimizer", "warmup", 1.0, "expected a number less than 1, got 1.0"),
        ("optimizer", "label_smoothing", -0.1, "expected a number greater than or equal to 0, got -0.1"),
        ("optimizer", "weight_decay", -1, "expected a number greater than or equal to 0, got -1"),
        ("optimizer", "clip", -1, "expected a number greater than or equal to 0, got -1"),
        ("optimizer", "warmup", "long", "expected a valid number, got 'long'"),
    ],
)
def test_impossible_values(section, name, value, message):
    found = problems(**{section: {name: value}})
    assert len(found) == 1
    assert found[0].startswith(f"{section}.{name}: ")
    if message:
        assert found == [f"{section}.{name}: {message}"]


def test_one_device_by_number_is_not_several():
    assert problems(loop={"device": "cuda:1", "devices": 2}) == [
        "loop: devices: expected 1 with the one device cuda:1, got 2"
    ]


def test_each_entry_of_a_list_is_checked():
    assert problems(limits=["a", 3]) == ["limits.1: expected a valid string, got 3"]


def test_a_truth_value_is_no_number():
    @dataclass(frozen=True)
    class Choice(Settings):
        dims: Literal[2, 3] = 2
        rate: float = 1.0

    assert parse(Choice, {"dims": 3, "rate": 2}) == Choice(3, 2.0)
    for wrong in ({"dims": True}, {"rate": True}, {"dims": "2"}, {"rate": "2"}):
        with pytest.raises(ValidationError):
            parse(Choice, wrong)


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
        ("[loop]\nepochs = 1979-05-27", "loop.epochs: expected a valid integer, got "),
        ("[model]\noptions = {day = 1979-05-27}", "model.options"),
        ("[optimizer]\nlearning_rate = nan", "learning_rate: expected a finite number, got nan"),
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
    assert caught.value.problems[0] == "unknown field 'epoch', did you mean epochs?"
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match=r"loop.epochs: expected a number greater than or equal to 1, got 0"):
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
    recipe = read_recipe(load_domain(domain).DOMAIN.recipe, file)
    assert recipe.description
    assert file.read_text("utf-8").startswith(f"# cnn train {name}")
    assert recipe_from_table(type(recipe), to_table(recipe), source=name) == recipe


@pytest.mark.parametrize("domain", sorted(domain_folders()))
def test_settings_of_a_domain_have_one_home_and_defaults_without_problems(domain):
    kind = load_domain(domain).DOMAIN.recipe
    assert "epochs" in setting_homes(kind)
    assert recipe_from_table(kind, {}, source=domain) == kind()
