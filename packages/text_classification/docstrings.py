"""A real text set that every Python contains: docstrings of the standard library, by the part of it they come from.

The areas are chapters of the Library Reference. The sources are read as text and parsed, never imported or run. Another
Python version has slightly other texts, so figures name the version they were measured with.
"""

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cnn_core.errors import DataError
from text_classification.tables import Table

CHAPTERS = {
    "text and data": (
        "argparse calendar cmd codecs collections configparser copy csv datetime difflib enum fractions gettext "
        "heapq json locale numbers pprint random re reprlib shlex statistics string stringprep textwrap types "
        "zoneinfo decimal _pydecimal _pydatetime bisect graphlib array"
    ),
    "networking": (
        "asyncio email ftplib http imaplib ipaddress mailbox mimetypes nntplib poplib smtplib smtpd socket "
        "socketserver ssl telnetlib urllib webbrowser wsgiref xmlrpc selectors asyncore asynchat netrc uuid base64 "
        "quopri cgi"
    ),
    "files and system": (
        "bz2 dbm filecmp fileinput fnmatch getpass glob gzip io _pyio lzma os pathlib platform posixpath ntpath "
        "pickle shelve shutil sqlite3 stat subprocess tarfile tempfile zipfile zipimport mmap curses ctypes pty "
        "genericpath logging optparse getopt"
    ),
    "language and tools": (
        "abc ast atexit bdb code codeop compileall contextlib cProfile dataclasses dis doctest ensurepip functools "
        "importlib inspect keyword linecache modulefinder opcode pdb pkgutil profile pstats py_compile pyclbr pydoc "
        "runpy site symtable sysconfig tabnanny timeit token tokenize trace traceback tracemalloc typing unittest "
        "venv warnings weakref lib2to3 idlelib distutils operator"
    ),
    "windows and drawing": "tkinter turtle turtledemo colorsys",
    "processes and threads": "concurrent multiprocessing queue sched threading contextvars _threading_local",
    "markup": "html xml plistlib _markupbase",
}
AREAS = tuple(sorted(CHAPTERS))
SHORTEST, LONGEST = 20, 1000  # characters of a docstring
SKIPPED = ("test", "tests", "idle_test", "__pycache__")


def read() -> Table:
    """Return every docstring of the chapters once, in the order of files and lines.

    Raises:
        DataError: this Python came without the sources of its library.
    """
    areas = _areas()
    return Table(list(areas), list(areas.values()))


@cache
def _areas() -> dict[str, str]:
    """Return docstring -> area."""
    root = Path(sysconfig.get_paths()["stdlib"])
    areas: dict[str, str] = {}
    repeated: set[str] = set()
    for area in AREAS:
        for module in sorted(CHAPTERS[area].split()):
            for text in _module_texts(root, module):
                if areas.setdefault(text, area) != area:
                    repeated.add(text)  # the same sentence in two areas teaches nothing
    if len(areas) < 1000:
        raise DataError(
            f"only {len(areas)} docstrings were found under {root}; this Python comes without its library's sources"
        )
    return {text: area for text, area in areas.items() if text not in repeated}


def _module_texts(root: Path, module: str) -> list[str]:
    folder = root / module
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [root / f"{module}.py"]
    texts = []
    for file in files:
        if file.is_file() and not set(file.relative_to(root).parts) & set(SKIPPED):
            texts += _file_texts(file)
    return texts


def _file_texts(file: Path) -> list[str]:
    """Return the docstrings of a source file, white space joined."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in sources that are not ours
            tree = ast.parse(file.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # files of another Python version, kept for tests
        return []
    joined = (" ".join(text.split())[:LONGEST] for text in _docstrings(tree))
    return [text for text in joined if len(text) >= SHORTEST]


def _docstrings(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and functions; those inside of ifs and loops are left out."""
    yield ast.get_docstring(node, clean=False) or ""
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _docstrings(inner)
