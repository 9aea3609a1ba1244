"""The README says what is true: its result table is that of the cards, its recipes and files exist."""

import json
import re
from pathlib import Path

import pytest
from record import with_benchmarks

from cnn_core.domains import recipe_files
from cnn_core.models import list_models
from cnn_core.weights import list_weights, load_card
from cnn_core.weights.table import main, results_table, with_results

ROOT = Path(__file__).parents[1]
PAGES = {page: page.read_text("utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}
TEXT = "\n".join(PAGES.values())


def test_the_result_tables_are_current() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "results.md"):
        assert with_results(PAGES[page]) == PAGES[page], "run `make readme`"
    for entry in list_weights():
        assert (f"`{entry.name}`" in results_table()) == bool(load_card(entry.folder).metrics)


def test_the_benchmarks_are_those_of_the_file() -> None:
    rows = json.loads((ROOT / "docs" / "benchmarks.json").read_text("utf-8"))
    pages = [PAGES[ROOT / "docs" / name] for name in ("benchmarks.md", "many-machines.md")]
    assert [with_benchmarks(page, rows) for page in pages] == pages, "run `make bench`"
    for row in rows.values():
        assert row["work"] in "".join(pages)
        assert row["kind"] != "ratio" or row["low"] <= row["ratio"] <= row["high"]


def test_figures_in_sentences_are_those_of_the_cards() -> None:
    table = "<!-- results: mnist -->\n<!-- end of results -->\n"
    mean = load_card("mnist").metrics["accuracy"]["mean"]
    text = with_results(f"{table}<!-- figure: mnist accuracy -->0.5<!-- end --> of the digits")
    assert text.endswith(f"<!-- figure: mnist accuracy -->{mean:.3f}<!-- end --> of the digits")
    with pytest.raises(ValueError, match="got mnist dice"):
        with_results(f"{table}<!-- figure: mnist dice -->0.5<!-- end -->")


def test_every_recipe_weights_and_model_it_names_exists() -> None:
    known = set(recipe_files()) | {entry.name for entry in list_weights()} | set(list_models())
    # names only: not `cnn train my.toml`, not `cnn predict runs/digits`
    named = re.findall(r"cnn (?:train|predict|explain|eval|anatomy|export) ([a-z0-9-]+)(?=[ `\n])", TEXT)
    assert len(named) >= 8
    assert set(named) <= known


def test_every_file_they_point_to_exists() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    named = re.findall(r"`((?:shared|packages|apps|tests)/[\w/.-]+)`", TEXT)
    assert named
    for target in named:
        assert (ROOT / target).exists(), target


def test_anchors_are_headings() -> None:
    for page, text in PAGES.items():
        for target, anchor in re.findall(r"\]\((?!http)([^)#]+)#([^)]+)\)", text):
            headings = re.findall(r"^#+ (.+)$", (page.parent / target).read_text("utf-8"), re.MULTILINE)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings], f"{page.name}: {anchor}"


def test_the_readme_is_read_in_a_minute() -> None:
    assert len(PAGES[ROOT / "README.md"].splitlines()) <= 120


def test_the_command_of_make_readme_writes_what_is_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "README.md"
    page = PAGES[ROOT / "README.md"]
    text = re.sub(r"(<!-- results: .*? -->\n).*?(<!-- end of results -->)", r"\1\2", page, flags=re.DOTALL)
    copy.write_text(text, "utf-8")
    monkeypatch.setattr("sys.argv", ["table.py", str(copy)])
    main()
    assert text != page and copy.read_text("utf-8") == page
