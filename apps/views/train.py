"""The train page: start trainings, watch them, stop and resume them, lay their curves over each other."""

import streamlit as st

from cnn_core.train.runs import RunInfo
from components.charts import load_early
from components.frame import note, page, plain_errors
from jobs.commands import commands_of
from views.train_parts.begin import show_begin
from views.train_parts.compare import curves_of_all, show_comparison, show_runs
from views.train_parts.watch import all_runs, watch_one_of

STEPS = """\
1. The settings went into a queue of files. Another process took them and trains; this page may be closed.
2. After every epoch that process writes log.csv, status.json and a checkpoint into its run folder; the page reads them.
3. Stop ends the training after the current step. Resume continues from the last whole epoch, with the same random
   numbers as without a stop. A process that was killed counts as stopped.

The same on the command line, in the same folders:"""


def main() -> None:
    page(
        "Train a network",
        "Any recipe of this repository, or your own data. Trainings run one after another in a process of their own: "
        "close the page and come back for the curves.",
    )
    load_early()
    runs = all_runs()
    form, live = st.columns([5, 6], gap="medium")
    with form, plain_errors():
        show_begin()
    with live, plain_errors():
        _chosen(runs)
    if runs:
        with plain_errors():
            drawn = curves_of_all(runs)
            show_comparison(drawn)
            show_runs(runs, drawn)
    with st.expander("How this works"):
        st.markdown(STEPS)
        chosen = next((run for run in runs if run.name == st.session_state.get("run")), None)
        st.code("\n".join(commands_of(chosen)), language="bash", wrap_lines=True)


def _chosen(runs: list[RunInfo]) -> None:
    if not runs:
        note(
            "Nothing has been trained here yet. The recipe “digits” is chosen: handwritten digits of 8 × 8 pixels, "
            "about twenty seconds. Press Train, and its curves appear here."
        )
        return
    watch_one_of(runs)


main()
