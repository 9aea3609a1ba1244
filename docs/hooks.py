"""Pages of the site that are made when it is built: those beside docs/, the examples, and one of the API per domain.

A domain's page holds the modules that its public names come from, and the rooms that every domain has, so that a new
domain or module needs no page by hand. Used by mkdocs, as mkdocs.yml says; `make docs` builds the site.
"""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOMAINS = sorted(file.parent.name for file in (ROOT / "packages").glob("*/domain.py"))
ROOMS = ("predict", "explain", "domain", "recipe", "data", "model", "task")
PLACES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
EXAMPLES = "examples.md"
FIRST = ("load", "train", "Predictor")  # of the public names of a domain
LINK = re.compile(r"(?<=\]\()([\w./-]+)(?=[)#])")  # to a file, with or without an anchor


class Once(griffe.Extension):
    """Documents a name in the module that defines it, and not again in the package that passes it on."""

    def on_module(self, *, mod: griffe.Module, **_: Any) -> None:
        mod.exports = None


def on_config(config: MkDocsConfig) -> None:
    """Enter the domains into the navigation, first in the section of the API."""
    section = next(entry["API"] for entry in config.nav if "API" in entry)
    section[1:1] = [{"Applications": [{title(name): f"api/{name}.md"} for name in DOMAINS]}]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are not in docs/."""
    made = {place: (ROOT / source).read_text("utf-8") for source, place in PLACES.items()}
    made |= {f"api/{name}.md": domain_page(name) for name in DOMAINS}
    scripts = sorted((ROOT / "examples").glob("*.py"))
    made[EXAMPLES] = "# Examples\n" + "".join(
        f"\n## {s.name}\n\n```python\n{s.read_text('utf-8')}```\n" for s in scripts
    )
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))


def on_page_markdown(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that leave docs/ lead to pages of the site, or to a copy of the file."""
    sources = {place: source for source, place in PLACES.items()}
    here = Path(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def moved(link: re.Match[str]) -> str:
        target = os.path.normpath(here / link[1])
        place = {**PLACES, "examples": EXAMPLES}.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(place) is None and (ROOT / target).is_file():
            files.append(File.generated(config, place, abs_src_path=str(ROOT / target)))
        return os.path.relpath(place, Path(page.file.src_uri).parent)

    return LINK.sub(moved, text)


def title(domain: str) -> str:
    return domain.replace("_", " ").capitalize()


def domain_page(name: str) -> str:
    """Return the page of a domain: its opening, where each public name is described, and its modules."""
    homes: dict[str, str] = import_module(name)._HOMES
    lines = [f"# {title(name)}", f"::: {name}\n    options: {{members: false, show_root_heading: false}}", "## Names"]
    for public, home in sorted(homes.items(), key=lambda item: (item[0].isupper(), item[0] not in FIRST)):
        own = f"{name}.{home}" if public.isupper() else f"{name}.{home}.{public}"
        target = f"cnn_core.domain.Domain.{public}" if home == "domain" and public.islower() else own
        lines.append(f"- `{name}.{public}`: [`{target}`][{target}]")
    modules = dict.fromkeys(room for room in ROOMS if (ROOT / "packages" / name / f"{room}.py").exists())
    return "\n\n".join([*lines, *(f"::: {name}.{module}" for module in modules | dict.fromkeys(homes.values()))]) + "\n"
