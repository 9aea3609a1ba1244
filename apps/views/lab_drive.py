"""Lab: steering from pictures."""

from statistics import mean, stdev

import streamlit as st

from components.address import pick
from components.bars import headline
from components.charts import LineChart, show_chart
from components.drive_replay import drive_replay
from components.frame import note, plain_errors
from components.kept import choose, kept, remembered
from components.lab import THUMBNAILS, Choice, ask_side_by_side, closing, formula, opening
from components.networks import compute, submit
from components.pictures import Figure, figures
from components.tables import table
from lab.demonstrations import FRAMES
from lab.drive import RETRAIN_SEEDS, SEEDS, TITLES, stored
from lab.roads import LENGTH
from views.lab_parts.drive import (
    METHODS,
    MOST,
    PLACES,
    PUSHES,
    RANDOM,
    ROADS,
    Answer,
    Correction,
    Looked,
    Retrained,
    look,
    nearest,
    random_corrections,
    retrain,
    run,
    snippet,
)

DRIVERS = ("corrections", "perfect", "straight")
FIRST_ROAD, FIRST_PUSH, FIRST_PLACE = "5", "-1", "60"  # where only one of the networks comes back
HEADS = (
    ("Steered by", ""), ("On the lane, pushed", "number"), ("Without pushes", "number"),
    ("Error of the steering (RMSE)", "number"), ("Trained in", "number"),
)  # fmt: skip
MINUS = "−"


def main() -> None:
    opening("drive")
    own = kept().get("own")
    if kept().pop("trained", False):  # the run before
        choose("driver", "own")
    (way,) = ask_side_by_side(Choice("Steered by", "driver", [*DRIVERS, *(["own"] if own else [])], TITLES, pills=True))
    road, push, place = _where()
    with plain_errors():
        with st.spinner("Driving"):
            answer = _run(way, road, push, place, own)
        drive_replay(answer.drive, key="drive", on_push=_pushed)
        note(
            "Ten times a second, the network sees one picture of 64 × 128 pixels and answers with a curvature. The car "
            "drives 10 m/s. The drive ends where the middle of the car leaves the lane. Push it: the road is driven "
            "again from the start, with the push where you gave it."
        )
        title = f"Road {road}: distance from the middle of the lane"
        lines = {TITLES[name]: line for name, line in answer.offsets.items()}
        show_chart(
            LineChart(
                title, lines, "metres along the road", "metres to the left", x_domain=(0, LENGTH), y_domain=(-2, 2)
            ),
            key="drive-offsets",
        )
        note("The lane ends 1.75 m to either side. All drivers get the same push.")
        _scores(own)
        _teach(road, push, place, own)
        _looks(way, road, place, answer, own)
        formula(
            r"\hat\kappa = f_\theta(\text{picture}), \qquad \delta = \arctan(L\,\hat\kappa), \qquad "
            r"\dot\psi = \tfrac{v}{L}\tan\delta",
            "curvature = driver([view])[0]\npose = move(pose, curvature)",
            "lab.steering",
        )
        note(
            "κ is the curvature in 1/m, left positive, L the wheelbase of 2.5 m, δ the angle of the front wheels, ψ "
            "the heading, v the speed. The network is PilotNet (Bojarski et al. 2016, arXiv:1604.07316) with a third "
            "of its channels, on smaller pictures."
        )
        closing(
            "drive",
            question="Push the car that learned from perfect driving by 0.5 m, then by 1 m. How many corrections of "
            "your own does it take until it comes back?",
            snippet=snippet(way, road, push, place),
        )


def _where() -> tuple[int, float, float]:
    """Ask for the road and the push."""
    left, middle, right = st.columns([2, 4, 4], gap="large")
    with left:
        road = pick(st.selectbox, "Road", ROADS, key="road", default=FIRST_ROAD)
    with middle:
        push = pick(
            st.select_slider, "Push", list(PUSHES), key="push", default=FIRST_PUSH, format_func=PUSHES.__getitem__
        )
    with right:
        place = pick(
            st.select_slider, "Pushed after", PLACES, key="at", default=FIRST_PLACE, format_func=lambda m: f"{m} m"
        )
    return int(road), float(push), float(place)


def _pushed(metre: float, side: int) -> None:
    """Take over a push of the replay: it comes one metre later than the moment that was shown."""
    choose("push", nearest(float(side), list(PUSHES)))
    choose("at", nearest(metre + 2, PLACES))


@remembered(24)
def _run(way: str, road: int, push: float, place: float, own: Retrained | None) -> Answer:
    return compute(run, way, road, push, place, own)


