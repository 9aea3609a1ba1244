"""Ctrl-C (SIGINT) ends `cnn` with one line and exit code 130, whenever it comes.

Python raises KeyboardInterrupt wherever it is. Amid an import that leaves half a module behind, which fails later under
another name, and in torch's C++ it aborts: there the process leaves at once, since nothing has been begun. While a
command works, the exception is raised, so that temporary files are removed; what it turns into on its way does not
count, and where it gets lost the process leaves `PATIENCE` seconds later.

Imports nothing that takes time, not even `typing`, for it has to be there first.
"""

import os
import signal
from types import FrameType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 3.0  # seconds for removing temporary files

came = False  # Ctrl-C, while a command worked
working = False  # a command has begun, and may have something to clean up
run_folder: "Path | None" = None  # of the training that works
going_on: "str | None" = None  # how the work that is being done can be taken up again, other than a training's


def heed() -> None:
    """Take over Ctrl-C, unless this process was started to ignore it (in the background of a script).

    Of several processes that one of them started, that one decides: it ends the others.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    if os.environ.get("LOCAL_RANK", "0") != "0" and "TORCHELASTIC_RUN_ID" not in os.environ:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    signal.signal(signal.SIGINT, _interrupt)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, lambda *_: leave())


def sentence() -> str:
    """Return the one line; it promises to go on only where there is something to go on with."""
    if going_on is not None:
        return f"cnn: interrupted; {going_on}"
    begun = run_folder is not None and any(next(run_folder.glob(place), None) for place in ("last.pt", "seed*/last.pt"))
    return "cnn: interrupted; the training goes on with --resume" if begun else "cnn: interrupted"


def finish() -> None:
    """After the command: Python sets our handler aside while it ends, and then the signal would kill the process."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def leave() -> None:
    """End this process, and those that it has started, with exit code 130; nothing of Python's is run any more."""
    if working:
        from cnn_core.processes import end_children  # imported long ago

        end_children()
    try:
        if os.environ.get("RANK", "0") == "0":  # of those that torchrun started, one speaks
            os.write(2, f"{sentence()}\n".encode())
    finally:  # somebody reads it or not
        os._exit(130)


def _interrupt(_: int, frame: FrameType | None) -> None:
    global came
    if came or not working or _is_importing(frame):
        leave()
    came = True
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None
