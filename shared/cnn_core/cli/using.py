"""`cnn eval`, `cnn predict`, `cnn explain` and `cnn export`: what is done with weights."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_core.cli.output import to_json, write_json

if TYPE_CHECKING:
    from cnn_core.domain import Domain
    from cnn_core.weights import WeightsCard

EXAMPLE_EDGE = 64  # of an input for networks that take any size


def run_eval(options: argparse.Namespace, _: list[str]) -> None:
    """Print the metrics; with --json {"weights", "data", "split", "n", "of", "metrics", "summary", "seconds"}."""
    from cnn_core.data.paths import with_upload_of
    from cnn_core.weights import find_weights

    domain = _domain(options.name)
    started = time.perf_counter()
    with with_upload_of(find_weights(options.name)) if options.data is None else nullcontext():
        result = domain.evaluate_weights(options.name, data=options.data, split=options.split, device=options.device)
    lines = result.pop("lines")
    result = {"weights": options.name, **result, "seconds": round(time.perf_counter() - started, 2)}
    if options.json:
        write_json(options, result)
        return
    if not options.quiet:
        print("\n".join(result["summary"]["sentences"]), file=sys.stderr)
    n = f"{result['n']}" + (f" of {result['of']}" if result["of"] != result["n"] else "")
    print(f"{result['weights']} on {result['data']} {result['split']}, n {n}, {result['seconds']} s")
    for case in result.get("cases", []):
        print("  " + "  ".join(f"{key} {_short(value)}" for key, value in flat(case)))
    if not options.quiet:
        print("".join(f"  {line}\n" for line in lines), end="")
    for name, value in result["metrics"].items():
        unseen, own_n = result.get("unseen", {}).get(name), result.get("counts", {}).get(name)
        of_some = f"  (n {own_n})" if own_n is not None else ""
        print(f"  {name} {value:.4f}{of_some}" + (f"  (unseen: {unseen:.4f})" if unseen is not None else ""))


def flat(case: dict, before: str = "") -> Iterator[tuple[str, object]]:
    """Yield (key, value) of nested dicts: `{"lung": {"dice": 0.9}} -> ("lung.dice", 0.9)`."""
    for key, value in case.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def run_predict(options: argparse.Namespace, _: list[str]) -> int:
    """Print each answer as it comes; with --json {"weights", "items"}. Fails if no input could be answered."""
    from cnn_core.storage import storage_errors

    domain = _domain(options.name)
    if options.series or options.list_series:
        _check_series(domain, options)
    if options.list_series:
        for line in domain.load(options.name, device="cpu").list_series(options.inputs):
            print(line)
        return 0
    if options.output:
        with storage_errors(options.output):  # before the work, not after it
            options.output.mkdir(parents=True, exist_ok=True)
    kept, count, failed = [], 0, 0
    predictor = domain.load(options.name, device=options.device)
    chosen = {"series": options.series} if options.series else {}
    for found in predictor.stream_inputs(options.inputs, output=options.output, **chosen):
        item = found.to_json()
        count, failed = count + 1, failed + ("error" in item)
        if options.json or options.output:
            kept.append(item)
        if not options.json:
            print(found, flush=True)
    answer = {"weights": options.name, "items": kept}
    if options.output:
        _write_answers(options.output, answer)
    if options.json:
        write_json(options, answer)
    if failed:
        print(f"cnn: {failed} of {count} inputs could not be answered", file=sys.stderr)
    return 1 if failed == count else 0


def _check_series(domain: "Domain", options: argparse.Namespace) -> None:
    """Raise CnnError unless the weights take scans, which come in series."""
    from cnn_core.errors import CnnError

    if not hasattr(domain.load(options.name, device="cpu"), "list_series"):
        raise CnnError(f"{options.name} takes no DICOM scans: leave --series and --list-series out")


def _write_answers(folder: Path, answer: dict) -> None:
    """Write what `--json` prints, and the same as a table."""
    from cnn_core.answers import write_csv
    from cnn_core.storage import write_text

    write_text(folder / "predictions.json", to_json(answer) + "\n")
    write_csv(answer["items"], folder / "predictions.csv")


def run_explain(options: argparse.Namespace, _: list[str]) -> None:
    """Write the heat map and print what it shows."""
    domain = _domain(options.name)
    how = {"method": options.method, "device": options.device}
    print(domain.explain_to_file(options.name, options.input, options.output, **how))


def run_export(options: argparse.Namespace, _: list[str]) -> None:
    """Write the ONNX file and the card, and print how well it agrees."""
    from cnn_core.weights import find_weights

    find_weights(options.name)  # a mistyped name is answered at once, before torch and ONNX are loaded
    from cnn_core.export import export_onnx
    from cnn_core.weights import load_model

    domain = _domain(options.name)
    if domain.exportable:
        predictor = domain.load(options.name, device="cpu")
        parts = {"model": predictor.model, "card": predictor.card, **domain.exportable(predictor)}
    else:
        model, card = load_model(options.name)
        parts = {"model": model, "card": card, "example_shape": example_shape(card)}
    print(export_onnx(parts.pop("model"), parts.pop("card"), options.output, **parts))


def example_shape(card: "WeightsCard") -> tuple[int, ...]:
    """Return the shape of an input to export with: that of the card, else the paper's size, else 64 along each axis."""
    from cnn_core.models import model_spec

    channels, spatial_dims = card.arguments["in_channels"], card.arguments["spatial_dims"]
    size = card.arguments["input_size"]
    if size is not None:
        return (channels, *size)
    paper = model_spec(card.model).input_shape[1:]  # the network takes any size
    return (channels, *(paper if len(paper) == spatial_dims else (EXAMPLE_EDGE,) * spatial_dims))


def _domain(weights: str) -> "Domain":
    """Load the domain that the weights belong to."""
    from cnn_core.domains import load_domain
    from cnn_core.weights import find_weights, load_card

    return load_domain(load_card(find_weights(weights)).domain).DOMAIN
