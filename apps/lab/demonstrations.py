"""Recorded drives to learn from: the demonstrator on whole roads, and driving a pushed car back.

Pomerleau 1989, "ALVINN: An Autonomous Land Vehicle in a Neural Network", already shifted its pictures to teach
recovery; Bojarski et al. 2016, arXiv:1604.07316, section 5.2, likewise. Corrections recorded where a network itself
went wrong are the idea of DAgger (Ross, Gordon, Bagnell 2011, arXiv:1011.0686).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn_core.errors import CnnError
from lab.camera import HEIGHT, WIDTH
from lab.roads import LENGTH, Road
from lab.steering import FURTHEST, Pose, Push, View, demonstrator, drive, move

FRAMES = 10  # pictures of a correction, one second


@dataclass(frozen=True, eq=False)
class Recording:
    """Pictures uint8 [N, H, W, 3] and the curvatures that the demonstrator answered them with, 1/m: [N]."""

    pictures: np.ndarray
    curvatures: np.ndarray

    def __post_init__(self) -> None:
        if self.pictures.shape != (len(self.curvatures), HEIGHT, WIDTH, 3) or not len(self.curvatures):
            raise CnnError(f"expected pictures [N, {HEIGHT}, {WIDTH}, 3] with N curvatures, got "
                           f"{list(self.pictures.shape)} and {len(self.curvatures)}")  # fmt: skip


def join(recordings: Sequence[Recording]) -> Recording:
    """Return several recordings as one."""
    return Recording(
        np.concatenate([r.pictures for r in recordings]), np.concatenate([r.curvatures for r in recordings])
    )


def record_perfect(roads: Sequence[Road]) -> Recording:
    """Record the demonstrator on whole roads, without a push."""
    seen: list[View] = []

    def watched(views: Sequence[View]) -> Sequence[float]:
        seen.extend(views)
        return demonstrator(views)

    drive(watched, roads)
    return _recorded(seen)


def record_correction(road: Road, push: Push, *, turned: float = 0.0, frames: int = FRAMES) -> Recording:
    """Record the demonstrator driving back after a push.

    Args:
        road: on which.
        push: where, and how far.
        turned: radians by which the car also points away from the road.
        frames: pictures, one every 0.1 s; the first is taken before anything is corrected.

    Raises:
        CnnError: there is no picture to take.
    """
    if frames < 1:
        raise CnnError(f"expected at least one picture of a correction, got {frames}")
    x, y, heading = road.at(push.metre)
    pose: Pose = (
        float(x - push.left * np.sin(heading)), float(y + push.left * np.cos(heading)), float(heading + turned)
    )  # fmt: skip
    views = []
    for i in range(frames):
        metre, offset = road.locate(pose[0], pose[1], near=push.metre + i)
        views.append(View(road, pose, metre, offset))
        pose = move(pose, demonstrator(views[-1:])[0])
    return _recorded(views)


def _recorded(views: Sequence[View]) -> Recording:
    return Recording(np.stack([view.picture for view in views]), np.array(demonstrator(views)))


def random_pushes(count: int, roads: int, *, seed: int) -> list[tuple[int, Push, float]]:
    """Return pushes at random places: the number of the road, the push, and the heading's error in radians."""
    generator = np.random.default_rng(seed)
    return [
        (
            int(generator.integers(roads)),
            Push(float(generator.uniform(0, LENGTH)), float(generator.uniform(-FURTHEST, FURTHEST))),
            float(generator.uniform(-0.2, 0.2)),
        )
        for _ in range(count)
    ]
