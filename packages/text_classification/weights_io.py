"""A `TextNet` from its card and back: what the general loader cannot know, the vocabulary and the vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_core.errors import ConfigError, WeightsError
from cnn_core.weights import WeightsCard, find_weights, load_card, load_model
from text_classification.contract import TextContract
from text_classification.model import TextNet, build_model

DOMAIN = "text_classification"


def contract_of(card: WeightsCard) -> TextContract:
    """Return the input contract of a card.

    Raises:
        WeightsError: the card is of another domain, or its contract cannot be used.
    """
    if card.domain != DOMAIN:
        raise WeightsError(f"weights {card.name!r} belong to {card.domain}, not to {DOMAIN}")
    try:
        return TextContract.from_json(card.input)
    except ConfigError as error:
        raise WeightsError(f"weights {card.name!r}: {error}; restore the card") from error


def arguments_of(card: WeightsCard) -> dict[str, Any]:
    """Return what `build_model` needs of a card, without the number of rows."""
    options = dict(card.arguments["options"])
    size, vectors = options.pop("size", None), options.pop("vectors", None)
    if type(size) is not int or size < 1 or not isinstance(vectors, str):
        raise WeightsError(f"weights {card.name!r}: the card's options lack size or vectors; restore the card")
    length = card.arguments["input_size"]
    return {
        "name": card.model,
        "num_classes": card.arguments["num_classes"],
        "length": length[0] if length else None,
        "size": size,
        "vectors": vectors,
        "options": options,
    }


def load_text_model(name: str | Path) -> tuple[TextNet, WeightsCard]:
    """Load weights by name or folder, in evaluation mode on the CPU.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: the weights are damaged, or do not fit their card.
    """
    return load_model(
        name, domain=DOMAIN, build=lambda card: build_model(rows=contract_of(card).rows, **arguments_of(card))
    )


def starting_contract(weights: str) -> TextContract:
    """Return the input contract of the weights that a training starts from."""
    return contract_of(load_card(find_weights(weights, domain=DOMAIN)))


def starting_arguments(weights: str) -> dict[str, Any]:
    """Return the parts of `build_model`'s arguments that a training takes over from weights."""
    kept = arguments_of(load_card(find_weights(weights, domain=DOMAIN)))
    return {key: kept[key] for key in ("name", "size", "vectors", "options")}


def start_from(model: TextNet, weights: str, labels: Sequence[str]) -> None:
    """Copy weights into `model`, whose vocabulary begins with theirs; other classes keep the fresh last layer."""
    source, card = load_text_model(weights)
    rows = contract_of(card).rows
    state = source.state_dict()
    own = model.state_dict()
    for name, value in own.items():
        if name in ("learned", "fixed"):
            value[:rows] = state[name]
        elif not name.startswith("backbone.head.classifier") or tuple(labels) == tuple(card.labels):
            value.copy_(state[name])
    model.load_state_dict(own)
