"""Training to watch: a small network on handwritten digits, inspected every few steps; and one step by numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.data.augment import apply, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.errors import CnnError
from lab.stepwise import convolve

HELD_OUT = 360  # of 1,797 digits
GREYS = 16.0  # the embedded digits have 17 levels


@dataclass(frozen=True)
class Digits:
    """Handwritten digits [N, 1, 8, 8] from 0 to 1 with their labels [N], for training and held out."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def moved(x: Tensor, down: int, right: int) -> Tensor:
    """Return pictures [B, C, H, W] moved by whole pixels; what leaves is lost, what comes in is 0."""
    height, width = x.shape[2:]
    return F.pad(x, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))[
        ..., max(-down, 0) : max(-down, 0) + height, max(-right, 0) : max(-right, 0) + width
    ]


@dataclass(frozen=True)
class Moment:
    """A network after some steps."""

    step: int
    loss: float  # mean over the training batches since the moment before
    test_loss: float
    accuracy: float  # on held-out digits
    state: dict[str, Tensor]


def digits(*, samples: int | None = None, border: int = 0) -> Digits:
    """Return scikit-learn's real handwritten digits (UCI), split once and for all.

    Args:
        samples: how many of them to train on; None: all 1,437.
        border: pixels of 0 added around each, so that it can be moved.
    """
    from sklearn.datasets import load_digits

    dataset = load_digits()
    x = F.pad(torch.tensor(dataset.images, dtype=torch.float32).unsqueeze(1) / GREYS, (border,) * 4)
    y = torch.tensor(dataset.target, dtype=torch.long)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    test, rest = order[:HELD_OUT], order[HELD_OUT:][:samples]
    return Digits(x[rest], y[rest], x[test], y[test])


def learn(
    model: nn.Module,
    data: Digits,
    *,
    rate: float,
    batch: int,
    steps: int,
    every: int,
    seed: int = 0,
    weight_decay: float = 0.0,
    augment: AugmentConfig | None = None,
) -> Iterator[Moment]:
    """Train by stochastic gradient descent (momentum 0.9) and yield a moment every few steps, the first before any.

    Args:
        model: `[B, 1, 8, 8] -> [B, 10]`; it is changed.
        data: the digits to train on.
        rate: learning rate.
        batch: digits per step.
        steps: in all.
        every: steps between moments.
        seed: of the order, of dropout and of augmentation.
        weight_decay: of all weights.
        augment: random changes of the digits; None: none.

    Raises:
        CnnError: a number below its least.
    """
    if rate <= 0 or min(batch, steps, every) < 1:
        raise CnnError(f"rate, batch, steps and every must be above 0, got {rate}, {batch}, {steps}, {every}")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=weight_decay)
    with torch.no_grad():
        first = float(F.cross_entropy(model.eval()(data.x[:batch]), data.y[:batch]))
    yield _moment(model, data, step=0, loss=first)
    losses: list[float] = []
    for step in range(1, steps + 1):
        model.train()
        chosen = torch.randint(len(data.x), (batch,), generator=generator)
        x = data.x[chosen]
        if augment is not None:
            x = apply(x, draw(augment, tuple(x.shape[2:]), count=batch, generator=generator), augment)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1_000_003 + step)  # dropout draws from the global source
            loss = F.cross_entropy(model(x), data.y[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % every == 0:
            yield _moment(model, data, step=step, loss=sum(losses) / len(losses))
            losses.clear()


@torch.no_grad()
def _moment(model: nn.Module, data: Digits, *, step: int, loss: float) -> Moment:
    scores = model.eval()(data.x_test)
    return Moment(
        step, loss, float(F.cross_entropy(scores, data.y_test)),
        float((scores.argmax(1) == data.y_test).float().mean()),
        {name: value.clone() for name, value in model.state_dict().items()},
    )  # fmt: skip


@dataclass(frozen=True)
class BackwardStep:
    """One step of learning for one kernel, by numbers; the loss is half the sum of squared errors."""

    output: Tensor  # [H', W']
    error: Tensor  # [H', W'] output minus target: the gradient of the loss by the output
    loss: float
    gradient: Tensor  # [K, K] of the loss by the kernel
    kernel: Tensor  # [K, K] after the step


def backward_step(x: Tensor, kernel: Tensor, target: Tensor, *, rate: float) -> BackwardStep:
    """Compute a convolution, its error, the gradient and the next kernel, each by its formula and without autograd.

    The gradient of weight (u, v) is the sum over all output cells of the error there times the pixel that the weight
    met there, `sum_ij e_ij x_(i+u)(j+v)`: the input convolved with the error.

    Args:
        x: input [H, W].
        kernel: [K, K].
        target: [H - K + 1, W - K + 1], what the output should be.
        rate: learning rate.

    Raises:
        CnnError: shapes that do not go together.
    """
    output = convolve(x[None], kernel[None, None])[0]
    if target.shape != output.shape:
        raise CnnError(f"expected a target of {list(output.shape)}, got {list(target.shape)}")
    error = output - target
    gradient = convolve(x[None], error[None, None])[0]
    return BackwardStep(output, error, float(error.square().sum()) / 2, gradient, kernel - rate * gradient)
