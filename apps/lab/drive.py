"""Learning to steer from pictures: recorded drives, the network, and what was measured of each way to train (`make`).

PilotNet, Bojarski et al. 2016, arXiv:1604.07316, section 4, with a third of the channels.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter

from cnn_core.errors import CnnError
from lab.camera import HEIGHT, WIDTH, line_share, seen_places
from lab.demonstrations import Recording, join, random_pushes, record_correction, record_perfect
from lab.roads import Road, draw_roads
from lab.steering import TEST_SEEDS, Driver, Pose, View, demonstrator, drive, score, score_pushes, straight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnn_core.explain import Explanation

FILE = "drive.json"
WAYS = ("perfect", "corrections")  # the networks that are stored
TITLES = {
    "straight": "Always straight", "perfect": "Perfect driving only", "corrections": "With corrections",
    "own": "Your corrections",
}  # fmt: skip
BASE_CHANNELS = 8  # the paper's network has 24
CAM_LAYER = "stages.conv2"  # of 13 x 29 cells
PER_UNIT = 0.05  # 1/m that an output of 1 stands for
PERFECT_SEEDS, RECOVERY_SEEDS = tuple(range(100, 120)), tuple(range(200, 210))  # of roads to learn from
VALIDATION_SEEDS = tuple(range(300, 304))  # perfect driving that no network learned from
CORRECTIONS = 200  # recorded in all
STEPS, BATCH, RATE = 500, 64, 2e-3
SEEDS = (0,)  # of the trainings that are measured; the first is stored
RETRAIN_STEPS, RETRAIN_BATCH, RETRAIN_RATE = 160, 32, 1e-3
RETRAIN_SEEDS = PERFECT_SEEDS[:4]  # of roads whose perfect driving is learned again beside own corrections


@dataclass(frozen=True)
class Measured:
    """What was measured of one way; one figure for each seed (always straight: one)."""

    parameters: int
    rmse: list[float]  # 1/m, root mean squared error of the curvature on perfect driving of `VALIDATION_SEEDS`
    undisturbed: list[float]  # score on the test roads without pushes
    pushed: list[float]  # score with pushes
    seconds: float  # of one training, the mean


@cache
def stored(folder: Path) -> dict[str, Measured]:
    """Return what `make` measured: way -> figures."""
    return TypeAdapter(dict[str, Measured]).validate_json((folder / FILE).read_bytes())


def as_input(pictures: np.ndarray) -> "Tensor":
    """Return pictures as the network takes them: uint8 [N, H, W, 3] -> float32 [N, 3, H, W] from -1 to 1."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def new_network(*, seed: int = 0) -> "nn.Module":
    """Build a PilotNet with fresh weights: `[B, 3, 64, 128] -> [B, 1]`."""
    import torch

    from cnn_core.models import create_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model(
            "pilotnet", num_classes=1, input_size=(HEIGHT, WIDTH), options={"base_channels": BASE_CHANNELS}
        )


def load_network(folder: Path, way: str) -> "nn.Module":
    """Load one of the stored networks.

    Raises:
        UnknownNameError: there is none of this name.
    """
    from safetensors.torch import load_file

    from cnn_core.errors import unknown_name

    if way not in WAYS:
        raise unknown_name("way to train", way, WAYS)
    network = new_network()
    state = load_file(folder / f"drive-{way}.safetensors")
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval()


def steered_by(network: "nn.Module") -> Driver:
    """Return the driver that answers pictures with what the network puts out."""
    import torch

    def answer(views: Sequence[View]) -> list[float]:
        with torch.inference_mode():
            out = network(as_input(np.stack([view.picture for view in views])))[:, 0]
        return [PER_UNIT * value for value in out.tolist()]

    return answer


