"""`cnn eval`, `cnn predict`, `cnn explain` and `cnn export`: what is done with weights."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from cnn_core.cli.output import to_json, write_json

if TYPE_CHECKING:
    from cnn_core.cli.answer_files import AnswerFiles
    from cnn_core.data.summary import DataSummary
    from cnn_core.domain import Domain
    from cnn_core.weights import WeightsCard

EXAMPLE_EDGE = 64  # of an input for networks that take any size


def run_eval(options: argparse.Namespace, _: list[str]) -> None:
    """Print the metrics; with --json {"weights", "data", "split", "n", "of", "metrics", "summary", "seconds"}."""
    from cnn_core.data.paths import with_upload_of
    from cnn_core.weights import find_weights

    domain = _domain(options.name)
    if options.foreign and options.data is None:
        options.parser.error("--foreign measures other data than the weights learned from; name them with --data")
    if options.foreign and (chosen := _columns(options)):
        options.parser.error(f"--foreign reads no table; leave out {' and '.join(chosen)}")
    started = time.perf_counter()
    with with_upload_of(find_weights(options.name)) if options.data is None else nullcontext():
        if options.foreign:
            result = domain.evaluate_foreign(
                options.name, data=options.data, split=options.split, device=options.device
            )
        else:
            result = domain.evaluate_weights(
                options.name, data=options.data, split=options.split, device=options.device, columns=_columns(options)
            )
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
    """Print each answer as it comes; with --json {"weights", "sha256", "items", "summary"}; 1 if an input failed."""
    from cnn_core.answers import Tally
    from cnn_core.cli import on_ray
    from cnn_core.cli.answer_files import AnswerFiles
    from cnn_core.cli.progress import shown_progress
    from cnn_core.predictor import check_options
    from cnn_core.weights import find_weights, load_card

    if options.resume and not options.output:
        options.parser.error("--resume goes on with the answers in a folder; name it with --output DIR")
    on_ray.check_options(options)
    if options.resume and (on_ray if options.on else AnswerFiles).is_finished(options.output):
        print(f"cnn: {options.output} holds all answers; nothing is left to do", file=sys.stderr)
        return 0
    domain = _domain(options.name)
    if options.list_series:
        return _list_series(options, domain)
    chosen = {**_columns(options), **({"texts": True} if options.text else {})}
    chosen |= _part_of_scan(options)
    head = {"weights": options.name, "sha256": load_card(find_weights(options.name)).sha256}
    with _files(options, head) as files:  # before the work, not after it
        predictor = domain.load(options.name, device="cpu" if options.on else options.device)
        going_on = {"answered": files.items()} if files and files.count else {}
        check_options(predictor.stream_inputs, {**chosen, **going_on}, options.name)
        summary = None if on_ray.elsewhere(options) else _examined(options, predictor, chosen)
        out, tally, done = options.out, Tally(), files.count if files else 0
        for item in files.items() if files else ():
            tally.add(item)
        total = sum(summary.splits.values()) if summary else 0
        unit = summary.items if summary else "inputs"
        if options.on and files:
            with shown_progress(total or None, unit, quiet=options.quiet) as bar:
                answers = on_ray.answers_on_ray(options, domain.name, predictor, chosen, files.folder, bar.update)
        else:
            answers = predictor.stream_inputs(options.inputs, output=options.output, **chosen, **going_on)
        with shown_progress(total or None, unit, done=done, quiet=options.quiet) as bar:
            first = True
            for found in answers:
                item = found.to_json()
                tally.add(item)
                if files:
                    files.add(item)
                if options.json:
                    print((to_json(head)[:-1] + ', "items": [' if first else ",") + to_json(item), end="", file=out)
                elif not options.on:  # those of many machines are in the files alone
                    with bar.external_write_mode(file=sys.stdout):
                        print(found, flush=True)
                first = False
                bar.update()
        tail = {"summary": {**tally.to_json(), "read": list(summary.read) if summary else []}}
        if files:
            files.finish(tail)
        if options.json:
            print((to_json(head)[:-1] + ', "items": [' if first else "") + "], " + to_json(tail)[1:], file=out)
    if tally.failed:
        print(f"cnn: {tally.failure}", file=sys.stderr)
    if not options.quiet and tally.answered + tally.failed > 1:
        print("\n".join(tally.sentences), file=sys.stderr)
    return 1 if tally.failed else 0


def _examined(options: argparse.Namespace, predictor: Any, chosen: dict[str, Any]) -> "DataSummary | None":
    """Say how the inputs are read, and return what is known of them."""
    examine = getattr(predictor, "examine_inputs", None)
    summary: DataSummary | None = examine(options.inputs, **chosen) if examine else None
    if summary and not options.quiet:
        print("".join(f"{sentence}\n" for sentence in summary.read), end="", file=sys.stderr)
    return summary


def _list_series(options: argparse.Namespace, domain: "Domain") -> int:
    """Print a line for each DICOM series in the inputs."""
    from cnn_core.predictor import check_options

    predictor = domain.load(options.name, device="cpu")
    check_options(predictor.stream_inputs, ["series"], options.name)
    for line in predictor.list_series(options.inputs):
        print(line)
    return 0


@contextmanager
def _files(options: argparse.Namespace, head: dict[str, str]) -> Iterator["AnswerFiles | None"]:
    """Yield the files of the answers, None without --output; what is written is there however this ends."""
    from cnn_core.cli import interrupts, on_ray
    from cnn_core.cli.answer_files import AnswerFiles

    if not options.output:
        yield None
        return
    resume = options.resume and not options.on  # what other machines have answered is put together anew
    with on_ray.local_folder(options) as folder, AnswerFiles(folder, head, resume=resume) as files:
        interrupts.going_on = f"the answers so far are in {options.output}, and --resume goes on with them"
        yield files
    interrupts.going_on = None


def _columns(options: argparse.Namespace) -> dict[str, str]:
    """Return the columns that the flags name."""
    named = {"text_column": options.text_column, "label_column": options.label_column}
    return {name: column for name, column in named.items() if column}


def _part_of_scan(options: argparse.Namespace) -> dict[str, Any]:
    """Return the series and the volume that the flags name."""
    named = {"series": options.series or None, "volume": options.volume}
    return {name: value for name, value in named.items() if value is not None}


def run_explain(options: argparse.Namespace, _: list[str]) -> None:
    """Write the heat map and print what it shows."""
    domain = _domain(options.name)
    how = {"method": options.method, "device": options.device, **_part_of_scan(options)}
    print(domain.explain_to_file(options.name, options.input, options.output, **how))


def run_export(options: argparse.Namespace, _: list[str]) -> None:
    """Write the ONNX file and the card, and print how well it agrees; or a folder for a hub."""
    from cnn_core.weights import find_weights

    place = find_weights(options.name)  # a mistyped name is answered at once, before torch and ONNX are loaded
    if options.to == "hub":
        from cnn_core.weights.hub import write_hub_folder

        print(write_hub_folder(place, options.output))
        return
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