def _scores(own: Retrained | None) -> None:
    """Show what was measured on the 20 roads, and what the error of the steering says about it."""
    measured = stored(THUMBNAILS)
    st.header("The score: 20 roads", anchor=False)
    rows = []
    for name in ("straight", "perfect", "corrections"):
        one = measured[name]
        rows.append((
            TITLES[name], _share(one.pushed), _share(one.undisturbed), _error(one.rmse),
            f"{one.seconds:.0f} s" if one.seconds else "",
        ))  # fmt: skip
    if own:
        rows.append((TITLES["own"], _share([own.pushed]), _share([]), _error([own.rmse]), f"{own.seconds:.0f} s more"))
    table(HEADS, rows, label="Score of every driver")
    total = len(ROADS) * LENGTH
    trainings = (
        f"± is the standard deviation over {len(SEEDS)} trainings; the replay shows the first." if len(SEEDS) > 1
        else f"One training of each, with seed {SEEDS[0]}."
    )  # fmt: skip
    note(
        f"Of {total:,.0f} m in all, {LENGTH:.0f} m on each of 20 roads that no network has seen, with three pushes of "
        f"0.8 to 1.4 m on each. {trainings} "
        "Both networks learned from equally many pictures. Made again by: python apps/assets/make_lab.py drive."
    )
    note(
        "Why metres, and not the error of the steering? Most of a road asks for little steering, so a small error is "
        "cheap: doing nothing looks good. On a log of a driving simulator, always 0 has a root mean squared error of "
        "0.119 and a trained PilotNet one of 0.135, yet only one of them drives. Here, of the two networks, the one "
        "with the larger error on perfect driving is the one that comes back after a push."
    )


def _share(values: list[float]) -> str:
    if not values:
        return "not measured"
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread} %"


def _error(values: list[float]) -> str:
    if not values:
        return "not measured"
    spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread} 1/m"


def _teach(road: int, push: float, place: float, own: Retrained | None) -> None:
    """Let corrections be recorded, and the network of perfect driving learn from them."""
    st.header("Teach it to come back", anchor=False)
    note(
        "A network that has only seen perfect driving has never been beside the middle of the lane, and nobody showed "
        "it what to do there. Record corrections: the car is pushed, and a demonstrator that knows the road drives it "
        "back while the camera takes ten pictures. Then train the network on with them."
    )
    corrections: tuple[Correction, ...] = kept().get("corrections", ())
    full = len(corrections) >= MOST
    with st.container(horizontal=True):
        if st.button("Record this push", disabled=not push or full, icon=":material/videocam:"):
            _record([_practice(road, push, place)])
        if st.button(f"Record {RANDOM} at random places", disabled=full, icon=":material/casino:"):
            _record(random_corrections(RANDOM, seed=len(corrections)))
        if st.button("Forget all", disabled=not corrections and own is None, type="tertiary"):
            kept().pop("corrections", None)
            kept().pop("own", None)
            st.rerun()
    if not corrections:
        note("No corrections are recorded yet.")
        return
    count = f"{len(corrections)} corrections are" if len(corrections) > 1 else "1 correction is"
    note(f"{count} recorded, {FRAMES * len(corrections)} pictures.")
    if st.button("Train on", type="primary", icon=":material/model_training:"):
        with st.spinner("Training, then driving all 20 roads"):
            kept()["own"] = submit(retrain, corrections).result()
        kept()["trained"] = True
        st.rerun()
    if own:
        before = stored(THUMBNAILS)["perfect"].pushed[0]
        headline(
            f"{100 * before:.0f} % → {100 * own.pushed:.0f} %", kicker="Metres on the lane, 20 roads with pushes",
            sure=f"{own.corrections} corrections, trained on for {own.seconds:.1f} s",
        )  # fmt: skip


def _practice(road: int, push: float, place: float) -> Correction:
    """Return the correction of a push; it is recorded on a road to learn from, as the score's roads are for testing."""
    return Correction(RETRAIN_SEEDS[road % len(RETRAIN_SEEDS)], place, push)


def _record(more: list[Correction]) -> None:
    kept()["corrections"] = (*kept().get("corrections", ()), *more)[:MOST]
    st.rerun()


def _looks(way: str, road: int, place: float, answer: Answer, own: Retrained | None) -> None:
    """Show which pixels the steering came from."""
    st.header("What it looks at", anchor=False)
    if way == "straight":
        note("Always straight looks at nothing. Choose a network.")
        return
    method = Choice("Method", "method", list(METHODS), METHODS, default="integrated-gradients").ask()
    drive = answer.drive
    at = min(len(drive.metres) - 1, max(0, sum(metre < place + 1 for metre in drive.metres)))
    pose = drive.paths[-1].points[at]
    looked = _look(way, road, (float(pose[0]), float(pose[1]), float(answer.headings[at])), method, own)
    side = "left" if looked.curvature >= 0 else "right"
    figures([
        Figure(looked.picture, f"What it sees at {drive.metres[at]:.0f} m", "The road from the car", pixels=True),
        Figure(looked.overlay, f"{METHODS[method]}: what makes it steer {side}",
               "The same picture with a heat map over it", pixels=True),
        Figure(looked.lines, "Painted lines, and one pixel around them", "The lines alone", pixels=True),
    ], square=False)  # fmt: skip
    answered = f"{looked.curvature:+.3f}".replace("-", MINUS)
    note(
        f"It answers {answered} 1/m. {100 * looked.on_lines:.0f} % of the heat is on "
        f"or beside painted lines, which are {100 * looked.of_picture:.0f} % of the picture: "
        f"{looked.on_lines / max(1e-9, looked.of_picture):.1f} times their share."
    )


@remembered(24)
def _look(way: str, road: int, pose: tuple[float, float, float], method: str, own: Retrained | None) -> Looked:
    return compute(look, way, road, pose, method, own)


main()
