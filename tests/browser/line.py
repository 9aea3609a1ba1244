"""A line between browser and server that can be cut, as a phone's is in a tunnel."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class Line:
    """Passes connections on to a port of this machine; while it is cut, it drops them and refuses new ones."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._whole = threading.Event()
        self._whole.set()
        self._open: set[socket.socket] = set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._answer, daemon=True).start()

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Drop every connection, and let none through until the block ends."""
        self._whole.clear()
        for end in list(self._open):
            _hang_up(end)
        yield
        self._whole.set()

    def close(self) -> None:
        """End for good."""
        with self.cut():
            self._door.close()

    def _answer(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:  # closed
                return
            try:
                if not self._whole.is_set():
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            _hang_up(end)
            self._open.discard(end)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
