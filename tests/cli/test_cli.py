"""What every command promises: exit codes, one sentence, pure JSON. Nothing here needs torch."""

import json
import os
import platform
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnn_core.cli.examples import EXAMPLES
from cnn_core.cli.looking import parse_shape, port_is_free
from cnn_core.cli.parser import build_parser
from cnn_core.errors import CnnError

LIGHT = """
import sys
from cnn_core.cli import main
code = main(sys.argv[1:])
heavy = sorted({"torch", "torchvision", "numpy", "lightning_fabric", "streamlit"} & set(sys.modules))
print(f"heavy: {heavy}", file=sys.stderr)
sys.exit(code)
"""

# ---- usage: exit code 2, and what was expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "required: COMMAND"),
        ("frobnicate", "invalid choice: 'frobnicate'"),
        ("list nothing", "invalid choice: 'nothing'"),
        ("list --jsom", "unrecognized arguments: --jsom"),
        ("list --js", "unrecognized arguments: --js"),  # no guessing
        ("data", "required: action, NAME"),
        ("data put mnist", "invalid choice: 'put'"),
        ("anatomy", "required: MODEL"),
        ("anatomy lenet --classes many", "invalid int value: 'many'"),
        ("explain digits a.png", "required: --output"),
        ("export digits", "required: --output"),
        ("eval digits --split best", "invalid choice: 'best'"),
        ("predict digits", "required: INPUT"),
        ("demo --port 0", "expected a port from 1 to 65535, got '0'"),
        ("demo --port http", "expected a port from 1 to 65535, got 'http'"),
        ("train digits --seeds 1 x", "expected whole numbers from 0 to 4294967295, got 'x'"),
        ("train digits --seeds -1", "expected"),
        ("train digits --seeds 1 2 1", "expected different seeds, got 1 2 1"),
        ("train digits --option widths", "expected NAME=VALUE such as widths=64,128, got 'widths'"),
        ("train digits --run", "expected one argument"),
        ("compare", "required: NAME, --data"),
        ("compare digits", "required: --data"),
    ],
)
def test_wrong_usage(cnn, line, words):
    answer = cnn(*line.split())
    assert answer.code == 2
    assert answer.out == ""
    assert words in answer.err
    assert answer.err.startswith("usage: cnn")


@pytest.mark.parametrize("line", ["--help", "list --help", "predict -h", "demo --help", "compare --help"])
def test_help_is_no_error(cnn, line):
    answer = cnn(*line.split())
    assert answer.code == 0
    assert answer.out.startswith("usage: cnn")
    assert answer.err == ""


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_examples_of_a_commands_help_are_lines_that_it_takes(cnn, command):
    parser = build_parser()
    for line in EXAMPLES[command]:
        words = shlex.split(line)
        assert words[:2] == ["cnn", command]
        parser.parse_known_args(words[1:])  # the settings of recipes are read later
    assert EXAMPLES[command][-1] in cnn(command, "--help").out


def test_several_processes_compare_nothing(cnn):
    answer = cnn("compare", "digits", "--data", "digits", "--devices", "2")
    assert (answer.code, answer.out) == (1, "")
    assert "comparing in several processes is not supported; leave --devices" in answer.err


def test_training_without_a_recipe_shows_the_recipes(cnn):
    for line in ("train", "train --epochs 3 digits", "train --resume"):
        answer = cnn(*line.split())
        assert (answer.code, answer.out) == (2, "")
        assert "the recipe comes first" in answer.err
        assert "digits" in answer.err
    answer = cnn("train", "--help")
    assert answer.code == 0
    assert "mnist" in answer.out


# ---- names


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train digitz", "unknown recipe 'digitz'; did you mean digits?"),
        ("train nowhere.toml", "nowhere.toml: cannot be read (No such file or directory)"),
        ("eval digitz", "unknown weights 'digitz'"),
        ("predict ./nowhere a.png", "no such folder: nowhere"),
        ("explain digitz a.png --output b.png", "unknown weights 'digitz'"),
        ("export digitz --output onnx", "unknown weights 'digitz'"),
        ("compare digitz --data digits", "unknown weights 'digitz'"),
    ],
)
def test_unknown_names_are_answered_with_what_there_is(cnn, line, words):
    answer = cnn(*line.split())
    assert (answer.code, answer.out) == (1, "")
    assert words in answer.err
    assert answer.err.startswith("cnn: ")
    assert answer.err.count("\n") == 1


