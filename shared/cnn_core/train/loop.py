"""`fit`: the only epoch loop of the repository.

It runs any Task on Lightning Fabric (device, precision, one or many processes), writes everything a reader needs into
one run folder, and continues an interrupted run exactly: all chance of an epoch follows from (seed, epoch), so one
epoch and a resume give the same weights, bit for bit, as two epochs at a stretch (on a CPU).

    <run>/recipe.json             the resolved settings
    <run>/data.json               what was understood of the data
    <run>/log.csv                 one line per epoch
    <run>/events.out.tfevents...  the same for TensorBoard
    <run>/status.json             how far it is, in which process, and by which command
    <run>/last.pt                 everything needed to go on
    <run>/model-<hash>.safetensors, card.json   written at the end: enough to predict
"""

import atexit
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn

from cnn_core.data.memory import EpochContext
from cnn_core.data.summary import DataSummary, write_summary
from cnn_core.data.tables import csv_text
from cnn_core.errors import CnnError
from cnn_core.processes import process_start
from cnn_core.storage import folder_lock, write_text
from cnn_core.train.budget import TimeBudget
from cnn_core.train.checkpoint import CHECKPOINT_FILE, has_checkpoint, load_checkpoint, open_folder, save_checkpoint
from cnn_core.train.optim import MovingAverage, build_optimizers, learning_rate_factor, restore_optimizer
from cnn_core.train.parallel import (
    agree,
    average_rows,
    keep_sparse,
    leave_group,
    make_fabric,
    normalise_together,
    use_channels_last,
)
from cnn_core.train.task import Task

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What an observer gets after every step and every epoch."""

    epoch: int  # counted from 1
    epochs: int
    step: int  # within the epoch, counted from 1
    steps: int
    loss: float  # mean of the epoch so far
    seconds: float  # of training, validation left out
    metrics: Mapping[str, float] | None = None  # after the epoch's validation

    @property
    def seconds_left(self) -> float:
        """Estimate from the mean time per step."""
        done = (self.epoch - 1) * self.steps + self.step
        return self.seconds / max(1, done) * (self.epochs * self.steps - done)


@dataclass
class Run:
    """A finished or stopped training."""

    folder: Path
    model: nn.Module  # with the weights that are evaluated and saved
    history: list[dict[str, float]]  # one row per epoch
    epochs_done: int
    seconds: float  # of training, validation left out
    stopped: bool = False  # by the observer; running out of patience is an end like any other
    main: bool = True  # this is the process that writes files


@dataclass
class _State:
    """What a checkpoint holds besides the model and the optimisers."""

    epoch: int = 0  # epochs done
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("-inf")
    best_epoch: int = 0
    elapsed: float = 0.0  # seconds of epochs and their validation, which `minutes` counts
    over: bool = False  # the minutes are up


def fit(
    task: Task,
    folder: Path,
    *,
    resume: bool = False,
    observe: Callable[[Progress], bool | None] | None = None,
    origin: Mapping[str, str] | None = None,
    show: Callable[[DataSummary], None] | None = None,
) -> Run:
    """Train until the epochs of the recipe are done, its minutes or patience end, or the observer returns False.

    With `minutes` the learning rate follows the clock, and the run ends with the epoch whose end is nearest to them: it
    can be resumed, but not be repeated bit for bit.

    Args:
        task: the learning problem.
        folder: the run folder; made if missing.
        resume: go on from the folder's last checkpoint (start anew if there is none yet).
        observe: called after every step, and with `metrics` after every epoch; returning False stops the run, which
            can be resumed later. Several processes stop after the epoch.
        origin: what status.json has to keep so that a killed run can be resumed: "name", "command".
        show: called with the summary of the data before the first step; it is written to data.json as well.

    Raises:
        ConfigError: a resumed run was started with other settings, or its recipe.json is damaged.
        WeightsError: the checkpoint of a resumed run is damaged.
        CnnError: the loss is not finite; the folder already holds a run and `resume` is False, or one that was begun
            with other data; the batch size is below the number of processes; torchrun started processes that the recipe
            does not want.
        StorageError: somebody else trains in the folder.
    """
    loop = task.recipe.loop
    fabric = make_fabric(loop)
    fabric.launch()
    if fabric.world_size > 1:
        atexit.register(leave_group)
    with folder_lock(folder, timeout=0.0) if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            open_folder(folder, task.recipe, resume=resume)
        fabric.barrier()
        torch.manual_seed(loop.seed)
        task.build_data(fabric.device)
        summary: DataSummary | None = getattr(task, "summary", None)
        if summary is not None and fabric.is_global_zero:
            write_summary(summary, folder)
            if show:
                show(summary)
        if not task.steps_per_epoch():
            raise CnnError("the training set is empty; nothing can be learned from it")
        trainer = _Trainer(task, fabric, folder, observe, origin or {})
        if resume and has_checkpoint(folder):
            trainer.restore()
        return trainer.run()


class _Trainer:
    """One training: the model, its optimisers, and where they are."""

    def __init__(
        self,
        task: Task,
        fabric: Fabric,
        folder: Path,
        observe: Callable[[Progress], bool | None] | None,
        origin: Mapping[str, str],
    ):
        self.task, self.fabric, self.folder, self.observe, self.origin = task, fabric, folder, observe, origin
        self.loop, self.config = task.recipe.loop, task.recipe.optimizer
        model = task.build_model()
        together = fabric.world_size > 1
        use_channels_last(model, together=together)
        if together:
            model = normalise_together(model, fabric.device)
        self.optimizers = build_optimizers(model, self.config)
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.plain = model
        prepared = cast("nn.Module", torch.compile(model)) if self.loop.compile else model
        self.tables = keep_sparse(prepared) if together else []
        self.model, *self.optimizers = fabric.setup(prepared, *self.optimizers)
        self.average = MovingAverage(self.plain, self.config.ema) if self.config.ema else None
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.state = _State()
        self.steps, self.mark = task.steps_per_epoch(), task.fingerprint()
        self.unwanted = False  # the observer said stop
        self.budget = TimeBudget.of(self.loop)
        self.begun = self.end = 0.0  # seconds at the beginning of the epoch, and at the end of the run
        self.board: SummaryWriter | None = None  # TensorBoard's writer, opened with the first epoch's row

    def run(self) -> Run:
        stopped = False
        self._status("running")
        while self.state.epoch < self.loop.epochs and not (stopped or self.state.over or self._out_of_patience()):
            finished = self._train_epoch()
            if not finished:  # the observer said stop in the middle: that epoch is lost, the checkpoint is the last one
                stopped = True
                break
            stopped = self._close_epoch()
        final = self.best_weights or (self.average.average if self.average else None)
        if final is not None:
            self.plain.load_state_dict(final)
        self.plain.eval()
        if self.board is not None:
            self.board.close()
        self._status("stopped" if stopped else "trained")
        return Run(
            self.folder,
            self.plain,
            self.state.history,
            self.state.epoch,
            self.state.seconds,
            stopped,
            self.fabric.is_global_zero,
        )

    def _train_epoch(self) -> bool:
        """Run the steps of one epoch; return False if the observer stopped it."""
        epoch, loop = self.state.epoch, self.loop
        seed = loop.seed * 1_000_003 + epoch
        torch.manual_seed(seed * self.fabric.world_size + self.fabric.global_rank)  # dropout: own chance per process
        context = EpochContext(
            epoch, torch.Generator().manual_seed(seed), self.fabric.global_rank, self.fabric.world_size
        )
        self.model.train()
        total_loss, started, before = 0.0, time.perf_counter(), self.state.seconds
        self.begun, self.end = self.state.elapsed, self.budget.end(self.state.elapsed, epoch)
        for step, batch in enumerate(self.task.batches(context), start=1):
            total_loss += self._step(batch, epoch * self.steps + step - 1)
            passed = time.perf_counter() - started
            self.state.seconds, self.state.elapsed = before + passed, self.begun + passed
            mean = total_loss / step
            if self.observe and self.fabric.is_global_zero:
                epochs = self.budget.expected_epochs(self.state.elapsed, epoch + step / self.steps)
                progress = Progress(epoch + 1, epochs, step, self.steps, mean, self.state.seconds)
                if self.observe(progress) is False:
                    if self.fabric.world_size == 1:
                        return False
                    self.unwanted = True  # the others learn it at the end of the epoch, where all of them meet
        mean = float(torch.as_tensor(self.fabric.all_reduce(torch.tensor(mean), reduce_op="mean")))
        if mean != mean or mean in (float("inf"), float("-inf")):
            raise CnnError(
                f"the loss became {mean} in epoch {epoch + 1}; lower the learning rate ({self.config.learning_rate}), "
                "set --clip 1, or use --precision 32-true"
            )
        self.state.epoch += 1
        self.state.history.append({"epoch": self.state.epoch, "loss": mean, "seconds": self.state.seconds})
        return True

    def _step(self, batch: Any, step: int) -> float:
        """Move the weights once; return the loss of the batch."""
        steps = self.steps * self.loop.epochs
        factor = learning_rate_factor(self.config, step=self._due(step, steps), total=steps)
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.zero_grad(set_to_none=True)
        samples, micro, world = self.task.samples(batch), self.loop.micro_batch, self.fabric.world_size
        count = min(samples, -(-samples * world // micro)) if micro else 1
        count, weight = agree(count, self.task.weight(batch), self.fabric.device)
        parts = self.task.parts(batch, count) if count > 1 else [batch]
        total = 0.0
        for i, part in enumerate(parts, start=1):
            with self.fabric.no_backward_sync(self.model, enabled=i < len(parts)):
                loss = self.task.training_step(self.model, part) * (self.task.weight(part) / weight)
                self.fabric.backward(loss)
            total += float(loss.detach())
        for table in self.tables:
            average_rows(table)
        if self.config.clip:
            for optimizer in self.optimizers:
                self.fabric.clip_gradients(self.model, optimizer, max_norm=self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.average:
            self.average.update(self.plain)
        return total

    def _due(self, step: int, total: int) -> int:
        """Return the step whose learning rate is due: later than `step` where the minutes end before the epochs."""
        if not self.loop.minutes:
            return step
        # All processes go by the first one's clock: with rates of their own their weights would drift apart.
        share = float(self.fabric.broadcast(min(1.0, self.state.elapsed / self.end)))
        return max(step, min(total - 1, int(share * total)))

    def _close_epoch(self) -> bool:
        """Validate, log, save; return True when the observer says stop before the last epoch."""
        state, loop, started = self.state, self.loop, time.perf_counter()
        row = state.history[-1]
        state.over = bool(self.fabric.broadcast(self.budget.is_over(self.begun, state.elapsed, state.epoch)))
        last = state.epoch == loop.epochs or state.over
        metrics = None
        if state.epoch % loop.eval_every == 0 or last:
            metrics = self.fabric.broadcast(self._validate())  # all go by the same figures, to the last digit
        if metrics:
            row.update({f"val_{name}": value for name, value in metrics.items()})
            if metrics[self.task.metric] > state.best:
                state.best, state.best_epoch = metrics[self.task.metric], state.epoch
                self.best_weights = self._weights()
        state.elapsed += time.perf_counter() - started
        going_on = not self.unwanted
        if self.fabric.is_global_zero:
            self._write_log(row)
            self.save()
            self._status("running")
            if self.observe:
                progress = Progress(
                    state.epoch, self._epochs(), self.steps, self.steps, row["loss"], state.seconds, metrics or {}
                )
                going_on = self.observe(progress) is not False and going_on
        going_on = bool(self.fabric.broadcast(going_on))
        return not going_on and not last and not self._out_of_patience()

    def _out_of_patience(self) -> bool:
        """Tell whether the validation metric has not improved for as many epochs as the recipe waits.

        Epochs after the last validation do not count: they have not been measured yet.
        """
        measured = self.state.epoch - self.state.epoch % self.loop.eval_every
        waited = measured - self.state.best_epoch if self.state.best_epoch else 0
        return bool(self.loop.patience) and waited >= self.loop.patience

    def _weights(self) -> dict[str, torch.Tensor]:
        source = self.average.average if self.average else self.plain.state_dict()
        return {name: value.detach().clone() for name, value in source.items()}

    def _validate(self) -> Mapping[str, float] | None:
        """Evaluate the weights that would be saved now, and put the training weights back."""
        training = None
        if self.average:
            training = {name: value.clone() for name, value in self.plain.state_dict().items()}
            self.plain.load_state_dict(self.average.average)
        self.plain.eval()
        with torch.inference_mode(), self.fabric.autocast():
            result = self.task.evaluate(self.plain, "val")
        if training is not None:
            self.plain.load_state_dict(training)
        return result.metrics if result is not None else None

    def save(self) -> None:
        """Write the checkpoint that `restore` reads."""
        tree = {
            "data": self.mark,
            "model": self.plain.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": {"steps": self.average.steps, "weights": self.average.average} if self.average else None,
            "best_weights": self.best_weights,
            "state": dict(vars(self.state)),
        }
        save_checkpoint(self.folder / CHECKPOINT_FILE, tree)

    def restore(self) -> None:
        """Go back to the last checkpoint of the folder."""
        tree = load_checkpoint(self.folder / CHECKPOINT_FILE)
        if tree.get("data", self.mark) != self.mark:
            raise CnnError(
                f"the data have changed since the run {self.folder} was begun (labels, items or their division into "
                "training and test); put the old ones back, or begin a new run with --run"
            )
        try:
            self.plain.load_state_dict(tree["model"])
        except RuntimeError as error:
            raise CnnError(
                f"the checkpoint in {self.folder} does not fit the network of these data and settings; begin a new run "
                "with --run"
            ) from error
        for optimizer, saved in zip(self.optimizers, tree["optimizers"], strict=True):
            restore_optimizer(optimizer, saved)
        if self.average:
            self.average.steps = tree["average"]["steps"]
            for name, value in tree["average"]["weights"].items():
                self.average.average[name].copy_(value)  # which may be on a GPU
        self.best_weights = tree["best_weights"]
        self.state = _State(**tree["state"])
        log.info("resumed after epoch %d of %d", self.state.epoch, self._epochs())

    def _write_log(self, row: Mapping[str, float]) -> None:
        """Rewrite log.csv (a resumed run drops what lay after its checkpoint) and add to the TensorBoard events."""
        names = list(dict.fromkeys(name for line in self.state.history for name in line))
        lines = [[line.get(name, "") for name in names] for line in self.state.history]
        write_text(self.folder / "log.csv", csv_text([names, *lines]))
        if self.board is None:
            from torch.utils.tensorboard import SummaryWriter  # a second to import, so not before it is needed

            self.board = SummaryWriter(str(self.folder))
        for name, value in row.items():
            if name != "epoch":
                self.board.add_scalar(name, value, int(row["epoch"]))
        self.board.flush()

    def _epochs(self) -> int:
        """Return how many epochs there will be."""
        state = self.state
        return state.epoch if state.over else self.budget.expected_epochs(state.elapsed, state.epoch)

    def _status(self, state: str) -> None:
        if self.fabric.is_global_zero:
            status = {"state": state, "epoch": self.state.epoch, "epochs": self._epochs(), "pid": os.getpid()}
            status["mark"] = process_start(os.getpid())  # tells this process from a later one of the same number
            write_text(self.folder / "status.json", json.dumps({**self.origin, **status}) + "\n")
