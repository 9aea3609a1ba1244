"""A convolution shown step by step in the browser: the picture, the kernel on it, the nine products, the map.

All numbers are computed before; the browser looks them up, so that stepping is instant and cannot disagree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from cnn_core.errors import DataError
from components.browser import component, is_number, named, packed
from components.frame import plain_errors

EDGE = 3  # of the kernels
HEAVIEST = 100.0  # weight that may be typed


@dataclass(frozen=True, eq=False)
class Steps:
    """What is shown.

    Args:
        padded: [C, H, W] the input with its padding; C is 1 or 3, values 0 to 255.
        output: [F, H', W'] one map per filter.
        kernels: [F, C, 3, 3] as they slide.
        stride, dilation, padding: of the convolution.
        position: cell of the map to begin at.
        filters: what the filters are called.
    """

    padded: np.ndarray
    output: np.ndarray
    kernels: np.ndarray
    stride: int
    dilation: int
    padding: int
    position: tuple[int, int]
    filters: Sequence[str]


def convolution_stepper(
    steps: Steps, *, key: str, label: str, on_edit: Callable[[list[float]], None] | None = None
) -> None:
    """Show a convolution.

    Args:
        steps: the numbers.
        key: of the widget.
        label: what screen readers call the input.
        on_edit: called with the nine weights that the user typed; None: the kernel cannot be edited.
    """

    def edited() -> None:
        weights = (st.session_state.get(key) or {}).get("edit")
        if on_edit is not None and weights is not None:
            with plain_errors():
                on_edit(read_weights(weights))

    component("convolution_stepper")(
        key=key, data=_data(steps, label=label, editable=on_edit is not None), on_edit_change=edited
    )


def read_weights(value: Any) -> list[float]:
    """Check nine weights as the browser sends them.

    Raises:
        DataError: they are something else.
    """
    right = (
        isinstance(value, list)
        and len(value) == EDGE * EDGE
        and all(is_number(n) and abs(n) <= HEAVIEST for n in value)
    )
    if not right:
        raise DataError(f"a kernel is nine numbers from -{HEAVIEST:.0f} to {HEAVIEST:.0f}; choose one of the presets")
    return [float(n) for n in value]


def _data(steps: Steps, *, label: str, editable: bool) -> dict[str, Any]:
    channels, height, width = steps.padded.shape
    _, rows, columns = steps.output.shape
    inner = f"{height - 2 * steps.padding} × {width - 2 * steps.padding}"
    colours = f"{inner} × 3" if channels == 3 else inner
    data = {
        "padded": packed(steps.padded), "output": packed(steps.output), "kernels": packed(steps.kernels),
        "channels": channels, "height": height, "width": width, "rows": rows, "columns": columns,
        "stride": steps.stride, "dilation": steps.dilation, "padding": steps.padding,
        "position": [min(steps.position[0], rows - 1), min(steps.position[1], columns - 1)],
        "filters": list(steps.filters), "label": label, "editable": editable,
        "inputSays": f"{colours}, padded to {height} × {width}" if steps.padding else colours,
    }  # fmt: skip
    return named(data)
