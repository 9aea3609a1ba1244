"""The site of the documents: built without a warning, it holds the whole API, and its links lead somewhere."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
LOADING = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
FETCHED = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "prefetch"}
OTHERS = re.compile(r"(?:https?:)?//")
FIRST = 500  # functions and classes: 600 when this was written


class Html(HTMLParser):
    """What a page can be entered at, leads to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.classes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.classes |= {*given.get("class", "").split()}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADING.get(tag) in given:
            self.loads.append(given[LOADING[tag]])
        if tag == "link" and FETCHED & {*given.get("rel", "").split()}:
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    paths = os.pathsep.join(map(str, (ROOT / "shared", ROOT / "packages")))
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Html]:
    return {file: Html(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public_names(module: str, file: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    body = ast.parse(file.read_text("utf-8")).body
    return {f"{module}.{node.name}" for node in body if isinstance(node, kinds) and not node.name.startswith("_")}


def documented_modules(hooks: ModuleType) -> dict[str, Path]:
    """Every module of the core but those of the command; of a domain its rooms, and where its public names live."""
    modules = {}
    for file in sorted((ROOT / "shared" / "cnn_core").rglob("*.py")):
        parts = file.relative_to(ROOT / "shared").with_suffix("").parts
        if parts[1] not in ("__init__", "cli"):
            modules[".".join(parts).removesuffix(".__init__")] = file
    for domain in hooks.DOMAINS:
        folder = ROOT / "packages" / domain
        homes = importlib.import_module(domain)._HOMES.values()
        optional = {room for room in ("explain", "model", "recipe") if (folder / f"{room}.py").exists()}
        for room in {"data", "domain", "predict", "task", *optional, *homes}:
            modules[f"{domain}.{room}"] = folder / f"{room}.py"
    return modules


def test_every_public_function_and_class_is_in_it(pages, hooks) -> None:
    described = set().union(*(page.anchors for file, page in pages.items() if file.parent.name == "api"))
    modules = documented_modules(hooks)
    names = set().union(*(public_names(module, file) for module, file in modules.items()))
    assert sorted(set(modules) - described) == []
    assert sorted(names - described) == []
    assert len(names) > FIRST
    packages = ("cnn_core.", *(f"{domain}." for domain in hooks.DOMAINS))
    own = [name for name in described if name.startswith(packages)]
    assert [name for name in own if "._" in name] == []


def test_every_application_has_its_page_with_its_public_names(site, hooks) -> None:
    assert len(hooks.DOMAINS) >= 6
    for domain in hooks.DOMAINS:
        text = (site / "api" / f"{domain}.html").read_text("utf-8")
        for public in importlib.import_module(domain).__all__:
            assert re.search(rf"<code>{domain}\.{public}</code>: <a ", text), f"{domain}.{public}"


def test_every_link_has_its_target(site, pages) -> None:
    followed = 0
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = unquote(parts.path)
            base = site if path.startswith("/") else file.parent  # from the root: 404.html alone
            target = (base / path.lstrip("/")).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{file.relative_to(site)}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{file.relative_to(site)}: {link}"
            followed += 1
    assert followed > 1000


def test_no_reference_is_left_unresolved(pages, site) -> None:
    for file in pages:
        prose = re.sub(r"<pre.*?</pre>", "", file.read_text("utf-8"), flags=re.DOTALL)  # code indexes tables like that
        left = re.findall(r"\]\[[\w.]*\]|^:::.*", prose, re.MULTILINE)
        assert left == [], file.relative_to(site)


def test_it_loads_nothing_from_elsewhere(pages, site) -> None:
    loaded = [(file.relative_to(site), load) for file, page in pages.items() for load in page.loads]
    assert len(loaded) > len(pages)
    assert [entry for entry in loaded if OTHERS.match(entry[1])] == []
    for page in pages.values():
        assert "mermaid" not in page.classes  # diagrams, for which the theme would fetch a script
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", sheet.read_text("utf-8")) == [], sheet.name


@pytest.mark.parametrize(
    ("page", "link", "moved"),
    [
        ("index.md", "docs/scans.md#x", "scans.md#x"),  # of the README
        ("index.md", "docs/screenshots/acts.webp", "screenshots/acts.webp"),
        ("index.md", "examples/", "examples.md"),
        ("index.md", "https://a.org/docs/b", "https://a.org/docs/b"),
        ("scans.md", "../CONTRIBUTING.md", "CONTRIBUTING.md"),
        ("scans.md", "../README.md", "index.md"),
        ("scans.md", "boxes.md", "boxes.md"),
        ("scans.md", "#x", "#x"),
        ("scans.md", "../Makefile", "Makefile"),
        ("api/index.md", "../adding.md", "../adding.md"),
        ("api/index.md", "../../CHANGELOG.md", "../CHANGELOG.md"),
        ("api/index.md", "domains.md", "domains.md"),
    ],
)
def test_links_that_leave_the_folder_lead_to_the_site(hooks, page, link, moved) -> None:
    from mkdocs.config import load_config
    from mkdocs.structure.files import File, Files
    from mkdocs.structure.pages import Page

    config = load_config(str(ROOT / "mkdocs.yml"), hooks=[], plugins=[])
    config.plugins._current_plugin = "hooks"  # which mkdocs sets while it builds
    files = Files([])
    where = Page(None, File.generated(config, page, content=""), config)
    assert hooks.on_page_markdown(f"a [b]({link}).", where, config=config, files=files) == f"a [b]({moved})."
    copied = files.get_file_from_path("Makefile")
    assert (copied is not None) == (link == "../Makefile")


def test_the_readme_says_where_it_is() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert "docs/api/index.md" in text
    assert "`make docs`" in text
