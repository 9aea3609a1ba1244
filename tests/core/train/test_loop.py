"""The epoch loop: exact resume, stopping, choosing the best epoch, averaging, accumulation, several processes."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from toy import Slope, ToyRecipe, ToyTask

from cnn_core.errors import CnnError, ConfigError
from cnn_core.train.config import LoopConfig, OptimizerConfig
from cnn_core.train.finish import train_task
from cnn_core.train.loop import Progress, fit
from cnn_core.train.optim import learning_rate_factor
from cnn_core.train.runs import read_rows
from cnn_core.train.task import Evaluation, Pairs

HERE = Path(__file__).parent


def recipe(**loop: object) -> ToyRecipe:
    settings = {"epochs": 3, "batch_size": 32, "device": "cpu", **loop}
    return ToyRecipe(loop=LoopConfig(**settings))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_learns_and_leaves_a_readable_folder(tmp_path: Path) -> None:
    run = fit(ToyTask(recipe(epochs=20), dropout=0.0), tmp_path)
    assert run.history[-1]["val_accuracy"] > 0.85  # chance is 0.5
    assert run.history[0]["loss"] > 0.6 > run.history[-1]["loss"] + 0.1
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in run.history]
    assert read_rows(tmp_path / "log.csv")[-1]["epoch"] == 20
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "trained"
    assert len(list(tmp_path.glob("events.out.tfevents*"))) == 1


def test_a_label_with_a_comma_is_one_column_of_the_log(tmp_path: Path) -> None:
    class Segments(ToyTask):
        def evaluate(self, model: torch.nn.Module, split: str) -> Evaluation:
            found = super().evaluate(model, split)
            return dataclasses.replace(found, metrics={**found.metrics, "dice_left,_upper": 0.25})

    fit(Segments(recipe(epochs=1)), tmp_path)
    (row,) = read_rows(tmp_path / "log.csv")
    assert row["val_dice_left,_upper"] == 0.25 and 0 <= row["val_accuracy"] <= 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    first = fit(ToyTask(recipe(seed=1)), tmp_path / "a")
    again = fit(ToyTask(recipe(seed=1)), tmp_path / "b")
    other = fit(ToyTask(recipe(seed=2)), tmp_path / "c")
    assert same(first.model, again.model)
    assert not same(first.model, other.model)


@pytest.mark.parametrize("optimizer", [
    OptimizerConfig(optimizer="adamw", ema=0.9), OptimizerConfig(optimizer="sgd", learning_rate=0.1),
    OptimizerConfig(optimizer="muon", learning_rate=0.1, bias_learning_rate=0.1, schedule="one-cycle"),
], ids=lambda c: c.optimizer)  # fmt: skip
def test_stopping_after_any_epoch_and_resuming_changes_no_bit(tmp_path: Path, optimizer: OptimizerConfig) -> None:
    settings = dataclasses.replace(recipe(epochs=3), optimizer=optimizer)
    whole = fit(ToyTask(settings), tmp_path / "whole")
    for stop_after in (1, 2):
        folder = tmp_path / f"stop{stop_after}"

        def stop(progress: Progress, last: int = stop_after) -> bool:
            return not (progress.metrics is not None and progress.epoch == last)

        torch.manual_seed(12345)  # a resumed run starts in a process with another history
        part = fit(ToyTask(settings), folder, observe=stop)
        assert part.stopped and part.epochs_done == stop_after
        assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
        torch.rand(7)
        rest = fit(ToyTask(settings), folder, resume=True)
        assert same(rest.model, whole.model)
        assert [row["loss"] for row in rest.history] == [row["loss"] for row in whole.history]


def test_stopping_inside_an_epoch_goes_back_to_its_start(tmp_path: Path) -> None:
    whole = fit(ToyTask(recipe()), tmp_path / "whole")
    part = fit(ToyTask(recipe()), tmp_path / "part", observe=lambda p: not (p.epoch == 2 and p.step == 3))
    assert part.stopped and part.epochs_done == 1
    assert same(fit(ToyTask(recipe()), tmp_path / "part", resume=True).model, whole.model)


class Timed(ToyTask):
    """A task whose clock advances by `seconds` with every step, and by 4 with a validation."""

    now = 0.0
    seconds = 1.0

    def training_step(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        Timed.now += self.seconds
        return super().training_step(model, batch)

    def evaluate(self, model: torch.nn.Module, split: str) -> Evaluation | None:
        Timed.now += 4.0
        return super().evaluate(model, split)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rates of every step, on a clock that only `Timed` moves."""
    found: list[float] = []
    monkeypatch.setattr("cnn_core.train.loop.time", SimpleNamespace(perf_counter=lambda: Timed.now))

    def factor(*arguments: object, **named: object) -> float:
        found.append(learning_rate_factor(*arguments, **named))
        return found[-1]

    monkeypatch.setattr("cnn_core.train.loop.learning_rate_factor", factor)
    monkeypatch.setattr(Timed, "now", 100.0)
    return found


