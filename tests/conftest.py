"""What holds for all tests: nothing reaches out of this machine, and one process computes with one thread."""

import errno
import os
import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Before torch is imported, and inherited by every process that a test starts: sums of floats depend on how many threads
# share them, so a run that another process goes on with would end in other bits; and workers would fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A machine that has other work to do is no defect.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

LOCAL = ("localhost", "127.", "::1", "0.0.0.0")


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """Refuses connections to other machines, so that a test which needs the network fails everywhere."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOCAL):
            raise OSError(errno.ENETUNREACH, f"tests do not use the network, but one wants to reach {address[0]}")
        connect(self, address)

    socket.socket.connect = connect_here
    yield
    socket.socket.connect = connect


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Puts `__main__` back: Streamlit's AppTest leaves a page there, which every process started later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
