"""Lab: overfitting."""

import streamlit as st

from components.charts import LineChart, show_charts
from components.frame import note, plain_errors
from components.lab import THUMBNAILS, Choice, closing, formula, mean_and_spread, opening
from components.tables import table
from lab.overfitting import (
    DECAY,
    DROPOUT,
    EVERY,
    RATE,
    SEEDS,
    SIZES,
    STEPS,
    TITLES,
    Run,
    snippet,
    stored,
)

HEADS = (
    ("Regularisation", ""), ("Training loss", "number"), ("Test loss", "number"),
    ("Lowest test loss, at step", "number"), ("Test accuracy", "number"),
)  # fmt: skip
FIRST = ("none", "dropout")  # shown at first
SHOWN_FROM = 100  # steps: before, every loss is so high that later ones could not be told apart
CHARTS = (  # title, field, name of the axis
    ("Training loss", "loss", "cross-entropy"),
    ("Test loss, 360 digits", "test_loss", "cross-entropy"),
    ("Test error, 360 digits", "errors", "error rate"),
)


def main() -> None:
    opening("overfitting")
    sizes = [str(size) for size in SIZES]
    size = int(Choice("Training digits", "digits", sizes, {s: f"{int(s):,}" for s in sizes}, default=sizes[0]).ask())
    wanted = _remedies()
    runs = stored(THUMBNAILS)[size]
    with plain_errors():
        chosen = {name: runs[name] for name in TITLES if name in wanted}
        show_charts(
            [
                LineChart(
                    title, {TITLES[name]: _points(getattr(run, field)) for name, run in chosen.items()},
                    "steps", axis, percent=field == "errors",
                )
                for title, field, axis in CHARTS
            ],
            key="overfitting-curves",
        )  # fmt: skip
        note(
            f"One convolution of 16 filters, ReLU, pooling, a dense layer; {STEPS:,} steps with batches of 32 digits "
            f"and a learning rate of {RATE}. Every curve is the mean of {len(SEEDS)} runs. With dropout or "
            "augmentation, the training loss is that of the harder inputs that the network was given. The first "
            f"{SHOWN_FROM} steps are left out."
        )
        table(HEADS, [_row(TITLES[name], run) for name, run in runs.items()], label="How the runs ended")
        note(
            f"Dropout {DROPOUT:g}, weight decay {DECAY:g}, augmentation by 1 pixel, 10 degrees and a tenth in size; "
            f"± is the standard deviation over {len(SEEDS)} runs. All have {STEPS:,} steps; with augmentation, a "
            "network has not converged by then."
        )
        formula(
            r"L = -\log p_{y}(\tilde x) + \tfrac{\lambda}{2}\lVert w \rVert^2, \qquad "
            r"\tilde h = \tfrac{m \odot h}{1 - p}",
            "loss = F.cross_entropy(model(x), data.y[chosen])\noptimizer.step()  # with weight_decay",
            "lab.learning",
        )
        note(
            "x̃ is the augmented digit, λ the weight decay, h the input of the dense layer. In training, and never "
            "afterwards, dropout sets each number of it to 0 with probability p: there m is 0, elsewhere 1."
        )
        closing(
            "overfitting",
            question="What helps most with 50 digits, what with 1,437, and what does more data do that none of "
            "them can?",
            snippet=snippet(size, next(iter(chosen), "none")),
        )


def _remedies() -> list[str]:
    """Show the remedies, several of which can be chosen, and keep them in the address."""
    if "remedies" not in st.session_state:
        named = st.query_params.get("remedies", "").split(",")
        st.session_state["remedies"] = [name for name in TITLES if name in named] or list(FIRST)
    chosen = st.pills(
        "Regularisation", list(TITLES), selection_mode="multi", key="remedies", format_func=lambda name: TITLES[name]
    )
    chosen = [name for name in TITLES if name in chosen] or list(FIRST)
    if chosen != list(FIRST):
        st.query_params["remedies"] = ",".join(chosen)
    else:
        st.query_params.pop("remedies", None)
    return chosen


def _points(values: list[float]) -> list[tuple[float, float]]:
    return [(float(i * EVERY), value) for i, value in enumerate(values) if i * EVERY >= SHOWN_FROM]


def _row(title: str, run: Run) -> tuple[str, ...]:
    lowest = min(range(len(run.test_loss)), key=run.test_loss.__getitem__)
    return (
        title, f"{run.loss[-1]:.4f}", f"{run.test_loss[-1]:.3f}", f"{run.test_loss[lowest]:.3f}, {lowest * EVERY:,}",
        mean_and_spread(run.final),
    )  # fmt: skip


main()
