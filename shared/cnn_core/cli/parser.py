"""The words that `cnn` understands."""

import argparse
import tomllib
from pathlib import Path
from typing import Any

import cnn_core
from cnn_core.cli import completion, looking, training, using
from cnn_core.cli.examples import EXAMPLES
from cnn_core.data.addresses import is_address

DEVICES = "auto, cpu, cuda, cuda:1, mps"


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands; each sets `run`, and `settings` if the flags of a recipe may follow."""
    parser = argparse.ArgumentParser(
        prog="cnn", description="Convolutional networks to use, see through and build on.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"cnn {cnn_core.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and all log lines")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_looking(commands)
    _add_training(commands)
    _add_using(commands)
    entry = _command(
        commands, "completion", completion.run_completion, "print a script that completes words in a shell"
    )
    entry.add_argument("shell", choices=completion.SHELLS)
    entry.set_defaults(root=parser)
    return parser


def _command(commands: Any, name: str, run: Any, text: str, *, settings: bool = False) -> argparse.ArgumentParser:
    entry = commands.add_parser(
        name, help=text, description=text, allow_abbrev=False, add_help=not settings,
        epilog="\n  ".join(["examples:", *EXAMPLES[name]]), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    if settings:
        entry.usage = f"cnn {name} {'RECIPE' if name == 'train' else 'NAME --data DATA'} [OPTION ...] [SETTING ...]"
    entry.set_defaults(run=run, settings=settings, parser=entry)
    return entry


def _add_looking(commands: Any) -> None:
    entry = _command(commands, "list", looking.run_list, "show what there is: models, recipes, weights, data sets")
    entry.add_argument("kind", nargs="?", choices=["models", "recipes", "weights", "data"])
    _json(entry)

    entry = _command(commands, "data", looking.run_data, "get a data set: download, verify, unpack")
    entry.add_argument("action", choices=["get"])
    entry.add_argument("name", metavar="NAME", help="a name of `cnn list data`")
    entry.add_argument("--quiet", action="store_true", help="no progress bar")

    text = "the table of a model's layers: sizes, parameters, multiply-adds, receptive field"
    entry = _command(commands, "anatomy", looking.run_anatomy, text)
    entry.add_argument("model", metavar="MODEL", help="a name of `cnn list models`")
    entry.add_argument("--input", help="channels x size, for example 3x224x224; default the paper's")
    entry.add_argument("--classes", type=int, default=1000)
    _json(entry)

    entry = _command(commands, "demo", looking.run_demo, "serve the pages")
    entry.add_argument("--port", type=_port, default=8501)
    text = "where they can be opened: localhost, on this machine alone; 0.0.0.0, by all that reach it, to train too"
    entry.add_argument("--address", default="localhost", help=text)
    text = (
        "let all visitors see, use and download all runs; without it each sees those of their own browser alone, and "
        "those of the command line are seen on localhost only"
    )
    entry.add_argument("--share-runs", action="store_true", help=text)


def _add_training(commands: Any) -> None:
    text = "train a recipe; every setting of it is a flag (cnn train RECIPE --help)"
    entry = _command(commands, "train", training.run_train, text, settings=True)
    entry.add_argument("recipe", metavar="RECIPE", help="a name of `cnn list recipes`, or a TOML file")
    entry.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="the run folder; default runs/RECIPE")
    entry.add_argument("--name", help="name of the weights; default the recipe's")
    entry.add_argument("--resume", action="store_true", help="go on with the run in the run folder")
    entry.add_argument("--seeds", type=_seed, nargs="+", default=[], help="train once with each; mean and spread")
    _training_output(entry)

    text = "compare the ways of transfer from weights to other data, and training from nothing"
    entry = _command(commands, "compare", training.run_compare, text, settings=True)
    entry.add_argument("name", nargs="?", metavar="NAME", help="shipped weights or a run folder")
    entry.add_argument("--data", help="a set name or a folder")
    entry.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="default runs/compare-NAME")
    _training_output(entry)

    text = "calibrate weights that learned from all their data: a second training, which holds validation data out"
    entry = _command(commands, "calibrate", training.run_calibrate, text)
    entry.add_argument("name", metavar="NAME", help="shipped weights or a run folder, of a classifier or detector")
    entry.add_argument("--epochs", type=int, help="of the second training; default the recipe's")
    entry.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="default runs/calibrate-NAME")
    entry.add_argument("--quiet", action="store_true", help="no progress bar")

    text = "measure a table again (kim2014, five-fold)"
    entry = _command(commands, "bench", training.run_bench, text)
    entry.add_argument("name", metavar="NAME")
    entry.add_argument("--columns", nargs="+", default=[], help="some of its columns; default all")
    entry.add_argument("--seeds", type=_seed, nargs="+", default=[], help="default 0 1 2")
    entry.add_argument("--run", dest="folder", type=Path, metavar="DIR", help="default runs/bench-NAME")
    _json(entry)


def _training_output(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "--option", dest="model_options", type=model_option, action="append", default=[], metavar="NAME=VALUE",
        help="a setting of the model itself, for example --option widths=64,128; may be repeated",
    )  # fmt: skip
    entry.add_argument("--quiet", action="store_true", help="no progress bar")
    _json(entry)
    entry.add_argument("-h", "--help", action="store_true", help="show this and every setting")


def _add_using(commands: Any) -> None:
    entry = _command(commands, "eval", using.run_eval, "measure shipped or own weights")
    _weights(entry)
    entry.add_argument("--data", help="a set name or a folder; default the set they were trained on")
    entry.add_argument(
        "--split", choices=["test", "val", "train"], help="default test; of other data than those learned from, all"
    )
    _columns(entry)
    text = "the data hold none of the classes: measure how many of them are refused, answered with none of these"
    entry.add_argument("--foreign", action="store_true", help=text)
    entry.add_argument("--quiet", action="store_true", help="figures alone, without what was understood of the data")
    _json(entry)

    entry = _command(commands, "predict", using.run_predict, "answer for files or folders")
    _weights(entry)
    entry.add_argument("inputs", nargs="+", metavar="INPUT", help="a file or folder; a text; - for one text a line")
    entry.add_argument("--text", action="store_true", help="the inputs are texts, even if they look like files")
    _columns(entry)
    text = "write predictions.json and predictions.csv here, while they come predictions.part.json and .part.csv"
    entry.add_argument("--output", type=_place, metavar="DIR", help=text)
    entry.add_argument("--resume", action="store_true", help="go on with the answers that are in --output already")
    text = "let the machines of a Ray cluster answer; inputs and --output may be addresses, such as s3://bucket/folder"
    entry.add_argument("--on", choices=["ray"], help=text)
    entry.add_argument("--worker-cpus", type=int, default=1, metavar="N", help="of each worker of --on; default 1")
    entry.add_argument("--quiet", action="store_true", help="answers and failures alone: no progress, no summary")
    _part_of_scan(entry)
    entry.add_argument("--list-series", action="store_true", help="show the DICOM series in the inputs, and stop")
    _json(entry)

    entry = _command(commands, "explain", using.run_explain, "show why: a heat map over the input")
    _weights(entry)
    entry.add_argument("input", metavar="INPUT")
    entry.add_argument("--method", help="grad-cam (pictures), ngrams (texts), integrated-gradients, occlusion ...")
    _part_of_scan(entry)
    entry.add_argument("--output", type=Path, required=True, metavar="FILE", help=".png; for texts .html and .json too")

    text = "write ONNX and the card, parity checked in ONNX Runtime; or a folder for a hub of models"
    entry = _command(commands, "export", using.run_export, text)
    entry.add_argument("name", metavar="NAME", help="shipped weights or a run folder")
    text = "hub: weights, card and a README.md with its facts in the form that model hubs read, ready to upload"
    entry.add_argument("--to", choices=["onnx", "hub"], default="onnx", help=f"onnx (the default); {text}")
    entry.add_argument("--output", type=Path, required=True, metavar="DIR")


def _part_of_scan(entry: argparse.ArgumentParser) -> None:
    text = "of DICOM scans: which series, by its number in --list-series, its UID or its description"
    entry.add_argument("--series", metavar="SERIES", help=text)
    text = "of 4-D NIfTI files: which volume, counted from 0"
    entry.add_argument("--volume", type=int, metavar="NUMBER", help=text)


def _columns(entry: argparse.ArgumentParser) -> None:
    text = "of a table: its name, or its number where there is no header; default as in training, else found out"
    entry.add_argument("--text-column", metavar="COLUMN", help=text)
    entry.add_argument("--label-column", metavar="COLUMN", help="likewise, of the classes")


def _weights(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("name", metavar="NAME", help="shipped weights or a run folder")
    entry.add_argument("--device", default="auto", help=DEVICES)


def _json(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else there")


def _place(text: str) -> Path | str:
    """Return a folder; an address as it is, for a path has no two slashes in a row."""
    return text if is_address(text) else Path(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected whole numbers from 0 to {2**32 - 1}, got {text!r}")
    return int(text)


def model_option(text: str) -> tuple[str, Any]:
    """Read `depth=3`, `dropout=0.2`, `widths=64,128` or `act=gelu` as name and value.

    Raises:
        argparse.ArgumentTypeError: there is no name or no value.
    """
    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE such as widths=64,128, got {text!r}")
    return name.replace("-", "_"), _value(value)


def _value(text: str) -> Any:
    """A TOML value; else a list if there are commas; else the text itself."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return [_value(part) for part in text.split(",") if part] if "," in text else text
    return table["value"] if len(table) == 1 else text
