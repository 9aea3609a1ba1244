"""Benign or malignant: a probability for one nodule, and what spoke for it."""

from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from components.bars import answer
from components.downloads import answer_downloads
from components.frame import note, warn
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.pictures import Figure, figures, png
from components.viewer import Packed, View, pack, viewer
from views.medical_parts.ask import Given, with_file
from views.medical_parts.result import ct_windows


def show_nodule(network: Network, given: Given) -> None:
    """Judge, and show where the network looked.

    Raises:
        CnnError: the file is no picture or cube of a nodule.
    """
    from medical_segmentation.cases import stem

    name = stem(given.name)
    result, picture, heat = _judged(network, given)
    for said in result.warnings:
        warn(said)
    found = result.probability
    labels = ["malignant", "benign"] if found >= 0.5 else ["benign", "malignant"]
    probabilities = [max(found, 1 - found), min(found, 1 - found)]
    if picture.ndim == 2:
        seen, shown = _pictures(picture, heat)
        left, right = st.columns([5, 6], gap="medium")
        with left:
            figures([seen, shown])
        with right:
            _answer(network, labels, probabilities)
            answer_downloads(given.name, labels, probabilities, name=name, heat=lambda: png(shown.image))
        return
    _answer(network, labels, probabilities)
    answer_downloads(given.name, labels, probabilities, name=name)
    strength = heat.clip(min=0) / max(float(heat.max()), 1e-9)
    view = View(picture, (1.0, 1.0, 1.0), np.zeros(picture.shape, np.uint8), (), (), ct_windows(), strength)
    viewer(_packed(network, given, view=view), key="nodule-viewer")
    note("Bright where the evidence for malignant lies (Grad-CAM).")


@remembered(1)
def _packed(network: Network, given: Given, *, view: View) -> Packed:
    return compute(pack, view)


def _answer(network: Network, labels: list[str], probabilities: list[float]) -> None:
    answer(labels, probabilities, kicker="The network's answer")
    metrics = {name: entry["mean"] for name, entry in network.card.metrics.items()}
    if "auc" in metrics and "auc_size_alone" in metrics:
        size = "diameter" if network.card.input["dims"] == 2 else "volume"
        note(
            f"On the {network.card.metrics['auc']['n']} test nodules its AUC is {metrics['auc']:.2f}; the {size} alone "
            f"reaches {metrics['auc_size_alone']:.2f}. Radiologists' ratings are the truth here, not pathology."
        )


def _pictures(picture: np.ndarray, heat: np.ndarray) -> list[Figure]:
    from cnn_core.explain import heat_limits, overlay

    shown = compute(overlay, picture.copy(), heat.copy(), limits=heat_limits(heat))
    return [
        Figure(Image.fromarray(picture), "What the network saw", "the nodule", pixels=True),
        Figure(shown, "What speaks for malignant (Grad-CAM)", "heat map over the nodule", pixels=True),
    ]


@remembered(8)
def _judged(network: Network, given: Given) -> tuple[Any, np.ndarray, np.ndarray]:
    loaded = predictor(network)

    def judge(path: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        picture, heat, _ = loaded.heat_of(path)
        if picture.ndim == 3:
            picture = loaded.contract.values(picture)
        return loaded.predict(path), picture, heat

    return compute(with_file, given, judge)
