"""Weights with cards: save, find, verify, load.

Looking for weights loads no torch; that happens with the first use of a name from `store`.
"""

from typing import TYPE_CHECKING

from cnn_core.lazy import lazy_names
from cnn_core.weights.card import WeightsCard
from cnn_core.weights.find import WeightsEntry, find_weights, list_weights, load_card

if TYPE_CHECKING:
    from cnn_core.weights.store import load_model, load_state, round_weights, save_weights

__all__ = [
    "WeightsCard",
    "WeightsEntry",
    "find_weights",
    "list_weights",
    "load_card",
    "load_model",
    "load_state",
    "round_weights",
    "save_weights",
]
__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "store"))
