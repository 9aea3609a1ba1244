"""A training that a page began, shown while it goes on and when it is done: progress, curves, test score, download."""

from dataclasses import dataclass

import streamlit as st

from components.bars import headline
from components.curves import curves
from components.downloads import pack_network
from components.frame import card_facts, duration, facts, note, sentence
from components.networks import add_own
from components.training import Job, Workshop


@dataclass(frozen=True)
class Lesson:
    """What is learned on a page.

    Args:
        key: keys of the widgets begin with it.
        name: of the network that comes out.
        things: what it learns from, in the plural.
        command: what can be done with the downloaded network.
    """

    key: str
    name: str
    things: str
    command: str


def show_training(place: Workshop, lesson: Lesson) -> None:
    """Show the workshop's training, which there must be, again and again until it is finished."""
    busy = not place.job.finished
    st.fragment(_live, run_every=1.0 if busy else None)(place, lesson)


def _live(place: Workshop, lesson: Lesson) -> None:
    job = place.job
    progress = job.progress
    if job.finished:
        seen = f"{lesson.key}-seen"
        if st.session_state.get(seen) != str(job.folder):
            st.session_state[seen] = str(job.folder)
            if job.outcome is not None and job.outcome.card is not None:
                add_own(lesson.name, job.folder)
            st.rerun()  # the whole page: its controls are free again
        _result(job, lesson)
    elif progress is None:
        st.progress(
            0.0,
            "Another training is running on this server; yours is next."
            if job.state == "waiting"
            else f"Reading the {lesson.things}",
        )
    else:
        done = (progress.epoch - 1 + progress.step / progress.steps) / progress.epochs
        words = f"Epoch {progress.epoch} of {progress.epochs}, about {duration(progress.seconds_left)} left"
        st.progress(min(1.0, done), "Stopping; measuring what has been learned" if job.stopping else words)
    if not job.finished and st.button("Stop", key=f"{lesson.key}-stop", disabled=job.stopping, icon=":material/stop:"):
        job.stop()
    if progress is not None:
        curves(
            [
                (f"Loss on the training {lesson.things}", job.losses),
                (f"Accuracy on held-out {lesson.things}", job.scores),
            ],
            last_x=progress.epochs, unit="epochs",
            key=f"{lesson.key}-curves",
        )  # fmt: skip


def _result(job: Job, lesson: Lesson) -> None:
    if job.state == "failed":
        st.warning(sentence(job.error), icon=":material/info:")
        return
    card = job.outcome.card if job.outcome is not None else None
    if card is None:
        note("Stopped before anything was learned.")
        return
    metric = card.metrics.get("accuracy")
    if metric is not None:
        right = round(metric["mean"] * metric["n"])
        early = ", stopped early" if job.state == "stopped" else ""
        headline(
            f"{100 * metric['mean']:.0f} %",
            kicker=f"Test score{early}",
            sure=f"{right:,} of {metric['n']:,} {lesson.things} that it had never seen",
        )
    note(
        f"It is among the networks above as “{lesson.name}” until you leave. The download works with the command line."
    )
    st.download_button(
        "Network (zip)", pack_network(job.folder, lesson.name), f"{lesson.name}.zip", "application/zip", type="primary",
        key=f"{lesson.key}-download", on_click="ignore", icon=":material/download:",
    )  # fmt: skip
    st.code(f"unzip {lesson.name}.zip\n{lesson.command}", language="bash")
    with st.expander("Model card"):
        facts(card_facts(card))
