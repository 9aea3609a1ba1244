"""Lab: learning."""

import html

import numpy as np
import streamlit as st

from components.charts import LineChart, show_charts
from components.frame import note, plain_errors
from components.lab import Choice, arithmetic, ask_side_by_side, closing, formula, opening
from components.networks import compute
from components.training_replay import Figure, training_replay
from views.lab_parts.learning import BATCHES, RATES, STEPS, Training, matrices, snippet, train

RATE_OF_THE_STEP = 0.05
MINUS = "−"


def main() -> None:
    opening("learning")
    rate, batch = ask_side_by_side(
        Choice("Learning rate", "rate", RATES, default="0.1"), Choice("Digits per step", "batch", BATCHES, default="32")
    )
    seed = st.session_state.setdefault("learning-seed", 0)
    with plain_errors():
        with st.spinner("Training"):
            shown = _train(float(rate), int(batch), seed)
        show_charts(_charts(shown), key="learning-curves")
        training_replay(shown.steps, shown.figures, shown.looks, key="replay", columns=6)
        left, right = st.columns([4, 1], vertical_alignment="center")
        with left:
            note(
                f"Trained here in {shown.seconds:.1f} s: {STEPS} steps on 1,437 handwritten digits of 8 × 8 pixels. "
                "One convolution of six filters, ReLU, pooling, one dense layer: 1,030 parameters."
            )
        with right:
            st.button("Train again", on_click=_again, icon=":material/refresh:", width="stretch")
        _by_numbers()
        closing(
            "learning",
            question="For which learning rate are 300 steps too few, which one diverges, and does a larger batch "
            "help that one?",
            snippet=snippet(float(rate), int(batch), seed),
        )


def _charts(shown: Training) -> list[LineChart]:
    loss, accuracy = shown.figures
    highest = min(10.0, max(2.5, *loss.values))  # of a loss that explodes, the beginning is shown
    return [
        LineChart(loss.title, {"": _points(shown.steps, loss)}, "steps", "cross-entropy", y_domain=(0, highest)),
        LineChart(accuracy.title, {"": _points(shown.steps, accuracy)}, "steps", "accuracy", percent=True),
    ]


def _points(steps: list[int], figure: Figure) -> list[tuple[float, float]]:
    return [(float(step), value) for step, value in zip(steps, figure.values, strict=True)]


@st.cache_data(max_entries=64, show_spinner=False)
def _train(rate: float, batch: int, seed: int) -> Training:
    return compute(train, rate, batch, seed)


def _again() -> None:
    st.session_state["learning-seed"] = (st.session_state["learning-seed"] + 1) % 10


def _by_numbers() -> None:
    st.header("One step, in numbers", anchor=False)
    note(
        "The output is compared with the target. The gradient of a weight is the sum of all errors, each times the "
        "pixel that the weight was multiplied by. The step moves the weight against it."
    )
    shown, before, after = compute(matrices, RATE_OF_THE_STEP)
    st.html(f'<div class="matrices">{"".join(_matrix(*one) for one in shown)}</div>')
    arithmetic(
        f"Loss {before:.3f} → {after:.3f}",
        f"{after - before:+.3f}".replace("-", MINUS),
        f"Half the sum of squared errors, before and after a step of learning rate {RATE_OF_THE_STEP}.",
    )
    formula(
        r"\frac{\partial L}{\partial k_{u,v}} = \sum_{i,j} e_{i,j}\, x_{i+u,\,j+v}, \qquad "
        r"k \leftarrow k - \eta \frac{\partial L}{\partial k}",
        "gradient = convolve(x, error)\nkernel = kernel - rate * gradient",
        "lab.learning.backward_step",
    )


def _matrix(name: str, values: np.ndarray) -> str:
    most = max(1e-9, float(np.abs(values).max()))
    cells = "".join(
        f'<span class="{"minus" if v < 0 else "plus"}" style="--share:{abs(v) / most:.3f}">'
        f"{f'{v:.3g}'.replace('-', MINUS)}</span>"
        for v in values.ravel().tolist()
    )
    grid = f'<div style="--columns:{values.shape[1]}">{cells}</div>'
    return f"<figure><figcaption>{html.escape(name)}</figcaption>{grid}</figure>"


main()
