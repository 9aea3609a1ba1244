"""The `cnn` command.

`cnn --help`, `cnn list recipes` and `cnn list weights` answer at once: torch and the domains are imported by the
command that needs them. Ctrl-C is taken care of before anything is imported.
"""


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
    from cnn_core.cli.command import run_command

    try:
        return run_command(arguments)
    finally:
        if interrupts.came:  # whatever the interruption has become on its way here
            interrupts.leave()
        interrupts.finish()
