"""The scan of the home page: segmented once for all sessions, and one slice of it with its labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from components.bring import BY_DIGEST
from components.networks import Network, compute, predictor
from views.medical_parts.ask import with_file
from views.medical_parts.source import given_of, samples_for


@dataclass(frozen=True)
class Example:
    """A segmented scan, as small as a tile shows it."""

    picture: np.ndarray  # uint8 [H, W, 3]
    volumes_ml: dict[str, float]


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs=BY_DIGEST)
def medical_example(network: Network) -> Example:
    """Segment the first sample of a network; the same answer for everybody until the weights change."""
    loaded = predictor(network)
    return compute(with_file, given_of(samples_for(network)[0]), lambda path: _shown(loaded.predict(path)))


def _shown(result: Any) -> Example:
    from medical_segmentation.pictures import fullest_slice, painted, upright, window_grey

    k = fullest_slice(result.mask)
    picture = painted(window_grey(result.scan.voxels[:, :, k], "lung"), result.mask[:, :, k])
    return Example(np.ascontiguousarray(upright(picture)).repeat(2, 0).repeat(2, 1), result.volumes_ml)
