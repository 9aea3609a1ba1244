"""One run: how far it is, its curves, and what can be done with it. Looks again every second while it goes on."""

import time
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from cnn_core.data.paths import UPLOAD
from cnn_core.data.summary import SUMMARY_FILE
from cnn_core.errors import CnnError
from cnn_core.train.runs import RunInfo, find_run, list_runs, owner_of, read_json
from cnn_core.weights import WeightsCard
from cnn_core.weights.reports import REPORT_FILE
from components.address import begin, keep
from components.bars import headline
from components.charts import LineChart, show_charts
from components.frame import card_facts, download, duration, facts, note, plain, plain_errors, understood, warn
from components.networks import RUNS, card_in, compute, forget
from components.owner import may_change, may_see
from jobs.curves import Points, curves_of
from jobs.packing import pack_network
from jobs.queue import delete, resume, stop, waiting_jobs, wake
from views.train_parts.report import show_report

WORDS = {
    "waiting": "Waiting for its turn", "running": "Training", "stopping": "Stopping", "done": "Finished",
    "stopped": "Stopped", "failed": "Failed",
}  # fmt: skip
CHARTS = 2  # the loss, and the metric that chooses the best epoch
EXAMPLES = {  # domain -> what in its reports shows the data
    "text_classification": "n-grams of the texts and the surest mistakes",
    "image_captioning": "captions of the data",
    "medical_segmentation": "names and figures of the cases",
}
VOCABULARY = ("text_classification", "image_captioning")  # domains whose networks cannot do without the words
FIGURES = {"dice": "Dice", "macro_f1": "macro F1", "auc": "AUC"}  # where it is not the name


def watch_one_of(runs: Sequence[RunInfo]) -> str:
    """Let one of the runs be chosen, keep it in the address, and watch it; return its name."""
    names = [run.name for run in runs]
    begin("run", names, names[0])
    name = st.selectbox("Run", names, key="run")  # without its state: the browser keeps the words that it showed first
    keep("run", "")  # the first one too: another will be first some day
    run = run_called(name)  # shown again and again until it is finished
    st.fragment(_live, run_every=1.0 if run and run.busy else None)(name, run.state if run else "")
    return name


def _live(name: str, before: str) -> None:
    wake(RUNS)  # somebody has to, when the process that worked was killed
    run = run_called(name)
    if run is None or run.state != before:
        st.rerun()  # the whole page: its list of runs is another one now
    _say(run)
    if may_change(run.owner):
        _buttons(run)
    curves = curves_of(run)
    if any(curves.values()):
        shown = [(metric, points) for metric, points in curves.items() if points][:CHARTS]
        end = max([float(run.epochs), *(points[-1][0] for points in curves.values() if points)])
        charts = [chart_of(metric, {run.name: points}, end=end) for metric, points in shown]
        show_charts(charts, key=f"curves-{name}", live=run.busy)
    elif run.busy:
        note("Loading data and network. The curves begin with the first step.")
    if said := read_json(run.folder / SUMMARY_FILE).get("sentences"):
        show_data(said)
    if not run.busy:
        with plain_errors():
            show_report(run)
        _take_away(run)


def show_data(sentences: Sequence[str]) -> None:
    """Show what was understood of the data, in the same words as the command, one sentence a line."""
    st.caption("What was understood of the data")
    understood(map(str, sentences))


def chart_of(metric: str, series: Mapping[str, Points], *, end: float | None = None) -> LineChart:
    """Return the chart of a metric: run -> points; the epochs go to `end`, or to the last point."""
    name = _called(metric)
    title = "Training loss" if metric == "loss" else f"Validation {name}"
    return LineChart(title, series, "epochs", name, x_domain=None if end is None else (0.0, end))


def _called(metric: str) -> str:
    return FIGURES.get(metric, metric.replace("_", " "))


def _say(run: RunInfo) -> None:
    card = card_of(run)
    metric = next(iter(card.metrics.items()), None) if card is not None and not run.busy else None
    if card is not None and metric is not None:
        name, figure = metric
        called = _called(name)
        early = "" if run.state == "done" else f", stopped after epoch {run.epoch} of {run.epochs}"
        headline(
            f"{figure['mean']:.4f}",
            kicker=f"{called[0].upper()}{called[1:]} of {run.name}{early}",
            sure=f"on {figure['n']:,} items of the test set, trained in {duration(card.seconds)}",
        )
    else:
        headline(WORDS[run.state], kicker=run.name, sure=_progress(run))
    if run.state == "failed":
        warn(_with_own_names(run))
    if run.state in ("running", "stopping") and run.epochs:
        st.progress(min(1.0, run.epoch / run.epochs))


