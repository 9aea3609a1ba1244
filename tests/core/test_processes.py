"""Asking a process to end: only the one that is meant."""

import signal
import subprocess
import sys

import pytest

from cnn_core.processes import interrupt, process_start

HEEDS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); print(flush=True); input()"
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no such signals")


def test_a_process_that_ignores_ctrl_c_is_asked_otherwise() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            identity = process_start(process.pid)
            if not identity:
                pytest.skip("this system does not say when a process began")
            assert process.stdout and process.stdout.readline()
            assert interrupt(process.pid, identity)
            assert process.wait(60) == -signal.SIGTERM
        finally:
            process.kill()


def test_only_the_process_that_is_meant_is_asked_to_end() -> None:
    command = [sys.executable, "-c", HEEDS]  # whether or not this process was started to ignore Ctrl-C
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            identity = process_start(process.pid)
            if not identity:
                pytest.skip("this system does not say when a process began")
            assert process.stdout and process.stdout.readline()
            assert not interrupt(process.pid, "")
            assert not interrupt(process.pid, str(int(identity) - 1))  # an earlier process of the same number
            assert process.poll() is None
            assert interrupt(process.pid, identity)
            assert process.wait(60) != 0
            assert not interrupt(process.pid, identity)
        finally:
            process.kill()
