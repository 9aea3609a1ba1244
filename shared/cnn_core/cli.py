"""The `cnn` command. Each command imports what it needs, so that `cnn --help` and `cnn list` answer at once."""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_core.errors import CnnError

DEVICES = "auto, cpu, cuda, cuda:1, mps"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 0 done, 1 failed with one sentence, 2 wrong usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    parser = build_parser()
    # What follows `cnn train RECIPE` are the recipe's own flags, known only once the recipe is read.
    options, rest = parser.parse_known_args([a for a in arguments if a != "--debug"])
    if rest and options.command != "train":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return options.run(options, rest) or 0
    except CnnError as error:
        if debug:
            raise
        print(f"cnn: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone (`cnn list | head -1`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("cnn: interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands."""
    parser = argparse.ArgumentParser(
        prog="cnn", description="Convolutional networks to use, see through and build on.", allow_abbrev=False
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and all log lines")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str, **settings: Any) -> argparse.ArgumentParser:
        entry = commands.add_parser(name, help=text, description=text, allow_abbrev=False, **settings)
        entry.set_defaults(run=run)
        return entry

    entry = command("list", run_list, "show what there is: models, recipes, weights, data sets")
    entry.add_argument("kind", nargs="?", choices=["models", "recipes", "weights", "data"])
    entry.add_argument("--json", action="store_true")

    entry = command("data", run_data, "get a data set: download, verify, unpack")
    entry.add_argument("action", choices=["get"])
    entry.add_argument("name")

    entry = command("train", run_train, "train a recipe; every setting of it is a flag (cnn train RECIPE --help)", add_help=False)
    entry.add_argument("recipe", nargs="?", help="a name of `cnn list recipes`, or a TOML file")
    entry.add_argument("--run", dest="folder", type=Path, help="the run folder; default runs/RECIPE")
    entry.add_argument("--name", help="name of the weights; default the recipe's")
    entry.add_argument("--resume", action="store_true", help="go on with the run in the run folder")
    entry.add_argument("--seeds", type=int, nargs="+", default=[], help="train once with each, report mean and spread")
    entry.add_argument("--quiet", action="store_true", help="no progress bar")
    entry.add_argument("--json", action="store_true")
    entry.add_argument("-h", "--help", action="store_true")

    entry = command("eval", run_eval, "measure shipped or own weights")
    _weights_options(entry)
    entry.add_argument("--data", help="a set name or a folder; default the set they were trained on")
    entry.add_argument("--split", default="test", choices=["test", "val", "train"])
    entry.add_argument("--json", action="store_true")

    entry = command("predict", run_predict, "answer for files or folders")
    _weights_options(entry)
    entry.add_argument("inputs", nargs="+", metavar="INPUT")
    entry.add_argument("--json", action="store_true")
    entry.add_argument("--output", type=Path, help="a folder for predictions.json (and what else the domain writes)")

    entry = command("explain", run_explain, "show why: a heat map over the input")
    _weights_options(entry)
    entry.add_argument("input", metavar="INPUT")
    entry.add_argument("--method", default="grad-cam", help="grad-cam, integrated-gradients, occlusion, saliency ...")
    entry.add_argument("--output", type=Path, required=True, metavar="FILE.png")

    entry = command("anatomy", run_anatomy, "the table of a model's layers: sizes, parameters, multiply-adds, receptive field")
    entry.add_argument("model")
    entry.add_argument("--input", default=None, help="channels x size, for example 3x224x224; default the paper's")
    entry.add_argument("--classes", type=int, default=1000)
    entry.add_argument("--json", action="store_true")

    entry = command("export", run_export, "write ONNX and the card, parity checked in ONNX Runtime")
    entry.add_argument("name", metavar="NAME")
    entry.add_argument("--output", type=Path, required=True)

    entry = command("demo", run_demo, "serve the pages")
    entry.add_argument("--port", type=int, default=8501)
    return parser


def _weights_options(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("name", metavar="NAME", help="shipped weights or a run folder")
    entry.add_argument("--device", default="auto", help=DEVICES)


def run_list(options: argparse.Namespace, _: list[str]) -> None:
    kinds = [options.kind] if options.kind else ["models", "recipes", "weights", "data"]
    tables = {kind: LISTS[kind]() for kind in kinds}
    if options.json:
        print(json.dumps({kind: [dict(name=name, text=text) for name, text in rows] for kind, rows in tables.items()}))
        return
    for kind, rows in tables.items():
        if len(tables) > 1:
            print(f"{kind}:")
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            print(f"  {name:{width}}  {text}" if len(tables) > 1 else f"{name:{width}}  {text}")


def _list_models() -> list[tuple[str, str]]:
    from cnn_core.models import list_models, model_spec

    return [(name, model_spec(name).paper) for name in list_models()]


def _list_recipes() -> list[tuple[str, str]]:
    import tomllib

    from cnn_core.domains import recipe_files

    rows = []
    for name, (domain, file) in recipe_files().items():
        rows.append((name, f"{domain}: {tomllib.loads(file.read_text('utf-8')).get('description', '')}"))
    return rows


def _list_weights() -> list[tuple[str, str]]:
    from cnn_core.weights import list_weights, load_card

    rows = []
    for entry in list_weights():
        card = load_card(entry.folder)
        figures = ", ".join(f"{k} {v['mean']:.4f} (n {v['n']}, {v['split']})" for k, v in card.metrics.items())
        rows.append((entry.name, f"{card.domain}: {card.model}, {card.parameters:,} parameters; {figures}"))
    return rows


def _list_data() -> list[tuple[str, str]]:
    from cnn_core.domains import domain_folders, load_domain

    rows = []
    for domain in domain_folders():
        sets = load_domain(domain).DATA_SETS.values()
        rows += [(entry.name, f"{domain}: {entry.description} [{entry.how_to_get}]") for entry in sets]
    return rows


LISTS = {"models": _list_models, "recipes": _list_recipes, "weights": _list_weights, "data": _list_data}


def run_data(options: argparse.Namespace, _: list[str]) -> None:
    from cnn_core.domains import domain_folders, load_domain
    from cnn_core.errors import unknown_name

    homes = {name: domain for domain in domain_folders() for name in load_domain(domain).DATA_SETS}
    name = options.name.replace("-", "_")
    if name not in homes:
        raise unknown_name("data set", options.name, homes)
    print(load_domain(homes[name]).get_data(name))


def run_train(options: argparse.Namespace, rest: list[str]) -> int:
    from cnn_core.domains import find_recipe, load_domain

    if options.recipe is None:
        print("usage: cnn train RECIPE [--epochs N --data PATH ...]; recipes:", file=sys.stderr)
        for name, text in _list_recipes():
            print(f"  {name}  {text}", file=sys.stderr)
        return 0 if options.help else 2
    if options.recipe.endswith(".toml"):
        domain, file = _domain_of_file(Path(options.recipe)), Path(options.recipe)
    else:
        domain, file = find_recipe(options.recipe)
    package = load_domain(domain)
    recipe = _recipe_from_flags(package.RECIPE, file, ["--help"] if options.help else rest)
    outcome = package.train(
        recipe,
        folder=options.folder or Path("runs") / file.stem,
        name=options.name or file.stem,
        seeds=options.seeds,
        resume=options.resume,
        observe=None if options.quiet or options.json else _progress_bar(),
    )
    metrics = outcome.card.metrics if outcome.card else {}
    folder = options.folder or Path("runs") / file.stem
    if options.json:
        print(json.dumps({"run": str(folder), "metrics": metrics}))
    else:
        for name, entry in metrics.items():
            spread = f" ± {entry['std']:.4f} over {len(entry['seeds'])} seeds" if entry["std"] is not None else ""
            print(f"{entry['split']} {name} {entry['mean']:.4f}{spread} (n {entry['n']})")
        print(f"weights and card: {folder}")
    return 0


def _domain_of_file(file: Path) -> str:
    """A recipe file outside the packages says its domain in its first table: `domain = "image_classification"`."""
    import tomllib

    from cnn_core.domains import domain_folders, recipe_files
    from cnn_core.errors import ConfigError, unknown_name

    for domain, known in recipe_files().values():
        if file.resolve() == known.resolve():
            return domain
    try:
        domain = tomllib.loads(file.read_text("utf-8")).get("domain", "image_classification")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(file), [f"cannot be read as a TOML recipe ({error})"]) from error
    if domain not in domain_folders():
        raise unknown_name("domain", domain, domain_folders())
    return domain


def _recipe_from_flags(recipe_class: type, file: Path, flags: list[str]) -> Any:
    """Read the recipe and let tyro turn its fields into flags: `--epochs 3 --no-validation --data PATH`."""
    import tyro

    from cnn_core.train.config import read_recipe, recipe_from_table, to_table

    recipe = read_recipe(recipe_class, file)
    changed = tyro.cli(
        recipe_class,
        prog=f"cnn train {file.stem}",
        default=recipe,
        args=flags,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return recipe_from_table(recipe_class, to_table(changed), source="settings")  # the checks once more


def _progress_bar() -> Any:
    """Return an observer that draws one line per epoch with the time left; on a file, one line per epoch."""
    terminal = sys.stderr.isatty()
    drawn = 0.0

    def observe(progress: Any) -> None:
        nonlocal drawn
        left = time.strftime("%H:%M:%S", time.gmtime(progress.seconds_left))
        head = f"epoch {progress.epoch}/{progress.epochs}"
        if progress.metrics is not None:
            figures = "".join(f"  val {name} {value:.4f}" for name, value in progress.metrics.items())
            text = f"{head}  loss {progress.loss:.4f}{figures}  {progress.seconds:.0f} s, {left} left"
            print(("\r\033[K" if terminal else "") + text, file=sys.stderr, flush=True)
        elif terminal and time.monotonic() - drawn > 0.2:
            drawn = time.monotonic()
            filled = 24 * progress.step // progress.steps
            bar = "━" * filled + "─" * (24 - filled)
            print(f"\r\033[K{head} {bar} loss {progress.loss:.4f}  {left} left", end="", file=sys.stderr, flush=True)

    return observe


def run_eval(options: argparse.Namespace, _: list[str]) -> None:
    from cnn_core.domains import load_domain
    from cnn_core.weights import find_weights, load_card

    card = load_card(find_weights(options.name))
    started = time.perf_counter()
    result = load_domain(card.domain).evaluate_weights(
        options.name, data=options.data, split=options.split, device=options.device
    )
    result = {"weights": options.name, **result, "seconds": round(time.perf_counter() - started, 2)}
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['weights']} on {result['data']} {result['split']}, n {result['n']}, {result['seconds']} s")
    for name, value in result["metrics"].items():
        print(f"  {name} {value:.4f}")


def run_predict(options: argparse.Namespace, _: list[str]) -> int:
    from cnn_core.domains import load_domain
    from cnn_core.storage import write_text
    from cnn_core.weights import find_weights, load_card

    card = load_card(find_weights(options.name))
    items = load_domain(card.domain).predict_items(options.name, options.inputs, device=options.device)
    answer = json.dumps({"weights": options.name, "items": items})
    if options.output:
        write_text(options.output / "predictions.json", answer + "\n")
    if options.json:
        print(answer)
    else:
        for item in items:
            if "error" in item:
                print(f"{item['input']}: {item['error']}")
            elif "labels" in item:
                pairs = zip(item["labels"], item["probabilities"], strict=True)
                print(f"{item['input']}: " + ", ".join(f"{label} {p:.1%}" for label, p in pairs))
            else:
                print(json.dumps(item))
    return 1 if items and all("error" in item for item in items) else 0


def run_explain(options: argparse.Namespace, _: list[str]) -> None:
    from cnn_core.domains import load_domain
    from cnn_core.weights import find_weights, load_card

    card = load_card(find_weights(options.name))
    domain = load_domain(card.domain)
    print(domain.explain_to_file(options.name, options.input, options.output, method=options.method, device=options.device))


def run_anatomy(options: argparse.Namespace, _: list[str]) -> None:
    from dataclasses import asdict

    from cnn_core.anatomy import format_table, trace
    from cnn_core.models import create_model, model_spec

    spec = model_spec(options.model)
    shape = _shape(options.input) if options.input else spec.input_shape
    model = create_model(
        options.model,
        spatial_dims=len(shape) - 1,
        in_channels=shape[0],
        num_classes=options.classes,
        input_size=shape[1:],
    )
    rows = trace(model, shape)
    print(json.dumps([asdict(row) for row in rows]) if options.json else format_table(rows))


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        shape = ()
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise CnnError(f"--input: expected channels x size such as 3x224x224, got {text!r}")
    return shape


def run_export(options: argparse.Namespace, _: list[str]) -> None:
    from cnn_core.export import export_onnx
    from cnn_core.weights import load_model

    model, card = load_model(options.name)
    shape = (card.arguments["in_channels"], *card.arguments["input_size"])
    result = export_onnx(model, card, options.output, example_shape=shape)
    print(result)


def run_demo(options: argparse.Namespace, _: list[str]) -> int:
    import importlib.util
    import subprocess

    if importlib.util.find_spec("streamlit") is None:
        raise CnnError("the pages need streamlit; install it with: pip install 'cnn-showcase[demo]'")
    spec = importlib.util.find_spec("cnn_showcase_apps")  # where a wheel puts the pages; a checkout has them in apps/
    folder = Path(next(iter(spec.submodule_search_locations))) if spec else Path(__file__).parents[2] / "apps"
    entry = folder / "showcase.py"
    if not entry.exists():
        raise CnnError(f"the pages were expected at {entry}, but are not there; install cnn-showcase again")
    return subprocess.call(
        [sys.executable, "-m", "streamlit", "run", str(entry), "--server.port", str(options.port), "--server.headless", "true"],
        cwd=folder.parent,
    )


if __name__ == "__main__":
    sys.exit(main())