def test_a_metric_may_have_its_own_number_of_items(tmp_path: Path) -> None:
    class Distances(ToyTask):
        def evaluate(self, model: torch.nn.Module, split: str) -> Evaluation:
            return Evaluation(4, {"accuracy": 0.5, "distance": 7.0}, counts={"distance": 2})

        def card_fields(self, model: torch.nn.Module) -> dict[str, object]:
            arguments = {"spatial_dims": 1, "in_channels": 1, "num_classes": 2, "input_size": None, "options": {}}
            said = {"licence": "MIT", "limits": [], "labels": [], "input": {}}
            return {"model": "toy", "arguments": arguments, **said}

    names = {"name": "x", "domain": "image_classification", "command": "cnn train x"}
    card = train_task(Distances(recipe(epochs=1)), tmp_path, **names).card
    assert {name: entry["n"] for name, entry in card.metrics.items()} == {"accuracy": 4, "distance": 2}


def test_a_run_fits_its_minutes_and_its_learning_rate_falls_to_the_end(tmp_path: Path, rates: list[float]) -> None:
    """Epochs of 8 steps and a validation take 12 s: the end of the fifth, at 60 s, is nearest to a minute."""
    seen: list[Progress] = []
    settings = dataclasses.replace(recipe(epochs=1000, minutes=1.0), optimizer=OptimizerConfig(schedule="linear"))
    run = fit(Timed(settings), tmp_path, observe=seen.append)
    assert run.epochs_done == 5 and not run.stopped and len(rates) == 40
    assert json.loads((tmp_path / "status.json").read_text()) | {"pid": 0, "mark": ""} == {
        "state": "trained", "epoch": 5, "epochs": 5, "pid": 0, "mark": "",
    }  # fmt: skip
    assert rates[0] > 0.98 and all(a > b for a, b in pairwise(rates)) and 0 < rates[-1] < 0.1
    assert rates[20] == pytest.approx(1 - (2 * 12 + 4) / 60, abs=0.01)  # after 28 s
    assert [p.epochs for p in seen if p.metrics is not None][1:] == [5, 5, 5, 5]
    again = fit(Timed(settings), tmp_path, resume=True)
    assert again.epochs_done == 5 and len(rates) == 40  # there is no time left


@pytest.mark.parametrize(("minutes", "epochs", "eval_every", "done"), [
    (1, 3, 1, 3),  # the epochs end first
    (0.05, 1000, 1, 1),  # the first epoch takes longer than the minutes
    (1, 1000, 100, 7),  # seven epochs of 8 s without, and at the end one validation
    (1.1, 1000, 1, 5),  # 66 s: 60 are as near as 72, and less
])  # fmt: skip
def test_minutes_end_a_run_at_the_end_of_an_epoch_that_is_validated(
    tmp_path: Path, rates: list[float], minutes: float, epochs: int, eval_every: int, done: int
) -> None:
    run = fit(Timed(recipe(epochs=epochs, minutes=float(minutes), eval_every=eval_every)), tmp_path)
    assert run.epochs_done == done and "val_accuracy" in run.history[-1]
    assert len(rates) == 8 * done and all(rate > 0 for rate in rates)


