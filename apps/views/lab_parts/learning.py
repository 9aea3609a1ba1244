"""Learning: a small network trained now, and one step of it by numbers."""

import time
from dataclasses import dataclass

import numpy as np

from components.training_replay import Figure, Look

STEPS, EVERY = 300, 6
MAPS = 6
RATES = ["0.001", "0.01", "0.1", "1"]
BATCHES = ["1", "8", "32", "128"]


@dataclass(frozen=True)
class Training:
    """A training from its first step to its last."""

    steps: list[int]
    figures: list[Figure]
    looks: list[Look]
    accuracy: float
    seconds: float


def train(rate: float, batch: int, seed: int) -> Training:
    """Train a small network on handwritten digits and look into it every few steps."""
    import torch

    from lab.learning import digits, learn
    from lab.small import small_network
    from lab.stepwise import convolve

    started = time.perf_counter()
    data = digits()
    model = small_network("convolution", maps=MAPS, seed=seed)
    moments = list(learn(model, data, rate=rate, batch=batch, steps=STEPS, every=EVERY, seed=seed))
    seconds = time.perf_counter() - started
    sample = data.x_test[0]  # [1, 8, 8]
    kernels = torch.stack([moment.state["0.weight"] for moment in moments])  # [T, MAPS, 1, 3, 3]
    maps = torch.stack(
        [convolve(sample, m.state["0.weight"], bias=m.state["0.bias"], padding=1).relu() for m in moments]
    )  # [T, MAPS, 8, 8]
    looks = [
        Look(f"Filter {i + 1}", f"Filter {i + 1}: nine weights", kernels[:, i, 0].numpy()) for i in range(MAPS)
    ] + [Look(f"Its feature map of a {int(data.y_test[0])}", f"Map of filter {i + 1}", maps[:, i].numpy(), "grey")
         for i in range(MAPS)]  # fmt: skip
    losses = [finite(moment.loss) for moment in moments]
    figures = [
        Figure("Training loss", losses),
        Figure("Test accuracy, 360 digits", [moment.accuracy for moment in moments], percent=True),
    ]
    return Training([moment.step for moment in moments], figures, looks, moments[-1].accuracy, seconds)


def finite(value: float) -> float:
    """Return a loss that can be drawn: one that exploded stays at the top."""
    return value if np.isfinite(value) else 1e6


X = ((0, 1, 2, 1), (1, 2, 0, 0), (2, 0, 1, 1), (0, 1, 1, 2))
KERNEL = ((1, 0, -1), (1, 0, -1), (1, 0, -1))
TARGET = ((1, 2), (0, 3))


def matrices(rate: float) -> tuple[list[tuple[str, np.ndarray]], float, float]:
    """Return the numbers of one step, named, and the loss before and after."""
    import torch

    from lab.learning import backward_step

    x, kernel, target = (torch.tensor(rows, dtype=torch.float32) for rows in (X, KERNEL, TARGET))
    step = backward_step(x, kernel, target, rate=rate)
    after = backward_step(x, step.kernel, target, rate=rate)
    shown = [
        ("Input", x), ("Kernel", kernel), ("Output", step.output), ("Target", target), ("Error", step.error),
        ("Gradient", step.gradient), ("New kernel", step.kernel),
    ]  # fmt: skip
    return [(name, values.numpy()) for name, values in shown], step.loss, after.loss


def snippet(rate: float, batch: int, seed: int) -> str:
    """Return the code of the training and of the step."""
    return f"""\
import torch

from lab.learning import backward_step, digits, learn
from lab.small import small_network

model = small_network("convolution", maps={MAPS}, seed={seed})
moments = list(learn(model, digits(), rate={rate}, batch={batch}, steps={STEPS}, every={EVERY}, seed={seed}))
print(moments[-1].step, moments[-1].loss, moments[-1].accuracy)

x = torch.tensor({[list(map(float, row)) for row in X]})
kernel = torch.tensor({[list(map(float, row)) for row in KERNEL]})
target = torch.tensor({[list(map(float, row)) for row in TARGET]})
step = backward_step(x, kernel, target, rate=0.05)
print(step.gradient, step.kernel)
"""
