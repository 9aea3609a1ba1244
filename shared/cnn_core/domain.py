"""What a domain is: its data sets, its predictor, and what the commands do with both, written once.

A domain is an import package, found through the entry points `cnn_showcase.domains` (see `cnn_core.domains`), with the
folders `recipes` and `weights`, and these names in its `__init__`, loaded with their first use:

    DATA_SETS   name -> DataSet
    DOMAIN      a Domain
    BENCHES     name -> Bench (cnn_core.train.benches), for `cnn bench`; may be missing
    SOURCES     source -> (name -> folder of weights that others publish, see `weights.find.Fetch`); may be missing
    MATERIALS   name -> DataSet that is not trained on by itself, such as word vectors; may be missing
    MODELS      name -> a line on each network that the domain builds itself, for `cnn list models`; may be missing
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cnn_core.answers import NONE_OF_THESE, Tally
from cnn_core.data.paths import user_path, with_upload_of
from cnn_core.data.sets import DataSet, find_set
from cnn_core.data.summary import NAMED, DataSummary
from cnn_core.domains import find_recipe
from cnn_core.errors import CnnError
from cnn_core.predictor import Answer, Measured, Report, check_options
from cnn_core.train.checkpoint import CHECKPOINT_FILE
from cnn_core.train.commands import compare_command, train_command
from cnn_core.train.config import check_settings, override, read_recipe
from cnn_core.weights import WeightsCard, find_weights, load_card
from cnn_core.weights.card import name_for
from cnn_core.weights.reports import REPORT_FILE, write_report

if TYPE_CHECKING:
    from cnn_core.train.finish import Observer, Outcome
    from cnn_core.train.task import Task


@dataclass(frozen=True, kw_only=True)
class Domain:
    """What a domain fills in, and what the commands and pages do with it.

    Args:
        name: of its package; the cards of its weights have it as their `domain`.
        recipe: the dataclass of its recipes, with the sections `data`, `model` and `loop`. The section `model` adds
            the flag `--weights`: a domain starts from them, or refuses them.
        make_task: recipe -> Task.
        load: (name, device) -> predictor of shipped weights or a run folder.
        data_sets: by name.
        measure: (predictor, data, split, own) -> Measured; `own`: the weights were trained on data. A split None
            stands for the test split of a named set and of the training data, and for all of any other data (see
            `cnn_core.weights.members`). None: no `cnn eval`, and no report beside the weights.
        set_answers: (predictor, one of `data_sets`, split) -> an answer to each of its items, each a
            `classification.Prediction`. None: its predictors refuse nothing.
        ways: (card, weights) -> what `cnn compare` trains: name of a way -> its recipe and its fixed settings;
            None: nothing.
        report: predictor of a finished run -> what is written beside the weights, unless its Task has made it; None:
            `measure` of the test split.
        exportable: predictor -> keywords of `cnn_core.export.export_onnx`; None: its model, as the card describes it.
        limits: of all its networks that learn from a user's own data.
    """

    name: str
    recipe: type
    make_task: Callable[[Any], "Task"]
    load: Callable[..., Any]
    data_sets: Mapping[str, DataSet]
    measure: Callable[..., Measured] | None = None
    set_answers: Callable[[Any, Any, str], Iterator[Answer]] | None = None
    ways: Callable[[WeightsCard, str], Mapping[str, tuple[Any, Mapping[str, Any]]]] | None = None
    report: Callable[[Any], Report] | None = None
    exportable: Callable[[Any], dict[str, Any]] | None = None
    limits: Sequence[str] = ()

    def train(
        self,
        recipe: Any,
        *,
        folder: Path | str | None = None,
        name: str | None = None,
        seeds: Sequence[int] = (),
        resume: bool = False,
        observe: "Observer | None" = None,
        show: Callable[[DataSummary], None] | None = None,
        settings: Mapping[str, Any] | None = None,
        command: str | None = None,
    ) -> "Outcome":
        """Train a recipe and leave a run folder that predicts, explains and exports.

        Args:
            recipe: a name of `cnn list recipes`, a TOML file, or a recipe object.
            folder: the run folder; None: `runs/<name>` in the working folder.
            name: of the weights; None: the recipe's, in the signs that a card allows.
            seeds: train once with each and report mean and spread; empty: once, with the recipe's own seed.
            resume: continue the run in `folder`.
            observe: called after every step and epoch with a `Progress`; returning False stops the run.
            show: called with the summary of the data before the first step.
            settings: single fields to change, by name: `{"epochs": 3, "data": "my_photos"}`.
            command: the command to repeat the training, for the card; None: composed from the other arguments.
        """
        from cnn_core.train.finish import train_seeds, train_task  # 150 MB, which only a training needs

        source, recipe = self._find(recipe)
        name = name or name_for(Path(source).stem if source else "")
        recipe = self.with_settings(recipe, override(recipe, settings or {}))
        folder = Path(folder) if folder is not None else Path("runs") / name
        if command is None:
            own = f"{self.name}.train(recipe) in Python; recipe.json of the run holds the settings"
            command = train_command(source, settings or {}, seeds) if source else own

        def with_seed(seed: int) -> "Task":
            return self.make_task(dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, seed=seed)))

        with with_upload_of(folder):
            if seeds:
                outcome = train_seeds(
                    with_seed, folder, seeds=seeds, name=name, domain=self.name, command=command, resume=resume,
                    observe=observe, show=show,
                )  # fmt: skip
            else:
                outcome = train_task(
                    self.make_task(recipe), folder, name=name, domain=self.name, command=command, resume=resume,
                    observe=observe, show=show,
                )  # fmt: skip
            there = (folder / "card.json").exists()  # not of a seed that was stopped
            if self.measure and outcome.card is not None and there and not (folder / REPORT_FILE).exists():
                outcome = dataclasses.replace(outcome, report=self.write_report(folder))
        return outcome

    def with_settings(self, recipe: Any, changed: Any) -> Any:
        """Return `changed`, a recipe with other settings, without what `recipe` says of its own data, if it has others.

        Description, limits and the last clause of the licence speak of the set that a recipe is for.
        """
        before, now = (getattr(getattr(entry, "data", None), "data", None) for entry in (recipe, changed))
        if before == now or find_set(self.data_sets, before) is None or recipe.limits != changed.limits:
            return changed
        terms = recipe.licence.split("; ")[:-1] or [recipe.licence]
        licence = "; ".join([*terms, "the training data have their own terms"])
        return dataclasses.replace(changed, description="", limits=list(self.limits), licence=licence)

    def summarise(self, recipe: Any, settings: Mapping[str, Any] | None = None) -> DataSummary:
        """Return what a training would understand of its data, without training.

        Args:
            recipe: as in `train`.
            settings: as in `train`.

        Raises:
            DataError: nothing can be learned from them.
        """
        task = self.make_task(override(self._find(recipe)[1], settings or {}))
        task.build_data(torch.device("cpu"))
        summary: DataSummary | None = getattr(task, "summary", None)
        if summary is None:
            raise CnnError(f"{self.name} has no summary of its data")
        return summary

    def train_once(
        self, recipe: Any, folder: Path, settings: Mapping[str, Any], *, observe: "Observer | None" = None
    ) -> WeightsCard:
        """Return the card of a training among several; a finished one is not repeated, an interrupted one is resumed.

        Args:
            recipe: as in `train`.
            folder: the run folder.
            settings: what this training differs in, as in `train`.
            observe: as in `train`.

        Raises:
            ConfigError: the folder holds a training with other settings.
        """
        if (folder / "card.json").exists():
            check_settings(folder, override(self._find(recipe)[1], settings))  # limits and licence may differ
        else:
            self.train(recipe, folder=folder, settings=settings, resume=folder.exists(), observe=observe)
            (folder / CHECKPOINT_FILE).unlink(missing_ok=True)  # a hundred megabytes each, of no more use
        return load_card(folder)

    def write_report(self, folder: Path) -> Report:
        """Measure the test set of a finished run, write the report beside the weights, and return it."""
        predictor = self.load(folder, device="cpu")
        if self.report:
            report = self.report(predictor)
        else:
            report = self._offered(self.measure, "eval")(
                predictor, predictor.card.section("data")["data"], "test", True
            ).report
        write_report(report, folder)
        return report

    def evaluate_weights(
        self, name: str, *, data: str | None = None, split: str | None = None, device: str = "auto",
        columns: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Measure weights on a data set.

        Args:
            name: shipped weights or a run folder.
            data: a set name, or a path to custom data; None: the set the weights were trained on.
            split: "test", "val" or "train"; None: "test" of a named set and of the training data, all of other data.
            device: auto, cpu, cuda, mps.
            columns: of a table of texts, `text_column` and `label_column`; a domain without tables refuses them.

        Returns:
            {"data", "split", "n", "of", "metrics", "lines", "summary"}; "unseen", the metrics without copies of what
            was learned, "counts", the n of metrics that have their own, and "cases", where there are some.
        """
        measure, columns = self._offered(self.measure, "eval"), columns or {}
        check_options(measure, columns, name)
        predictor = self.load(name, device=device)
        own = self.learned_from(predictor.card, data)
        predictor.card.check_unseen(split or "test", own=own)
        if not (data := data or predictor.card.section("data").get("data")):  # weights that others publish
            raise CnnError(f"{name} was trained elsewhere; say what to measure it on with --data")
        measured = measure(predictor, data, split, own, **columns)
        report = measured.report
        more = {name: found for name in ("counts", "cases") if (found := getattr(report, name, None))}
        more |= {"unseen": dict(measured.unseen)} if measured.unseen else {}
        return {
            "data": data, "split": measured.split, "n": report.n, "of": measured.of, "metrics": report.metrics,
            **more, "lines": list(getattr(report, "lines", ())), "summary": measured.data.to_json(),
        }  # fmt: skip

    def evaluate_foreign(
        self, name: str, *, data: str, split: str | None = None, device: str = "auto"
    ) -> dict[str, Any]:
        """Measure how many inputs of none of the classes are refused, answered with "none of these".

        Args:
            name: shipped weights or a run folder.
            data: a set name, or a path to files that hold none of the classes.
            split: of a named set; None: "test".
            device: auto, cpu, cuda, mps.

        Returns:
            What `evaluate_weights` returns, with the metric "refused".

        Raises:
            CnnError: the weights refuse nothing, they know these data or their classes, or nothing could be answered.
        """
        predictor = self.load(name, device=device)
        if not predictor.card.can_refuse or self.set_answers is None:
            raise CnnError(
                f"{name} refuses nothing: it has not learned what is none of its classes; see `cnn calibrate`"
            )
        if self.learned_from(predictor.card, data):
            raise CnnError(f"{name} learned from {data}; give --foreign data that hold none of its classes")
        known = find_set(self.data_sets, data)
        if shared := {*getattr(known, "labels", ())} & {*predictor.labels}:
            raise CnnError(f"{data} has classes that {name} knows ({', '.join(sorted(shared))}): they are not foreign")
        if known is None and split is not None:
            raise CnnError(f"{data} has no splits that --foreign knows; leave --split out, or give a folder of it")
        split = split or ("test" if known else "all")
        tally = Tally()
        for answer in self.set_answers(predictor, known, split) if known else predictor.stream_inputs([data]):
            tally.add(answer.to_json())
        if not tally.answered:
            raise CnnError(tally.failure)
        refused, total = tally.classes.pop(NONE_OF_THESE, 0), tally.answered + tally.failed
        taken = ", ".join(f"{label} ({count:,})" for label, count in tally.classes.most_common(NAMED))
        said = DataSummary(data, "inputs", {split: total}, warnings=(tally.failure,) if tally.failed else ())
        return {
            "data": data, "split": split, "n": tally.answered, "of": total,
            "metrics": {"refused": refused / tally.answered},
            "lines": [f"taken for a class, the most frequent first: {taken}"] if taken else [],
            "summary": said.to_json(),
        }  # fmt: skip

    def learned_from(self, card: WeightsCard, data: str | None) -> bool:
        """Return whether `data` is the set that weights were trained on: by its name, by its folder, or None."""
        if data is None or card.learned_from(data, self.data_sets):
            return True
        learned = find_set(self.data_sets, card.section("data").get("data"))
        if learned is None or not learned.folder:
            return False
        with contextlib.suppress(OSError, ValueError):  # it is not there, or no path at all
            path = user_path(data).resolve()
            return learned.path().resolve() in (path, path.parent)
        return False

    def predict_items(
        self, name: str, inputs: Sequence[str], *, device: str = "auto", output: Path | None = None
    ) -> Iterator[dict[str, Any]]:
        """Predict inputs one after another; one item per input, an item that failed has "error".

        Args:
            name: shipped weights or a run folder.
            inputs: files, folders, texts: what the domain takes.
            device: auto, cpu, cuda, mps.
            output: a folder for the files that a predictor writes of its own; None: none are written.
        """
        return (answer.to_json() for answer in self.answers(name, inputs, device=device, output=output))

    def answers(
        self, name: str, inputs: Sequence[str], *, device: str = "auto", output: Path | None = None
    ) -> Iterator[Answer]:
        """Yield what `predict_items` yields, as objects that can be printed."""
        return self.load(name, device=device).stream_inputs(inputs, output=output)

    def explain_to_file(
        self, name: str, source: str, output: Path, *, method: str | None = None, device: str = "auto", **chosen: Any
    ) -> str:
        """Write the explanation of a prediction, and return one sentence that says what is shown.

        `chosen` are options of a domain's own that name a part of the input, such as `series`; others refuse them.
        """
        how = {"method": method} if method else {}
        explain = self._offered(getattr(self.load(name, device=device), "explain", None), "explain")
        check_options(explain, chosen, name)
        return explain(source, **how, **chosen).save(output)

    def compare(
        self,
        weights: str,
        data: str,
        *,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        show: Callable[[DataSummary], None] | None = None,
    ) -> list[dict[str, float | str]]:
        """Train the domain's ways of transfer on the same data with the same settings.

        Args:
            weights: shipped weights or a run folder.
            data: a set name, or a path to custom data.
            folder: gets one run folder per way.
            settings: fields of the recipe, the same for all.
            show: called once with the summary of the data.

        Returns:
            One row per way: mode, the first metric of its card on the test set, n, seconds, trained parameters.
        """
        command = compare_command(weights, data, settings or {})
        ways, rows = self._offered(self.ways, "compare"), []
        for mode, (recipe, fixed) in ways(load_card(find_weights(weights, domain=self.name)), weights).items():
            recipe = override(recipe, {"data": data, **(settings or {}), **fixed})
            started = time.perf_counter()
            outcome = self.train(recipe, folder=folder / mode, name=mode, command=command, show=show)
            show = None  # the data are the same for all
            if outcome.card is None or outcome.run is None:
                raise CnnError("comparing in several processes is not supported; leave devices and num_nodes at 1")
            metric, entry = next(iter(outcome.card.metrics.items()))
            rows.append({
                "mode": mode,
                metric: entry["mean"],
                "n": entry["n"],
                "seconds": round(time.perf_counter() - started, 1),
                "trained": sum(p.numel() for p in outcome.run.model.parameters() if p.requires_grad),
            })  # fmt: skip
        return rows

    def _offered(self, part: Callable[..., Any] | None, command: str) -> Callable[..., Any]:
        if part is None:
            raise CnnError(f"{self.name} does not offer `cnn {command}`")
        return part

    def _find(self, recipe: Any) -> tuple[str, Any]:
        """Return what `cnn train` calls the recipe, "" for an object, and the recipe."""
        if isinstance(recipe, self.recipe):
            return "", recipe
        file = Path(recipe)
        if file.suffix != ".toml":
            domain, file = find_recipe(str(recipe))
            if domain != self.name:
                raise CnnError(f"recipe {recipe!r} belongs to {domain}, not to {self.name}")
        return str(recipe), read_recipe(self.recipe, file)