def _with_own_names(run: RunInfo) -> str:
    """Return why a run failed; an upload is called as its owner calls it, not by where it was put."""
    home = run.folder.resolve()
    return run.error.replace(f"{home / UPLOAD}/", "").replace(str(home), run.name)


def _progress(run: RunInfo) -> str:
    if run.state == "waiting":
        order = [name for name, _ in waiting_jobs(RUNS)]
        before = order.index(run.name) if run.name in order else 0
        return "it is next" if before == 0 else f"{before} before it"
    if not run.epochs:
        return "not started yet"
    left = "" if run.seconds_left is None else f", about {duration(run.seconds_left)} left"
    return f"{run.epoch} of {run.epochs} epochs done{left}"


def _buttons(run: RunInfo) -> None:
    with st.container(horizontal=True, gap="small"):
        if run.busy:
            if st.button(
                "Stop", key=f"stop-{run.name}", icon=":material/stop:", disabled=run.state == "stopping",
                help="The weights of the last whole epoch are tested and kept.",
            ):  # fmt: skip
                stop(RUNS, run)
                st.rerun()
        elif run.state in ("stopped", "failed") and st.button(
            "Resume", key=f"resume-{run.name}", icon=":material/play_arrow:"
        ):
            with plain_errors():
                resume(RUNS, run, domain=_domain(run))
                st.rerun()


def _delete(run: RunInfo) -> None:
    note(f"{run.name} is deleted with its upload, curves and weights. This cannot be undone.")
    if not st.button(f"Delete {plain(run.name)}", key=f"delete-{run.name}", type="primary"):
        return
    card = card_of(run)
    with plain_errors():
        delete(RUNS, run)
        if card is not None:
            forget(run.folder, card)
        st.rerun()


def _domain(run: RunInfo) -> str:
    """Return the domain of a run of the command line, which its settings tell."""
    if run.job.get("domain"):
        return ""
    card = card_of(run)
    if card is not None:
        return card.domain

    def find() -> str:
        from jobs.offers import domain_of

        return domain_of(read_json(run.folder / "recipe.json"))

    return compute(find)


def _take_away(run: RunInfo) -> None:
    """Show what can be taken away, and the way to delete the run."""
    card = card_of(run)
    log = run.folder / "log.csv"
    examples = card is not None and _examples(run, card.domain)

    def guarded(make: Callable[[], bytes]) -> Callable[[], bytes]:
        def data() -> bytes:
            if owner_of(run.folder) != run.owner:  # deleted since, and the name is somebody else's
                raise CnnError(f"the run {run.name} is not there any more")
            return make()

        return data

    with st.container(horizontal=True, gap="small"):
        if card is not None:
            weights = guarded(lambda: pack_network(run.folder, card.name, examples=examples))
            download("Weights (zip)", weights, f"{card.name}.zip", key=f"weights-{run.name}")
        if log.is_file():
            file = f"{run.name.replace('/', '-')}-log.csv"
            download("Log (CSV)", guarded(log.read_bytes), file, key=f"log-{run.name}", kind="tertiary")
        if may_change(run.owner):
            with st.popover("Delete", icon=":material/delete:", type="tertiary"):
                _delete(run)
    if card is not None:
        with st.expander("Model card"):
            facts(card_facts(card))


def _examples(run: RunInfo, domain: str) -> bool:
    """Say what the zip leaves out, and return whether it is to hold examples of the data."""
    if not (run.folder / REPORT_FILE).is_file():
        return False
    shown = EXAMPLES.get(domain, "examples of the data")
    wanted = may_change(run.owner) and st.checkbox(f"Weights with {shown}", key=f"examples-{run.name}")
    left_out = "" if wanted else f"The zip holds the figures of the test, and no {shown.replace(' and ', ' or ')}. "
    words = "The words of its vocabulary, one by one, are part of the network." if domain in VOCABULARY else ""
    if left_out or words:
        note(left_out + words)
    return wanted


def card_of(run: RunInfo) -> WeightsCard | None:
    """Return the card of what a run has learned, if there is a good one."""
    try:
        return card_in(run.folder)
    except (CnnError, OSError):
        return None


def ago(seconds: float) -> str:
    """Return how long ago something was, in words."""
    passed = max(0.0, time.time() - seconds)
    return "now" if passed < 5 else f"{duration(passed)} ago" if passed < 86_400 else f"{passed / 86_400:.0f} days ago"


def all_runs() -> list[RunInfo]:
    """Return the runs that this visitor may see, of the folder that the server was started in, the latest first."""
    return [run for run in list_runs(RUNS) if may_see(run.owner)]


def run_called(name: str) -> RunInfo | None:
    """Return the run of that name, None if there is none or this visitor may not see it."""
    run = find_run(RUNS, name)
    return run if run is not None and may_see(run.owner) else None
