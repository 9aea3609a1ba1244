"""Inside the network: the map of every channel after every stage, and the filters of the first layer."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnn_core.errors import CnnError
from components.bring import Picture
from components.filters import first_layer_filters
from components.frame import note, sentence
from components.gallery import Item, gallery
from components.kept import remembered
from components.networks import Network, compute, predictor
from components.pictures import Figure, data_uri, figures

MOST_CHANNELS = 512  # shown at a time


@dataclass(frozen=True)
class Stage:
    """What one stage put out, as bytes for display."""

    name: str
    maps: np.ndarray  # uint8 [C, H, W], each channel from its own lowest to its highest value
    lows: np.ndarray  # [C]
    highs: np.ndarray  # [C]


def show_inside(network: Network, picture: Picture) -> None:
    """Show the explorer: stage, channel, and the chosen channel large."""
    stages = _stages(network, picture)
    names = [stage.name for stage in stages]
    key = f"stage-{network.id}"
    name = st.segmented_control(
        "Stage, from the pixels to the answer", names, key=key, default=names[min(1, len(names) - 1)], required=True
    )
    stage = stages[names.index(name)]
    count, height, width = stage.maps.shape
    grid, large = st.columns([7, 4], gap="medium")
    with grid:
        shown = min(count, MOST_CHANNELS)
        note(f"{count} channels of {width} × {height} cells. Bright cells respond to what their channel detects.")
        items = [
            Item(str(i), data_uri(stage.maps[i]), f"channel {i}, from {stage.lows[i]:.2f} to {stage.highs[i]:.2f}")
            for i in range(shown)
        ]
        with st.container(height=420 if shown > 48 else "content", border=False):
            tile = 44 if shown > 96 else 56
            chosen = int(
                gallery(
                    items, key=f"channel-{network.id}-{name}", default="0", label="Channels", tile=tile, pixels=True
                )
            )
    with large:
        channel = Figure(
            stage.maps[chosen],
            f"Channel {chosen} of {name}: {stage.lows[chosen]:.2f} (black) to {stage.highs[chosen]:.2f} (white)",
            f"channel {chosen} of {name}",
            pixels=True,
        )
        figures([channel])
    _show_filters(network)


@remembered(16)  # pictures go with their owner
def _stages(network: Network, picture: Picture) -> list[Stage]:
    loaded = predictor(network)

    def run() -> list[Stage]:
        from cnn_core.explain import feature_maps

        maps = feature_maps(loaded.model, loaded.contract.prepare([picture.source]))
        return [_stage(name, values[0].float().numpy()) for name, values in maps.items()]

    return compute(run)


def _stage(name: str, values: np.ndarray) -> Stage:
    values = values.reshape(len(values), *(values.shape[1:] or (1, 1)))  # a dense stage has one cell per channel
    lows, highs = values.min((1, 2)), values.max((1, 2))
    if values[0].size == 1:  # one cell has no range of its own: compare the channels with each other
        lows, highs = np.full_like(lows, values.min()), np.full_like(highs, values.max())
    span = np.maximum(highs - lows, 1e-12)[:, None, None]
    shown = np.round(255 * (values - lows[:, None, None]) / span).astype(np.uint8)
    return Stage(name, shown, lows, highs)


def _show_filters(network: Network) -> None:
    st.subheader("Filters of the first layer", anchor=False)
    try:
        first_layer_filters(network, _of_filters)
    except CnnError as error:
        note(sentence(str(error)).replace("\\", ""))


def _of_filters(weights: np.ndarray) -> str:
    count, channels, height, width = weights.shape
    return (
        f"{count} filters of {width} × {height} weights slide over the picture. Grey is zero, white is positive, "
        f"black is negative{'; colour says which colour they look for' if channels == 3 else ''}."
    )
