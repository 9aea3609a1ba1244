"""`cnn bench`: tables of several trainings, measured again."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_core.cli.output import write_json
from cnn_core.errors import unknown_name

if TYPE_CHECKING:
    from cnn_core.train.benches import Bench


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

    benches: dict[str, Bench] = {}
    for _, package in loaded_domains():
        benches |= getattr(package, "BENCHES", {})
    if name not in benches:
        raise unknown_name("bench", name, benches)
    return benches[name]
