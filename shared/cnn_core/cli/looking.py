"""`cnn list`, `cnn data`, `cnn anatomy` and `cnn demo`."""

import argparse
import dataclasses
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cnn_core.cli.output import write_json
from cnn_core.errors import CnnError, missing_package, unknown_name

if TYPE_CHECKING:
    from cnn_core.data.sets import DataSet

LARGEST_EDGE = 2**31 - 1  # of a shape that torch can count with

Rows = list[tuple[str, str]]  # name and description


def run_list(options: argparse.Namespace, _: list[str]) -> None:
    """Print the names of one kind or of all, each with what it is."""
    kinds = [options.kind] if options.kind else [*LISTS]
    tables = {kind: LISTS[kind]() for kind in kinds}
    if options.json:
        write_json(options, {kind: [{"name": n, "text": t} for n, t in rows] for kind, rows in tables.items()})
        return
    for kind, rows in tables.items():
        if len(tables) > 1:
            print(f"{kind}:")
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            print(f"{'  ' if len(tables) > 1 else ''}{name:{width}}  {text}")


def list_recipes() -> Rows:
    """Return name and description of every recipe; of one that cannot be read, what is wrong."""
    from cnn_core.domains import recipe_files
    from cnn_core.train.config import read_toml

    rows = []
    for name, (domain, file) in recipe_files().items():
        try:
            text = read_toml(file).get("description", "")
        except CnnError as error:
            text = f"cannot be used: {error}"
        rows.append((name, f"{domain}: {text}"))
    return rows


def _list_models() -> Rows:
    from cnn_core.domains import loaded_domains
    from cnn_core.models import list_models, model_spec

    rows = [(name, model_spec(name).paper) for name in [*list_models(), *list_models(segments=True)]]
    return rows + [row for _, package in loaded_domains() for row in getattr(package, "MODELS", {}).items()]


def _list_weights() -> Rows:
    from cnn_core.weights import list_weights, load_card

    rows = []
    for entry in list_weights():
        try:
            card = load_card(entry.folder)
            figures = ", ".join(f"{k} {v['mean']:.4f} (n {v['n']}, {v['split']})" for k, v in card.metrics.items())
            text = f"{card.model}, {card.parameters:,} parameters; {figures}"
        except CnnError as error:
            text = f"cannot be used: {error}"
        rows.append((entry.name, f"{entry.domain}: {text}"))
    return rows


def _list_data() -> Rows:
    from cnn_core.domains import loaded_domains

    rows = []
    for domain, package in loaded_domains():
        sets = _obtainable(package).values()
        rows += [(entry.name, f"{domain}: {entry.description} [{entry.how_to_get}]") for entry in sets]
    return rows


def _obtainable(package: ModuleType) -> dict[str, "DataSet"]:
    return {**package.DATA_SETS, **getattr(package, "MATERIALS", {})}


LISTS = {"models": _list_models, "recipes": list_recipes, "weights": _list_weights, "data": _list_data}


def run_data(options: argparse.Namespace, _: list[str]) -> None:
    """Get a data set and print where it is; what is downloaded is shown on standard error."""
    from cnn_core.cli.downloads import shown_downloads
    from cnn_core.domains import loaded_domains

    homes = {name: entry for _, package in loaded_domains() for name, entry in _obtainable(package).items()}
    spellings = {name.replace("-", "_"): name for name in homes}
    name = spellings.get(options.name.replace("-", "_"))
    if name is None:
        raise unknown_name("data set", options.name, homes)
    with shown_downloads(quiet=options.quiet) as progress:
        answer = homes[name].fetch(progress=progress)
    print(answer)


def run_anatomy(options: argparse.Namespace, _: list[str]) -> None:
    """Print a row per layer; with --json {"model", "input", "layers", "parameters", "multiply_adds"}."""
    import torch

    from cnn_core.anatomy import format_table, total, trace
    from cnn_core.models import create_model, model_spec

    spec = model_spec(options.model)
    shape = parse_shape(options.input) if options.input else spec.input_shape
    with torch.device("meta"):  # shapes without numbers: no input is too large
        model = create_model(
            options.model,
            spatial_dims=len(shape) - 1,
            in_channels=shape[0],
            num_classes=options.classes,
            input_size=shape[1:],
        )
    rows = trace(model, shape)
    if options.json:
        layers = [dataclasses.asdict(row) for row in rows]
        answer = {"model": spec.name, "input": list(shape), "layers": layers, **dataclasses.asdict(total(rows))}
        write_json(options, answer)
    else:
        print(format_table(rows))


def parse_shape(text: str) -> tuple[int, ...]:
    """Read "3x224x224" as (3, 224, 224).

    Raises:
        CnnError: it is not channels and one to three positive numbers.
    """
    parts = text.lower().split("x")
    good = 2 <= len(parts) <= 4 and all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts)
    shape = tuple(map(int, parts)) if good else (0,)
    if not all(1 <= edge <= LARGEST_EDGE for edge in shape):
        raise CnnError(
            f"--input: expected channels x size (L, HxW or DxHxW) such as 3x224x224, numbers from 1, got {text!r}"
        )
    return shape


def run_demo(options: argparse.Namespace, _: list[str]) -> int:
    """Serve the pages until Ctrl-C or SIGTERM; their runs are those of the folder that the command was called in.

    A training that was started there is a process of its own, and goes on without the pages.
    """
    import importlib.util

    from cnn_core.processes import supervise
    from cnn_core.train.runs import list_runs

    if importlib.util.find_spec("streamlit") is None:
        raise missing_package("streamlit")
    folder = Path(__file__).parents[3] / "apps"  # of a checkout, whose installation keeps a copy, maybe an old one
    if not folder.is_dir():  # a wheel puts the pages elsewhere
        spec = importlib.util.find_spec("cnn_showcase_apps")
        places = spec.submodule_search_locations if spec else None
        folder = Path(places[0]) if places else folder
    entry = folder / "serve.py"
    if not entry.exists():
        raise CnnError(f"the pages were expected at {entry}, but are not there; install cnn-showcase again")
    if not port_is_free(options.port):
        raise CnnError(f"port {options.port} is in use (by another demo?); choose another one with --port")
    if not is_here(options.address):
        raise CnnError(f"--address: expected localhost, 0.0.0.0 or an address of this machine, got {options.address!r}")
    settings = {
        "server.port": options.port, "server.address": options.address, "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }  # fmt: skip
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    flags += ["--", "--share-runs"] if options.share_runs else []
    code = supervise([sys.executable, "-P", "-m", "streamlit", "run", str(entry), *flags])
    going = [run.name for run in list_runs(Path("runs")) if run.busy]
    if going:
        print(f"cnn: without the pages these trainings go on in runs/: {', '.join(going)}", file=sys.stderr)
    return code


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was closed a moment ago is free
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def is_here(address: str) -> bool:
    """Tell whether a server could listen at `address`."""
    try:
        family, kind, *_, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(place)
    except (OSError, UnicodeError):  # no such name, no interface of this machine, no name at all
        return False
    return bool(address)
