"""Steering from pictures: the drives and the corrections that the page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from components.drive_replay import Drive, Path
from components.lab import THUMBNAILS
from lab.camera import Camera

SHOWN = Camera(128, 256)  # of the replay; the network sees 64 x 128 pixels
COLOURS = {"corrections": 0, "perfect": 1, "straight": 2, "own": 3}
ROADS = [str(i) for i in range(1, 21)]  # the roads of the score
PUSHES = {"-1.5": "1.5 m right", "-1": "1 m right", "-0.5": "0.5 m right", "0": "none", "0.5": "0.5 m left",
          "1": "1 m left", "1.5": "1.5 m left"}  # fmt: skip
PLACES = [str(metre) for metre in range(5, 190, 5)]
RANDOM = 20  # corrections recorded at once
MOST = 60  # corrections kept


@dataclass(frozen=True)
class Correction:
    """What is recorded when the demonstrator drives a pushed car back."""

    road: int  # number of the road it is recorded on
    metre: float
    left: float
    turned: float = 0.0


@dataclass(frozen=True, eq=False)
class Answer:
    """All drivers on one road."""

    drive: Drive
    headings: np.ndarray  # [T] of the car that is replayed, radians
    offsets: dict[str, list[tuple[float, float]]]  # way -> (metre, offset to the left)
    metres: dict[str, float]  # way -> on the lane


@dataclass(frozen=True, eq=False)
class Retrained:
    """A network that learned from a visitor's corrections."""

    network: Any
    digest: str
    pictures: int
    corrections: int
    pushed: float  # score
    rmse: float
    seconds: float


@cache
def network_of(way: str) -> Any:
    """Return one of the stored networks."""
    from lab.drive import load_network

    return load_network(THUMBNAILS, way)


def driver_of(way: str, own: Retrained | None) -> Any:
    """Return what steers."""
    from lab.drive import steered_by
    from lab.steering import straight

    if way == "straight":
        return straight
    return steered_by(own.network if way == "own" and own is not None else network_of(way))


def run(way: str, road: int, push: float, metre: float, own: Retrained | None = None) -> Answer:
    """Let every driver drive a road of the score with one push, and take the pictures of one of them."""
    from lab.camera import render
    from lab.drive import TITLES
    from lab.roads import LENGTH, SPACING, draw_road
    from lab.steering import SECONDS, TEST_SEEDS, Push, drive, steering_angle

    drawn = draw_road(TEST_SEEDS[road - 1])
    pushes = {0: [Push(metre, push)]} if push else {}
    ways = [name for name in ("straight", "perfect", "corrections", "own") if name != "own" or own is not None]
    runs = {name: drive(driver_of(name, own), [drawn], pushes)[0] for name in ways}
    chosen = runs[way]
    pictures = np.stack([render(drawn, tuple(pose), SHOWN) for pose in chosen.poses.tolist()])
    first, last = (round((place + 10) / SPACING) for place in (0, LENGTH))
    order = [name for name in ways if name != way] + [way]
    said = (
        f"{TITLES[way]}: all {LENGTH:.0f} m on the lane" if chosen.arrived
        else f"{TITLES[way]}: left the lane after {chosen.metres:.0f} m"
    )  # fmt: skip
    along = chosen.along.tolist()
    shown = Drive(
        pictures, along, chosen.offsets.tolist(),
        [float(np.degrees(steering_angle(curvature))) for curvature in chosen.curvatures], SECONDS,
        drawn.points[first : last + 1 : 4, :2],
        [Path(TITLES[name], runs[name].poses[:, :2], COLOURS[name], not runs[name].arrived) for name in order],
        f"road {road}, steered by {TITLES[way].lower()}", said,
        start=moment_before(along, metre if push else 0),
    )  # fmt: skip
    lines = {
        name: [(round(float(m), 2), round(float(o), 3)) for m, o in zip(r.along, r.offsets, strict=True)]
        for name, r in sorted(runs.items(), key=lambda item: COLOURS[item[0]])
    }
    return Answer(shown, chosen.poses[:, 2], lines, {name: r.metres for name, r in runs.items()})


def moment_before(along: Sequence[float], metre: float) -> int:
    """Return the last moment before a metre, the first one if there is none."""
    return max(0, int(np.searchsorted(np.asarray(along), metre)) - 1)


def nearest(value: float, options: Sequence[str]) -> str:
    """Return the option whose number is nearest."""
    return min(options, key=lambda option: abs(float(option) - value))


