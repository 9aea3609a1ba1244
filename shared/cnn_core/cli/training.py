"""`cnn train` and `cnn compare`, with the settings of a recipe as flags, and `cnn bench`, tables of trainings."""

import argparse
import contextlib
import dataclasses
import datetime
import json
import logging
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_core.cli import interrupts
from cnn_core.cli.examples import EXAMPLES
from cnn_core.cli.looking import list_recipes
from cnn_core.cli.output import write_json
from cnn_core.errors import CnnError, ConfigError, unknown_name

NOT_OF_THE_CARD = ("--run", "--name")  # flags with a value that do not belong into the command that repeats a training
NOR_THESE = ("--resume", "--quiet", "--json")


def explain_train(*, asked: bool) -> int:
    """Say how `cnn train` is used, with the recipes there are: the answer to --help, or to a missing recipe."""
    lines = ["usage: cnn train RECIPE [--epochs N --data PATH --resume ...]; the recipe comes first", "", "recipes:"]
    rows = list_recipes()
    width = max((len(name) for name, _ in rows), default=0)
    lines += [f"  {name:{width}}  {text}" for name, text in rows]
    lines += ["", "examples:", *(f"  {line}" for line in EXAMPLES["train"])]
    lines += ["", "cnn train RECIPE --help shows every setting of a recipe as a flag"]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def run_train(options: argparse.Namespace, flags: list[str]) -> None:
    """Train and print the test metrics; with --json {"run", "weights", "metrics", "seconds", "data"}."""
    from cnn_core.data.summary import SUMMARY_FILE
    from cnn_core.domains import load_domain
    from cnn_core.train.config import read_recipe
    from cnn_core.weights.card import name_for

    if len({*options.seeds}) < len(options.seeds):
        options.parser.error(f"--seeds: expected different seeds, got {' '.join(map(str, options.seeds))}")
    home, file = locate_recipe(options.recipe)
    interrupts.run_folder = folder = options.folder or Path("runs") / file.stem
    domain = load_domain(home).DOMAIN
    logging.getLogger(f"{home}.task").setLevel(logging.INFO)  # what a task derives from the data is shown
    recipe = read_recipe(domain.recipe, file)
    recipe = domain.with_settings(recipe, with_flags(recipe, flags, options, prog=f"cnn train {options.recipe}"))
    name = options.name or name_for(file.stem)
    outcome = domain.train(
        recipe,
        folder=folder,
        name=name,
        seeds=options.seeds,
        resume=options.resume,
        observe=_observer(options),
        show=None if options.quiet or options.json else _show,
        command=repeating(options.given),
    )
    if outcome.run is not None and not outcome.run.main:
        return  # one of several processes: the first one speaks
    metrics = outcome.card.metrics if outcome.card else {}
    if options.json:
        seconds = outcome.card.seconds if outcome.card else None
        answer = {"run": str(folder), "weights": name, "metrics": metrics, "seconds": seconds}
        if (folder / SUMMARY_FILE).exists():
            answer["data"] = json.loads((folder / SUMMARY_FILE).read_text("utf-8"))
        write_json(options, answer)
        return
    for line in getattr(outcome.report, "lines", ()):
        print(line)
    for label, entry in metrics.items():
        spread = f" ± {entry['std']:.4f} over {len(entry['seeds'])} seeds" if entry["std"] is not None else ""
        print(f"{entry['split']} {label} {entry['mean']:.4f}{spread} (n {entry['n']})")
    print(f"weights and card: {folder}")


def run_compare(options: argparse.Namespace, flags: list[str]) -> None:
    """Train every way of transfer and print one row each; with --json {"weights", "data", "summary", "rows"}."""
    from cnn_core.domains import load_domain
    from cnn_core.train.config import setting_homes, to_table
    from cnn_core.weights import find_weights, load_card

    if options.help and options.name is None:
        print(options.parser.format_help() + "cnn compare NAME --help shows every setting as a flag")
        return
    missing = [word for word, value in (("NAME", options.name), ("--data", options.data)) if value is None]
    if missing and not options.help:
        options.parser.error(f"the following arguments are required: {', '.join(missing)}")
    domain = load_domain(load_card(find_weights(options.name)).domain).DOMAIN
    default = domain.recipe()
    recipe = with_flags(default, flags, options, prog=f"cnn compare {options.name}")
    if recipe.loop.devices * recipe.loop.num_nodes > 1:
        raise CnnError("comparing in several processes is not supported; leave --devices and --num-nodes at 1")
    before, after, homes = to_table(default), to_table(recipe), setting_homes(domain.recipe)
    given = {flag.split("=")[0].removeprefix("--").removeprefix("no-").replace("-", "_") for flag in flags}
    changed = {
        name: after[section].get(name)
        for name, section in homes.items()
        if name in given or after[section].get(name) != before[section].get(name)
    }
    folder = options.folder or Path("runs") / f"compare-{Path(options.name).name}"
    understood: list[Any] = []
    show = understood.append if options.quiet or options.json else _show
    rows = domain.compare(options.name, options.data, folder=folder, settings=changed, show=show)
    if options.json:
        answer = {"weights": options.name, "data": options.data, "rows": rows}
        write_json(options, answer | ({"summary": understood[0].to_json()} if understood else {}))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    print(f"runs: {folder}")


