"""`cnn completion SHELL`: a script by which a shell completes commands, flags and names."""

import argparse

SHELLS = ("bash", "zsh", "tcsh")
# Functions for bash, which get the word so far; zsh and tcsh get the words themselves.
_FUNCTIONS = """_cnn_{kind}() {{
  compgen -W "{words}" -- "$1"
  compgen -f -- "$1"
}}
"""


def run_completion(options: argparse.Namespace, _: list[str]) -> None:
    """Print the script for a shell; names are those that are here now."""
    import shtab

    from cnn_core.domains import recipe_files
    from cnn_core.weights import list_weights

    names = {"weights": [entry.name for entry in list_weights()], "recipes": sorted(recipe_files())}
    for command, entry in _subparsers(options.root).items():
        for action in entry._actions:
            if action.dest in ("name", "recipe") and command not in ("bench", "data"):
                _complete(action, "recipes" if command == "train" else "weights", names)
            elif action.dest in ("inputs", "input", "output", "folder"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own mark
    functions = "".join(_FUNCTIONS.format(kind=kind, words=" ".join(words)) for kind, words in names.items())
    preamble = functions if options.shell == "bash" else ""
    print(shtab.complete(options.root, options.shell, preamble=preamble))


def _complete(action: argparse.Action, kind: str, names: dict[str, list[str]]) -> None:
    words = f"({' '.join(names[kind])})"
    action.complete = {"bash": f"_cnn_{kind}", "zsh": words, "tcsh": ""}  # type: ignore[attr-defined]  # as above


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)