def test_a_resumed_run_has_the_minutes_that_are_left(tmp_path: Path, rates: list[float]) -> None:
    settings = recipe(epochs=1000, minutes=1.0)
    whole = fit(Timed(settings), tmp_path / "whole")
    part = fit(Timed(settings), tmp_path / "part", observe=lambda p: not (p.epoch == 2 and p.metrics is not None))
    assert part.stopped and part.epochs_done == 2
    Timed.now += 3600  # a break costs nothing
    rest = fit(Timed(settings), tmp_path / "part", resume=True)
    assert rest.epochs_done == 5 and same(rest.model, whole.model)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """kill -9 at several moments, also while a checkpoint is being written."""
    code = (
        f"import sys, torch; sys.path.insert(0, sys.argv[2]); torch.set_num_threads({torch.get_num_threads()})\n"
        "from pathlib import Path; from toy import *\n"
        "loop = LoopConfig(epochs=15, batch_size=32, device='cpu')\n"
        "fit(ToyTask(ToyRecipe(loop=loop)), Path(sys.argv[1]), resume=True)"
    )
    settings = recipe(epochs=15)
    whole = fit(ToyTask(settings), tmp_path / "whole")
    folder = tmp_path / "killed"
    for turn in range(2):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(HERE)])
        goal = 3 + 4 * turn
        deadline = time.monotonic() + 60
        while len(read_rows(folder / "log.csv")) < goal and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
    rest = fit(ToyTask(settings), folder, resume=True)
    assert same(rest.model, whole.model)
    assert len(read_rows(folder / "log.csv")) == 15


@pytest.mark.gpu
def test_an_averaged_run_on_a_gpu_goes_on(tmp_path: Path) -> None:
    settings = dataclasses.replace(recipe(device="cuda"), optimizer=OptimizerConfig(ema=0.9))
    fit(ToyTask(settings), tmp_path, observe=lambda p: p.epoch < 2)
    assert fit(ToyTask(settings), tmp_path, resume=True).epochs_done == 3


def test_a_second_training_in_the_folder_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    heard = []

    def observe(progress: Progress) -> None:
        if progress.step == 2 and not heard:
            for resume in (False, True):
                with pytest.raises(CnnError, match="somebody else is writing to") as caught:
                    fit(ToyTask(recipe()), tmp_path, resume=resume)
                heard.append(caught.value)

    first = fit(ToyTask(recipe()), tmp_path, observe=observe)
    assert len(heard) == 2 and first.epochs_done == 3
    assert fit(ToyTask(recipe()), tmp_path, resume=True).epochs_done == 3


def test_resuming_a_finished_run_trains_nothing(tmp_path: Path) -> None:
    first = fit(ToyTask(recipe()), tmp_path)
    again = fit(ToyTask(recipe()), tmp_path, resume=True)
    assert same(first.model, again.model) and again.epochs_done == 3


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    fit(ToyTask(recipe(epochs=1)), tmp_path)
    with pytest.raises(CnnError, match="already holds a run; go on with --resume"):
        fit(ToyTask(recipe(epochs=1)), tmp_path)


def test_a_run_begun_before_a_setting_existed_goes_on(tmp_path: Path) -> None:
    fit(ToyTask(recipe(epochs=2)), tmp_path, observe=lambda p: p.metrics is None)
    file = tmp_path / "recipe.json"
    before = json.loads(file.read_text())
    del before["loop"]["patience"]
    file.write_text(json.dumps(before))
    assert fit(ToyTask(recipe(epochs=2)), tmp_path, resume=True).epochs_done == 2
    before["loop"]["seed"] = 7
    file.write_text(json.dumps(before))
    with pytest.raises(ConfigError, match="seed was 7, now 0"):
        fit(ToyTask(recipe(epochs=2)), tmp_path, resume=True)


