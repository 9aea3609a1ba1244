"""How fast a network is on this machine and how much memory it takes, measured in a process of its own.

The process starts with nothing but torch loaded, so that the memory it adds is the network's: weights, maps, and what
the convolutions need to compute.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cnn_core.errors import CnnError
from cnn_core.processes import environment
from cnn_core.storage import readable_size

if TYPE_CHECKING:
    from zoo.plans import Survey

TIMEOUT = 90.0  # seconds for each network
SECONDS = 1.5  # of timed runs
MOST_RUNS, FEWEST_RUNS, WARM_UPS = 50, 5, 2
MOST_MULTIPLY_ADDS = 2 * 10**11  # of one run; beyond them a user would wait too long
SPARE = 0.5  # share of the free memory that a measurement may take
BYTES = 4  # of a float32
KILLED = 9  # the signal that the system ends a process with when memory runs out


@dataclass(frozen=True)
class Measurement:
    """Time and memory of a forward pass."""

    milliseconds: float  # median
    fastest: float
    slowest: float
    runs: int  # timed ones
    batch: int
    threads: int
    memory: int | None  # bytes that building and running it added; None where the system does not say
    torch: str


def measure(surveys: Sequence["Survey"]) -> dict[str, Measurement | str]:
    """Run networks of the zoo on one input of zeros each, one after another, and return their figures by name.

    What cannot be measured (it would take too long or too much memory, or failed) has a sentence in place of figures.
    """
    results: dict[str, Measurement | str] = {}
    for survey in surveys:
        problem = _too_much(survey)
        if problem:
            results[survey.entry.name] = problem
    wanted = {s.entry.name: s.input_shape for s in surveys if s.entry.name not in results}
    if not wanted:
        return results
    command = [sys.executable, "-m", "zoo.measuring", json.dumps(wanted)]
    limit = TIMEOUT * len(wanted)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment(), check=False)
    except subprocess.TimeoutExpired as error:
        raise CnnError(f"measuring took longer than {limit:.0f} s; choose a smaller input") from error
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    results |= {a["name"]: a.get("problem") or Measurement(**a["figures"]) for a in answers}
    return results | {name: _why_ended(name, done.returncode) for name in wanted if name not in results}


def _why_ended(name: str, code: int) -> str:
    """Return why there are no figures when the process ended with `code`; below 0 it is a signal's number."""
    if code == -KILLED:
        return f"measuring {name} was killed: there is not enough memory; choose a smaller input"
    return f"measuring {name} ended with code {code}; try a smaller input"


def _too_much(survey: "Survey") -> str:
    """Return why a network should not be run here, or nothing."""
    name = survey.entry.name
    if survey.multiply_adds > MOST_MULTIPLY_ADDS:
        return (
            f"one prediction of {name} at this size takes {survey.multiply_adds / 1e9:,.0f} billion multiply-adds; "
            f"measured is up to {MOST_MULTIPLY_ADDS / 1e9:,.0f} billion; choose a smaller input"
        )
    needed, free = BYTES * (survey.parameters + 2 * survey.activation_numbers), free_memory()
    if free is not None and needed > SPARE * free:
        return (
            f"{name} at this size needs about {readable_size(needed)}, but only {readable_size(free)} are free; "
            "choose a smaller input"
        )
    return ""


def free_memory() -> int | None:
    """Return the bytes that new processes can have, or None where the system does not say."""
    return _proc("meminfo", "MemAvailable")


def _measure_here(name: str, input_shape: tuple[int, ...]) -> Measurement:
    """Measure in this process."""
    import torch

    from zoo.plans import build

    build("lenet", (1, 32, 32)).eval()(torch.zeros(1, 1, 32, 32))  # what torch loads with its first convolution
    _forget_peak()
    before = _proc("self/status", "VmRSS")
    with torch.inference_mode():
        model = build(name, input_shape).eval()
        x = torch.zeros(1, *input_shape)
        for _ in range(WARM_UPS):
            model(x)
        times: list[float] = []
        while len(times) < FEWEST_RUNS or (sum(times) < SECONDS and len(times) < MOST_RUNS):
            start = time.perf_counter()
            model(x)
            times.append(time.perf_counter() - start)
    peak = _proc("self/status", "VmHWM")  # the most so far
    memory = None if peak is None or before is None else max(0, peak - before)
    middle, fastest, slowest = (1000 * s for s in (median(times), min(times), max(times)))
    version = torch.__version__.split("+")[0]
    return Measurement(middle, fastest, slowest, len(times), 1, torch.get_num_threads(), memory, version)


def _proc(file: str, entry: str) -> int | None:
    """Return the bytes that Linux writes behind `entry` in a file of /proc; None elsewhere."""
    try:
        found = re.search(rf"^{entry}:\s+(\d+) kB$", (Path("/proc") / file).read_text("utf-8"), re.MULTILINE)
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None


def _forget_peak() -> None:
    """Reset VmHWM; where that is not allowed, the peak of loading torch stays in it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "utf-8")
    except OSError:
        return


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Measure the networks of the argument, {name: input shape}, and write one line of JSON for each."""
    import zoo.plans  # noqa: F401 (loaded once, before the processes part)

    for name, input_shape in json.loads(sys.argv[1]).items():
        child = os.fork() if hasattr(os, "fork") else 0  # torch has computed nothing yet, so it has no threads to lose
        if child:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code:
                _write({"name": name, "problem": _why_ended(name, code)})
            continue
        try:
            _write({"name": name, "figures": asdict(_measure_here(name, tuple(input_shape)))})
        except (CnnError, RuntimeError, MemoryError) as error:
            _write({"name": name, "problem": (str(error).splitlines() or ["there is not enough memory"])[0]})
        if hasattr(os, "fork"):
            os._exit(0)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