def random_corrections(count: int, *, seed: int) -> list[Correction]:
    """Return corrections at random places of the roads that the page learns from."""
    from lab.demonstrations import random_pushes
    from lab.drive import RETRAIN_SEEDS

    return [
        Correction(RETRAIN_SEEDS[i], round(push.metre, 1), round(push.left, 2), round(turned, 3))
        for i, push, turned in random_pushes(count, len(RETRAIN_SEEDS), seed=1000 + seed)
    ]


def retrain(corrections: tuple[Correction, ...]) -> Retrained:
    """Train the network of perfect driving on, with corrections in every batch, and measure it on the 20 roads."""
    import copy
    import hashlib
    import time

    from lab import drive as learning
    from lab.demonstrations import join, record_correction
    from lab.roads import draw_road, draw_roads
    from lab.steering import TEST_SEEDS, Push, drive, score, score_pushes

    recorded = join([
        record_correction(draw_road(one.road), Push(one.metre, one.left), turned=one.turned)
        for one in corrections
    ])  # fmt: skip
    perfect = _perfect()
    started = time.perf_counter()
    network = learning.train(
        copy.deepcopy(network_of("perfect")), [perfect, recorded],
        steps=learning.RETRAIN_STEPS, batch=learning.RETRAIN_BATCH, rate=learning.RETRAIN_RATE,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    driver = learning.steered_by(network)
    pushed = score(drive(driver, draw_roads(TEST_SEEDS), score_pushes()))
    digest = hashlib.sha256(repr(corrections).encode()).hexdigest()[:12]
    return Retrained(
        network, digest, len(recorded.curvatures), len(corrections), pushed,
        learning.rmse(driver, draw_roads(learning.VALIDATION_SEEDS)), seconds,
    )  # fmt: skip


@cache
def _perfect() -> Any:
    from lab.demonstrations import record_perfect
    from lab.drive import RETRAIN_SEEDS
    from lab.roads import draw_roads

    return record_perfect(draw_roads(RETRAIN_SEEDS))


METHODS = {"gradient": "Gradient", "integrated-gradients": "Integrated gradients", "layer-cam": "LayerCAM"}


@dataclass(frozen=True, eq=False)
class Looked:
    """Where a network looked for its answer."""

    picture: np.ndarray  # uint8 [H, W, 3], as the network saw it
    overlay: np.ndarray  # uint8 [H, W, 3]
    lines: np.ndarray  # uint8 [H, W, 3], the painted lines
    curvature: float  # the answer, 1/m
    on_lines: float  # share of the heat on and beside painted lines
    of_picture: float  # share of the pixels there


def look(way: str, road: int, pose: tuple[float, float, float], method: str, own: Retrained | None = None) -> Looked:
    """Explain the answer of a network to one view."""
    from cnn_core.explain.overlay import overlay
    from lab.camera import render
    from lab.drive import PER_UNIT, explain_view, near_lines
    from lab.roads import draw_road
    from lab.steering import TEST_SEEDS

    drawn = draw_road(TEST_SEEDS[road - 1])
    network = own.network if way == "own" and own is not None else network_of(way)
    picture = render(drawn, pose)
    answer, explained = explain_view(network, picture, method=method)
    near = near_lines(drawn, pose)
    weight = explained.heat[0].abs().numpy()
    grey = np.repeat(picture.mean(2, keepdims=True).round().astype(np.uint8), 3, 2)
    return Looked(
        picture, overlay(grey, explained.heat[0], signed=explained.signed),
        np.where(near[..., None], picture, picture // 4),
        PER_UNIT * answer, float(weight[near].sum() / max(1e-12, weight.sum())), float(near.mean()),
    )  # fmt: skip


def snippet(way: str, road: int, push: float, metre: float) -> str:
    """Return the code of the drive."""
    stored = way if way in ("perfect", "corrections") else "corrections"
    driver = "straight" if way == "straight" else f'steered_by(load_network(Path("apps/assets/lab"), "{stored}"))'
    pushes = f"{{0: [Push({metre:g}, {push:g})]}}" if push else "{}"
    return f"""\
from pathlib import Path

from lab.drive import load_network, steered_by
from lab.roads import draw_road
from lab.steering import TEST_SEEDS, Push, drive, score, straight

road = draw_road(TEST_SEEDS[{road - 1}])
(run,) = drive({driver}, [road], {pushes})
print(run.metres, run.offsets.round(2))
"""
