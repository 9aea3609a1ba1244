"""One loader among damaged files for some seconds: `python fuzzing.py LOADER FOLDER SECONDS FIRST_SEED`.

Writes FOLDER/found.json: the number of cases, of those that were read, and each kind of defect with the file that shows
it, which lies in FOLDER. A case that takes longer than `PATIENCE` ends the process, with the stack on standard error;
FOLDER/now is then the file.
"""

import faulthandler
import json
import os
import re
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from loaders import EXPECTED, LOADERS
from mutations import DAMAGE, JSON_DAMAGE, damaged

PATIENCE = 10.0  # seconds for one case
IMPORTS = 150.0  # seconds for the first one, which imports what it needs
MEMORY = 1 << 30  # bytes that one process may take beyond what it has after the first, undamaged files
ROUND = 40  # cases that hypothesis draws at once
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")


class Outside:
    """What was written outside a folder while a loader ran."""

    def __init__(self, home: Path) -> None:
        self.home, self.seen, self.watching = str(home.resolve()), "", False
        sys.addaudithook(self.notice)

    def notice(self, event: str, arguments: tuple) -> None:
        if not self.watching or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        changes = event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES)
        path = os.path.abspath(os.fsdecode(arguments[0])) if changes else ""  # noqa: PTH100 (in a hook, nothing may open)
        if path and not path.startswith((self.home, "/dev/")):
            self.seen = f"{event} {path}"


class Fuzzer:
    def __init__(self, name: str, folder: Path) -> None:
        self.loader, self.folder, self.home = LOADERS[name], folder, folder / "there"
        self.seeds = self.loader.seeds()
        self.names = sorted(self.seeds)
        self.around = {**self.loader.around(), **(self.seeds if self.loader.together else {})}
        self.cases = self.read = 0
        self.defects: dict[str, str] = {}
        self.outside = Outside(folder)
        self.patience, self.last = IMPORTS, ""

    def place(self, name: str, data: bytes) -> Path:
        there = {path.relative_to(self.home).as_posix() for path in self.home.rglob("*") if path.is_file()}
        same = there - {self.last} == self.around.keys() - {self.last}
        restored = {self.last} & self.around.keys() if same else self.around
        if len(restored) > 1 or not there <= {*self.around, self.last}:
            shutil.rmtree(self.home, ignore_errors=True)
        for other in restored:
            (self.home / other).parent.mkdir(parents=True, exist_ok=True)
            (self.home / other).write_bytes(self.around[other])
        self.last = name
        (self.home / name).parent.mkdir(parents=True, exist_ok=True)
        (self.home / name).write_bytes(data)
        return self.home / name

    def case(self, name: str, data: bytes) -> None:
        (self.folder / "now").write_bytes(data)
        self.cases += 1
        for call in self.loader.calls:
            file = self.place(name, data)
            faulthandler.dump_traceback_later(self.patience, exit=True)
            self.outside.watching = True
            try:
                call(self.home, file)
                self.read += 1
            except EXPECTED as error:
                if not str(error).strip() or len(str(error)) > 5000:
                    self.defect(name, data, f"a message of {len(str(error))} characters")
            except Exception as error:  # noqa: BLE001 (what else there may be is what is looked for)
                self.defect(name, data, _kind(error))
            finally:
                self.outside.watching = False
                faulthandler.cancel_dump_traceback_later()
            if self.outside.seen:
                self.defect(name, data, f"wrote outside: {self.outside.seen}")
                self.outside.seen = ""
        shutil.rmtree(os.environ["CNN_DATA_DIR"], ignore_errors=True)
        if not self.loader.together:
            file.unlink(missing_ok=True)

    def defect(self, name: str, data: bytes, kind: str) -> None:
        if kind not in self.defects:
            self.defects[kind] = f"{len(self.defects)}-{name.replace('/', '-')}"
            (self.folder / self.defects[kind]).write_bytes(data)

    def run(self, until: float, number: int) -> None:
        damage = st.one_of(DAMAGE, JSON_DAMAGE) if any(b"{" in data[:1] for data in self.seeds.values()) else DAMAGE
        drawn = st.tuples(st.sampled_from(self.names), st.lists(damage, min_size=1, max_size=4))
        others = list(self.seeds.values())
        while time.monotonic() < until:
            number += 1

            @seed(number)
            @settings(max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate],
                      suppress_health_check=[*HealthCheck])  # fmt: skip
            @given(drawn)
            def some(plan: tuple) -> None:
                if time.monotonic() < until:
                    self.case(plan[0], damaged(self.seeds[plan[0]], plan[1], others))

            some()
            self.write(number)

    def write(self, number: int) -> None:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        table = {"cases": self.cases, "read": self.read, "defects": self.defects, "seed": number, "MiB": grown}
        (self.folder / "found.json").write_text(json.dumps(table, indent=1))


def _kind(error: Exception) -> str:
    """An error by its type and where it was raised and passed through ours last."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/packages/" in f.filename or "/cnn_core/" in f.filename]
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in (*own[-2:], frames[-1])]
    said = re.sub(r"\d+", "0", str(error)[:60])
    return f"{type(error).__name__} at {' < '.join(dict.fromkeys(reversed(places)))}: {said!r}"


def main() -> None:
    name, folder, seconds, number = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    faulthandler.enable()
    fuzzer = Fuzzer(name, folder)
    for file, data in fuzzer.seeds.items():  # imports what is needed, and must be read
        fuzzer.case(file, data)
    if fuzzer.defects or not fuzzer.read:
        raise SystemExit(f"the undamaged files of {name} are not read: {fuzzer.defects}")
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (virtual + MEMORY, virtual + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    fuzzer.patience = PATIENCE
    fuzzer.write(number)
    fuzzer.run(time.monotonic() + seconds, number)


if __name__ == "__main__":
    main()
