"""Ctrl-C and SIGTERM: one line, exit code 130, no process left behind, whenever they come."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from cnn_core.processes import PATIENCE, is_running, process_start

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to a single process on this system")
LINE = "cnn: interrupted\n"
GOES_ON = "cnn: interrupted; the training goes on with --resume\n"
DIGITS = ("train", "digits", "--device", "cpu", "--precision", "32-true", "--per-class", "20", "--quiet")
# A shell that starts something in the background lets it ignore Ctrl-C, and children inherit that.
HEED = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)

# Sends itself Ctrl-C when the module that the first word names is about to be imported.
AT_IMPORT = """
import os, signal, sys
class Finder:
    moment = sys.argv.pop(1)
    def find_spec(self, name, path=None, target=None):
        if name == self.moment:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from cnn_core.cli import main
sys.exit(main())
"""
STARTED = """
import sys
from cnn_core.cli import interrupts, main
interrupts.heed()
print("started", flush=True)
sys.exit(main())
"""


def start(*words: str | Path, python: tuple[str, ...] = ("-m", "cnn_core.cli"), **settings: object) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *python, *map(str, words)], preexec_fn=HEED, **pipes, **settings)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    _, err = process.communicate(timeout=200)
    return process.returncode, err


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 150
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_slow_is_imported_before_ctrl_c_is_taken_over() -> None:
    code = "import sys; before = {*sys.modules}; from cnn_core.cli import interrupts; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "cnn_core.cli.interrupts" in done.stdout.split(), done.stderr
    assert not {"typing", "contextlib", "pathlib", "argparse", "torch"} & {*done.stdout.split()}


def test_a_command_that_is_done_stays_done_while_python_ends() -> None:
    code = (
        "import os, signal, sys; sys.argv = ['cnn', 'list', 'recipes']; from cnn_core.cli import main\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGINT): kill(me, number)\n"
        "sys.late = Late()\n"  # goes after the handlers of signals have been set aside
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=HEED, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_amid_an_import_it_leaves_at_once(tmp_path: Path) -> None:
    moments = ("cnn_core.cli.command", "tyro", "torch", "torch._C", "lightning_fabric")
    started = [start(moment, *DIGITS, "--run", tmp_path / moment, python=("-c", AT_IMPORT)) for moment in moments]
    assert [ended(process) for process in started] == [(130, LINE)] * len(moments)


INTERRUPTED = """
import os, signal, time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
@dataclass(frozen=True)
class Recipe:
    description: str = ""
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
def kill(): os.kill(os.getpid(), signal.SIGINT)
class Dying:
    def __del__(self): kill()
def train(recipe, *, folder, **_):
    how = recipe.model.options["how"]
    if how == "renamed":
        try:
            kill()
        except KeyboardInterrupt:
            raise AttributeError("half a module")
    if how == "checkpoint":
        folder.mkdir()
        (folder / "last.pt").write_bytes(b"")
        kill()
    if how == "ignored":
        Dying()
        time.sleep(60)
DOMAIN = SimpleNamespace(recipe=Recipe, train=train, with_settings=lambda recipe, changed: changed)
if "AT_IMPORT" in os.environ:
    try:
        kill()
    except KeyboardInterrupt:
        Path("unwound").touch()
"""


@pytest.mark.parametrize(("how", "line"), [("renamed", LINE), ("checkpoint", GOES_ON)])
def test_what_an_interruption_turns_into_does_not_count(tmp_path: Path, write, how: str, line: str) -> None:
    code, err = in_a_domain(tmp_path, write, how)
    assert (code, err) == (130, line)


def test_an_import_is_not_unwound(tmp_path: Path, write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AT_IMPORT", "1")
    assert in_a_domain(tmp_path, write, "nothing") == (130, LINE)
    assert not (tmp_path / "unwound").exists()


def test_an_interruption_that_got_lost_ends_the_process_soon(tmp_path: Path, write) -> None:
    began = time.monotonic()
    code, err = in_a_domain(tmp_path, write, "ignored")
    assert (code, err.splitlines()[-1] + "\n") == (130, LINE)  # before it Python says what it has ignored
    assert time.monotonic() - began < 45


def in_a_domain(folder: Path, write, how: str) -> tuple[int, str]:
    """Train in a domain whose training is interrupted."""
    write(folder, "seventh", recipes={"scales": 'description = "do"'}, code=INTERRUPTED)
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    words = ("train", "scales", "--run", folder / "run", "--option", f"how={how}")
    return ended(start(*words, cwd=folder, env={**os.environ, "PYTHONPATH": paths}))


def test_children_are_ended() -> None:
    code = (
        "import subprocess, sys; from cnn_core.processes import end_children\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "end_children(); print(child.wait())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "-9\n", done.stderr


@pytest.mark.slow
def test_two_processes_end_together(tmp_path: Path) -> None:
    words = [*DIGITS, "--devices", "2", "--epochs", "100", "--run", tmp_path]
    process = start(*words)
    wait_for(tmp_path / "last.pt", process)
    others = children(process.pid)
    assert others
    process.send_signal(signal.SIGINT)  # to one of them; a terminal would send it to both
    code, err = ended(process)
    assert (code, err.splitlines()[-1] + "\n") == (130, GOES_ON)
    assert "defect" not in err and "Traceback" not in err
    time.sleep(1)
    assert not any(is_running(pid) for pid in others)


def children(pid: int) -> list[int]:
    lines = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True).stdout.splitlines()[1:]
    return [int(line.split()[0]) for line in lines if line.split()[1] == str(pid)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_moments(tmp_path: Path) -> None:
    """From the moment that Ctrl-C is taken over, before which Python itself starts, to the first checkpoint."""
    began = time.monotonic()
    process = start(*DIGITS, "--run", tmp_path / "first", python=("-c", STARTED))
    wait_for(tmp_path / "first/last.pt", process)
    whole = time.monotonic() - began
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, GOES_ON)

    def interrupt(number: int, moment: float) -> tuple[bool, object]:
        folder = tmp_path / str(number)
        process = start(*DIGITS, "--run", folder, python=("-c", STARTED))
        assert process.stdout.readline() == "started\n"
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        answer = ended(process)
        return answer == (130, GOES_ON if (folder / "last.pt").exists() else LINE), (moment, *answer)

    chance = random.Random(0)
    with ThreadPoolExecutor(3) as pool:  # so that the machine is busy, and the moments less alike
        answers = list(pool.map(interrupt, range(100), [chance.uniform(0, whole) for _ in range(100)]))
    assert not [answer for right, answer in answers if not right]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_pages_within_five_seconds(tmp_path: Path, number: signal.Signals) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "runs/one").mkdir(parents=True)
    status = {"state": "running", "epoch": 1, "epochs": 2, "pid": os.getpid(), "mark": process_start(os.getpid())}
    (tmp_path / "runs/one/status.json").write_text(json.dumps(status))
    process = start("demo", "--port", str(port), cwd=tmp_path)
    deadline = time.monotonic() + 90
    while not connects(port):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    began = time.monotonic()
    code, err = ended(process)
    assert time.monotonic() - began < 5
    assert code == 0
    assert err.endswith("cnn: without the pages these trainings go on in runs/: one\n")
    assert not connects(port)


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_program_that_stays_is_killed() -> None:
    code = (
        "import sys; from cnn_core.processes import supervise; sys.exit(supervise([sys.executable, '-c', sys.argv[1]]))"
    )
    process = start(STUBBORN, python=("-c", code))
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert ended(process) == (0, "")
    assert PATIENCE - 1 < time.monotonic() - began < 5


def connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
