"""All runs in a table, and the curves of several in the same chart."""

from collections.abc import Sequence

import streamlit as st

from cnn_core.train.runs import RunInfo
from components.charts import MOST, show_charts
from components.frame import note
from components.owner import all_is_seen
from components.tables import table
from jobs.curves import Points, curves_of
from views.train_parts.watch import CHARTS, WORDS, ago, card_of, chart_of

HEADS = (
    ("Run", "short"), ("State", "short"), ("Epochs", "number"), ("Loss", "number"), ("Validation", "short"),
    ("Test", "short"), ("Changed", "number"),
)  # fmt: skip
MOST_RUNS = 200  # shown
Curves = dict[str, dict[str, Points]]  # run -> metric -> points


def curves_of_all(runs: Sequence[RunInfo]) -> Curves:
    """Return the curves of the runs that are shown."""
    return {run.name: curves_of(run) for run in runs[:MOST_RUNS]}


def show_runs(runs: Sequence[RunInfo], drawn: Curves) -> None:
    """Show one line per run."""
    st.header("All runs", anchor=False)
    note(
        "Runs of this page and of the command line; both write into the folder runs."
        if all_is_seen()
        else "Runs that this browser started. Nobody else sees them; without its cookie they are lost to you too."
    )
    table(HEADS, [_line(run, drawn[run.name]) for run in runs[:MOST_RUNS]], label="All runs")


def _line(run: RunInfo, drawn: dict[str, Points]) -> tuple[str, ...]:
    curves = {name: points for name, points in drawn.items() if points}
    loss = f"{curves['loss'][-1][1]:.4f}" if "loss" in curves else ""
    aside = next((f"{points[-1][1]:.4f} {name}" for name, points in curves.items() if name != "loss"), "")
    card = card_of(run)
    name, figure = next(iter(card.metrics.items()), ("", None)) if card is not None else ("", None)
    tested = "" if figure is None else f"{figure['mean']:.4f} {name.replace('_', ' ')}"
    epochs = f"{run.epoch} of {run.epochs}" if run.epochs else ""
    return run.name, WORDS[run.state], epochs, loss, aside.replace("_", " "), tested, ago(run.changed)


def show_comparison(drawn: Curves) -> None:
    """Let up to six runs be chosen, and show their curves."""
    st.header("Side by side", anchor=False)
    names = [name for name, curves in drawn.items() if any(curves.values())]
    if len(names) < 2:
        note("With two runs or more, you can compare their curves here.")
        return
    wanted = [name for name in st.query_params.get("compare", "").split(",") if name in names]
    if "train-compare" not in st.session_state:
        st.session_state["train-compare"] = wanted[:MOST] or names[:2]
    else:
        st.session_state["train-compare"] = [n for n in st.session_state["train-compare"] if n in names]
    chosen = st.multiselect("Runs", names, key="train-compare", max_selections=MOST)
    if chosen:
        st.query_params["compare"] = ",".join(chosen)
    elif "compare" in st.query_params:
        del st.query_params["compare"]
    firsts = [[metric for metric, points in drawn[name].items() if points][:CHARTS] for name in chosen]
    metrics = list(dict.fromkeys(metric for own in firsts for metric in own))
    if not metrics:
        return
    show_charts(
        [chart_of(m, {name: drawn[name].get(m, ()) for name in chosen}) for m in metrics], key="train-comparison"
    )