def run_calibrate(options: argparse.Namespace, _: list[str]) -> None:
    """Train once more with validation data held out, and print what the weights have learned of their confidence."""
    from cnn_core.calibration import calibrate_weights
    from cnn_core.domains import load_domain
    from cnn_core.weights import find_weights, load_card

    domain = load_domain(load_card(find_weights(options.name)).domain).DOMAIN
    folder = options.folder or Path("runs") / f"calibrate-{Path(options.name).name}"
    interrupts.run_folder = folder
    options.json = False
    card = calibrate_weights(domain, options.name, folder=folder, epochs=options.epochs, observe=_observer(options))
    said = card.confidence
    if card.input.get("chosen_on"):
        print(
            f"{card.name}: answers from a score of {card.input['threshold']} on, the best on {card.input['chosen_on']}"
        )
    if said is not None:
        print(
            f"{card.name}: temperature {said['temperature']}, calibration error {said['error_before']:.4f} -> "
            f"{said['error_after']:.4f} on {said['n']:,} items {said['data']}; familiarity of the classes: "
            + ("not compared" if said["threshold"] is None else f"{said['threshold']} and more")
        )


def run_bench(options: argparse.Namespace, _: list[str]) -> None:
    """Train every column of a table and print it; with --json {"bench", "columns"}."""
    bench = find_bench(options.name)
    folder = options.folder or Path("runs") / f"bench-{options.name}"
    rows = bench.run(
        folder,
        columns=options.columns,
        seeds=options.seeds or (0, 1, 2),
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.json:
        write_json(options, {"bench": options.name, "columns": rows})
        return
    print(bench.format(rows))
    print(f"trainings and table: {folder}")


def find_bench(name: str) -> Any:
    """Return the bench of that name from the domain that has it.

    Raises:
        UnknownNameError: no domain has it.
    """
    from cnn_core.domains import loaded_domains

    benches: dict[str, Any] = {}
    for _, package in loaded_domains():
        benches |= getattr(package, "BENCHES", {})
    if name not in benches:
        raise unknown_name("bench", name, benches)
    return benches[name]


def locate_recipe(name: str) -> tuple[str, Path]:
    """Return (domain, file) of a recipe by name, or of a TOML file.

    A file outside the packages says whose it is in the line `domain = "image_classification"`; where only one domain
    is installed, it is that one's.

    Raises:
        UnknownNameError: no such recipe or domain.
        ConfigError: the file cannot be read, or does not name one of several domains.
    """
    from cnn_core.domains import domain_folders, find_recipe, recipe_files
    from cnn_core.train.config import read_toml

    if not name.endswith(".toml"):
        return find_recipe(name)
    file, domains = Path(name), sorted(domain_folders())
    table = read_toml(file)
    homes = [domain for domain, known in recipe_files().values() if known.resolve() == file.resolve()]
    domain = table.get("domain", homes[0] if homes else domains[0] if len(domains) == 1 else None)
    if domain is None:
        raise ConfigError(
            name, [f'expected a first line such as domain = "{domains[0]}" (known: {", ".join(domains)})']
        )
    if domain not in domains:
        raise unknown_name("domain", str(domain), domains)
    return domain, file


def with_flags(recipe: Any, flags: Sequence[str], options: argparse.Namespace, *, prog: str) -> Any:
    """Change the recipe by flags such as `--epochs 3 --no-validation --data PATH`, which tyro makes from its fields.

    Settings of the model itself come from `--option`; another `--model` starts without those of the recipe's model.

    Raises:
        ConfigError: a value is impossible.
        SystemExit: an unknown flag (2), or --help (0).
    """
    import tyro

    from cnn_core.train.config import recipe_from_table

    if options.help:
        print(options.parser.format_help())  # what is not about the recipe's settings
    given = dict(options.model_options)
    bare = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, options={}))
    changed = tyro.cli(
        type(recipe),
        prog=prog,
        description="Settings of the training, with the recipe's values:",
        default=bare,
        args=["--help"] if options.help else list(flags),
        config=(tyro.conf.OmitArgPrefixes,),
    )
    table = dataclasses.asdict(changed)
    same = changed.model.model == recipe.model.model
    table["model"]["options"] = {**recipe.model.options, **given} if same else given
    return recipe_from_table(type(recipe), table)


def repeating(arguments: Sequence[str]) -> str:
    """Return the command line that trains the same again: without folder, name, resume and output flags."""
    words, skip = ["cnn"], False
    for word in arguments:
        if skip:
            skip = False
        elif word in NOT_OF_THE_CARD:
            skip = True
        elif word not in NOR_THESE and not word.startswith(tuple(f"{flag}=" for flag in NOT_OF_THE_CARD)):
            words.append(word)
    return shlex.join(words)


def _show(summary: Any) -> None:
    """Print what was understood of the data, before the training."""
    _draw("".join(f"{sentence}\n" for sentence in summary.sentences))


def _observer(options: argparse.Namespace) -> Callable[[Any], None] | None:
    """Return what draws the progress on standard error: a bar on a terminal, one line per epoch elsewhere."""
    if options.quiet or options.json:
        return None
    terminal = sys.stderr.isatty()
    drawn = 0.0

    def observe(progress: Any) -> None:
        nonlocal drawn
        left = datetime.timedelta(seconds=round(progress.seconds_left))
        head = f"epoch {progress.epoch}/{progress.epochs}"
        if progress.metrics is not None:
            text = (
                f"{head}  loss {progress.loss:.4f}{_figures(progress.metrics)}  {progress.seconds:.0f} s, {left} left"
            )
            _draw(("\r\033[K" if terminal else "") + text + "\n")
        elif terminal and time.monotonic() - drawn > 0.2:
            drawn = time.monotonic()
            filled = 24 * progress.step // progress.steps
            bar = "━" * filled + "─" * (24 - filled)
            _draw(f"\r\033[K{head} {bar} loss {progress.loss:.4f}  {left} left")

    return observe


def _figures(metrics: Mapping[str, float]) -> str:
    return "".join(f"  val {name} {value:.4f}" for name, value in metrics.items())


def _draw(text: str) -> None:
    with contextlib.suppress(OSError):  # training goes on when the terminal is closed
        sys.stderr.write(text)
        sys.stderr.flush()
