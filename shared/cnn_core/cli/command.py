"""One command line: from its words to its exit code."""

import contextlib
import logging
import os
import sys
from pathlib import Path
from types import TracebackType

from cnn_core.cli import interrupts
from cnn_core.cli.parser import build_parser
from cnn_core.errors import CnnError, missing_package
from cnn_core.processes import keep_freed_memory

OWN_PACKAGES = ("cnn_core", "cnn_showcase_apps")
MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")  # of torch's RuntimeErrors


def run_command(arguments: list[str] | None = None) -> int:
    """See `cnn_core.cli.main`."""
    own = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    if own:
        _prepare_process(debug=debug)
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # a reader that has gone, or a full disk, is noticed here, not when Python closes
    except BrokenPipeError:  # `cnn list | head -1`
        _drop_unwritable_output()
        return 141  # what a shell says of a program that SIGPIPE ended
    except KeyboardInterrupt:
        if not interrupts.came:
            print(interrupts.sentence(), file=sys.stderr)
        return 130
    except (CnnError, OSError, MemoryError, RuntimeError, ModuleNotFoundError) as error:
        sentence = _sentence(error)
        if debug or sentence is None or interrupts.came:
            raise
        print(f"cnn: {sentence}", file=sys.stderr)
        _drop_unwritable_output()
        return 1


def _drop_unwritable_output() -> None:
    """Let what cannot be written go nowhere, so that Python does not try again, and complain, when it closes."""
    with contextlib.suppress(OSError):
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    """Read the arguments and call the command."""
    parser = build_parser()
    # Behind `cnn train RECIPE` come the recipe's own flags, known only once the recipe is read.
    if arguments[:1] == ["train"] and (arguments[1:] == [] or arguments[1].startswith("-")):
        from cnn_core.cli.training import explain_train

        return explain_train(asked=arguments[1:2] in (["-h"], ["--help"]))
    options, rest = parser.parse_known_args(arguments)
    if rest and not options.settings:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.given, options.out = arguments, sys.stdout
    # With --json nothing but the answer may reach standard output, whatever a library prints.
    with contextlib.redirect_stdout(sys.stderr) if getattr(options, "json", False) else contextlib.nullcontext():
        interrupts.working = True
        try:
            return options.run(options, rest) or 0
        finally:
            if not interrupts.came:  # what is interrupted from now on has done its work
                interrupts.working, interrupts.run_folder, interrupts.going_on = False, None, None


def _sentence(error: Exception) -> str | None:
    """Return what the user should read, or None for a defect of ours."""
    if isinstance(error, CnnError):
        return str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _is_about_memory(error)):
        return (
            "there is not enough memory for this; a smaller --batch-size or --micro-batch, a smaller input or another "
            "--device may help (--debug shows where it ran out)"
        )
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] not in OWN_PACKAGES:
        return str(missing_package(error.name))
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror} (--debug shows where)"
    return None


def _is_about_memory(error: RuntimeError) -> bool:
    return any(words in str(error).lower() for words in MEMORY_WORDS)


def _prepare_process(*, debug: bool) -> None:
    """Keep freed memory, make the output safe for any file name, and show tracebacks only with --debug."""
    keep_freed_memory()
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w")  # None where a shell has closed it, `>&-`
    sys.stderr = sys.stderr or nowhere.open("w")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if not debug:
        sys.excepthook = _show_defect


def _show_defect(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """What Python calls for an uncaught exception; the exit code is 1."""
    first = (str(error).splitlines() or [""])[0]
    print(
        f"cnn: this is a defect of cnn, not of your input ({kind.__name__}: {first}); run the same with --debug and "
        "report what it shows",
        file=sys.stderr,
    )
