"""Asking a process to end: only the one that is meant."""

import signal
import subprocess
import sys

import pytest

from cnn_core.processes import interrupt, process_start

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no such signals")


def test_only_the_process_that_is_meant_is_asked_to_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = process_start(process.pid)
        if not identity:
            process.kill()
            pytest.skip("this system does not say when a process began")
        assert not interrupt(process.pid, "")
        assert not interrupt(process.pid, str(int(identity) - 1))  # an earlier process of the same number
        assert process.poll() is None
        assert interrupt(process.pid, identity)
        process.wait(20)
        assert process.returncode != 0
        assert not interrupt(process.pid, identity)
