"""Build networks from their cards that the general loader cannot build, and the goal of weights."""

from pathlib import Path
from typing import Any

from torch import nn

from cnn_core.errors import ConfigError, WeightsError
from cnn_core.models import create_model
from cnn_core.models.unet import UNet
from cnn_core.weights import WeightsCard, find_weights, load_card, load_model
from medical_segmentation.contract import VolumeContract
from medical_segmentation.model import MonaiNetwork, create_network
from medical_segmentation.nodules import NoduleContract

DOMAIN_NAME = "medical_segmentation"
GOALS = ("segment", "malignancy", "bundle")


def goal_of(card: WeightsCard) -> str:
    """Return what weights are for: "segment", "malignancy", or "bundle" for a bundle of MONAI.

    Raises:
        WeightsError: the card is of another domain, or does not name it.
    """
    if card.domain != DOMAIN_NAME:
        raise WeightsError(f"weights {card.name!r} belong to {card.domain}, not to {DOMAIN_NAME}")
    goal = card.input.get("goal")
    if goal not in GOALS:
        raise WeightsError(
            f"weights {card.name!r}: the card's goal must be one of {', '.join(GOALS)}, got {goal!r:.60}"
        )
    return goal


def contract_of(card: WeightsCard) -> VolumeContract | NoduleContract:
    """Return the input contract of a card.

    Raises:
        WeightsError: the card is of another domain, or its contract cannot be used.
    """
    kind = VolumeContract if goal_of(card) == "segment" else NoduleContract
    try:
        contract = kind.from_json({name: value for name, value in card.input.items() if name != "goal"})
    except ConfigError as error:
        raise WeightsError(f"weights {card.name!r}: {error}; restore the card") from error
    dims = card.arguments["spatial_dims"]
    if contract.dims != dims or contract.in_channels != card.arguments["in_channels"]:
        raise WeightsError(f"weights {card.name!r}: the input contract does not fit the network; restore the card")
    numbers = getattr(contract, "label_numbers", ())
    if numbers and len(numbers) != card.arguments["num_classes"]:
        raise WeightsError(f"weights {card.name!r}: label_numbers: expected one for each label; restore the card")
    return contract


def volume_contract_of(card: WeightsCard) -> VolumeContract:
    """Return the input contract of weights that segment; raises WeightsError as `contract_of`, and for other goals."""
    contract = contract_of(card)
    if not isinstance(contract, VolumeContract):
        raise WeightsError(f"weights {card.name!r} are for the goal {goal_of(card)!r}, expected 'segment'")
    return contract


def nodule_contract_of(card: WeightsCard) -> NoduleContract:
    """Return the input contract of weights that classify nodules, likewise."""
    contract = contract_of(card)
    if not isinstance(contract, NoduleContract):
        raise WeightsError(f"weights {card.name!r} are for the goal {goal_of(card)!r}, expected 'malignancy'")
    return contract


def load_segmenting(name: str | Path) -> tuple[UNet | MonaiNetwork, WeightsCard]:
    """Load a segmenting network by name or folder, in evaluation mode on the CPU.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged, do not fit their card, or are for another goal.
    """
    return _load(name, "segment")


def load_classifier(name: str | Path) -> tuple[nn.Module, WeightsCard]:
    """Load a nodule classifier in the same way."""
    return _load(name, "malignancy")


def starting_card(weights: str, *, goal: str) -> WeightsCard:
    """Return the card of weights that a training with this goal starts from."""
    card = load_card(find_weights(weights, domain=DOMAIN_NAME))
    if goal_of(card) != goal:
        raise WeightsError(f"weights {card.name!r} are for the goal {goal_of(card)!r}, expected {goal!r}")
    contract_of(card)
    return card


def _load(name: str | Path, goal: str) -> tuple[Any, WeightsCard]:
    def build(card: WeightsCard) -> nn.Module:
        if goal_of(card) != goal:
            raise WeightsError(f"weights {card.name!r} are for the goal {goal_of(card)!r}, expected {goal!r}")
        if goal == "malignancy":
            contract_of(card)
            return create_model(card.model, **card.arguments)
        return create_network(
            card.model,
            spatial_dims=card.arguments["spatial_dims"],
            in_channels=card.arguments["in_channels"],
            num_classes=card.arguments["num_classes"],
            options=card.arguments["options"],
            patch=volume_contract_of(card).patch,
        )

    return load_model(name, domain=DOMAIN_NAME, build=build)
