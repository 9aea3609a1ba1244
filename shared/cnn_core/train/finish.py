"""From a recipe to weights with a card: train, measure on the test split, save; on request over several seeds."""

import dataclasses
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cnn_core.confidence import ThresholdTask, learn_confidence
from cnn_core.data.summary import SUMMARY_FILE, DataSummary
from cnn_core.errors import CnnError
from cnn_core.storage import write_bytes
from cnn_core.train.checkpoint import CHECKPOINT_FILE, is_trained
from cnn_core.train.config import RECIPE_FILE, check_settings, to_table
from cnn_core.train.devices import has_bfloat16_cpu
from cnn_core.train.loop import Progress, Run, fit
from cnn_core.train.task import Evaluation, Task
from cnn_core.weights import WeightsCard, load_card, load_state, round_weights, save_weights
from cnn_core.weights.card import check_fields
from cnn_core.weights.members import MEMBERS_FILE, write_members
from cnn_core.weights.reports import REPORT_FILE, Writable, write_report

Observer = Callable[[Progress], bool | None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A training run and the card of its weights; a stopped run has weights too."""

    run: Run | None  # None: the run was finished before
    card: WeightsCard | None  # None in the processes of a parallel run that write no files
    report: Writable | None = None  # of the test split


def train_task(
    task: Task,
    folder: Path,
    *,
    name: str,
    domain: str,
    command: str,
    resume: bool = False,
    observe: Observer | None = None,
    show: Callable[[DataSummary], None] | None = None,
) -> Outcome:
    """Fit, evaluate on the test split, and write the weights and their card into the run folder.

    Args:
        task: the learning problem.
        folder: the run folder.
        name: of the weights, usually the recipe's.
        domain: the package that can load them.
        command: what to type to train them again.
        resume: go on with the run in `folder`.
        observe: see `fit`.
        show: see `fit`.

    Raises:
        WeightsError: a card could not hold the name, the command or the settings; what `fit` raises.
    """
    known = {key: getattr(task.recipe, key) for key in ("licence", "limits") if hasattr(task.recipe, key)}
    check_fields({**known, "name": name, "domain": domain, "command": command, "recipe": to_table(task.recipe)})
    run = fit(task, folder, resume=resume, observe=observe, origin={"name": name, "command": command}, show=show)
    if not run.main:
        return Outcome(run, None)
    model = run.model
    store = getattr(task.recipe.model, "store", "float32")
    confidence = learn_confidence(task, model)
    round_weights(model, store)  # measured as it will be loaded
    with torch.inference_mode():
        if isinstance(task, ThresholdTask):
            task.choose_threshold(model)  # of these weights, which need not be those that were validated last
        result = task.evaluate(model, "test")
    fields = {
        **task.card_fields(model),
        "name": name,
        "domain": domain,
        "metrics": _metrics([result] if result else [], [task.recipe.loop.seed]),
        "recipe": to_table(task.recipe),
        "command": command,
        "machine": machine(),
        "seconds": round(run.seconds, 1),
        "confidence": confidence,
    }
    card = save_weights(fields.pop("model_module", model), fields, folder, dtype=store)
    if members := getattr(task, "members", None):
        write_members(folder, members)
    (folder / REPORT_FILE).unlink(missing_ok=True)  # of weights that are not there any more
    if result and result.report:
        write_report(result.report, folder)
    return Outcome(run, card, result.report if result else None)


def train_seeds(
    make_task: Callable[[int], Task],
    folder: Path,
    *,
    seeds: Sequence[int],
    name: str,
    domain: str,
    command: str,
    resume: bool = False,
    observe: Observer | None = None,
    show: Callable[[DataSummary], None] | None = None,
) -> Outcome:
    """Train once per seed, in `folder/seed<N>`, and put the first seed's weights into `folder`.

    The card there has the mean and the spread of all seeds. The weights are the first seed's whatever their figures:
    choosing the best of them by the test set would be tuning on it. A seed that is finished is not trained again.

    Raises:
        ConfigError: a seed that is there was trained with other settings.
        CnnError: the folder holds a run of one seed, or one of several and `resume` is False; several processes.
    """
    if (folder / CHECKPOINT_FILE).exists() or (not resume and (folder / "card.json").exists()):
        raise CnnError(f"{folder} already holds a run; choose another folder with --run (seeds go on with --resume)")
    outcomes = []
    for seed in seeds:
        part, task = folder / f"seed{seed}", make_task(seed)
        loop = task.recipe.loop
        if loop.devices * loop.num_nodes > 1:
            raise CnnError("several seeds in several processes are not supported; train one --seed after the other")
        if resume and is_trained(part):
            check_settings(part, task.recipe)
            outcomes.append(Outcome(None, load_card(part)))
            continue
        going_on = resume and (part / RECIPE_FILE).exists()
        outcome = train_task(
            task, part, name=name, domain=domain, command=command, resume=going_on, observe=observe, show=show
        )
        show = None  # the data are the same for all
        outcomes.append(outcome)
        if outcome.run is not None and (outcome.run.stopped or not outcome.run.main):
            return outcome
    cards = [outcome.card for outcome in outcomes if outcome.card is not None]
    return Outcome(outcomes[-1].run, _join(folder, cards, seeds), outcomes[0].report)


def _join(folder: Path, cards: Sequence[WeightsCard], seeds: Sequence[int]) -> WeightsCard:
    """Write the first seed's weights into `folder`, with a card that speaks of all seeds."""
    state, first = load_state(folder / f"seed{seeds[0]}")
    fields = dataclasses.asdict(first)
    for derived in ("sha256", "bytes", "dtype", "version", "created"):
        fields.pop(derived)
    results = [
        Evaluation(
            next(iter(card.metrics.values()))["n"],
            {k: v["mean"] for k, v in card.metrics.items()},
            counts={k: v["n"] for k, v in card.metrics.items()},
        )
        for card in cards
        if card.metrics
    ]
    fields["metrics"] = _metrics(results, seeds)
    fields["seconds"] = round(statistics.fmean(card.seconds for card in cards), 1)
    for name in (REPORT_FILE, SUMMARY_FILE, MEMBERS_FILE):
        file = folder / f"seed{seeds[0]}" / name
        if file.exists():
            write_bytes(folder / name, file.read_bytes())
    return save_weights(state, fields, folder, dtype=first.dtype)


def _metrics(results: Sequence[Evaluation], seeds: Sequence[int]) -> dict[str, Mapping[str, Any]]:
    """Return metric name -> mean, standard deviation over the seeds (none for one), n, seeds, split, values."""
    if not results:
        return {}
    table: dict[str, Mapping[str, Any]] = {}
    for name in (name for name in results[0].metrics if all(name in result.metrics for result in results)):
        values = [round(result.metrics[name], 6) for result in results]
        table[name] = {
            "mean": round(statistics.fmean(values), 6),
            "std": round(statistics.stdev(values), 6) if len(values) > 1 else None,
            "n": results[0].counts.get(name, results[0].n),
            "seeds": list(seeds),
            "split": "test",
            "values": values,
        }
    return table


def machine() -> str:
    """Describe this machine for a card: processor kind, threads, GPU, torch version."""
    kind = platform.machine()
    if hasattr(torch.cpu, "_is_avx512_supported") and torch.cpu._is_avx512_supported():
        kind += " with AVX-512" + (" and bfloat16" if has_bfloat16_cpu() else "")
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of {kind}{gpu}, torch {torch.__version__.split('+')[0]}"