def train(network: "nn.Module", recordings: Sequence[Recording], *, steps: int, batch: int, rate: float,
          seed: int = 0) -> "nn.Module":  # fmt: skip
    """Train in place by Adam with a rate that falls like a cosine, on the mean squared error; return the network.

    Args:
        network: `[B, 3, H, W] -> [B, 1]`.
        recordings: each gives an equal part of every batch, however long it is.
        steps: batches.
        batch: pictures of each.
        rate: learning rate of the first step.
        seed: of the order.

    Raises:
        CnnError: no recording, or a number below its least.
    """
    import torch

    if not recordings or min(steps, batch) < 1 or rate <= 0:
        raise CnnError(f"expected recordings and steps, batch, rate above 0, got {len(recordings)} recordings, "
                       f"{steps}, {batch}, {rate}")  # fmt: skip
    data = [(torch.from_numpy(r.pictures), torch.from_numpy(r.curvatures).float() / PER_UNIT) for r in recordings]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    sizes = [batch // len(data) + (i < batch % len(data)) for i in range(len(data))]
    network.train()
    for _ in range(steps):
        places = [torch.randint(len(y), (size,), generator=generator) for (_, y), size in zip(data, sizes, strict=True)]
        pictures = torch.cat([x[place] for (x, _), place in zip(data, places, strict=True)])
        wanted = torch.cat([y[place] for (_, y), place in zip(data, places, strict=True)])
        light = torch.empty(len(pictures), 1, 1, 1).uniform_(0.7, 1.3, generator=generator)
        x = (pictures.permute(0, 3, 1, 2).float() * light).clamp_(0, 255) / 127.5 - 1
        loss = (network(x)[:, 0] - wanted).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def rmse(driver: Driver, roads: Sequence[Road]) -> float:
    """Return the root mean squared error of a driver's curvatures, in 1/m, on the views of perfect driving."""
    errors: list[float] = []

    def watched(views: Sequence[View]) -> Sequence[float]:
        right = demonstrator(views)
        errors.extend(a - b for a, b in zip(driver(views), right, strict=True))
        return right

    drive(watched, roads)
    return float(np.sqrt(np.mean(np.square(errors))))


def scores(driver: Driver) -> tuple[float, float]:
    """Return the scores on the test roads without and with pushes."""
    roads = draw_roads(TEST_SEEDS)
    return round(score(drive(driver, roads)), 4), round(score(drive(driver, roads, score_pushes())), 4)


def explain_view(network: "nn.Module", picture: np.ndarray, *, method: str = "gradient") -> "tuple[float, Explanation]":
    """Return the network's output for a picture uint8 [H, W, 3], and which pixels it came from.

    What is explained is the steering to the side that the network chose, so that positive heat speaks for it. Methods
    of maps look at `CAM_LAYER`: the last map is one cell high.

    Raises:
        UnknownNameError: no such method.
    """
    import torch

    from cnn_core.explain import explain
    from cnn_core.explain.registry import method_spec

    x = as_input(picture[None])
    with torch.no_grad():
        answer = float(network(x)[0, 0])
    side = 1.0 if answer >= 0 else -1.0
    options = {"layer": CAM_LAYER} if "layer" in method_spec(method).options else {}
    return answer, explain(network, x, method=method, target=lambda out: side * out[:, 0], options=options)


def near_lines(road: Road, pose: Pose) -> np.ndarray:
    """Return which pixels of a picture are on a painted line or next to one: bool [H, W]."""
    along, beside = seen_places(road, pose)
    painted = np.zeros((HEIGHT, WIDTH), bool)
    painted[HEIGHT - len(along) :] = line_share(along, beside) > 0.05
    wide = painted.copy()
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            wide |= np.roll(painted, (rows, columns), (0, 1))
    return wide


def material(way: str) -> list[Recording]:
    """Return what a way learns from: as many pictures for each."""
    perfect = record_perfect(draw_roads(PERFECT_SEEDS[: None if way == "perfect" else len(RECOVERY_SEEDS)]))
    if way == "perfect":
        return [perfect]
    roads = draw_roads(RECOVERY_SEEDS)
    return [perfect, join([
        record_correction(roads[i], push, turned=turned)
        for i, push, turned in random_pushes(CORRECTIONS, len(roads), seed=7)
    ])]  # fmt: skip


def make(folder: Path) -> None:
    """Train both ways with every seed, store the first network of each in float16, and what was measured of all."""
    validation = draw_roads(VALIDATION_SEEDS)
    undisturbed, pushed = scores(straight)
    found = {"straight": Measured(0, [round(rmse(straight, validation), 5)], [undisturbed], [pushed], 0.0)}
    for way in WAYS:
        recordings = material(way)
        runs = [_trained(way, seed, recordings, folder) for seed in SEEDS]
        parameters, errors, without, with_pushes, seconds = zip(*runs, strict=True)
        found[way] = Measured(
            parameters[0], list(errors), list(without), list(with_pushes), round(sum(seconds) / len(seconds), 1)
        )
    (folder / FILE).write_text(json.dumps({way: asdict(one) for way, one in found.items()}, indent=1) + "\n", "utf-8")


def _trained(
    way: str, seed: int, recordings: Sequence[Recording], folder: Path
) -> tuple[int, float, float, float, float]:
    """Train one network, store it if it is the first, and measure it as it is stored.

    Returns parameters, root mean squared error, the two scores, and seconds of one core.
    """
    import time

    from safetensors.torch import save

    from cnn_core.storage import write_bytes

    began = time.process_time()
    network = train(new_network(seed=seed), recordings, steps=STEPS, batch=BATCH, rate=RATE, seed=seed)
    seconds = time.process_time() - began
    state = {key: value.half() for key, value in network.state_dict().items()}
    network.load_state_dict({key: value.float() for key, value in state.items()})
    if seed == SEEDS[0]:
        write_bytes(folder / f"drive-{way}.safetensors", save(state))
    driver = steered_by(network)
    undisturbed, pushed = scores(driver)
    error = round(rmse(driver, draw_roads(VALIDATION_SEEDS)), 5)
    return sum(p.numel() for p in network.parameters()), error, undisturbed, pushed, seconds
