"""Lab: activations and softmax."""

import streamlit as st
from PIL import Image

from components.bars import bars, percent
from components.charts import LineChart, show_chart
from components.frame import facts, note, plain_errors
from components.lab import Choice, closing, formula, opening
from components.maps import maps
from components.networks import compute, networks, predictor
from components.samples import find_sample
from views.lab_parts.activations import REACH, Curve, names, probabilities, run, scores, snippet
from views.lab_parts.picture import sample_picture

READER, ASKED, RIGHT = "mnist", "broken-five", 5  # a digit that can be taken for others
WITHOUT = [-1.2, 0.3, -0.4, 2.1, -2.0, 3.0, 0.1, -1.5, 1.9, 0.4]  # scores if there is no network
MINUS = "−"


def main() -> None:
    opening("activations")
    titles = compute(names)
    name = Choice("Activation", "activation", list(titles), titles, pills=True).ask()
    left, right = st.columns([5, 2], gap="large", vertical_alignment="center")
    with right:
        x = st.slider("x", -REACH, REACH, -1.0, 0.1, key="x")
    shown = compute(run, name, x, sample_picture(find_sample("seven"), edge=28))
    with left:
        _curve(shown, x)
    with right:
        facts({f"{shown.title} of {x:.1f}".replace("-", MINUS): f"{shown.value:.4f}".replace("-", MINUS),
               "Derivative there": f"{shown.slope:.4f}".replace("-", MINUS)})  # fmt: skip
        note(shown.does)
    formula(rf"f(x) = {shown.latex}", "value, slope = curve(name, x)", "lab.activations")
    st.subheader("On a feature map", anchor=False)
    note("The same function on every number of a map: vertical edges of a seven. Blue is below zero, orange above.")
    place, _ = st.columns([3, 2])
    with place:
        maps(shown.maps, key="activated", chosen=shown.start)
    with plain_errors():
        _softmax(name, x)


def _curve(shown: Curve, x: float) -> None:
    low = -1.5 if shown.title in ("Tanh", "Sigmoid", "Leaky ReLU", "GELU") else -1.0
    high = 1.5 if shown.title in ("Tanh", "Sigmoid") else REACH
    lines = {shown.title: shown.points, "Derivative": shown.slopes}
    show_chart(
        LineChart(
            f"{shown.title} and its derivative", lines, "x", "f(x)", x_domain=(-REACH, REACH), y_domain=(low, high),
            dots=[(x, shown.value)],
        ),
        key="curve",
    )  # fmt: skip


def _softmax(name: str, x: float) -> None:
    st.header("Softmax: from scores to probabilities", anchor=False)
    network = networks("image_classification").get(READER)
    sample = find_sample(ASKED)
    values = compute(scores, predictor(network), Image.open(sample.path)) if network is not None else WITHOUT
    values = [round(value, 4) for value in values]  # as the page and its code write them
    left, right = st.columns([2, 5], gap="large")
    with left:
        st.image(sample.path, caption=f"{sample.title.capitalize()}; the right answer is {RIGHT}", width=180)
        temperature = st.slider("Temperature", 0.2, 5.0, 1.0, 0.1, key="temperature")
    answer, loss = compute(probabilities, values, temperature, RIGHT)
    with right:
        order = sorted(range(len(answer)), key=answer.__getitem__, reverse=True)
        said = [f"{values[i]:.2f}".replace("-", MINUS) for i in order]
        bars([f"{i}  (score {text})" for i, text in zip(order, said, strict=True)], [answer[i] for i in order],
             [percent(answer[i]) for i in order])  # fmt: skip
        facts({"Cross-entropy": f"{loss:.4f} = {MINUS}ln {answer[RIGHT]:.4f}"})
        note("A low temperature makes the answer more confident, a high one more even. The order never changes.")
    formula(
        r"p_i = \frac{e^{s_i / T}}{\sum_j e^{s_j / T}}, \qquad L = -\ln p_{\text{right}}",
        "answer = softmax(scores, temperature)\nloss = cross_entropy(answer, right)",
        "lab.activations",
    )
    closing(
        "activations",
        question="At which temperature does the loss become smallest, and what would it be if the right answer were 8?",
        snippet=snippet(name, x, values, temperature, RIGHT),
    )


main()
