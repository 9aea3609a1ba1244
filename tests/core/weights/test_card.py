"""The card: round trip, and every kind of damage named, all at once."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_core.errors import WeightsError
from cnn_core.weights import WeightsCard
from cnn_core.weights.card import CARD_LIMIT, check_fields, name_for


def card_values() -> dict[str, Any]:
    return {
        "name": "digits",
        "domain": "image_classification",
        "model": "lenet",
        "arguments": {
            "spatial_dims": 2,
            "in_channels": 1,
            "num_classes": 3,
            "input_size": [8, 8],
            "options": {"width": 4},
        },
        "input": {"size": [8, 8], "mean": [0.5], "std": [0.25]},
        "labels": ["zero", "één", "二"],
        "metrics": {
            "accuracy": {
                "mean": 0.985,
                "std": 0.005,
                "n": 599,
                "seeds": [0, 1],
                "split": "test",
                "values": [0.98, 0.99],
            }
        },
        "recipe": {"epochs": 3, "optimizer": {"lr": 0.01}},
        "command": "cnn train digits --seed 0",
        "machine": "2 CPU cores",
        "seconds": 12.5,
        "parameters": 123,
        "sha256": "0123456789abcdef" * 4,
        "bytes": 4567,
        "dtype": "float16",
        "licence": "MIT",
        "limits": ["Pictures of other sizes were not tested."],
        "created": "2025-01-31",
        "version": "0.1.0",
        "package": "",
        "confidence": None,
    }


def test_round_trip_gives_an_equal_card_with_every_field_in_order():
    card = WeightsCard.from_dict(card_values())
    again = WeightsCard.from_json(card.to_json())
    assert again == card
    assert json.loads(card.to_json()) == card_values()
    assert list(json.loads(card.to_json())) == list(card_values())
    assert "二" in card.to_json(), "labels stay readable in the file"


def test_tuples_become_lists_so_that_a_new_card_equals_the_one_read_back():
    values = card_values()
    values["arguments"]["input_size"] = (8, 8)
    values["labels"] = tuple(values["labels"])
    card = WeightsCard.from_dict(values)
    assert card.labels == ["zero", "één", "二"]
    assert WeightsCard.from_json(card.to_json()) == card


def test_a_card_cannot_be_changed():
    card = WeightsCard.from_dict(card_values())
    with pytest.raises(FrozenInstanceError):
        card.name = "other"


def test_the_weights_own_data_are_known_by_any_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    table, other = tmp_path / "a-file.csv", tmp_path / "a_file.csv"
    table.touch()
    other.touch()
    (tmp_path / "mnist").mkdir()

    def learned_from(data: str | None, learned: str) -> bool:
        card = WeightsCard.from_dict(card_values() | {"recipe": {"data": {"data": learned}}})
        return card.learned_from(data, {"fashion_mnist", "mnist"})

    assert learned_from(None, "mnist") and learned_from("fashion-mnist", "fashion_mnist")
    assert not learned_from("fashion-mnist", "mnist")
    assert learned_from("a-file.csv", str(table)) and learned_from("gone.csv", "gone.csv")
    assert not learned_from(str(other), str(table)) and not learned_from("gone.csv", str(table))
    assert not learned_from("a_file.csv", "a-file.csv"), "two files, not two spellings of a name"
    assert not learned_from("mnist", "./mnist"), "a known name is never a folder"
    # trained with a path from another folder, which cannot be asked any more
    assert learned_from(str(other), "../a_file.csv") and learned_from("a_file.csv", f"./{tmp_path.name}/a_file.csv")
    assert not learned_from(str(other), "../sets/a_file.csv") and not learned_from(str(other), "..")
    assert not learned_from(str(other), f"/elsewhere/{other.name}")


def test_all_problems_are_reported_at_once():
    values = card_values()
    values["seconds"] = -1
    values["sha256"] = "abc"
    values["metrics"]["accuracy"]["n"] = 0
    values["licenze"] = values.pop("licence")
    del values["command"]
    with pytest.raises(WeightsError) as caught:
        WeightsCard.from_dict(values, source="x/card.json")
    message = str(caught.value)
    assert message.startswith("x/card.json: ")
    for part in (
        "unknown field 'licenze', did you mean licence",
        "'licence' is missing",
        "'command' is missing",
        "seconds: expected a number greater than or equal to 0, got -1",
        "sha256: expected 64 hexadecimal digits in lower case, got 'abc'",
        "metrics.accuracy.n: expected a number greater than or equal to 1, got 0",
    ):
        assert part in message


NESTED = [
    ("arguments", "spatial_dims", 4, "arguments.spatial_dims: expected a number less than or equal to 3, got 4"),
    ("arguments", "spatial_dims", True, "arguments.spatial_dims: expected a valid integer, got True"),
    ("arguments", "in_channels", 0, "arguments.in_channels: expected a number greater than or equal to 1, got 0"),
    ("arguments", "num_classes", 4, "labels: expected one for each of arguments.num_classes, 4, got 3"),
    ("arguments", "num_classes", "3", "arguments.num_classes: expected a valid integer, got '3'"),
    ("arguments", "input_size", [8], "arguments.input_size: expected 2 numbers, got [8]"),
    ("arguments", "options", None, "arguments.options: expected an object, got None"),
    ("arguments", "widht", 1, "unknown field 'widht'"),
    ("input", "mean", float("nan"), "input: expected finite numbers"),
    ("recipe", "text", "\ud800", "expected plain JSON values"),
]


@pytest.mark.parametrize(("field", "key", "value", "message"), NESTED)
def test_wrong_nested_values_are_named(field, key, value, message):
    values = card_values()
    values[field][key] = value
    with pytest.raises(WeightsError) as caught:
        WeightsCard.from_dict(values)
    assert message in str(caught.value)


METRICS = [
    ({"mean": "0.9"}, "metrics.accuracy.mean: expected a valid number, got '0.9'"),
    ({"mean": float("inf")}, "metrics.accuracy.mean: expected a finite number"),
    ({"mean": 10**400}, "metrics.accuracy.mean: expected a finite number"),
    ({"mean": 0.97}, "metrics.accuracy.mean: expected the mean of its values, 0.985, got 0.97"),
    ({"std": -0.1}, "metrics.accuracy.std: expected a number greater than or equal to 0, got -0.1"),
    ({"seeds": [0]}, "metrics.accuracy: expected one value for each of 1 seeds, got 2"),
    ({"seeds": 0}, "metrics.accuracy.seeds: expected a valid array, got 0"),
    ({"values": [0.985, None]}, "metrics.accuracy.values.1: expected a valid number, got None"),
    ({"split": ""}, "metrics.accuracy.split: expected a text that is not empty, got ''"),
    ({"median": 1}, "unknown field 'median', did you mean mean?"),
]


@pytest.mark.parametrize(("change", "message"), METRICS)
def test_wrong_metrics_are_named(change, message):
    values = card_values()
    values["metrics"]["accuracy"] |= change
    with pytest.raises(WeightsError) as caught:
        WeightsCard.from_dict(values)
    assert message in str(caught.value)


def test_one_run_has_no_spread_and_a_card_may_have_no_labels_or_metrics():
    values = card_values() | {"labels": [], "metrics": {}}
    assert WeightsCard.from_dict(values).labels == []
    values["metrics"] = {"dice": {"mean": 0.9, "std": None, "n": 5, "seeds": [], "split": "test", "values": []}}
    assert WeightsCard.from_dict(values).metrics["dice"]["std"] is None


@pytest.mark.parametrize("name", ["", "../digits", "Digits", "a b", "x" * 101, ".hidden", 5, None])
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(WeightsError, match=r"name: expected (lower-case letters|a valid string)"):
        WeightsCard.from_dict(card_values() | {"name": name})


TEXTS = [
    ("", "not valid JSON"),
    ("{", "not valid JSON"),
    (b"\xff\xfe\x00", "not valid JSON"),
    ("[]", "expected a table"),
    ("null", "expected a table"),
    ("[" * 200_000, "nested too deeply"),
    ('{"name": "a", "name": "b"}', "given more than once: name"),
    ("9" * 5000, "not valid JSON"),
    (" " * (CARD_LIMIT + 1), "too many for a card"),
]


@pytest.mark.parametrize(
    ("text", "message"), TEXTS, ids=[m.replace(" ", "-") + str(i) for i, (_, m) in enumerate(TEXTS)]
)
def test_damaged_files_are_refused(text, message):
    with pytest.raises(WeightsError, match=message):
        WeightsCard.from_json(text, source="card.json")


def test_nan_in_the_file_is_refused():
    text = WeightsCard.from_dict(card_values()).to_json().replace("12.5", "NaN")
    with pytest.raises(WeightsError, match="seconds: expected a finite number, got nan"):
        WeightsCard.from_json(text)


# A small alphabet: hypothesis' table of all characters takes half a minute to build on a fresh machine.
TEXT = st.text(st.sampled_from('aZ0_é二 \n"\\'), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(card_values())), value=JSON)
def test_any_value_in_any_field_gives_a_card_that_round_trips_or_a_named_error(field, value):
    try:
        card = WeightsCard.from_dict(card_values() | {field: value})
    except WeightsError:
        return
    assert WeightsCard.from_json(card.to_json().encode()) == card


@given(field=st.sampled_from(["arguments", "metrics"]), key=TEXT | st.sampled_from(["options", "accuracy"]), value=JSON)
def test_any_value_one_level_down_gives_a_card_that_round_trips_or_a_named_error(field, key, value):
    values = card_values()
    values[field] = values[field] | {key: value}
    try:
        card = WeightsCard.from_dict(values)
    except WeightsError:
        return
    assert WeightsCard.from_json(card.to_json().encode()) == card


@pytest.mark.parametrize(("text", "name"), [
    ("MyPhotos", "myphotos"), ("my photos (2)", "my-photos-2"), ("_x.1", "x.1"), ("größe", "gr-e"), ("写真", "custom"),
    ("a" * 200, "a" * 100),
])  # fmt: skip
def test_the_name_of_a_file_becomes_one_of_weights(text: str, name: str) -> None:
    assert name_for(text) == name
    check_fields({"name": name})


@pytest.mark.parametrize("recipe", [{}, {"data": "digits"}, {"data": {}}])
def test_a_recipe_without_a_data_section_was_learned_from_nothing_known(recipe):
    card = WeightsCard.from_dict(card_values() | {"recipe": recipe})
    assert card.section("data") == {}
    assert card.learned_from(None, ["digits"])
    assert not card.learned_from("digits", ["digits"])
    card.check_unseen("val", own=True)


def test_confidence_is_checked_like_every_field():
    said = {"temperature": 1.5, "n": 100, "data": "the validation split", "error_before": 0.1, "error_after": 0.01,
            "threshold": None}  # fmt: skip
    card = WeightsCard.from_dict(card_values() | {"confidence": said})
    assert card.confidence == said and WeightsCard.from_json(card.to_json()) == card
    with pytest.raises(WeightsError, match=r"confidence\.temperature"):
        WeightsCard.from_dict(card_values() | {"confidence": said | {"temperature": 0.0}})