def test_resuming_with_other_settings_names_every_difference(tmp_path: Path) -> None:
    fit(ToyTask(recipe(epochs=1)), tmp_path)
    with pytest.raises(ConfigError, match=r"batch_size was 32, now 16.*epochs was 1, now 2") as caught:
        fit(ToyTask(recipe(epochs=2, batch_size=16)), tmp_path, resume=True)
    assert len(caught.value.problems) == 2
    fit(ToyTask(recipe(epochs=1, micro_batch=8)), tmp_path, resume=True)  # where it computes may change


@dataclasses.dataclass(frozen=True)
class Described(ToyRecipe):
    limits: tuple[str, ...] = ()


def test_what_is_said_of_a_recipe_may_change(tmp_path: Path) -> None:
    begun = recipe(epochs=1)
    fit(ToyTask(Described(begun.model, begun.optimizer, begun.loop, ("few words",))), tmp_path)
    fit(ToyTask(Described(begun.model, begun.optimizer, begun.loop, ("other words",))), tmp_path, resume=True)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(b'{"loop": {"epo', "damaged"), (b"", "damaged"), (b"\xff\xfe{}", "damaged"), (b"[" * 200_000, "damaged"),
     (b"[1]", "expected a table, got [1]")],
    ids=["cut short", "empty", "no UTF-8", "nested", "a list"],
)  # fmt: skip
def test_resuming_with_damaged_settings_says_which_file_and_what_to_do(
    tmp_path: Path, damage: bytes, said: str
) -> None:
    fit(ToyTask(recipe(epochs=1)), tmp_path)
    file = tmp_path / "recipe.json"
    file.write_bytes(damage)
    with pytest.raises(ConfigError, match=r"recipe\.json: expected the settings of the run as JSON") as caught:
        fit(ToyTask(recipe(epochs=1)), tmp_path, resume=True)
    assert said in str(caught.value) and "delete it" in str(caught.value) and "\n" not in str(caught.value)
    assert file.read_bytes() == damage  # nothing is lost by asking
    file.unlink()  # the advice holds
    assert fit(ToyTask(recipe(epochs=1)), tmp_path, resume=True).epochs_done == 1


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_best_epoch_is_kept_and_patience_ends_the_run(tmp_path: Path, ema: float) -> None:
    kept, averaged = [], OptimizerConfig(learning_rate=0.01, ema=ema)

    class Watched(ToyTask):
        def evaluate(self, model, split):
            kept.append([value.clone() for value in model.state_dict().values()])
            return super().evaluate(model, split)

    settings = dataclasses.replace(recipe(epochs=9, patience=2), optimizer=averaged)
    run = fit(Watched(settings, val_accuracy=[0.5, 0.8, 0.7, 0.8, 0.9]), tmp_path)
    assert run.epochs_done == 4 and not run.stopped  # 0.8 in epoch 2 is not beaten in epochs 3 and 4
    assert all(torch.equal(a, b) for a, b in zip(run.model.state_dict().values(), kept[1], strict=True))


def test_the_best_epoch_is_kept_over_a_resume_and_the_last_one_is_measured(tmp_path: Path) -> None:
    settings = recipe(epochs=5, eval_every=2)  # measured in the epochs 2, 4 and 5
    run = fit(ToyTask(settings, val_accuracy=[0.9, 0.4, 0.5]), tmp_path / "whole")
    assert [row.get("val_accuracy") for row in run.history] == [None, 0.9, None, 0.4, 0.5]
    fit(ToyTask(settings, val_accuracy=[0.9]), tmp_path / "part", observe=lambda p: not (p.metrics and p.epoch == 2))
    rest = fit(ToyTask(settings, val_accuracy=[0.4, 0.5]), tmp_path / "part", resume=True)
    assert same(rest.model, run.model)


