"""Running the command: in this process, in one of its own, and with a fifth domain from another distribution."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cnn_core.cli import main
from cnn_core.domains import domain_folders


class Answer(NamedTuple):
    code: int
    out: str
    err: str


FIFTH = '''
"""A domain of somebody else's: its training obeys `--option fails=...`."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from cnn_core.data.sets import DataSet
from cnn_core.domain import Domain
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig


@dataclass(frozen=True)
class Recipe:
    description: str = ""
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class Rows(DataSet):
    def fetch(self, *, progress):
        return Path("fetched") / self.name


DATA_SETS = {"tone_rows": Rows(name="tone_rows", description="twelve notes", folder="tones", get=print)}


@dataclass(frozen=True)
class Tones:
    input: str
    seconds: float
    error: str = ""

    def to_json(self):
        if self.error:
            return {"input": self.input, "error": self.error}
        return {"input": self.input, "captions": ["la", "-ti"], "seconds": {"first": self.seconds}}

    def __str__(self):
        return f"{self.input}: {self.error or 'la | -ti'}"


def stream_inputs(inputs, *, output):
    for number, entry in enumerate(inputs):
        if entry == "wait":  # until somebody has read what came before
            end = time.monotonic() + 20
            while not Path("go").exists():
                if time.monotonic() > end:
                    raise TimeoutError
                time.sleep(0.01)
        yield Tones(entry, 0.5 * number, "no tones in it" if entry == "broken" else "")


def train(recipe, *, folder, name, seeds, resume, observe, show, command):
    print("a library that talks")
    fails = recipe.model.options.get("fails")
    if fails == "defect":
        raise KeyError("our own mistake")
    if fails == "runtime":
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    if fails == "memory":
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    if fails == "python-memory":
        raise MemoryError
    if fails == "disk":
        Path("/dev/null/here").mkdir()
    if fails == "package":
        import a_package_that_nobody_has
    if fails == "interrupt":
        raise KeyboardInterrupt
    accuracy = {"mean": 0.5, "std": None, "n": 4, "seeds": seeds or [0], "split": "test", "values": [float("nan")]}
    card = SimpleNamespace(metrics={"accuracy": accuracy}, seconds=1.5, command=command, recipe=recipe)
    Path(folder).mkdir(parents=True, exist_ok=True)
    options = sorted(recipe.model.options.items())
    (Path(folder) / "said.txt").write_text(f"{command}|{name}|{recipe.loop.epochs}|{options}")
    return SimpleNamespace(run=SimpleNamespace(main=True), card=card, report=None)


class Music(Domain):
    def train(self, recipe, **how):
        return train(recipe, **how)


def load(name, *, device):
    return SimpleNamespace(stream_inputs=stream_inputs)


DOMAIN = Music(name="fifth", recipe=Recipe, make_task=None, load=load, data_sets=DATA_SETS)
'''


def write_domain(
    folder: Path, package: str, *, recipes: dict[str, str], code: str = FIFTH, entry: str | None = None
) -> None:
    """Lay out an installed distribution with one domain."""
    (folder / package / "recipes").mkdir(parents=True)
    (folder / package / "__init__.py").write_text(code)
    for name, text in recipes.items():
        (folder / package / "recipes" / f"{name}.toml").write_text(text)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cnn_showcase.domains]\n{entry or package} = {package}\n")


@pytest.fixture
def write() -> Callable[..., None]:
    """Lays out a distribution with one domain, see `write_domain`."""
    return write_domain


@pytest.fixture(scope="session")
def fifth_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for sys.path that holds the domain `fifth` with the recipes `scales` and `broken`."""
    folder = tmp_path_factory.mktemp("site")
    recipes = {
        "scales": '# cnn train scales\ndescription = "do re mi"\n[model]\noptions = { tempo = 90 }\n',
        "broken": "[",
    }
    write_domain(folder, "fifth", recipes=recipes)
    return folder


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Puts a folder with distributions on this process' path for the length of a test."""
    before = {*sys.modules}

    def enter(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        domain_folders.cache_clear()

    yield enter
    for name in {*sys.modules} - before:
        if name in ("fifth", "sixth", "seventh"):
            del sys.modules[name]
    domain_folders.cache_clear()


@pytest.fixture
def fifth(fifth_site: Path, install: Callable[[Path], None]) -> None:
    """The fifth domain, installed in this process."""
    install(fifth_site)


@pytest.fixture
def sixth(tmp_path: Path, install: Callable[[Path], None]) -> None:
    """One more, with a recipe of a name that the fifth has too."""
    write_domain(tmp_path / "more", "sixth", recipes={"scales": 'description = "la ti do"'})
    install(tmp_path / "more")


@pytest.fixture
def cnn(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Runs the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "sets"))  # what is cached lands here, not with the user

    def run(*words: str | Path) -> Answer:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as leaving:  # argparse and tyro
            code = leaving.code
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def cnn_process(fifth_site: Path, tmp_path: Path) -> Callable[..., Answer]:
    """Runs the command in a process of its own, where the fifth domain is installed."""

    def run(*words: str | Path, python: tuple[str, ...] = ("-m", "cnn_core.cli"), **settings: object) -> Answer:
        paths = os.pathsep.join(filter(None, [str(fifth_site), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths, **settings.pop("environment", {})}
        done = subprocess.run(
            [sys.executable, *python, *map(str, words)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=200,
            **settings,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run
