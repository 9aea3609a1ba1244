"""A recipe as a form of its own on its domain's page: what is begun there waits in the queue with everything else."""

from collections.abc import Callable

import streamlit as st

from cnn_core.train.runs import RunInfo
from components.charts import load_early
from components.frame import note, plain_errors
from components.networks import RUNS
from views.train_parts.watch import all_runs, card_of, watch_one_of


def show_preset(recipe: str, domain: str, *, form: Callable[[], None], before: Callable[[], None]) -> RunInfo | None:
    """Show a form and, beside it, one of the runs that were begun with it; return that run.

    Args:
        recipe: its name, which its runs and their weights bear too.
        domain: of the recipe.
        form: shows the controls, and calls `queue_run`.
        before: shows what there is to know while there is no run.
    """
    runs = [run for run in all_runs() if (run.job.get("domain"), run.job.get("name")) == (domain, recipe)]
    load_early()
    left, right = st.columns([5, 6], gap="medium")
    with left, plain_errors():
        form()
    with right, plain_errors():
        if runs:
            name = watch_one_of(runs)
            run = next(run for run in runs if run.name == name)
            if not run.busy and card_of(run) is not None:
                note(f"It is among the networks above as “{RUNS}/{name}”.")
            return run
        before()
    return None
