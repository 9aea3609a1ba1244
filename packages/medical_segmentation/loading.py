"""From a name to the predictor of its weights: of scans, of nodules, or of a bundle of MONAI."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cnn_core.train.devices import choose_device
from cnn_core.weights import find_weights, load_card
from cnn_core.weights.members import read_members
from medical_segmentation.predict import Predictor
from medical_segmentation.weights_io import DOMAIN_NAME, goal_of, load_classifier, load_segmenting

if TYPE_CHECKING:
    from medical_segmentation.nodule_predictor import NodulePredictor


def load(name: str | Path, *, device: str = "auto") -> "Predictor | NodulePredictor":
    """Return the predictor of shipped weights, of a finished run's folder, or of a bundle, which knows what it learned.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen = choose_device(device)
    folder = find_weights(name, domain=DOMAIN_NAME)
    predictor = _of_goal(goal_of(load_card(folder)), folder, chosen)
    predictor.members = read_members(folder)
    return predictor


def _of_goal(goal: str, folder: Path, device: torch.device) -> "Predictor | NodulePredictor":
    if goal == "bundle":
        from medical_segmentation.bundles import BundlePredictor

        return BundlePredictor(folder, device=device)
    if goal == "malignancy":
        from medical_segmentation.nodule_predictor import NodulePredictor

        model, card = load_classifier(folder)
        return NodulePredictor(model, card, device=device)
    model, card = load_segmenting(folder)
    return Predictor(model, card, device=device)