def test_a_run_that_ended_by_patience_is_finished(tmp_path: Path) -> None:
    fit(ToyTask(recipe(epochs=9, patience=1), val_accuracy=[0.8, 0.7]), tmp_path)
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "trained"
    again = fit(ToyTask(recipe(epochs=9, patience=1), val_accuracy=[]), tmp_path, resume=True)  # nothing to evaluate
    assert again.epochs_done == 2


def test_patience_waits_for_what_is_measured(tmp_path: Path) -> None:
    settings = {"epochs": 12, "patience": 2, "eval_every": 3}
    better = fit(ToyTask(recipe(**settings), val_accuracy=[0.5, 0.6, 0.7, 0.8]), tmp_path / "better")
    assert better.epochs_done == 12
    worse = fit(ToyTask(recipe(**settings), val_accuracy=[0.5, 0.6, 0.4]), tmp_path / "worse")
    assert worse.epochs_done == 9  # measured in the epochs 3, 6 and 9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: on a CPU any number of processes will do")
def test_more_gpus_than_there_are_is_said(tmp_path: Path) -> None:
    with pytest.raises(CnnError, match="cannot train with --device cuda and --devices 99"):
        fit(ToyTask(recipe(device="cuda", devices=99)), tmp_path)


def test_a_run_goes_on_with_the_data_that_it_was_begun_with(tmp_path: Path) -> None:
    stopped = fit(ToyTask(recipe(), count=128), tmp_path, observe=lambda progress: progress.metrics is None)
    assert (stopped.stopped, stopped.epochs_done) == (True, 1)
    with pytest.raises(CnnError, match=r"the data have changed since the run .* was begun"):
        fit(ToyTask(recipe(), count=129), tmp_path, resume=True)
    assert fit(ToyTask(recipe(), count=128), tmp_path, resume=True).epochs_done == 3


def test_no_part_of_a_batch_is_much_smaller_than_the_others() -> None:
    """A remainder of one sample could not be normalised over the batch."""
    batch = torch.arange(33.0).view(33, 1), torch.arange(33)
    for lengths in ([33], [17, 16], [7, 7, 7, 6, 6], [1] * 33):
        parts = Pairs().parts(batch, len(lengths))
        assert [len(x) for x, _ in parts] == [Pairs().weight(part) for part in parts] == lengths
        assert torch.equal(torch.cat([x for x, _ in parts]), batch[0])
        assert torch.equal(torch.cat([y for _, y in parts]), batch[1])


def test_micro_batches_give_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    exact = {"epochs": 2, "precision": "32-true"}  # bfloat16's digits would not do
    whole = fit(ToyTask(recipe(**exact), dropout=0.0), tmp_path / "whole")
    parts = fit(ToyTask(recipe(**exact, micro_batch=12), dropout=0.0), tmp_path / "parts")
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_the_average_of_the_weights_is_what_is_evaluated_and_kept(tmp_path: Path) -> None:
    """One step with decay d = min(0.5, 2/11): the average is d * start + (1 - d) * after."""
    settings = dataclasses.replace(
        recipe(epochs=1, batch_size=256), optimizer=OptimizerConfig(optimizer="sgd", learning_rate=1.0, ema=0.5)
    )
    plain = dataclasses.replace(settings, optimizer=dataclasses.replace(settings.optimizer, ema=0.0))
    torch.manual_seed(settings.loop.seed)
    start = ToyTask(settings).build_model().state_dict()
    measured: dict[str, torch.Tensor] = {}

    class Watched(ToyTask):
        def evaluate(self, model, split):
            measured.update({name: value.clone() for name, value in model.state_dict().items()})
            return super().evaluate(model, split)

    averaged = fit(Watched(settings), tmp_path / "a").model.state_dict()
    after = fit(ToyTask(plain), tmp_path / "b").model.state_dict()
    for name in start:
        torch.testing.assert_close(averaged[name], 2 / 11 * start[name] + 9 / 11 * after[name])
        torch.testing.assert_close(measured[name], averaged[name])