# ---- list


def test_list_recipes_by_name_and_as_json(cnn):
    answer = cnn("list", "recipes", "--json")
    rows = json.loads(answer.out)["recipes"]
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert {"digits", "mnist", "cifar10"} <= {*names}
    assert {row["text"].split(": ")[0] for row in rows} >= {"image_classification", "text_classification"}
    plain = cnn("list", "recipes")
    assert [line.split()[0] for line in plain.out.splitlines()] == names


@pytest.mark.parametrize("kind", ["recipes", "weights"])
def test_listing_loads_nothing_heavy(cnn_process, kind):
    answer = cnn_process("list", kind, python=("-c", LIGHT))
    assert answer.code == 0, answer.err
    assert "heavy: []" in answer.err


# ---- failures


def test_json_is_one_object_whatever_a_library_prints(cnn, fifth):
    answer = cnn("train", "scales", "--json")
    assert answer.code == 0
    assert answer.out.count("\n") == 1
    result = json.loads(answer.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (result["run"], result["weights"], result["seconds"]) == ("runs/scales", "scales", 1.5)
    assert result["metrics"]["accuracy"]["values"] == [None]
    assert "a library that talks" in answer.err


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("memory", "cnn: there is not enough memory for this; a smaller --batch-size"),
        ("python-memory", "cnn: there is not enough memory for this"),
        ("disk", "cnn: /dev/null/here: Not a directory"),
        ("package", "cnn: this needs the package 'a_package_that_nobody_has', which is not installed"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(cnn, fifth, fails, words):
    answer = cnn("train", "scales", "--json", "--option", f"fails={fails}")
    assert (answer.code, answer.out) == (1, "")
    assert words in answer.err
    assert "Traceback" not in answer.err


def test_ctrl_c_is_130(cnn, fifth):
    answer = cnn("train", "scales", "--json", "--option", "fails=interrupt")
    assert (answer.code, answer.out) == (130, "")
    assert "interrupted" in answer.err


@pytest.mark.parametrize(("fails", "kind"), [("defect", KeyError), ("runtime", RuntimeError)])
def test_a_defect_of_ours_reaches_programs_as_it_is(cnn, fifth, fails, kind):
    with pytest.raises(kind):
        cnn("train", "scales", "--option", f"fails={fails}")


def test_a_defect_of_ours_is_a_sentence_for_users_and_a_traceback_for_debug(cnn_process):
    answer = cnn_process("train", "scales", "--option", "fails=runtime", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "this is a defect of cnn, not of your input (RuntimeError: mat1 and mat2" in answer.err
    assert "--debug" in answer.err
    assert "Traceback" not in answer.err
    answer = cnn_process("train", "scales", "--debug", "--option", "fails=runtime")
    assert answer.code == 1
    assert "Traceback" in answer.err


def test_debug_shows_the_traceback_of_a_users_mistake_too(cnn):
    with pytest.raises(CnnError, match="digitz"):
        cnn("train", "digitz", "--debug")


# ---- the process around it


def test_a_reader_that_goes_away_is_no_error(fifth_site):
    script = f"{sys.executable} -m cnn_core.cli list recipes | true; echo ${{PIPESTATUS[0]}}"
    for _ in range(2):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=100)
        assert done.stdout.strip() in ("141", "0")  # 0: all was written before the reader went
        assert done.stderr == ""


@pytest.mark.parametrize(("closed", "said"), [(">&-", ""), ("2>&-", "digits"), (">&- 2>&-", "")])
def test_closed_streams_are_no_defect(closed: str, said: str):
    script = f"{sys.executable} -m cnn_core.cli list recipes {closed}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stderr == "" and said in done.stdout


@pytest.mark.parametrize(("words", "python"), [
    (["list", "recipes"], []), (["list", "recipes"], ["-u"]), (["--help"], []),
])  # fmt: skip
def test_output_that_cannot_be_written_is_a_sentence(words: list[str], python: list[str]):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *python, "-m", "cnn_core.cli", *words],
            env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "cnn: No space left on device (--debug shows where)\n"


def test_names_that_a_terminal_cannot_show_do_not_break_the_output(cnn_process, tmp_path):
    answer = cnn_process("train", "schön\udcff.toml", environment={"PYTHONIOENCODING": "ascii"})
    assert answer.code == 1
    assert "cannot be read" in answer.err
    assert "Traceback" not in answer.err


# Runs a command, then takes, writes and frees 64 MiB four times: how many pages did the system have to give?
TAKEN = """
import ctypes, resource, sys
from cnn_core.cli import main
code = main()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(4):
    block = libc.malloc(1 << 26)
    ctypes.memset(block, 1, 1 << 26)
    libc.free(block)
print((faults() - before) * resource.getpagesize() / (1 << 26), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_memory_that_a_command_frees_stays_with_its_process(cnn_process):
    done = cnn_process("list", "models", python=("-c", TAKEN))
    assert done.code == 0 and "resnet18" in done.out
    assert float(done.err.splitlines()[-1]) == pytest.approx(1, abs=0.1)  # by default 4


def test_the_installed_command_is_this_one():
    from importlib.metadata import entry_points

    (point,) = [p for p in entry_points(group="console_scripts") if p.name == "cnn"]
    assert point.value == "cnn_core.cli:main"


# ---- shapes and ports


@pytest.mark.parametrize("text", ["3x224x224", "1x5", "4X8x8x8"])
def test_shapes(text):
    assert parse_shape(text) == tuple(int(n) for n in text.lower().split("x"))


@pytest.mark.parametrize(
    "text", ["", "3", "3x", "x3", "3x0", "3x-1", "3x2.5", "axb", "1x2x3x4x5", "3x99999999999", "3x٣", "3 x 3"]
)
def test_bad_shapes(text):
    with pytest.raises(CnnError, match="expected channels x size"):
        parse_shape(text)


@pytest.mark.parametrize("address", ["", "nowhere.invalid", "8.8.8.8", "a" * 300])
def test_an_address_of_somebody_else_is_said_before_anything_starts(cnn, address):
    answer = cnn("demo", "--address", address)
    assert answer.code == 1
    assert "--address: expected localhost, 0.0.0.0 or an address of this machine" in answer.err


def test_pages_are_for_this_machine_alone_unless_asked_otherwise(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the user, not a module of Python')")
    command = [sys.executable, "-P", "-m", "cnn_core.cli", "demo", "--port", str(port)]  # -P: as the script `cnn` is
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(900):
            if connects("127.0.0.1", port) or server.poll() is not None:
                break
            time.sleep(0.1)
        assert connects("127.0.0.1", port)
        assert not connects("127.0.0.2", port)  # another address of this machine, as its one in the network is
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def connects(address: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((address, port)) == 0


def test_a_port_in_use_is_said_before_anything_starts(cnn):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        answer = cnn("demo", "--port", str(port))
        assert answer.code == 1
        assert f"port {port} is in use" in answer.err
        assert "--port" in answer.err
    assert port_is_free(port)


def test_a_checkout_serves_its_own_pages(monkeypatch):
    """Not the copy that its installation keeps, which may be old."""
    from cnn_core.cli import main

    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    asked = {}
    monkeypatch.setattr("cnn_core.processes.supervise", lambda words: asked.update(words=words) or 0)
    assert main(["demo", "--port", str(port)]) == 0
    assert str(Path(__file__).parents[2] / "apps" / "serve.py") in asked["words"]
    assert "--share-runs" not in asked["words"]
    assert main(["demo", "--port", str(port), "--share-runs"]) == 0
    assert asked["words"][-2:] == ["--", "--share-runs"]  # behind Streamlit's own flags: the pages read it
