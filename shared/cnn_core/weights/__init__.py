"""Weights with cards: save, find, verify, load.

Looking for weights loads no torch; that happens with the first use of a name from `store`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cnn_core.weights.card import WeightsCard
from cnn_core.weights.find import WeightsEntry, find_weights, list_weights, load_card

if TYPE_CHECKING:
    from cnn_core.weights.store import load_into, load_model, load_state, round_weights, save_weights

__all__ = [
    "WeightsCard",
    "WeightsEntry",
    "find_weights",
    "list_weights",
    "load_card",
    "load_into",
    "load_model",
    "load_state",
    "round_weights",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("cnn_core.weights.store"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
