"""The filters of a network's first layer as a grid of small pictures."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from components.frame import note
from components.networks import Network, compute, predictor
from components.pictures import data_uri

MOST = 128  # filters shown


def first_layer_filters(network: Network, say: Callable[[np.ndarray], str]) -> None:
    """Show the filters of the first convolution; zero is grey.

    Args:
        network: whose filters are shown.
        say: returns what is said of the weights [C_out, C_in, K, K], which are 0 to 1.

    Raises:
        CnnError: the network has no convolution, or its weights are damaged.
    """
    loaded = predictor(network)

    def run() -> np.ndarray:
        from cnn_core.explain import filters

        return filters(loaded.model).numpy()

    weights = compute(run)
    note(say(weights))
    tiles = [np.moveaxis(w, 0, -1) if len(w) == 3 else w.mean(0) for w in weights[:MOST]]
    uris = [data_uri(np.round(255 * tile).astype(np.uint8)) for tile in tiles]
    images = "".join(f'<img src="{uri}" alt="filter {i}" class="pixels square">' for i, uri in enumerate(uris))
    st.html(f'<div class="filters figure">{images}</div>')
