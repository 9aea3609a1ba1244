"""What several processes compute together, so that they train like one process with the same batch.

Distributed data parallel takes the mean of the processes' gradients. That is the gradient of the whole batch where the
loss is a mean over samples and no layer looks at other samples. The rest is here: sums over the whole batch, batch
normalisation by its statistics, and word vectors, whose gradients hold a few rows. Chance is drawn for the whole batch
by `EpochContext`; dropout alone is each process' own, so that with dropout two processes train as well as one, not
alike.
"""

import os
from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from cnn_core.errors import CnnError
from cnn_core.nn.dims import FORMATS
from cnn_core.train.config import LoopConfig
from cnn_core.train.devices import choose_device, fabric_precision


def make_fabric(loop: LoopConfig) -> Fabric:
    """Return what runs a training on its device, in its precision, in one or many processes; not launched yet.

    Raises:
        CnnError: this machine cannot do so; torchrun started processes that the settings do not want; the batch size is
            below the number of processes.
    """
    device = choose_device(loop.device)
    try:
        fabric = Fabric(
            accelerator=device.type,
            devices=[device.index] if device.index is not None else loop.devices,
            num_nodes=loop.num_nodes,
            strategy=loop.strategy if loop.strategy != "auto" or loop.devices * loop.num_nodes == 1 else "ddp",
            **fabric_precision(loop.precision, device),
        )
    except (MisconfigurationException, ValueError) as error:
        raise CnnError(
            f"this machine cannot train with --device {loop.device} and --devices {loop.devices}: {error}"
        ) from error
    started = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if loop.devices * loop.num_nodes == 1 and started > 1:
        raise CnnError(
            f"torchrun started {started} processes for a run of one; add --devices N, how many it starts on a machine, "
            "and --num-nodes to the command"
        )
    if loop.batch_size < fabric.world_size:
        raise CnnError(
            f"batches of {loop.batch_size} cannot be shared by {fabric.world_size} processes, each needs a sample of "
            "every batch; use a larger --batch-size or fewer processes"
        )
    return fabric


def leave_group() -> None:
    """End the connections to the other processes; where their threads outlive Python, gloo aborts the process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each one's loss depends on every process' part, so the gradients are added up too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def sum_over_processes(x: Tensor) -> Tensor:
    """Return the sum of `x` over all processes, differentiable; in a single process `x` itself.

    For losses that are no mean over samples: two processes that sum their parts of a Dice compute that of the whole
    batch. torch.distributed.nn.functional.all_reduce does the same and is deprecated.
    """
    return _Sum.apply(x) if _several() else x


class _NormaliseTogether(torch.autograd.Function):
    """Batch normalisation of [B, C, *S] by the statistics of all processes' samples; one message each way.

    Also returned are the mean [C], the biased variance [C] and the number of values a channel, without gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # What torch's own layer begins with; `var_mean` takes ten times as long for channels-last maps.
        mean, variance = torch.ops.aten.batch_norm_update_stats(x.float(), None, None, 0.0)
        count = mean.new_tensor([x.numel() / len(mean)])
        means, variances, counts = gather(torch.cat([mean, variance, count])).split([len(mean), len(mean), 1], 1)
        total = counts.sum()
        shares = counts / total  # [world, 1]
        mean = (shares * means).sum(0)
        variance = (shares * (variances + (means - mean).square())).sum(0)  # Chan et al. 1979, for any number of parts
        ctx.save_for_backward(x, weight, mean, variance, total)
        ctx.eps = eps
        normal = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)
        ctx.mark_non_differentiable(mean, variance, total)
        return normal, mean, variance, total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, variance, count = ctx.saved_tensors
        # As if the statistics were constants; what they add is a multiple of the normalised values, and a constant.
        to_x, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([to_weight, to_bias])
        torch.distributed.all_reduce(sums)
        scale, shift = -weight * (variance + ctx.eps).rsqrt() * sums / count
        return to_x.add_(F.batch_norm(x, mean, variance, scale, shift, False, 0.0, ctx.eps)), to_weight, to_bias, None


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation by the mean and the variance of the whole batch; torch's own exists on GPUs only."""

    running_mean: Tensor  # of what `normalise_together` finds; torch's may have no statistics
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of axes will do."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and _several()):
            return super().forward(x)
        normal, mean, variance, count = _NormaliseTogether.apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return normal


def use_channels_last(model: nn.Module, *, together: bool) -> None:
    """Store kernels channels-last, the fastest layout for convolutions.

    A kernel of one number per channel, or of one channel, lies the same way in both orders, but its strides can be
    written in two ways. Which one its gradient has depends on device and precision; processes that train `together`
    compare them, so both are given the same.
    """
    spatial_dims = getattr(model, "spatial_dims", None)
    if spatial_dims is None:
        return
    if spatial_dims in FORMATS:
        model.to(memory_format=FORMATS[spatial_dims])
    for p in model.parameters():
        if p.ndim == spatial_dims + 2 and p.is_contiguous():
            strides = torch.empty_like(p, memory_format=torch.contiguous_format).stride()
            p.data = p.data.as_strided(p.shape, strides)
            if together and p.requires_grad:
                p.register_hook(lambda grad, strides=strides: grad.contiguous().as_strided(grad.shape, strides))


def normalise_together(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model with batch normalisation by the statistics of all processes' samples; weights are the same."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.__class__ = SyncBatchNorm  # type: ignore[assignment]  # same attributes; only `forward` differs
    return model


def keep_sparse(model: nn.Module) -> list[nn.Parameter]:
    """Return the tables with sparse gradients (see `build_optimizers`), which DDP must leave alone.

    DDP takes sparse gradients of `nn.Embedding` alone, and NCCL of none: `average_rows` is for these.
    """
    tables = {name: p for name, p in model.named_parameters() if getattr(p, "sparse_rows", False)}
    names = [*tables, *(f".{name}" for name in tables)]  # DDP asks with a dot for those of the model itself, or without
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)
    return list(tables.values())


def agree(count: int, weight: float, device: torch.device) -> tuple[int, float]:
    """Return into how many micro-batches every process cuts its share of a batch, and the mean weight of the shares.

    Shares of an odd batch differ by a sample. The mean of the processes' losses is the whole batch's if each counts by
    its weight over the mean one, and layers that sum over processes need as many micro-batches in each.
    """
    if not _several():
        return count, weight
    counts, weights = gather(torch.tensor([count, weight], dtype=torch.float64, device=device)).unbind(1)
    return int(counts.min()), float(weights.mean())


def gather(x: Tensor) -> Tensor:
    """Return the `x` [...] of all processes, which have the same shape: [world, ...], without gradients."""
    every = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(every, x)
    return torch.stack(every)


def average_rows(table: nn.Parameter) -> None:
    """Replace the sparse gradient of a table [V, E] by its mean over all processes; only rows that occur are sent."""
    if table.grad is None:
        return  # frozen, in every process
    gradient = table.grad.coalesce()
    rows, values = gradient.indices()[0], gradient.values()
    most = int(gather(torch.tensor(len(rows), device=rows.device)).max())
    # All send as many: the first row again, without a gradient.
    rows = gather(torch.cat([rows, rows[:1].expand(most - len(rows))]))
    values = gather(torch.cat([values, values.new_zeros(most - len(values), values.shape[1])]))
    table.grad = torch.sparse_coo_tensor(
        rows.flatten()[None], values.flatten(0, 1) / len(values), table.shape, check_invariants=False
    )


def _several() -> bool:
    return torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1
