"""The `cnn` command.

`cnn --help`, `cnn list recipes` and `cnn list weights` answer at once: torch and the domains are imported by the
command that needs them. Ctrl-C is taken care of before anything is imported.
"""

import atexit
import os
import sys

_code: int | None = None  # of the command that has ended


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed with one sentence, 130 interrupted.

    Wrong usage raises SystemExit(2) and `--help` SystemExit(0), as argparse does. What is not the user's to mend (a
    defect of ours) is raised; of the process' own command line it is shown as one sentence, without `--debug`.

    Args:
        arguments: the words after `cnn`; None: those of this process.
    """
    from cnn_core.cli import interrupts

    if arguments is None:
        interrupts.heed()
        atexit.register(_leave)
    from cnn_core.cli.command import run_command

    global _code
    try:
        code = run_command(arguments)
        _code = code if arguments is None else None
        return code
    finally:
        if interrupts.came:  # whatever the interruption has become on its way here
            interrupts.leave()
        interrupts.finish()


def _leave() -> None:
    """End the process once Python has cleaned up: torch's destructors would read 170 MB of its libraries into memory.

    Registered first, it is called last.
    """
    if _code is not None:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(_code)
