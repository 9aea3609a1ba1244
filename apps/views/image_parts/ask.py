"""Asking a network about a picture: its answer and its reasons, computed once for the same pixels and weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from cnn_core.errors import DataError
from components.bring import BY_DIGEST, Picture
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.pictures import SHOWN_EDGE

ALL = 1000  # labels; every class gets its bar


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=BY_DIGEST)
def ask(network: Network, picture: Picture) -> Any:
    """Return the `Prediction` with all classes.

    Raises:
        CnnError: the network cannot be loaded, or the picture cannot be answered.
    """
    found = compute(predictor(network).predict, [picture.source], top_k=ALL)[0]
    if found.error is not None:
        raise DataError(found.error)
    return found


@dataclass(frozen=True)
class Reasons:
    """Where a network looked, as small as a page shows it."""

    overlay: np.ndarray  # uint8 [H', W', 3], the heat map on the picture
    seen: np.ndarray  # uint8 [H, W] or [H, W, 3]: the network's input before normalisation


@remembered(64)  # pictures go with their owner
def reasons(network: Network, picture: Picture, method: str, label: str) -> Reasons:
    """Return why a network would say `label`.

    Raises:
        CnnError: the picture cannot be read, or the method does not suit the network.
    """
    return compute(_explain, predictor(network), picture.source, method, label)


def _explain(predictor: Any, source: bytes | Image.Image, method: str, label: str) -> Reasons:
    found = predictor.explain(source, method=method, target=label)
    shown = Image.fromarray(found.overlay())
    shown.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    seen = found.seen.numpy()  # [C, H, W]
    return Reasons(np.asarray(shown), seen[0] if len(seen) == 1 else np.moveaxis(seen, 0, -1))
