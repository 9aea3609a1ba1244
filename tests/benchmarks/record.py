"""What the benchmarks find: kept in a JSON file, and shown in `docs/benchmarks.md`.

`make bench` sets BENCHMARKS to the file; where it is not set, a finding is printed only. `python record.py FILE
PAGE...` writes pages anew.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from cnn_core.storage import write_text
from cnn_core.train.finish import machine

PLACE = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- end of benchmarks -->)", re.DOTALL)
MANY = 1600  # cores that large jobs are reckoned for: 100 machines of 16
Work = Callable[[], object]


def in_turns(works: Mapping[str, Work], *, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each work in every round; the order turns round, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for number in range(rounds):
        for name in works if number % 2 else reversed(works):
            begun = perf_counter()
            works[name]()
            times[name].append(perf_counter() - begun)
    return times


def ratio(
    key: str, work: str, *, ours: Sequence[float], theirs: Sequence[float], peer: str, wanted: float, held: float,
    right: str, note: str = "",
) -> float:  # fmt: skip
    """Record how many times faster than a peer something is, and return the median over rounds.

    Args:
        key: the row; a later run replaces it.
        work: what both did.
        ours, theirs: seconds of each round; rounds belong together.
        peer: what it is compared with.
        wanted: the ratio that the project aims for.
        held: the ratio below which the benchmark fails.
        right: how the benchmark knows that the answer is right.
        note: what else a reader has to know.
    """
    ratios = sorted(other / own for own, other in zip(ours, theirs, strict=True))
    row = {
        "kind": "ratio", "work": work, "peer": peer, "ours": median(ours), "theirs": median(theirs),
        "ratio": median(ratios), "low": ratios[0], "high": ratios[-1], "n": len(ratios), "wanted": wanted, "held": held,
        "right": right, "note": note,
    }  # fmt: skip
    _keep(key, row)
    print(f"\n{work}: ours {_time(row['ours'])}, {peer} {_time(row['theirs'])}, {_ratio(row)}; {machine()}")
    assert row["ratio"] >= held, f"{work}: {row['ratio']:.2f} times {peer}, expected at least {held}"
    return float(row["ratio"])


def figure(key: str, work: str, value: float, *, unit: str, wanted: float, most: bool, n: int, note: str = "") -> None:
    """Record a figure without a peer: a latency, a rate; `most`: it should be at most what is wanted."""
    row = {"kind": "figure", "work": work, "value": value, "unit": unit, "wanted": wanted, "most": most, "n": n}
    _keep(key, {**row, "note": note})
    print(f"\n{work}: {value:.4g} {unit} (wanted: {'at most' if most else 'at least'} {wanted:g}), n {n}; {machine()}")


def curve(key: str, work: str, *, axis: str, unit: str, points: Sequence[tuple[float, float]], note: str = "") -> None:
    """Record how a cost grows: points (size, cost per item)."""
    _keep(key, {"kind": "curve", "work": work, "axis": axis, "unit": unit, "points": [list(p) for p in points],
                "note": note})  # fmt: skip
    print(f"\n{work}, {unit} by {axis}: {', '.join(f'{size:g}: {cost:.4g}' for size, cost in points)}; {machine()}")


def rate(key: str, work: str, value: float, *, unit: str, n: int, job: str, items: float) -> None:
    """Record items a second on this machine, and a job of so many items that is reckoned from it."""
    _keep(key, {"kind": "rate", "work": work, "value": value, "unit": unit, "n": n, "job": job, "items": items,
                "threads": torch.get_num_threads()})  # fmt: skip
    print(f"\n{work}: {value:,.4g} {unit} a second; {machine()}")


def _keep(key: str, row: Mapping[str, Any]) -> None:
    if (file := os.environ.get("BENCHMARKS")) is None:
        return
    path = Path(file)
    rows = json.loads(path.read_text("utf-8")) if path.exists() else {}
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    rows[key] = {**row, "machine": re.sub(r"^\d+ threads? of", f"{cores},", machine())}
    write_text(path, json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


def _time(seconds: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}" if seconds * factor < 1000 else f"{seconds * factor:,.0f} {unit}"
    return f"{seconds * 1e6:.2g} µs"


def _ratio(row: Mapping[str, Any]) -> str:
    return f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f}, n {row['n']})"


# ---- the page


def with_benchmarks(text: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a page with its tables made anew from the rows of the JSON file.

    A table stands between `<!-- benchmarks: ratio -->` (or figure, curve, rate, machines) and
    `<!-- end of benchmarks -->`.
    """
    makers = {"ratio": _ratios, "figure": _figures, "curve": _curves, "rate": _rates}

    def table(found: re.Match[str]) -> str:
        kind = found[2]
        kept = [row for row in rows.values() if kind in (row["kind"], "machines")]
        return f"{found[1]}{(_machines if kind == 'machines' else makers[kind])(kept)}\n{found[3]}"

    return PLACE.sub(table, text)


def _machines(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(row["machine"] for row in rows)
    return "\n".join(f"- {name}: {count} rows" for name, count in counts.most_common())


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, ["---"] * len(columns), *rows])


def _ratios(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = (
        "work",
        "here",
        "peer",
        "its time",
        "times faster: median (range, n)",
        "wanted",
        "how the answer is checked",
    )
    cells = []
    for r in rows:
        notes = "; ".join(filter(None, (r["right"], r["note"])))
        wanted = _met(r, r["ratio"] >= r["wanted"])
        cells.append((r["work"], _time(r["ours"]), r["peer"], _time(r["theirs"]), f"**{_ratio(r)}**", wanted, notes))
    return _table(columns, cells)


def _figures(rows: Sequence[Mapping[str, Any]]) -> str:
    def met(r: Mapping[str, Any]) -> bool:
        return r["value"] <= r["wanted"] if r["most"] else r["value"] >= r["wanted"]

    return _table(("work", "measured", "n", "wanted", ""), [
        (r["work"], f"**{r['value']:,.4g} {r['unit']}**", f"{r['n']:,}", _met(r, met(r)), r["note"]) for r in rows
    ])  # fmt: skip


def _met(row: Mapping[str, Any], met: bool) -> str:
    bound = "at most " if row.get("most") else ""
    return f"{bound}{row['wanted']:g}{'' if met else ', **not reached**'}"


def _curves(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(("work", "cost", "by", "growth"), [
        (r["work"], r["unit"], r["axis"], "; ".join(f"{size:,g}: {cost:,.3g}" for size, cost in r["points"])
         + (f" ({r['note']})" if r["note"] else "")) for r in rows
    ])  # fmt: skip


def _rates(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the arithmetic of large jobs: core-hours, and hours on a hundred machines of sixteen cores."""
    cells = []
    for r in rows:
        each = r["value"] / r["threads"]
        hours = r["items"] / each / 3600
        cells.append(
            (r["job"], r["work"], f"{each:,.3g} {r['unit']} a second and core", f"{hours:,.3g}", _span(hours / MANY))
        )
    return _table(("job", "how", "measured", "core-hours", f"on {MANY:,} cores"), cells)


def _span(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


if __name__ == "__main__":
    source, *pages = map(Path, sys.argv[1:])
    kept = json.loads(source.read_text("utf-8"))
    for page in pages:
        write_text(page, with_benchmarks(page.read_text("utf-8"), kept))
