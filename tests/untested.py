"""The public functions of the core and of the domains that no test runs: the end of `make coverage`.

A function counts as run when one of its lines was, in any process that coverage saw. What is left out is named with its
reason in `LEFT_OUT`; a name there that is run, or is gone, is an error too.
"""

import ast
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = ("shared/cnn_core", "packages")
LEFT_OUT = {  # "path:Class.function" -> why no test runs it
    "shared/cnn_core/cli/interrupts.py:leave": "it ends its process before coverage could write what was run",
}


def public_functions(module: ast.Module) -> Iterator[tuple[str, set[int]]]:
    """Yield the qualified name of each public function and method, and the lines of its statements.

    Left out are those without any: protocols, overloads, and what only raises NotImplementedError.
    """

    def inside(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, set[int]]]:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from inside(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                lines = {
                    part.lineno for statement in node.body for part in ast.walk(statement) if isinstance(part, ast.stmt)
                }
                lines -= {statement.lineno for statement in node.body if _says_nothing(statement)}
                if lines:
                    yield prefix + node.name, lines

    yield from inside(module.body, "")


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.unparse(statement)
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def untested(text: str, executed: Collection[int]) -> list[str]:
    """Return the public functions of a source of which no line was executed."""
    return [name for name, lines in public_functions(ast.parse(text)) if lines.isdisjoint(executed)]


def main() -> int:
    import coverage

    measured = coverage.Coverage(data_file=ROOT / ".coverage")
    measured.load()
    data = measured.get_data()
    found = []
    for place in PLACES:
        for file in sorted((ROOT / place).rglob("*.py")):
            executed = data.lines(str(file)) or ()
            name = file.relative_to(ROOT).as_posix()
            found += [f"{name}:{function}" for function in untested(file.read_text("utf-8"), executed)]
    problems = [f"{name} is run by no test" for name in found if name not in LEFT_OUT]
    problems += [
        f"{name} is left out ({why}), but is run or gone" for name, why in LEFT_OUT.items() if name not in found
    ]
    sys.stdout.write("".join(f"{line}\n" for line in problems) or "every public function is run by a test\n")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
