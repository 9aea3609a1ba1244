"""Optimisers by name, learning-rate schedules, and the moving average of the weights."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.train.config import OptimizerConfig


def orthogonalise(matrix: Tensor, *, steps: int = 5) -> Tensor:
    """Replace the singular values of `matrix` [rows, columns] by values near 1, by Newton-Schulz iteration.

    The quintic coefficients are those of Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised filter by filter, with weights kept on a sphere (Jordan et al. 2024).

    For weights of two and more axes: `[out, in, *K]` is treated as the matrix `[out, in * prod(K)]`. torch.optim.Muon
    takes matrices only and does not normalise the weights.

    Args:
        params: the weights.
        lr: length of a step relative to weights of norm sqrt(out).
        momentum: decay of the Nesterov momentum.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float = 0.6) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nothing here computes a loss anew
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(weight.grad)
                update = weight.grad.add(buffer, alpha=group["momentum"])
                weight.mul_(len(weight) ** 0.5 / weight.norm().clamp_min(1e-12))  # a filter of zeros has no norm
                weight.add_(orthogonalise(update.reshape(len(update), -1)).view_as(weight), alpha=-group["lr"])


class RowAdam(torch.optim.Optimizer):
    """Adam for tables whose gradients are sparse tensors with a few of their rows: only those rows are touched.

    Kingma, Ba 2015, arXiv:1412.6980. Rows that have no gradient keep weights and moments, as with torch's SparseAdam,
    whose results it has to the last digits but one; it needs about a third of the time.

    Args:
        params: tables [rows, size].
        lr: learning rate.
        betas: decay of the two moments.
    """

    def __init__(
        self, params: Iterable[Tensor], *, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nothing here computes a loss anew
        for group in self.param_groups:
            first, second = group["betas"]
            for table in group["params"]:
                if table.grad is None:
                    continue
                gradient = table.grad.coalesce()
                rows, values = gradient.indices()[0], gradient.values()
                state = self.state[table]
                if not state:
                    state.update(step=0, mean=torch.zeros_like(table), square=torch.zeros_like(table))
                state["step"] += 1
                mean = state["mean"].index_select(0, rows).lerp_(values, 1 - first)
                square = state["square"].index_select(0, rows).mul_(second).addcmul_(values, values, value=1 - second)
                state["mean"].index_copy_(0, rows, mean)
                state["square"].index_copy_(0, rows, square)
                rate = group["lr"] * math.sqrt(1 - second ** state["step"]) / (1 - first ** state["step"])
                table.index_add_(0, rows, mean.div_(square.sqrt_().add_(group["eps"])), alpha=-rate)


def build_optimizers(model: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """Make the optimisers for the trainable weights of `model`.

    A table whose gradient holds few of its rows (word vectors; the parameter says so by its attribute `sparse_rows`)
    gets `RowAdam`, which touches those rows alone: its cost does not grow with the vocabulary.

    "muon" moves convolution filters and leaves the rest to SGD: two optimisers, or one where a model has only one kind
    of weights. Weight decay acts on weights of two and more axes, never on biases and normalisation; with "muon" on
    what SGD moves, biases included, and the filters' norm is fixed.

    Raises:
        CnnError: every weight is frozen.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise CnnError("nothing can be learned: every weight of the network is frozen; leave at least its head free")
    tables = [p for p in weights if getattr(p, "sparse_rows", False)]
    others = [p for p in weights if not getattr(p, "sparse_rows", False)]
    optimizers = _for_dense(others, config) if others else []
    if tables:
        rate = config.learning_rate if config.row_learning_rate is None else config.row_learning_rate
        optimizers.append(RowAdam(tables, lr=rate, betas=(0.9, config.beta2)))
    return optimizers


def _for_dense(weights: list[nn.Parameter], config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """Make the optimisers for weights with ordinary gradients."""
    if config.optimizer == "muon":
        return _muon_and_sgd(weights, config)
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "adamw":
        fused = config.clip == 0  # one pass over the weights; with mixed float16 it would hide gradients from clipping
        return [torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=fused)]
    if config.optimizer == "sgd":
        nesterov = config.momentum > 0
        return [torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=nesterov)]
    return [torch.optim.Adadelta(groups, lr=config.learning_rate)]


def _muon_and_sgd(weights: list[nn.Parameter], config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """Muon for weights of three and more axes, SGD with two rates for dense layers and vectors.

    SGD's decay is divided by its rate, so that at the height of the schedule a weight loses the share
    `weight_decay / (1 - momentum)` per step, whatever the rate is.
    """
    optimizers: list[torch.optim.Optimizer] = []
    if filters := [p for p in weights if p.ndim > 2]:
        optimizers.append(Muon(filters, lr=config.learning_rate))
    rest = [
        {"params": params, "lr": rate, "weight_decay": config.weight_decay / rate}
        for params, rate in (
            ([p for p in weights if p.ndim == 2], config.head_learning_rate),
            ([p for p in weights if p.ndim < 2], config.bias_learning_rate),
        )
        if params
    ]
    if rest:
        nesterov = config.momentum > 0
        optimizers.append(
            torch.optim.SGD(rest, lr=config.bias_learning_rate, momentum=config.momentum, nesterov=nesterov)
        )
    return optimizers


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load a state, laid out in memory as the weights are.

    A checkpoint keeps numbers, not strides; fused kernels go through weights and state in the order of memory and would
    pair a channels-last weight with another weight's momentum.
    """
    optimizer.load_state_dict(saved)
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def learning_rate_factor(config: OptimizerConfig, *, step: int, total: int) -> float:
    """Return what the learning rate is multiplied by at `step` of `total` (0 <= step < total), above 0 and up to 1.

    The steps divide the run into `total + 1` parts, so that neither the first nor the last step is one of rate 0.
    "one-cycle" rises from 1/25 along a half cosine and falls to 0 along another (Smith, Topin 2018, arXiv:1708.07120);
    the others rise in a straight line for as long as `warmup` says.
    """
    progress = (step + 1) / (total + 1)
    warmup = config.warmup if config.warmup is not None else (0.3 if config.schedule == "one-cycle" else 0.0)
    if progress < warmup:
        rise = progress / warmup
        return rise if config.schedule != "one-cycle" else 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * rise))
    if config.schedule == "constant":
        return 1.0
    rest = (progress - warmup) / (1 - warmup)
    if config.schedule == "linear":
        return 1 - rest
    return 0.5 * (1 + math.cos(math.pi * rest))  # "cosine", and the descent of "one-cycle"


class MovingAverage:
    """Exponential moving average of the weights and buffers of a model, kept on the model's device.

    After `update` at step t the average is `d * average + (1 - d) * weights` with d = min(decay, (1 + t) / (10 + t)),
    so that the first steps do not drown in the initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights and buffers as they are after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)
