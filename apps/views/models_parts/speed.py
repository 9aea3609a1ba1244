"""How long the chosen networks take on this machine: measured on request, in a process of its own, kept for all."""

import threading
from collections.abc import Sequence
from typing import Any

import streamlit as st

from cnn_core.errors import CnnError
from components.frame import note, warn

ONE = threading.Lock()  # two measurements at a time would measure each other


@st.cache_resource(show_spinner=False)
def _known() -> dict[tuple[str, tuple[int, ...]], Any]:
    return {}


def measured(surveys: Sequence[Any]) -> dict[str, Any]:
    """Return name -> `zoo.measuring.Measurement` of what has been measured."""
    known = _known()
    found = {s.entry.name: known.get((s.entry.name, s.input_shape)) for s in surveys}
    return {name: result for name, result in found.items() if result is not None}


def offer_measuring(surveys: Sequence[Any], done: dict[str, Any]) -> None:
    """Show the button, and how what is known was measured."""
    left = [s for s in surveys if s.entry.name not in done]
    if left and st.button("Measure on this machine", key="models-measure", icon=":material/timer:"):
        with st.spinner("Measuring"):
            _measure(left)
        st.rerun()
    for problem in st.session_state.pop("models-problems", []):
        warn(problem)
    if not done:
        note("Time and memory of one answer on this machine: a few seconds for each network.")
        return
    first = next(iter(done.values()))
    runs = sorted({result.runs for result in done.values()})
    counted = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    note(
        f"Median of {counted} runs with a batch of {first.batch} and {first.threads} "
        f"{'thread' if first.threads == 1 else 'threads'} of this machine’s processor, float32, torch {first.torch}. "
        "Memory is what building and running the network added to its process. Other work on the machine slows it down."
    )


def _measure(surveys: Sequence[Any]) -> None:
    from zoo.measuring import Measurement, measure

    with ONE:
        left = [s for s in surveys if (s.entry.name, s.input_shape) not in _known()]  # another click was faster
        try:
            found = measure(left)
        except CnnError as error:
            st.session_state["models-problems"] = [str(error)]
            return
    shapes = {s.entry.name: s.input_shape for s in left}
    _known().update({(n, shapes[n]): result for n, result in found.items() if isinstance(result, Measurement)})
    st.session_state["models-problems"] = [result for result in found.values() if isinstance(result, str)]
