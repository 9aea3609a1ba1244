"""The `input` object of every shipped card: it comes back the same, and nothing wrong in it is more than a sentence."""

import importlib
import json
from dataclasses import fields

import pytest

from cnn_core.errors import ConfigError
from cnn_core.weights import list_weights, load_card

NAMES = sorted(entry.name for entry in list_weights())
WRONG = [None, {}, [], [[1]], [None], [0], -1, 0, 1.5, True, "", "x", float("nan"), 10**9, {"a": 1}]


def taken_apart(name: str):
    """The class of the contract of shipped weights, and the values in the card."""
    card = load_card(name)
    predictor = importlib.import_module(card.domain).load(name, device="cpu")
    values = {key: value for key, value in card.input.items() if key != "goal"}  # says which of the domain's contracts
    return type(predictor.contract), values


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_contract_comes_back_the_same(name: str) -> None:
    kind, values = taken_apart(name)
    made = kind.from_json(values)
    assert json.loads(json.dumps(made.to_json())) == values
    assert kind.from_json(made.to_json()) == made


@pytest.mark.parametrize("name", NAMES)
def test_wrong_values_are_refused_by_name(name: str) -> None:
    kind, values = taken_apart(name)
    for field in fields(kind):
        refused = 0
        for value in WRONG:
            try:
                made = kind.from_json({**values, field.name: value})
            except ConfigError as error:
                refused += 1
                assert field.name in str(error) or field.name in ("channels", "dims", "low", "high", "std", "own_scale")
            else:
                assert kind.from_json(json.loads(json.dumps(made.to_json()))) == made
        assert refused, field.name


@pytest.mark.parametrize("name", NAMES)
def test_keys_that_are_missing_or_unknown_are_all_listed(name: str) -> None:
    kind, _ = taken_apart(name)
    with pytest.raises(ConfigError, match="expected a table, got 'x'"):
        kind.from_json("x")
    with pytest.raises(ConfigError) as caught:
        kind.from_json({"colour": 1})
    assert "unknown field 'colour'" in str(caught.value)
    assert str(caught.value).count("is missing") >= 2