def test_every_step_has_its_rate_of_the_schedule_over_the_whole_run(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(
        optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, schedule="linear"
    )  # fmt: skip
    settings = dataclasses.replace(recipe(epochs=2, batch_size=128, precision="32-true"), optimizer=optimizer)
    task, losses = Slope(settings), []

    def observe(progress: Progress) -> None:
        if progress.metrics is None:
            losses.append(progress.loss)

    run = fit(task, tmp_path / "a", observe=observe)
    weights = [*task.moments, next(run.model.parameters()).item()]
    steps = [before - after for before, after in pairwise(weights)]
    assert steps == pytest.approx([0.8, 0.6, 0.4, 0.2], abs=1e-6)  # four steps divide the run into fifths
    first, second, third, fourth = task.moments  # which are the losses
    assert losses == pytest.approx([first, (first + second) / 2, third, (third + fourth) / 2])
    assert task.modes == [True, True, False] * 2 and not run.model.training
    other = Slope(dataclasses.replace(settings, loop=dataclasses.replace(settings.loop, seed=1)))
    fit(other, tmp_path / "b")
    assert len({*task.sources, *other.sources}) == 4  # every epoch of every seed has an order of its own


def test_clipping_limits_the_step(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(
        optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, schedule="constant", clip=1e-3
    )
    settings = dataclasses.replace(recipe(epochs=1, batch_size=256), optimizer=optimizer)
    torch.manual_seed(0)
    start = ToyTask(settings).build_model()
    run = fit(ToyTask(settings), tmp_path)
    step = sum(((a - b) ** 2).sum() for a, b in zip(start.parameters(), run.model.parameters(), strict=True)) ** 0.5
    assert step.item() == pytest.approx(1e-3, rel=1e-3)


def test_a_loss_that_is_not_finite_ends_with_a_sentence(tmp_path: Path) -> None:
    class Bad(ToyTask):
        def training_step(self, model, batch):
            return super().training_step(model, batch) * float("nan")

    with pytest.raises(CnnError, match="the loss became nan in epoch 1; lower the learning rate"):
        fit(Bad(recipe()), tmp_path)
    assert not (tmp_path / "last.pt").exists()


def test_progress_tells_the_time_left() -> None:
    half = Progress(epoch=2, epochs=4, step=5, steps=10, loss=1.0, seconds=30.0)
    assert half.seconds_left == pytest.approx(30.0 / 15 * 25)


def in_two_processes(*words: str | Path) -> None:
    """Run toy.py with torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    result = subprocess.run(
        [*command, "--rdzv-endpoint", "127.0.0.1:0", str(HERE / "toy.py"), *map(str, words)],
        capture_output=True, text=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]


def test_two_processes_with_the_same_global_batch_train_like_one(tmp_path: Path) -> None:
    alone = fit(ToyTask(recipe(epochs=2, precision="32-true"), dropout=0.0), tmp_path / "one")
    in_two_processes(tmp_path / "two")
    rows = read_rows(tmp_path / "two" / "log.csv")
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in alone.history], abs=1e-5)
    weights = json.loads((tmp_path / "two" / "weights.json").read_text())
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(torch.tensor(weights[name]), value, atol=1e-5, rtol=0)


def test_two_processes_stop_together_after_the_epoch(tmp_path: Path) -> None:
    in_two_processes(tmp_path, "stopped")
    assert json.loads((tmp_path / "stopped.json").read_text()) == {"epochs_done": 1, "stopped": True}


def test_processes_that_the_recipe_does_not_want_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(CnnError, match="torchrun started 2 processes for a run of one; add --devices"):
        fit(ToyTask(recipe()), tmp_path)


def test_batches_too_small_for_two_processes_are_refused_before_anything_is_learned(tmp_path: Path) -> None:
    in_two_processes(tmp_path, "refused")
    for rank in (0, 1):  # each process hears it, so that none waits for the others
        said = (tmp_path / f"batch-{rank}.txt").read_text()
        assert "batches of 1 cannot be shared by 2 processes" in said and "--batch-size" in said
    assert not (tmp_path / "batch").exists()
